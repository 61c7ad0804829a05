"""nixie forget: nothing is known of a person any more, nor learned by name."""

import json
import re

import pytest

from harness.oracle import history_key
from harness.wait import wait_until


def forget(stack, address, *options, status=0):
    done = stack.nixied.tool("--json", "forget", *options, address)
    assert done.returncode == status, done.stderr.decode()
    return json.loads(done.stdout) if status == 0 else done.stderr.decode()


def keys_with(stack, text):
    """All of Redis that names it: keys, fields and members."""
    found = []
    for key in stack.redis.command("KEYS", "*"):
        kind = stack.redis.command("TYPE", key)
        kind = kind.decode() if isinstance(kind, bytes) else kind
        words = {"hash": ("HGETALL",), "zset": ("ZRANGE", 0, -1),
                 "list": ("LRANGE", 0, -1), "string": ("GET",)}[kind]
        value = stack.redis.command(words[0], key, *words[1:])
        parts = value if isinstance(value, list) else [value]
        if any(text.encode() in part for part in [key, *parts]):
            found.append(key)
    return found


def known(stack, name):
    """An address with a history, a strike, evidence, and entries."""
    address = f"ann@{name}.test"
    stack.send([address])
    for key in (f"nixie:suppress:{address}", f"nixie:allow@news:{address}"):
        stack.redis.command("SET", key, "x")
    stack.send([address])
    stack.settle()
    now = 4000000000
    stack.redis.command("ZADD", history_key("nixie:", "waiting",
                                            f"{name}.test"),
                        now, f"Q1 {address}", now, f"Q2 {address}",
                        now, f"Q3 bob@{name}.test")
    return address


@pytest.fixture
def person(stack, name):
    address = known(stack, name)
    yield address
    stack.redis.command("DEL", history_key("nixie:", "waiting",
                                           f"{name}.test"))


def test_forget_erases_all(stack, name, person):
    told = forget(stack, person, "--dry-run")
    assert told["history"] > 0 and told["waiting"] == 2
    assert told["entries"] == 2
    assert keys_with(stack, person)
    mark = stack.log.mark()
    assert forget(stack, person)["applied"]
    assert not keys_with(stack, person)
    events = stack.log.since(mark, type="recipient_forgotten")
    assert {event["queue_id"] for event in events} == {"Q1", "Q2"}
    assert re.fullmatch(rf"h-[a-z2-7]{{26}}@{name}.test",
                        events[0]["pseudonym"])
    waiting = history_key("nixie:", "waiting", f"{name}.test")
    assert stack.redis.command("ZRANGE", waiting, 0, -1) == \
        [f"Q3 bob@{name}.test".encode()]
    stack.redis.command("DEL", waiting)
    stack.settle()


def test_later_events_have_the_pseudonym(stack, name, person):
    told = forget(stack, person)
    assert told["files"]
    stack.redis.command("DEL", history_key("nixie:", "waiting",
                                           f"{name}.test"))
    for restarted in (False, True):
        if restarted:
            stack.nixied.restart()
        mark = stack.log.mark()
        stack.send([person.upper()])
        event = stack.log.wait(mark, type="reception")
        assert event["recipient"].startswith("h-")
        assert person not in json.dumps(dict(event)).lower()
        stack.settle()
        assert not keys_with(stack, person)
    other = f"bob@{name}.test"
    mark = stack.log.mark()
    stack.send([other])
    assert stack.log.wait(mark, type="reception")["recipient"] == other


def test_a_rebuilt_redis_does_not_know_either(stack, name, person):
    forget(stack, person)
    stack.redis.command("DEL", history_key("nixie:", "waiting",
                                           f"{name}.test"))
    stack.settle()
    stack.redis.command("FLUSHALL")
    stack.send([f"bob@{name}.test"])
    wait_until(lambda: stack.history(f"bob@{name}.test"),
               "history is built again", 60)
    stack.settle(60)
    assert not keys_with(stack, person)


def test_another_host_learns_it_from_redis(stack, name, person):
    forget(stack, person)
    stack.redis.command("DEL", history_key("nixie:", "waiting",
                                           f"{name}.test"))
    stack.settle()
    assert stack.nixied.end() == 0
    (stack.nixied.state / "forgotten").unlink()
    stack.nixied.start()
    wait_until(lambda: (stack.nixied.state / "forgotten").exists(),
               "nixied has learned it", 20)
    mark = stack.log.mark()
    stack.send([person])
    assert stack.log.wait(mark, type="reception")["recipient"].startswith("h-")


def test_entries_can_be_kept(stack, name, person):
    stack.redis.command("DEL", f"nixie:allow@news:{person}")
    assert forget(stack, person, "--keep-suppressed")["entries_kept"]
    stack.redis.command("DEL", history_key("nixie:", "waiting",
                                           f"{name}.test"))
    mark = stack.log.mark()
    replies, _ = stack.send([person])
    assert replies[person].code == 550
    event = stack.log.wait(mark, type="suppressed")
    assert event["recipient"] == event["suppression_pattern"]
    assert person not in json.dumps(dict(event))
    stack.redis.command("DEL", f"nixie:suppress:{person}")
    stack.settle()


def test_nothing_is_forgotten_without_nixied(stack, name, person):
    assert stack.nixied.end() == 0
    try:
        assert "start it" in forget(stack, person, status=2)
        assert keys_with(stack, person)
    finally:
        stack.nixied.start()
    forget(stack, person)


def test_the_key_is_for_nixied_alone(stack, name, person):
    forget(stack, person)
    key = stack.nixied.state / "privacy.key"
    assert key.stat().st_mode & 0o777 == 0o600
    stack.redis.command("DEL", history_key("nixie:", "waiting",
                                           f"{name}.test"))
    assert stack.nixied.end() == 0
    key.chmod(0o644)
    process = stack.nixied.spawn()
    assert process.wait(timeout=20) == 1
    assert "privacy.key is open to all" in stack.nixied.error_text()
    key.chmod(0o600)
    stack.nixied.start()


def test_what_policy_makes_of_the_pseudonym_refuses(stack, name, person):
    """Somebody else's pseudonym is nobody's."""
    told = forget(stack, person)
    stack.redis.command("DEL", history_key("nixie:", "waiting",
                                           f"{name}.test"))
    assert told["applied"]
    mark = stack.log.mark()
    replies, _ = stack.send([person])
    assert replies[person].code == 250
    pseudonym = stack.log.wait(mark, type="reception")["recipient"]
    stack.redis.cli("HSET", f"nixie:suppress:{pseudonym}", "reason",
                    "user_unknown", "origin", "policy")
    wait_until(lambda: stack.send([person])[0][person].code == 550,
               "the entry acts", 5)
    assert stack.send([f"bob@{name}.test"])[0][f"bob@{name}.test"].code == 250
    stack.redis.cli("DEL", f"nixie:suppress:{pseudonym}")
