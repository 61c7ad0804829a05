"""The same events make the same suppressions, whatever happens between."""

import collections
import os
import random
import shutil
import threading
import time

import pytest

from harness import nixied as daemon
from harness.decided import (is_decided, lift, now, put, settle, ttl,
                             with_section_of)
from harness.elsewhere import DAY, Elsewhere
from harness.wait import wait_until


@pytest.fixture
def stack(stack_maker):
    return stack_maker()


@pytest.fixture
def elsewhere():
    return Elsewhere()


def stream(elsewhere, count=3000):
    """Failures and deliveries of 400 recipients in 25 days, in disorder."""
    chance = random.Random(20261122)
    start = now() - 25 * DAY
    kinds = [("user_unknown", "bounce"), ("mailbox_full", "delay"),
             ("mailbox_full", "delay"), ("undetermined", "bounce"),
             ("expired", "expiration"), ("account_disabled", "delay"),
             ("system_error", "delay"), ("mailbox_full", "bounce")]
    for number in range(count):
        who = chance.randrange(400)
        address = f"r{who}@d{who % 37}.test"
        when = start + number * 25 * DAY / count + chance.uniform(-DAY, 0)
        if chance.random() < 0.25:
            elsewhere.deliver(address, when)
            continue
        reason, kind = kinds[chance.randrange(1 if who % 5 else 0, 8)]
        elsewhere.fail(address, when, reason, kind,
                       queue_id=f"M{who}x{chance.randrange(12)}", attempt=2)


@pytest.fixture(scope="module")
def same_stream():
    """The file, and what becomes of it: made once."""
    elsewhere = Elsewhere("0123456789abcdef")
    stream(elsewhere)
    return elsewhere, elsewhere.bytes(), {}


def outcome(stack):
    """What must be the same: strikes, what is due, entries but for times."""
    found = {key: stack.redis.command("ZRANGE", key, 0, -1, "WITHSCORES")
             for key in stack.redis.keys("nixie:{*}:strikes:*")}
    for key, fields in stack.redis.hashes("nixie:suppress:*").items():
        fields.pop(b"added_at")
        found[key] = sorted(fields.items())
    for key, fields in stack.redis.hashes("nixie:{*}:recipient:*").items():
        found[key] = sorted((name, value) for name, value in fields.items()
                            if name != b"escalated_at")
    return found


def check_same(stack, same_stream):
    """Against whichever way was tried first."""
    settle(stack)
    first = same_stream[2]
    found = outcome(stack)
    if not first:
        first.update(found)
        suppressed = [key for key in found if b"suppress" in key]
        assert 30 < len(suppressed) < 400
    different = {key: (first.get(key), found.get(key))
                 for key in first.keys() | found.keys()
                 if first.get(key) != found.get(key)}
    assert different == {}
    once = [event["recipient"] for event in
            stack.log.since(type="suppression_added")]
    assert len(once) == len(set(once)) == len(stack.redis.keys(
        "nixie:suppress:*"))
    assert not stack.log.since(type="breaker_opened")


def begin_stream(stack, same_stream):
    elsewhere, data, _ = same_stream
    stack.nixied.end()
    path = elsewhere.put(stack.nixied, data)
    stack.log.read()
    return path


def test_a_stream_in_one_file(stack, same_stream):
    begin_stream(stack, same_stream)
    stack.nixied.start()
    check_same(stack, same_stream)


def test_the_stream_with_kills_between(stack, same_stream):
    chance = random.Random(1)
    begin_stream(stack, same_stream)
    for _ in range(25):
        stack.nixied.start()
        time.sleep(chance.random() * 0.15)
        stack.nixied.kill()
    stack.nixied.start()
    check_same(stack, same_stream)


def test_the_stream_while_redis_dies_and_forgets(stack, same_stream):
    chance = random.Random(2)
    begin_stream(stack, same_stream)
    stack.nixied.start()
    for number in range(10):
        time.sleep(chance.random() * 0.3)
        if number % 2:
            stack.redis.restart()
        else:
            stack.redis.command("FLUSHALL")
    stack.nixied.kill()  # the next start looks at once
    stack.nixied.start()
    check_same(stack, same_stream)


def test_the_stream_twice(stack, same_stream):
    path = begin_stream(stack, same_stream)
    stack.nixied.start()
    settle(stack)
    stack.nixied.end()
    again = shutil.copy(path, f"{path}.again")
    # its lines are not new to the one who reads the log
    status = os.stat(again)
    stack.log.offsets[(status.st_dev, status.st_ino)] = status.st_size
    stack.redis.command("FLUSHALL")
    stack.nixied.start()
    check_same(stack, same_stream)


def test_the_stream_without_scripts(stack, same_stream):
    begin_stream(stack, same_stream)
    stack.redis.command("ACL", "SETUSER", "default", "-eval", "-evalsha")
    stack.nixied.start()
    check_same(stack, same_stream)


def test_an_emptied_redis_decides_nothing_again(stack, elsewhere):
    """Decisions, deliveries and new failures in turns."""
    for number in range(3):
        elsewhere.fail("ann@a.test", now())
        if number == 1:
            elsewhere.fail("ben@a.test", now())
        put(stack, elsewhere)
        lift(stack, "ann@a.test", "deleted")
        if number == 0:
            elsewhere.deliver("ann@a.test", now())
    before = outcome(stack), len(stack.log.since(type="suppression_added"))
    stack.nixied.end()
    stack.redis.restart()
    stack.nixied.start()
    settle(stack)
    lift(stack, "ann@a.test", "deleted")
    after = outcome(stack), len(stack.log.since(type="suppression_added"))
    assert before == after
    elsewhere.fail("ann@a.test", now())
    put(stack, elsewhere)
    assert 89.9 < ttl(stack, "ann@a.test") <= 90


@pytest.fixture
def second(stack):
    """Another nixied with the same Redis."""
    root = stack.root / "second"
    run = stack.root / "second-run"
    run.mkdir()
    shutil.chown(run, daemon.test_user())
    nixied = daemon.Nixied(root, run / "milter.sock", stack.redis.endpoint,
                           node="second-node")
    yield nixied.start()
    if nixied.process is not None:
        assert nixied.end() == 0, nixied.error_text()
    nixied.check_sanitizers()


def test_two_nixied_suppress_each_once(stack, second):
    """Both have failures of the same recipients, and read them at once."""
    addresses = [f"r{number}@d{number % 200}.test" for number in range(3000)]
    ends = ((Elsewhere(), stack.nixied, addresses),
            (Elsewhere(), second, addresses[::-1]))
    stack.log.folders.append(str(second.log_folder))
    for other, nixied, names in ends:
        nixied.end()
        for address in names:
            other.fail(address, now() - 1)
        other.put(nixied)
        with_section_of(nixied,
                        "breaker { all_failures = 0 domain_failures = 0 }")
    stack.log.read()
    starts = [threading.Thread(target=nixied.start) for _, nixied, _ in ends]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    wait_until(lambda: len(stack.redis.keys("nixie:suppress:*")) == 3000
               and is_decided(stack),
               lambda: "all is decided: "
               f"{len(stack.redis.keys('nixie:suppress:*'))} entries", 30)
    deciders = {}
    for event in stack.log.since(type="suppression_added"):
        deciders.setdefault(event["recipient"], []).append(event["node"])
    assert {name: nodes for name, nodes in deciders.items()
            if len(nodes) > 1} == {}
    assert len(deciders) == 3000
    for address in addresses[:50]:
        assert 6.9 < ttl(stack, address) <= 7
    print(collections.Counter(node for node, in deciders.values()))
    assert second.end() == stack.nixied.end() == 0
