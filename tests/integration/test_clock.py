"""nixied's wall clock is set hours forward and back under mail; what never
steps goes on, as in reality.
"""

import mmap
import pathlib
import shutil
import struct
import subprocess
import time
from datetime import datetime, timezone

import pytest

from harness.wait import wait_until

SOURCE = pathlib.Path(__file__).parent / "harness/wall_clock.c"
HOURS = (5, -3, 30, 0, -200, 0)


@pytest.fixture
def jumping(stack_maker, world):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    stack = stack_maker(start=False, maillog=[world.postfix.log])
    plain = stack.nixied.environment()
    if "asan" in plain.get("LD_PRELOAD", ""):
        pytest.skip("something is preloaded")
    library, clock = (stack.nixied.root / name for name in ("clock.so",
                                                            "clock"))
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library),
                    str(SOURCE)], check=True)
    clock.write_bytes(bytes(8))
    clock.chmod(0o644)
    stack.nixied.environment = lambda: {
        **plain, "LD_PRELOAD": str(library), "WALL_CLOCK": str(clock)}
    stack.start()
    with open(clock, "r+b") as file, mmap.mmap(file.fileno(), 8) as seconds:
        def jump(hours):
            seconds[:] = struct.pack("q", hours * 3600)
        stack.jump = jump
        yield stack


def hours_off(event):
    at = datetime.strptime(event["timestamp"], "%Y-%m-%dT%H:%M:%S.%fZ")
    return round((at.replace(tzinfo=timezone.utc).timestamp()
                  - time.time()) / 3600)


def code(stack, recipient):
    return stack.send([recipient])[0][recipient].code


def test_clock_that_jumps_by_hours_changes_nothing_but_stamps(jumping, name):
    stack = jumping
    stack.log.wait(type="mark")
    stack.suppress("@shut.test")
    wait_until(lambda: code(stack, "first@shut.test") == 550,
               "the list is read", 10, pause=0.05)
    for number, hours in enumerate(HOURS):
        far = f"{name}n{number}@far.test"
        mark = stack.log.mark()
        stack.jump(hours)
        began = time.monotonic()
        replies, end = stack.send([far, f"n{number}@shut.test"])
        assert end.code == 250
        assert replies[f"n{number}@shut.test"].code == 550
        assert time.monotonic() - began < 5
        assert hours_off(stack.log.wait(mark, type="reception",
                                        recipient=far)) == hours
        refused = stack.log.wait(mark, type="suppressed")
        assert refused["store_state"] == "ok", dict(refused)
        assert 0 <= refused["latency_us"] < 5000000, dict(refused)
        # what the delivery log tells has its stamps
        delivered = stack.log.wait(mark, type="delivery", recipient=far)
        assert hours_off(delivered) == 0
        assert len(stack.log.since(mark, type="delivery", recipient=far)) == 1
        # the list is watched, and acts at once
        later = f"later{number}@far.test"
        stack.suppress(later)
        wait_until(lambda: code(stack, later) == 550, "it acts", 5,
                   pause=0.05)
        added = stack.log.wait(mark, type="suppression_added",
                               suppression_pattern=later)
        assert added["origin"] == "redis"
        stack.redis.cli("DEL", f"nixie:suppress:{later}")
        wait_until(lambda: code(stack, later) == 250, "it is gone", 5,
                   pause=0.05)
        stack.log.wait(mark, type="suppression_removed",
                       suppression_pattern=later)
        stack.settle()
    # a start in the past uses no number again
    stack.jump(-48)
    stack.nixied.kill()
    stack.nixied.start()
    mark = stack.log.mark()
    stack.send([f"{name}last@far.test"])
    stack.log.wait(mark, type="delivery", recipient=f"{name}last@far.test")
    stack.settle()
