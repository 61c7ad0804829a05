"""The long runs: make torture, or NIXIE_TORTURE=1 tests/integration/run."""

import os

from harness.load import Load, kill_loop
from harness.wait import wait_until

ROUNDS = int(os.environ.get("NIXIE_TORTURE_ROUNDS", "200"))


def test_two_hundred_kills_under_load_leave_redis_equal_to_the_log(
        stack_maker):
    kill_loop(stack_maker(), ROUNDS, seed=int.from_bytes(os.urandom(4), "big"))


def test_a_thousand_rotations_under_load_lose_no_line(stack_maker):
    stack = stack_maker()
    stack.suppress("@shut.test")
    with Load(stack) as load:
        for _ in range(5 * ROUNDS):
            seen = stack.log.mark()
            wait_until(lambda: stack.log.since(seen, origin="session"),
                       "an event in the new file")
            stack.nixied.rotate()
    load.check_all()


def test_a_thousand_rcpts_with_redis_hung_are_answered_at_once(stack_maker):
    stack = stack_maker(redis_timeout_ms=50)
    stack.send(["before@example.com"])
    stack.redis.hang()
    slowest = 0
    try:
        for message in range(20):
            with stack.dialogue() as smtp:
                smtp.mail()
                for i in range(50):
                    reply = smtp.rcpt(f"m{message}n{i}@example.com")
                    assert reply.code == 250
                    slowest = max(slowest, reply.seconds)
                assert smtp.data().code == 250
    finally:
        stack.redis.go_on()
    assert slowest < 0.2
    stack.settle()


def test_every_start_and_end_in_order_leaves_redis_equal_to_the_log(
        stack_maker):
    stack = stack_maker()
    stack.suppress("@shut.test")
    with Load(stack) as load:
        for _ in range(ROUNDS // 4):
            mark = stack.log.mark()
            wait_until(lambda: len(stack.log.outcomes(mark)) > 5,
                       "mail comes in")
            assert stack.nixied.end() == 0
            stack.nixied.start()
    load.check_refusals()
    assert stack.log.torn == []
    stack.settle()
