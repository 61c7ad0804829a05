"""nixie(1) on strikes, health and a bad hour, beside a running nixied."""

import json
import time

import pytest

from harness.oracle import bucket
from harness.wait import wait_until

DAY = 86400


def run(stack, *words, status=0):
    """What the tool printed; its exit status must be status."""
    done = stack.nixied.tool(*words)
    printed = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == status, printed
    return done.stdout.decode()


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(seconds))


def key(kind, owner, name=""):
    colon = ":" if name else ""
    return f"nixie:{{{bucket(owner):02d}}}:{kind}{colon}{name}"


@pytest.fixture
def keys(stack):
    """Writes keys of the history that no event made; they go at the end."""
    written = set()

    def write(*words):
        written.add(words[1])
        stack.redis.command(*words)

    yield write
    for name in written:
        stack.redis.command("DEL", name)


@pytest.fixture
def history(keys, name):
    """(address, domain) with a strike and its evidence."""
    domain = f"{name}.test"
    address = f"ann@{domain}"
    now = time.time()
    keys("ZADD", key("strikes", address, address), int(now - DAY), "Q1")
    keys("LPUSH", key("evidence", address, address),
         f"{stamp(now - DAY)} Q1 m1@x 452 4.2.2 mailbox_full over quota")
    keys("HSET", key("recipient", address, address), "bounces", 1,
         "escalation", 1, "last_type", "bounce", "last_reason",
         "mailbox_full")
    return address, domain


def why(stack, address):
    return json.loads(run(stack, "--json", "why", address))


def test_why_tells_strikes_and_what_comes_next(stack, history):
    address, _ = history
    told = why(stack, address)
    assert [strike["message"] for strike in told["strikes"]] == ["Q1"]
    assert told["evidence"][0]["reply_code"] == 452
    assert told["escalation"] == 1
    assert told["policy"]["messages_left"] == 4
    assert told["policy"]["days_left"] == 2
    assert told["history"]["recipient"]["bounces"] == "1"
    sentence = ("policy: 1 of 5 strikes within 30 days, on 1 of 3 days: next:"
                " suppressed for 30 days when 4 more messages fail, on 2 more"
                " days")
    assert sentence in run(stack, "why", address)


def test_why_tells_due_suppressed_and_allowed(stack, history, keys):
    address, _ = history
    keys("HSET", key("due", address), address, "user_unknown")
    told = why(stack, address)
    assert told["due"] == "user_unknown"
    assert told["policy"]["strike_limit"] == 1
    keys("SET", f"nixie:suppress:{address}", "")
    assert why(stack, address)["policy"]["next"].startswith("suppressed")
    keys("SET", f"nixie:allow:{address}", "")
    assert why(stack, address)["policy"]["next"].startswith("allowed")


def test_why_and_health_tell_of_a_domain(stack, history, keys):
    address, domain = history
    now = time.time()
    keys("HSET", key("domain", domain, domain), "consecutive_failures", 12,
         "failing_since", stamp(now - 600), "down_since", stamp(now - 300),
         "down_reason", "dns_failure", "last_failure_reason", "dns_failure")
    keys("ZADD", key("waiting", domain, domain), 1, f"Q1 {address}")
    keys("HSET", key("breaker", domain), f"{domain}|mailbox_full",
         f"{stamp(now + 3600)} 0123456789abcdef")
    told = why(stack, address)
    assert told["domain"]["down"] is True
    assert told["domain"]["consecutive_failures"] == 12
    assert "breaker is open" in told["policy"]["next"]
    told = json.loads(run(stack, "health", "--json", domain, status=1))
    assert told == why(stack, address)["domain"]
    assert (told["waiting"], told["down_reason"]) == (1, "dns_failure")
    assert "takes no mail" in run(stack, "health", domain, status=1)


def checks(stack, status):
    """{check: [lines]} of nixie health."""
    found = {}
    for line in run(stack, "health", "--json", status=status).splitlines():
        row = json.loads(line)
        found.setdefault(row["check"], []).append(row)
    return found


def test_health_is_well_and_is_not(stack, name, keys):
    stack.settle()
    assert checks(stack, 0)["nixied"][0]["result"] == "ok"
    domain = f"{name}.test"
    keys("HSET", key("down", domain), domain, stamp(time.time() - 60))
    keys("ZADD", key("waiting", domain, domain), 1, "Q1 a", 2, "Q2 a")
    row = checks(stack, 1)["domain"][0]
    assert (row["domain"], row["waiting"]) == (domain, 2)
    stack.redis.command("DEL", key("down", domain))
    keys("HSET", key("breaker", "*"), "*|user_unknown",
         f"{stamp(time.time() + 3600)} 0123456789abcdef")
    row = checks(stack, 1)["breaker"][0]
    assert row["reason"] == "user_unknown" and "domain" not in row


def test_health_without_nixied(stack):
    stack.settle()
    assert stack.nixied.end() == 0
    try:
        assert checks(stack, 1)["nixied"][0]["result"] == "fail"
    finally:
        stack.nixied.start()
    wait_until(lambda: checks(stack, 0), "nixied answers again", 10)


def bad_hour(stack, name, count):
    """As many entries of a policy; their addresses."""
    now = time.time()
    addresses = [f"{name}-{i}@bad.test" for i in range(count)]
    for address in addresses:
        stack.redis.command(
            "HSET", f"nixie:suppress:{address}", "origin", "policy",
            "reason", "user_unknown", "added_at", stamp(now - 1800))
    return addresses


def exists(stack, addresses):
    return [address for address in addresses
            if stack.redis.command("EXISTS", f"nixie:suppress:{address}")]


def test_release_undoes_a_bad_hour(stack, name):
    addresses = bad_hour(stack, name, 1100)
    kept = f"{name}@kept.test"
    run(stack, "suppress", "add", kept)
    run(stack, "suppress", "release", "--since", "20m", status=1)
    told = json.loads(run(stack, "--json", "suppress", "release", "--since",
                          "2h", "--dry-run"))
    assert (told["matched"], told["removed"]) == (1100, 0)
    assert told["groups"] == [{"reason": "user_unknown",
                               "domain": "bad.test", "count": 1100}]
    assert len(told["entries"]) == 20
    assert len(exists(stack, addresses)) == 1100
    mark = stack.log.mark()
    told = json.loads(run(stack, "--json", "suppress", "release", "--since",
                          "2h", "--reason", "user_unknown", "--domain",
                          "Bad.TEST"))
    assert (told["removed"], told["logged"]) == (1100, 0)
    assert exists(stack, addresses + [kept]) == [kept]
    event = stack.log.wait(mark, type="suppression_removed",
                           suppression_pattern=addresses[7])
    assert event.has({"origin": "command", "suppression_origin": "command"})
    run(stack, "suppress", "release", "--since", "2h", status=1)
    run(stack, "suppress", "del", kept)
    stack.settle()


def test_release_wants_a_time(stack):
    for words in ((), ("--since", "yesterday"), ("--since", "2999-01-01"),
                  ("--since", "1h", "--domain", "a b"),
                  ("--since", "1h", "--until", "2h")):
        assert stack.nixied.tool("suppress", "release",
                                 *words).returncode == 2, words
