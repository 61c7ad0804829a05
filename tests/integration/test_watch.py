"""Changes of the lists made in Redis are events, once for two nixied."""

import random
import subprocess
import time

import pytest

from harness.nixied import Nixied
from harness.wait import wait_until

LISTS = ("suppression_added", "suppression_updated", "suppression_removed",
         "allow_added", "allow_removed")
KEY = "nixie:suppress:"
SECONDS = 3


def changes(stack, mark=0):
    """(type, pattern) of what was seen in Redis, by either."""
    return [(event["type"], event["suppression_pattern"])
            for event in stack.log.since(mark, origin="redis")]


def watched(nixied):
    """How often it has compared all; -1 before the first time."""
    return nixied.errors.read_text().count("suppression cache current")


def await_watch(*daemons):
    for nixied in daemons:
        wait_until(lambda: "as known" in nixied.errors.read_text()
                   or "what is known" in nixied.errors.read_text(),
                   "the lists are known", 10)


def expect(stack, mark, *wanted):
    wait_until(lambda: len(changes(stack, mark)) >= len(wanted),
               lambda: f"{wanted}: {changes(stack, mark)}", 20)
    time.sleep(0.3)  # one that comes twice
    assert sorted(changes(stack, mark)) == sorted(wanted)


@pytest.fixture
def pair(stack_maker):
    """Two nodes: the stack's, and one without an MTA."""
    stack = stack_maker()
    second = Nixied(stack.root / "second", stack.root / "second/run/m.sock",
                    stack.redis.endpoint, node="second")
    second.folder("run")
    stack.log.folders.append(str(second.log_folder))
    second.start()
    await_watch(stack.nixied, second)
    yield stack, second
    if second.process is not None:
        assert second.end() == 0, second.error_text()
    second.check_sanitizers()


def test_each_change_is_one_event(pair):
    stack, _ = pair
    cli = stack.redis.cli
    ann = KEY + "ann@example.org"
    for command, wanted in (
            (("SET", ann, "by phone"),
             [("suppression_added", "ann@example.org")]),
            (("SET", ann, "by phone"), []),
            (("EXPIRE", ann, "1000"),
             [("suppression_updated", "ann@example.org")]),
            (("RENAME", ann, KEY + "bob@example.org"),
             [("suppression_removed", "ann@example.org"),
              ("suppression_added", "bob@example.org")]),
            (("DEL", KEY + "bob@example.org"),
             [("suppression_removed", "bob@example.org")]),
            (("HSET", KEY + "@example.net", "reason", "domain_no_mail",
              "type", "odd", "mode", "observe", "note", "caf\u00e9"),
             [("suppression_added", "@example.net")]),
            (("SET", KEY[:-1] + "@news:ann@example.org", "x" * 6000),
             [("suppression_added", "ann@example.org")]),
            (("SET", "nixie:allow:boss@example.org", ""),
             [("allow_added", "boss@example.org")]),
            (("DEL", "nixie:allow:boss@example.org"),
             [("allow_removed", "boss@example.org")]),
            (("SET", KEY + "short@example.org", "x", "PX", "300"),
             [("suppression_added", "short@example.org")])):
        mark = stack.log.mark()
        cli(*command)
        expect(stack, mark, *wanted)
    event = stack.log.since(0, suppression_pattern="@example.net")[0]
    assert event.has({"suppression_reason": "domain_no_mail",
                      "suppression_mode": "observe",
                      "suppression_note": "caf\u00e9"})
    assert "failure_type" not in event
    stack.settle()


def test_the_tool_beside_redis_cli_under_load(pair):
    stack, second = pair
    ends = time.monotonic() + SECONDS
    tools = [subprocess.Popen(
        ["sh", "-c", "while test ! -e stop; do "
         + " ".join(map(str, nixied.tool_command(
             "suppress", "add", f"{who}@tool.test")))
         + " >/dev/null; "
         + " ".join(map(str, nixied.tool_command(
             "suppress", "del", f"{who}@tool.test")))
         + " >/dev/null; done"], cwd=stack.root)
        for who, nixied in (("a", stack.nixied), ("b", second))]
    made = []
    number = 0
    while time.monotonic() < ends:
        batch = [f"u{number + i}@cli.test" for i in range(20)]
        number += 20
        for address in batch:
            stack.redis.command("SET", KEY + address, "x")
        made += batch
        time.sleep(0.02)
    (stack.root / "stop").touch()
    for tool in tools:
        assert tool.wait(20) == 0
    wait_until(lambda: len(changes(stack)) >= len(made),
               lambda: f"{len(changes(stack))} of {len(made)}", 30)
    time.sleep(0.5)
    seen = changes(stack)
    assert sorted(seen) == sorted(("suppression_added", address)
                                  for address in made)
    own = [event for event in stack.log.since(origin="command")]
    assert len(own) > 10
    assert {event["instance"] for event in stack.log.since(origin="redis")} \
        == {event["instance"] for event in own}
    stack.settle()


def test_a_killed_node_and_the_time_without_any(pair):
    stack, second = pair
    made = []
    for i in range(300):
        stack.redis.command("SET", f"{KEY}k{i}@cli.test", "x")
        made.append(f"k{i}@cli.test")
        if i == 150:
            second.kill()
    wait_until(lambda: len(set(changes(stack))) == len(made),
               lambda: f"{len(set(changes(stack)))} of {len(made)}", 30)
    # one that was killed between the log and Redis is told twice
    assert len(changes(stack)) <= len(made) + 64
    stack.nixied.kill()
    mark = stack.log.mark()
    stack.redis.command("DEL", KEY + "k0@cli.test")
    stack.redis.command("SET", KEY + "k1@cli.test", "y")
    stack.redis.command("SET", KEY + "late@cli.test", "x")
    second.start()
    stack.nixied.start()
    expect(stack, mark, ("suppression_removed", "k0@cli.test"),
           ("suppression_updated", "k1@cli.test"),
           ("suppression_added", "late@cli.test"))
    stack.settle()


def test_an_emptied_redis_and_one_that_comes_back(pair):
    stack, second = pair
    stack.nixied.tool("suppress", "add", "own@tool.test")
    stack.redis.cli("SET", KEY + "ann@cli.test", "x")
    expect(stack, 0, ("suppression_added", "ann@cli.test"))
    mark = stack.log.mark()
    loads = [watched(nixied) for nixied in (stack.nixied, second)]
    stack.redis.cli("FLUSHALL")
    # by one at least: what it has compared, the other finds in order
    wait_until(lambda: any("redis has been emptied" in
                           nixied.errors.read_text()
                           for nixied in (stack.nixied, second)),
               "it is noticed", 10)
    wait_until(lambda: stack.redis.command("EXISTS", KEY + "own@tool.test"),
               "it is built again", 40)
    stack.redis.cli("SET", KEY + "bob@cli.test", "x")
    expect(stack, mark, ("suppression_added", "bob@cli.test"))
    stack.redis.restart()
    wait_until(lambda: all(watched(nixied) > load for nixied, load in zip(
        (stack.nixied, second), loads)), "the list is read", 20)
    mark = stack.log.mark()
    stack.redis.cli("SET", KEY + "cy@cli.test", "x")
    expect(stack, mark, ("suppression_added", "cy@cli.test"))
    wait_until(lambda: stack.redis.command("EXISTS", KEY + "own@tool.test"),
               "it is built again", 40)
    stack.settle()
    assert sorted(changes(stack, mark)) == [
        ("suppression_added", "cy@cli.test")]


def test_a_mass_load_is_caught_up(pair):
    stack, _ = pair
    count = 6000
    with stack.redis.client() as client:
        for at in range(0, count, 1000):
            client.pipeline([("SET", f"{KEY}m{at + i}@mass.test", "x")
                             for i in range(1000)])
        began = time.monotonic()
        slowest = 0
        while time.monotonic() < began + 2:
            at = time.monotonic()
            client.command("PING")
            slowest = max(slowest, time.monotonic() - at)
            time.sleep(random.random() / 100)
    print(f"slowest PING {1000 * slowest:.1f} ms")
    wait_until(lambda: len(changes(stack)) >= count,
               lambda: f"{len(changes(stack))} of {count}", 90, pause=1)
    print(f"{time.monotonic() - began:.1f} s")
    assert len(changes(stack)) == count
    assert len(set(changes(stack))) == count
    stack.settle(60)
