"""privacy = hash and domain: whom the event log and Redis do not name."""

import json
import pathlib
import re

import pytest

from harness import oracle
from harness.wait import wait_until

PSEUDONYM = re.compile(r"h-[a-z2-7]{26}(@.*)?")


def dump(stack):
    """All of Redis as bytes: keys, fields, members, values."""
    words = {"hash": ("HGETALL",), "zset": ("ZRANGE", 0, -1),
             "list": ("LRANGE", 0, -1), "string": ("GET",)}
    found = {}
    for key in stack.redis.command("KEYS", "*"):
        kind = stack.redis.command("TYPE", key)
        kind = kind.decode() if isinstance(kind, bytes) else kind
        value = stack.redis.command(words[kind][0], key, *words[kind][1:])
        found[key] = b" ".join(value) if isinstance(value, list) else value
    return found


def nowhere(stack, *addresses):
    """None of them stands in the log, nor in Redis but for the lists."""
    text = b"".join(pathlib.Path(path).read_bytes()
                    for _, _, path in stack.log.paths())
    redis = b"\n".join(key + b" " + value for key, value in
                       dump(stack).items())
    for address in addresses:
        # the Message-ID is not nixie's, and stays
        local = address.partition("@")[0]
        for where in (text, redis):
            assert address.encode().lower() not in where.lower(), address
            assert not re.search(rb"\b%s\b" % re.escape(local.encode()), where,
                                 re.IGNORECASE), local


def tool(stack, *words, status=0):
    done = stack.nixied.tool("--json", *words)
    assert done.returncode == status, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def pseudonym(stack, address):
    found, = tool(stack, "mailbox", address)
    assert PSEUDONYM.fullmatch(found["pseudonym"])
    return found["pseudonym"]


def follows(stack):
    return stack.log.wait(type="mark")


@pytest.fixture
def stack(stack_maker, world):
    return stack_maker(maillog=[world.postfix.log], privacy="hash")


def refused(stack, address):
    return stack.send([address])[0][address].code == 550


def test_nobody_is_named(stack, name):
    follows(stack)
    good, bad = f"{name}@far.test", f"reject-{name}@far.test"
    stack.send([good.capitalize(), bad], sender=f"from-{name}@nixie.test")
    reception = stack.log.wait(type="reception", count=2)
    delivery = stack.log.wait(type="delivery")
    bounce = stack.log.wait(type="bounce")
    assert delivery["recipient"] == pseudonym(stack, good)
    assert bounce["recipient"] == pseudonym(stack, bad)
    assert delivery["sender"] == pseudonym(stack, f"from-{name}@nixie.test")
    assert all(PSEUDONYM.fullmatch(event["recipient"]) for event in reception)
    assert bounce["recipient_domain"] == "far.test"
    assert "<addr>: No such user here" in bounce["diagnostic"]
    assert bounce["reason"] == "user_unknown" and bounce["counted"]
    added = stack.log.wait(type="suppression_added")
    assert added["suppression_pattern"] == bounce["recipient"]
    stack.settle()
    history = stack.history(bounce["recipient"])
    assert history["bounces"] == "1"
    assert "<addr>: No such user here" in history["last_diagnostic"]
    wait_until(lambda: refused(stack, bad), "the next one is refused")
    event = stack.log.wait(type="suppressed")
    assert event["suppression_pattern"] == event["recipient"] == \
        bounce["recipient"]
    shown = tool(stack, "tail", "--no-follow", "-n", "1000", "--recipient", bad)
    assert {one["type"] for one in shown} >= {"reception", "suppressed"}
    stack.settle()
    nowhere(stack, good, bad, f"from-{name}@nixie.test")


def test_what_no_rule_knew_names_nobody(stack, name):
    follows(stack)
    recipient = f"odd-{name}@far.test"
    stack.remote.answers[recipient.encode()] = \
        b"599 The stars of odd-%s <%s> are not right\r\n" % (
            name.encode(), recipient.encode())
    stack.send([recipient])
    event = stack.log.wait(type="bounce")
    assert "The stars of <addr> <addr> are not right" in event["diagnostic"]
    wait_until(lambda: stack.redis.keys("nixie:unclassified"),
               "it is to be qualified", 20)
    stack.settle()
    nowhere(stack, recipient)


def test_entries_are_found_whoever_made_them(stack, name):
    plain, ours = f"plain-{name}@far.test", f"ours-{name}@far.test"
    stack.redis.cli("SET", f"nixie:suppress:{plain}", "asked by phone")
    told, = tool(stack, "suppress", "add", "--note",
                 f"{ours} asked", ours.upper())
    assert told["pattern"] == pseudonym(stack, ours)
    stack.settle()
    assert stack.redis.keys(f"nixie:suppress:{told['pattern']}")
    assert refused(stack, plain) and refused(stack, ours)
    stack.redis.cli("DEL", f"nixie:suppress:{plain}")
    stack.settle()
    assert not refused(stack, plain)
    nowhere(stack, plain, ours)
    shown, = tool(stack, "suppress", "show", ours)
    assert shown["pattern"] == told["pattern"]
    why, = tool(stack, "why", ours)
    assert told["pattern"] in json.dumps(why)
    tool(stack, "allow", "add", ours)
    stack.settle()
    assert not refused(stack, ours)
    tool(stack, "allow", "del", ours)
    assert refused(stack, ours)
    tool(stack, "suppress", "del", ours)
    assert not refused(stack, ours)
    stack.settle()
    nowhere(stack, plain, ours)
    tool(stack, "suppress", "show", ours, status=1)
    tool(stack, "suppress", "del", ours, status=1)


def test_an_import_has_pseudonyms(stack, name):
    addresses = [f"{name}-{number}@far.test" for number in range(5)]
    done = stack.nixied.tool("suppress", "import", "-",
                             data="\n".join(["pattern", *addresses,
                                             "@away.test"]).encode())
    assert done.returncode == 0, done.stderr
    stack.settle()
    assert all(refused(stack, address) for address in addresses)
    done = stack.nixied.tool("suppress", "export")
    assert done.returncode == 0
    for address in addresses:
        assert pseudonym(stack, address).encode() in done.stdout
    assert b"@away.test" in done.stdout
    nowhere(stack, *addresses)


def test_what_is_named_in_redis_can_be_removed_and_forgotten(stack, name):
    both = f"both-{name}@far.test"
    stack.redis.cli("SET", f"nixie:suppress:{both}", "x")
    tool(stack, "suppress", "add", both)
    assert len(tool(stack, "suppress", "show", both)) == 2
    assert [told["result"] for told in tool(stack, "suppress", "del", both)] \
        == ["removed", "removed"]
    assert not refused(stack, both)
    stack.redis.cli("SET", f"nixie:suppress:{both}", "x")
    tool(stack, "suppress", "add", both)
    stack.settle()
    assert stack.history(pseudonym(stack, both))
    told = tool(stack, "forget", both)
    assert [one["entries"] for one in told] == [1, 1]
    assert [one["recipient"] for one in told] == [both, pseudonym(stack, both)]
    stack.settle()
    assert not stack.history(pseudonym(stack, both))
    assert not any(pseudonym(stack, both).encode() in key
                   for key in dump(stack))
    assert not refused(stack, both)


def test_who_is_forgotten_is_not_named_to_do_it(stack, name):
    address = f"{name}@far.test"
    stack.send([address])
    stack.settle()
    assert stack.history(pseudonym(stack, address))
    told, = tool(stack, "forget", address)
    assert told["recipient"] == pseudonym(stack, address)
    assert told["history"] > 0
    stack.settle()
    assert not stack.history(pseudonym(stack, address))
    event = stack.log.wait(type="recipient_forgotten")
    assert event["recipient"] == event["pseudonym"]
    nowhere(stack, address)


def test_a_restart_knows_who_waits(stack, name):
    follows(stack)
    recipient = f"full-{name}@far.test"
    sender = f"from-{name}@nixie.test"
    stack.send([recipient], sender=sender)
    event = stack.log.wait(type="delay")
    assert event["attempt"] == 1 and event["counted"]
    stack.nixied.restart()
    mark = stack.log.mark()
    stack.postfix.flush()
    event = stack.log.wait(mark, type="delay", timeout=20)
    assert event["attempt"] == 2 and event["counted"]
    assert event["recipient"] == pseudonym(stack, recipient)
    assert event["sender"] == pseudonym(stack, sender)
    stack.postfix.delete_all()
    stack.settle()
    key = oracle.history_key("nixie:", "strikes", event["recipient"])
    assert len(stack.redis.command("ZRANGE", key, 0, -1)) == 1
    nowhere(stack, recipient, sender)


def test_what_was_before_is_found_until_it_ages(stack_maker, name):
    stack = stack_maker()
    address = f"{name}@far.test"
    stack.send([address])
    tool(stack, "suppress", "add", address)
    stack.settle()
    stack.nixied.restart(privacy="hash")
    assert refused(stack, address)
    stack.settle()
    assert stack.history(address)["receptions"] == "1"
    assert stack.history(pseudonym(stack, address))["suppressed"] == "1"
    tool(stack, "suppress", "del", address)
    assert not refused(stack, address)
    assert len(tool(stack, "forget", address)) == 2
    stack.settle()
    assert not stack.history(address)


def test_the_tool_says_what_it_cannot_look_at(stack, name):
    key = stack.nixied.state / "privacy.key"
    away = key.rename(key.with_name("away"))
    done = stack.nixied.tool("suppress", "show", f"{name}@far.test")
    assert done.returncode == 1
    assert b"privacy.key is not there" in done.stderr
    away.rename(key)


def test_a_reload_does_not_change_it(stack, name):
    stack.nixied.settings["privacy"] = "full"
    stack.nixied.write()
    stack.nixied.send(12)
    wait_until(lambda: "privacy has changed: it needs a restart"
               in stack.nixied.error_text(), "nixied says so")
    stack.send([f"{name}@far.test"])
    assert PSEUDONYM.fullmatch(stack.log.wait(type="reception")["recipient"])
    stack.nixied.settings["privacy"] = "hash"
    stack.nixied.write()


def test_domain_has_no_recipients(stack_maker, world, name):
    stack = stack_maker(maillog=[world.postfix.log], privacy="domain")
    follows(stack)
    good, bad = f"{name}@far.test", f"reject-{name}@far.test"
    listed = f"listed-{name}@far.test"
    tool(stack, "suppress", "add", listed)
    stack.redis.cli("SET", f"nixie:suppress:plain-{name}@far.test", "x")
    assert refused(stack, listed) and refused(stack, f"plain-{name}@far.test")
    stack.redis.cli("DEL", f"nixie:suppress:plain-{name}@far.test")
    stack.send([good, bad], sender=f"from-{name}@nixie.test")
    bounce = stack.log.wait(type="bounce")
    stack.log.wait(type="delivery")
    assert "recipient" not in bounce and bounce["counted"] is False
    assert bounce["recipient_domain"] == "far.test"
    assert bounce["sender"] == "@nixie.test"
    stack.settle()
    assert not refused(stack, bad)
    stack.settle()
    assert not stack.log.since(type="suppression_added", origin="policy")
    assert not stack.redis.keys("nixie:*:recipient:*")
    key = oracle.history_key("nixie:", "domain", "far.test")
    assert int(stack.redis.command("HGET", key, "bounces")) >= 1
    nowhere(stack, good, bad, listed, f"plain-{name}@far.test",
            f"from-{name}@nixie.test")
