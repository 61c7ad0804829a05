"""When failures suppress and when not: strikes, ladder, breaker, lists.

Events come as finished files of another instance, at times of the test's
choosing; where time does not matter, as mail through Postfix.
"""

import json
import random
import signal

import pytest

from harness.decided import (added, days, entry, five, lift, now, put, seconds,
                             settle, strikes, ttl, with_section, withheld)
from harness.elsewhere import DAY, Elsewhere
from harness.wait import wait_until

HOUR = 3600


@pytest.fixture
def stack(stack_maker):
    return stack_maker()


@pytest.fixture
def elsewhere():
    return Elsewhere()


# ---- strikes ----

def test_forty_retries_of_a_message_are_one_strike(stack, elsewhere):
    for attempt in range(1, 41):
        elsewhere.fail("ann@a.test", now() - 20 * DAY + attempt * 6 * HOUR,
                       "mailbox_full", "delay", queue_id="SAME",
                       attempt=attempt)
    put(stack, elsewhere)
    assert strikes(stack, "ann@a.test") == [b"SAME"]
    assert entry(stack, "ann@a.test") == {}


def test_five_messages_suppress_on_three_days_only(stack, elsewhere):
    five(elsewhere, "hour@a.test", [now() - 600 * n for n in range(5, 0, -1)])
    five(elsewhere, "two@a.test", days(1, 1, 1, 0, 0))
    five(elsewhere, "three@a.test", days(9, 9, 5, 5, 2))
    five(elsewhere, "four@a.test", days(9, 5, 4, 2))
    five(elsewhere, "late@a.test", days(35, 32, 31, 2, 1, 0))
    put(stack, elsewhere)
    for address in ("hour", "two", "four", "late"):
        assert entry(stack, f"{address}@a.test") == {}, address
    found = entry(stack, "three@a.test")
    event, = added(stack, "three@a.test")
    assert sorted(found) == ["added_at", "evidence", "origin", "reason",
                             "type"]
    assert (found["reason"], found["type"], found["origin"]) == (
        "mailbox_full", "soft", "policy")
    assert found["added_at"] == event["suppression_added_at"]
    assert found["evidence"] == event["suppression_evidence"]
    assert found["evidence"].count("452 4.2.2 mailbox_full") == 3
    assert event["strikes"] == 5
    assert 29.9 < ttl(stack, "three@a.test") <= 30
    assert len(strikes(stack, "late@a.test")) == 3
    assert stack.send(["three@a.test"])[0]["three@a.test"].code == 550


def test_a_delivery_ends_what_was_before_it(stack, elsewhere):
    five(elsewhere, "ann@a.test", days(9, 8, 7, 6))
    elsewhere.deliver("ann@a.test", *days(5))
    five(elsewhere, "ann@a.test", days(4))
    # it arrives later than what it was before
    five(elsewhere, "ben@a.test", days(9, 8, 4, 3))
    elsewhere.deliver("ben@a.test", *days(5))
    # and a failure from before a delivery
    elsewhere.deliver("cy@a.test", *days(5))
    five(elsewhere, "cy@a.test", days(9, 8, 7, 6, 5.5))
    # four and four on either side
    five(elsewhere, "dot@a.test", days(9, 8, 7, 6, 3, 2, 1))
    elsewhere.deliver("dot@a.test", *days(5))
    put(stack, elsewhere)
    assert len(strikes(stack, "ann@a.test")) == 1
    assert len(strikes(stack, "ben@a.test")) == 2
    assert strikes(stack, "cy@a.test") == []
    for address in ("ann", "ben", "cy", "dot"):
        assert entry(stack, f"{address}@a.test") == {}, address


def test_a_delivery_before_the_decision_prevents_it(stack, elsewhere):
    elsewhere.fail("ann@a.test", *days(2))
    elsewhere.deliver("ann@a.test", *days(1))
    elsewhere.fail("ben@a.test", *days(1))
    elsewhere.deliver("ben@a.test", *days(2))
    put(stack, elsewhere)
    assert entry(stack, "ann@a.test") == {}
    assert entry(stack, "ben@a.test")["reason"] == "user_unknown"


def test_a_failure_that_is_long_over_suppresses_nobody(stack, elsewhere):
    elsewhere.fail("ann@a.test", *days(31))
    elsewhere.fail("ben@a.test", *days(29))
    put(stack, elsewhere)
    assert entry(stack, "ann@a.test") == {}
    assert entry(stack, "ben@a.test") != {}


# ---- how long ----

@pytest.mark.parametrize("reason, kind, steps", [
    ("user_unknown", "bounce", (7, 30, 90, -1, -1)),
    ("undetermined", "delay", (7, 30, 30)),
    ("mailbox_full", "delay", (30, 30)),
])
def test_the_ladder_is_climbed_step_by_step(stack, elsewhere, reason, kind,
                                            steps):
    for number, step in enumerate(steps):
        for ago in ((0.1,) if kind == "bounce" else (2, 2, 1, 1, 0)):
            elsewhere.fail("ann@a.test", now() - 0.1 - ago * DAY,
                           reason, kind)
        put(stack, elsewhere)
        assert len(added(stack, "ann@a.test")) == number + 1
        if step < 0:
            assert ttl(stack, "ann@a.test") == -1
        else:
            assert step - 0.1 < ttl(stack, "ann@a.test") <= step
        lift(stack, "ann@a.test", ("expires", "deleted")[number % 2])


def test_a_delivery_begins_the_ladder_anew(stack, elsewhere):
    for _ in range(2):
        elsewhere.fail("ann@a.test", now())
        put(stack, elsewhere)
        lift(stack, "ann@a.test", "deleted")
    elsewhere.deliver("ann@a.test", now())
    put(stack, elsewhere)
    elsewhere.fail("ann@a.test", now())
    put(stack, elsewhere)
    assert 6.9 < ttl(stack, "ann@a.test") <= 7
    assert len(added(stack, "ann@a.test")) == 3


def test_a_complaint_suppresses_for_good(stack, elsewhere):
    elsewhere.complain("ann@a.test", now())
    elsewhere.complain("ben@a.test", now(), "unsubscribe")
    put(stack, elsewhere)
    assert ttl(stack, "ann@a.test") == ttl(stack, "ben@a.test") == -1
    assert entry(stack, "ann@a.test")["reason"] == "complaint"


def test_no_delivery_takes_a_complaint_back(stack, elsewhere):
    """All are applied before anything is decided."""
    for name, order in (("ann", (0, 1)), ("ben", (1, 0))):
        for later in order:
            when = now() - 60 + later
            if later:
                elsewhere.deliver(f"{name}@a.test", when)
            else:
                elsewhere.complain(f"{name}@a.test", when)
    elsewhere.fail("cy@a.test", now() - 60)
    elsewhere.complain("cy@a.test", now() - 50)
    put(stack, elsewhere)
    for name in ("ann", "ben", "cy"):
        assert entry(stack, f"{name}@a.test")["reason"] == "complaint"
        assert ttl(stack, f"{name}@a.test") == -1


# ---- lists ----

def test_an_allowed_recipient_is_not_suppressed(stack, elsewhere):
    stack.redis.cli("SET", "nixie:allow:@a.test", "")
    elsewhere.fail("ann@a.test", now())
    five(elsewhere, "ben@b.test", days(3, 2, 1, 1))
    put(stack, elsewhere)
    assert withheld(stack, "ann@a.test") == ["allow"]
    stack.redis.cli("SET", "nixie:allow:ben@b.test", "")
    five(elsewhere, "ben@b.test", days(0))
    put(stack, elsewhere)
    assert withheld(stack, "ben@b.test") == ["allow"]
    stack.redis.cli("DEL", "nixie:allow:ben@b.test", "nixie:allow:@a.test")
    five(elsewhere, "ben@b.test", [now()])
    put(stack, elsewhere)
    assert entry(stack, "ann@a.test") == entry(stack, "ben@b.test") == {}
    assert len(strikes(stack, "ben@b.test")) == 1


def test_an_entry_of_somebody_stays_as_it_is(stack, elsewhere):
    redis = stack.redis
    redis.cli("SET", "nixie:suppress:ann@a.test", "asked by phone")
    redis.cli("HSET", "nixie:suppress:ben@a.test", "reason", "mine")
    redis.cli("SET", "nixie:suppress:cy@a.test", "on leave", "EX", "1000")
    redis.cli("SET", "nixie:suppress:@b.test", "closed")
    addresses = ("ann@a.test", "ben@a.test", "cy@a.test", "dot@b.test")
    for address in addresses:
        elsewhere.fail(address, now())
    put(stack, elsewhere)
    for address in addresses:
        elsewhere.deliver(address, now())
        elsewhere.fail(address, now())
    put(stack, elsewhere)
    assert redis.cli("GET", "nixie:suppress:ann@a.test") == "asked by phone"
    assert redis.cli("TTL", "nixie:suppress:ann@a.test") == "-1"
    assert entry(stack, "ben@a.test") == {"reason": "mine"}
    assert 900 < int(redis.cli("TTL", "nixie:suppress:cy@a.test")) <= 1000
    assert redis.cli("EXISTS", "nixie:suppress:dot@b.test") == "0"
    for address in addresses:
        assert set(withheld(stack, address)) == {"entry"}


def test_an_entry_made_since_the_decision_stays(stack, elsewhere):
    """Redis was emptied, and somebody was faster than the log."""
    names = ("ann@a.test", "ben@a.test", "cy@a.test", "dot@a.test")
    for address in names:
        elsewhere.fail(address, now())
    put(stack, elsewhere)
    stack.nixied.end()
    stack.redis.restart()
    redis = stack.redis
    redis.cli("SET", "nixie:suppress:ann@a.test", "asked by phone")
    redis.cli("HSET", "nixie:suppress:ben@a.test", "reason", "mine")
    redis.cli("SET", "nixie:suppress:cy@a.test", "on leave", "EX", "1000")
    stack.nixied.start()
    settle(stack)
    assert redis.cli("GET", "nixie:suppress:ann@a.test") == "asked by phone"
    assert redis.cli("TTL", "nixie:suppress:ann@a.test") == "-1"
    assert entry(stack, "ben@a.test") == {"reason": "mine"}
    assert 900 < int(redis.cli("TTL", "nixie:suppress:cy@a.test")) <= 1000
    assert entry(stack, "dot@a.test")["origin"] == "policy"
    assert "refused" not in stack.nixied.error_text()


def test_what_the_operator_lifts_starts_afresh(stack, elsewhere):
    five(elsewhere, "ann@a.test", days(4, 3, 2, 1))
    elsewhere.fail("ben@a.test", now())
    put(stack, elsewhere)
    stack.redis.command("SET", "nixie:suppress:ann@a.test", "")
    for address in ("ann@a.test", "ben@a.test"):
        done = stack.nixied.tool("suppress", "del", address)
        assert done.returncode == 0, done.stderr
        stack.log.wait(type="suppression_removed",
                       suppression_pattern=address)
    settle(stack)
    assert strikes(stack, "ann@a.test") == []
    five(elsewhere, "ann@a.test", [now()])
    put(stack, elsewhere)
    assert entry(stack, "ann@a.test") == entry(stack, "ben@a.test") == {}
    assert len(strikes(stack, "ann@a.test")) == 1


def test_our_own_refusals_renew_nothing(stack, elsewhere):
    elsewhere.fail("ann@a.test", now())
    put(stack, elsewhere)
    end = stack.redis.command("PEXPIRETIME", "nixie:suppress:ann@a.test")
    for _ in range(20):
        assert stack.send(["ann@a.test"])[0]["ann@a.test"].code == 550
    stack.log.wait(type="suppressed", recipient="ann@a.test", count=20)
    settle(stack)
    assert strikes(stack, "ann@a.test") == []
    assert end == stack.redis.command("PEXPIRETIME",
                                      "nixie:suppress:ann@a.test")
    assert len(added(stack, "ann@a.test")) == 1


# ---- the breaker ----

def test_a_provider_that_refuses_us_suppresses_nobody(stack_maker, world):
    stack = stack_maker(maillog=[world.postfix.log])
    stack.log.wait(type="mark")
    names = [f"p{number}@far.test" for number in range(300)]
    for name in names:
        stack.remote.answers[name.encode()] = (
            b"550 5.7.1 Service unavailable, client host blocked\r\n")
    for start in range(0, 300, 50):
        stack.send(names[start:start + 50])
    stack.log.wait(type="bounce", count=300, timeout=60)
    settle(stack)
    assert stack.redis.keys("nixie:suppress:*") == []
    assert stack.redis.keys("nixie:{*}:strikes:*") == []
    assert not stack.log.since(type="breaker_opened")


def test_a_bad_hour_of_a_domain_opens_its_breaker(stack_maker, elsewhere):
    stack = stack_maker(start=False)
    with_section(stack, 'breaker { pause = "8s" }')
    stack.start()
    bad = [f"b{number}@bad.test" for number in range(200)]
    for address in bad:
        elsewhere.fail(address, now() - 60)
    for number in range(10):
        elsewhere.fail(f"g{number}@good.test", now() - 60)
        elsewhere.deliver(f"h{number}@good.test", now() - 60)
    elsewhere.fail("full@bad.test", now() - 60, "account_disabled")
    put(stack, elsewhere)
    event, = stack.log.since(type="breaker_opened")
    assert event.has({"recipient_domain": "bad.test", "origin": "policy",
                      "reason": "user_unknown"})
    assert 7 < seconds(event["expires_at"]) - seconds(event["timestamp"]) < 9
    assert all(withheld(stack, address) == ["breaker"] for address in bad)
    assert all(entry(stack, f"g{number}@good.test") for number in range(10))
    assert entry(stack, "full@bad.test")["reason"] == "account_disabled"
    assert "failures spike" in stack.nixied.errors.read_text()
    done = stack.nixied.tool("health", "--json")
    assert "bad.test" in done.stdout.decode(), done.stderr
    closed = stack.log.wait(type="breaker_closed", timeout=30)
    assert closed["recipient_domain"] == "bad.test"
    assert seconds(closed["timestamp"]) >= seconds(event["expires_at"])
    settle(stack)
    assert not any(stack.redis.hashes("nixie:{*}:breaker").values())
    assert stack.redis.keys("nixie:suppress:*@bad.test") == [
        b"nixie:suppress:full@bad.test"]


def test_a_bad_hour_of_real_mail_suppresses_few(stack_maker, world, name):
    """Who failed before there were enough of them is suppressed."""
    stack = stack_maker(maillog=[world.postfix.log])
    stack.log.wait(type="mark")
    addresses = [f"reject-{name}-{number}@far.test" for number in range(300)]
    for start in range(0, 300, 20):
        stack.send(addresses[start:start + 20])
    stack.log.wait(type="bounce", count=300, timeout=60)
    settle(stack)
    event, = stack.log.since(type="breaker_opened")
    assert event["recipient_domain"] == "far.test"
    count = len(stack.redis.keys("nixie:suppress:*"))
    print(f"{count} of 300 were suppressed before the breaker opened")
    assert count < 100
    assert stack.send([addresses[-1]])[0][addresses[-1]].code == 250


def test_a_spike_everywhere_opens_one_for_all(stack, elsewhere):
    for number in range(300):
        elsewhere.fail(f"ann@d{number % 100}.test", now() - 60,
                       queue_id=f"A{number}")
        elsewhere.fail(f"b{number}@d{number % 100}.test", now() - 60)
    elsewhere.complain("cy@d1.test", now() - 60)
    put(stack, elsewhere)
    event, = stack.log.since(type="breaker_opened")
    assert "recipient_domain" not in event
    assert stack.redis.keys("nixie:suppress:*") == [
        b"nixie:suppress:cy@d1.test"]
    assert "domain=*" in stack.nixied.errors.read_text()


def test_a_big_domain_with_some_unknown_users_has_none(stack, elsewhere):
    for number in range(1000):
        elsewhere.deliver(f"d{number}@big.test", now() - 60)
    for number in range(110):
        elsewhere.fail(f"u{number}@big.test", now() - 60)
    put(stack, elsewhere)
    assert not stack.log.since(type="breaker_opened")
    assert len(stack.redis.keys("nixie:suppress:*@big.test")) == 110


def test_a_long_outage_opens_the_breaker_too(stack, elsewhere):
    """Each is deferred for days, and nobody's mail is given up yet."""
    for ago in (3, 2, 2, 1, 0.01):
        for number in range(40):
            elsewhere.fail(f"u{number}@out.test", now() - ago * DAY,
                           "system_error", "delay", reply_code=451,
                           enhanced_status="4.3.0", attempt=1)
    put(stack, elsewhere)
    assert stack.redis.keys("nixie:suppress:*") == []
    event, = stack.log.since(type="breaker_opened")
    assert event["recipient_domain"] == "out.test"


def test_a_given_up_message_counts_whatever_the_last_reply_was(stack,
                                                               elsewhere):
    for when in days(4, 3, 2, 1, 0):
        elsewhere.fail("ann@a.test", when, "rate_limited", "expiration",
                       enhanced_status="4.7.28", failure_type="soft")
    put(stack, elsewhere)
    found = entry(stack, "ann@a.test")
    assert (found["reason"], found["type"]) == ("rate_limited", "soft")
    assert 6.9 < ttl(stack, "ann@a.test") <= 7


# ---- settings ----

def test_sections_change_limits_and_durations(stack_maker, elsewhere):
    stack = stack_maker(start=False)
    with_section(stack,
                 'policy "user_unknown" { release = {"1h", "2h", "never"} }',
                 'policy "mailbox_full" { strikes = 0 }',
                 'policy "expired" { strikes = 2 days = 1 window = "2d" '
                 'release = {"1d"} }')
    stack.start()
    ladder = (HOUR / DAY, 2 * HOUR / DAY, -1)
    for step in ladder:
        elsewhere.fail("ann@a.test", now())
        # what another host with other settings counted
        five(elsewhere, "ben@a.test", days(4, 3, 2, 1, 0))
        for when in days(1, 0):
            elsewhere.fail("cy@a.test", when, "expired", "expiration",
                           strike_limit=2, strike_days=1,
                           strike_window_seconds=2 * DAY)
        put(stack, elsewhere)
        assert abs(ttl(stack, "ann@a.test") - step) < 0.02
        assert entry(stack, "ben@a.test") == {}
        assert abs(ttl(stack, "cy@a.test") - 1) < 0.02
        lift(stack, "ann@a.test", "deleted")
        lift(stack, "cy@a.test", "deleted")
    assert set(withheld(stack, "ben@a.test")) == {"policy"}


def reload(stack, *sections):
    with_section(stack, *sections)
    before = stack.nixied.errors.read_text().count("configuration reloaded")
    stack.nixied.send(signal.SIGUSR2)
    wait_until(lambda: stack.nixied.errors.read_text().count(
        "configuration reloaded") > before, "nixied has reloaded")


def test_a_reload_between_changes_what_is_decided_then(stack_maker, world,
                                                       name):
    """Real mail: the event has the limits, the decision the durations."""
    stack = stack_maker(maillog=[world.postfix.log])
    stack.log.wait(type="mark")
    first, second, third = (f"reject-{name}-{n}@far.test" for n in range(3))
    reload(stack, 'policy "user_unknown" { strikes = 0 }')
    stack.send([first])
    assert stack.log.wait(type="bounce", recipient=first)["counted"] is False
    reload(stack, 'policy "user_unknown" { strikes = 2 release = {"3d"} }')
    stack.send([second])
    event = stack.log.wait(type="bounce", recipient=second)
    assert (event["counted"], event["strike_limit"]) == (True, 2)
    settle(stack)
    assert entry(stack, second) == {}
    stack.send([second])
    stack.log.wait(type="suppression_added", recipient=second)
    reload(stack, 'policy "user_unknown" { release = {"5d"} }')
    stack.send([third])
    stack.log.wait(type="suppression_added", recipient=third)
    settle(stack)
    assert 2.9 < ttl(stack, second) <= 3
    assert 4.9 < ttl(stack, third) <= 5
    assert entry(stack, first) == {}


# ---- what no rule knew ----

def test_unclassified_fills_from_real_failures_and_is_bounded(stack_maker,
                                                              world, name):
    stack = stack_maker(maillog=[world.postfix.log])
    stack.log.wait(type="mark")
    chance = random.Random(3)
    addresses = [f"{name}u{number}@far.test" for number in range(1200)]

    def word():
        return "".join(chance.choice("bcdfghjklmnpqrstvwxz") for _ in range(7))

    for address in addresses:
        text = f"554 Zq {word()} {word()} vogon {word()}"
        stack.remote.answers[address.encode()] = f"{text}\r\n".encode()
    for address in addresses[:40]:
        stack.remote.answers[address.encode()] = (
            b"554 the vogons refuse poetry\r\n")
    for start in range(0, 1200, 50):
        stack.send(addresses[start:start + 50])
    stack.log.wait(type="bounce", count=1200, timeout=90)
    rows = wait_until(lambda: unclassified(stack, 40), "they are counted", 20)
    assert rows[0]["count"] == 40
    assert "vogons refuse poetry" in rows[0]["text"]
    count = stack.redis.command("ZCARD", "nixie:unclassified")
    assert 200 < count <= 1100
    assert stack.redis.command("HLEN", "nixie:unclassified:example") <= 1100
    assert stack.redis.keys("nixie:suppress:*") == []


def unclassified(stack, most):
    done = stack.nixied.tool("unclassified", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return rows if rows and rows[0]["count"] >= most else None
