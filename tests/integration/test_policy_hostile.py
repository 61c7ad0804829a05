"""Odd events, and very many: nothing stops, and Redis is not held up."""

import os
import time

import pytest

from harness import oracle
from harness.decided import (added, entry, five, is_decided, lift, now, put,
                             with_section)
from harness.elsewhere import Elsewhere
from harness.nixied import build_folder
from harness.wait import wait_until


@pytest.fixture
def stack(stack_maker):
    return stack_maker()


@pytest.fixture
def elsewhere():
    return Elsewhere()


def end_unchecked(stack):
    """What was written into the log is none of the schema's."""
    assert stack.nixied.end() == 0, stack.nixied.error_text()
    stack.nixied.check_sanitizers()


def wait_quiet(stack):
    """Without the oracle: nothing changes any more. Who is due still."""
    seen = [None]

    def is_quiet():
        before = seen[0]
        seen[0] = stack.redis.hashes("nixie:{*}:checkpoint")
        return seen[0] and seen[0] == before

    wait_until(is_quiet, "nothing changes any more", 20, pause=0.4)
    due = stack.redis.hashes("nixie:{*}:due").values()
    return {name.decode() for fields in due for name in fields}


HOSTILE = ['"a b"@a.test', '"a\\"b"@a.test', '"a\\\\b"@a.test',
           "\u00fc\u00f1@a.test", "\"'; DROP TABLE x\"@a.test",
           '"$(id)"@a.test', "{01}@a.test", "*@a.test", '"a:b"@a.test',
           "|x@a.test", "%s%n@a.test",
           "l" * 66 + "@" + ".".join(["d" * 62] * 4) + ".t",
           "x" * 313 + "@a.test"]


@pytest.mark.parametrize("scripts", (True, False))
def test_hostile_addresses_are_addresses(stack, elsewhere, scripts):
    if not scripts:
        stack.redis.command("ACL", "SETUSER", "default", "-eval", "-evalsha")
    for address in HOSTILE:
        elsewhere.fail(address, now(), diagnostic="550 \u2028 <x> %s \\ \"")
    put(stack, elsewhere)
    assert {len(address) for address in HOSTILE[-2:]} == {320}
    for address in HOSTILE:
        assert len(added(stack, address)) == 1, address
        assert entry(stack, address)["origin"] == "policy", address


ODD = [
    {"strike_limit": 0}, {"strike_limit": -1}, {"strike_limit": 2**63 - 1},
    {"strike_limit": -2**63}, {"strike_days": 0}, {"strike_days": -5},
    {"strike_days": 2**63 - 1}, {"strike_window_seconds": 0},
    {"strike_window_seconds": -1}, {"strike_window_seconds": 2**63 - 1},
    {"strike_window_seconds": 1}, {"reason": "no_such_reason"},
    {"reason": ""}, {"reason": "x" * 4000}, {"reason": "a|b"},
    {"reason": "spam_content"}, {"reason": "delivered"}, {"reason": None},
    {"failure_type": "weird"}, {"queue_id": "q" * 5000}, {"queue_id": None},
    {"queue_id": "a b \u0000 c"}, {"message_id": "m " * 2000},
    {"enhanced_status": "9.99999.1"}, {"reply_code": 2**62},
    {"reply_code": -1}, {"attempt": -1}, {"recipient_domain": None},
    {"recipient_domain": "other.test"}, {"recipient_domain": "*"},
    {"counted": 1}, {"counted": "true"}, {"strike_limit": "1"},
    {"diagnostic": "d" * 7000}, {"recipient": None},
    {"recipient": "no-at-sign"}, {"recipient": "@a.test"},
    {"recipient": "nul\u0000@a.test"}, {"recipient": "Upper@A.Test"},
]
TIMES = ("1970-01-01T00:00:00.000000Z", "1970-01-01T00:00:01.000000Z",
         "0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z",
         "2262-04-11T23:47:16.854775Z")


@pytest.mark.parametrize("scripts", (True, False))
def test_odd_events_stop_nothing(stack, elsewhere, scripts):
    if not scripts:
        stack.redis.command("ACL", "SETUSER", "default", "-eval", "-evalsha")
    for number, members in enumerate(ODD):
        for kind in ("bounce", "delay"):
            line = elsewhere.fail(f"odd{number}{kind}@a.test", now(),
                                  kind=kind)
            line.update(members)
            for member in [name for name in members if members[name] is None]:
                del line[member]
    for number, when in enumerate(TIMES):
        address = f"time{number}@t.test"
        elsewhere.fail(address, when)
        elsewhere.deliver(f"d{address}", when)
        elsewhere.fail(f"d{address}", now())
        five(elsewhere, f"s{address}", [when] * 5)
        elsewhere.complain(f"c{address}", when)
    elsewhere.fail("good@g.test", now())
    stack.nixied.end()
    elsewhere.put(stack.nixied)
    stack.nixied.start()
    # of what is no mailbox no entry could be made
    assert wait_quiet(stack) <= {"no-at-sign", "@a.test", "Upper@A.Test"}
    assert entry(stack, "good@g.test")["reason"] == "user_unknown"
    for number in (0, 1, 2, 3):  # no limit, none that is reached
        assert entry(stack, f"odd{number}bounce@a.test") == {}, ODD[number]
    for number in (11, 12, 13, 14, 15, 16):
        assert entry(stack, f"odd{number}bounce@a.test") == {}, ODD[number]
    assert entry(stack, "time0@t.test") == entry(stack, "time1@t.test") == {}
    assert entry(stack, "ctime0@t.test") == {}
    assert entry(stack, "dtime0@t.test") != {}  # a delivery of 1970
    assert entry(stack, "dtime3@t.test") == {}  # one of 9999: that is later
    events = stack.log.since(type="suppression_added")
    names = [event["recipient"] for event in events]
    assert len(names) == len(set(names))
    end_unchecked(stack)


def test_what_somebody_wrote_into_due_stops_nothing(stack, elsewhere):
    elsewhere.fail("good@g.test", now())
    put(stack, elsewhere)
    lift(stack, "good@g.test", "deleted")
    instance = stack.log.since(type="heartbeat", node="test-node") or \
        stack.log.since(type="log_open", node="test-node")
    instance = instance[0]["instance"]
    redis = stack.redis
    for name, value in (("ann@a.test", "user_unknown"),
                        ("ben@a.test", "nonsense"), ("no mailbox", "x"),
                        ("Big@A.TEST", "user_unknown"), ("", "x"),
                        ("@a.test", "sideways"), ("x" * 5000, "y" * 5000),
                        ("cy@a.test", "")):
        redis.command("HSET", oracle.history_key("nixie:", "due", "",
                                                 name.lower()), name, value)
        redis.command("HSET", oracle.history_key("nixie:", "recipient", name),
                      "due_by", instance)
    dot = oracle.history_key("nixie:", "due", "", "dot@a.test")
    redis.command("HSET", dot, "dot@a.test", "user_unknown")  # by nobody
    redis.command("SET", "nixie:{13}:due", "no hash")
    mark = stack.log.mark()
    elsewhere.fail("good@g.test", now())
    elsewhere.put(stack.nixied)
    stack.nixied.end()
    stack.nixied.start()
    stack.log.wait(mark, type="suppression_added", recipient="good@g.test")
    time.sleep(2)
    told = stack.log.since(mark)
    names = [event["recipient"] for event in told
             if event["type"].startswith("suppression")]
    assert sorted(names) == ["ann@a.test", "ben@a.test", "cy@a.test",
                             "good@g.test"]
    # without a strike there is nothing to suppress for
    assert added(stack, "ann@a.test") == []
    assert redis.command("EXISTS", "nixie:suppress:ann@a.test") == 0
    assert 1 <= stack.nixied.errors.read_text().count("passed over") <= 8
    assert redis.command("HEXISTS", dot, "dot@a.test") == 1
    end_unchecked(stack)


def status_of(pid, name):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(name + ":"):
                return int(line.split()[1])
    return 0


MANY = 10000 if os.environ.get("NIXIE_TORTURE") else 1500


@pytest.mark.parametrize("domains", (MANY // 10, 1))
def test_many_at_once(stack_maker, elsewhere, domains):
    stack = stack_maker(start=False)
    with_section(stack, "breaker { all_failures = 0 domain_failures = 0 }")
    stack.start()
    for number in range(MANY):
        elsewhere.fail(f"r{number}@d{number % domains}.test", now() - 1)
    stack.nixied.end()
    elsewhere.put(stack.nixied)
    stack.log.read()
    start = time.monotonic()
    stack.nixied.start()
    wait_until(lambda: stack.redis.command("DBSIZE") > 3 * MANY and
               is_decided(stack) and not stack.redis.command(
                   "EXISTS", "nixie:none"), "all is decided", 60, pause=0.1)
    took = time.monotonic() - start
    peak = status_of(stack.nixied.pid, "VmHWM")
    print(f"{MANY} in {domains} domains: {took:.2f} s, {peak} KiB")
    assert len(stack.redis.keys("nixie:suppress:*")) == MANY
    assert len(stack.log.since(type="suppression_added")) == MANY
    if b"__asan_init" not in (build_folder() / "nixied").read_bytes():
        assert peak < 100 * 1024
