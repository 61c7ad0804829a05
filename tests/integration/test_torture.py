"""The long runs: make torture, or NIXIE_TORTURE=1 tests/integration/run."""

import os
import random
import threading
from collections import Counter

from harness.load import Load, kill_loop
from harness.nixied import TOP
from harness.reports import bounce
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


class Traffic(Load):
    """Mail that the remote server takes, refuses and defers, and bounces of
    what it took; each recipient has one message.
    """

    TEXT = (b"From: load@nixie.test\r\nTo: somebody@nixie.test\r\n"
            b"Message-ID: <%s@nixie.test>\r\n\r\nHello\r\n")

    def __init__(self, stack, clients=2):
        super().__init__(stack, clients)
        self.reported = []
        self.threads.append(threading.Thread(target=self.report))

    def message(self, smtp, name):
        gone = f"gone{name}@shut.test"
        recipients = [gone] + [f"{how}{name}@far.test"
                               for how in ("good", "reject-", "defer-")]
        replies, taken = smtp.message("load@nixie.test", recipients,
                                      self.TEXT % name.encode())
        if replies[gone].code == 550:
            self.refused.append(gone)
        if taken is not None and taken.code == 250:
            self.accepted += recipients[1:]

    def report(self):
        """A late bounce of each third message, by somebody else."""
        done = 0
        while not self.stopped.wait(0.05):
            with self.stack.remote.lock:
                taken = self.stack.remote.messages[done:]
            for number, (_, recipients, text) in enumerate(taken, done):
                victim = recipients[0].decode()
                if number % 3 or not victim.startswith("good"):
                    continue
                try:
                    with self.stack.dialogue(source="127.0.0.9") as smtp:
                        _, end = smtp.message("", ["known@hosted.test"],
                                              bounce(victim, text))
                except OSError as failure:
                    self.failures.append(repr(failure))
                    continue
                if end is not None and end.code == 250:
                    self.reported.append(victim)
            done += len(taken)


def far(recipients):
    return Counter(one for one in recipients if one.endswith("@far.test"))


def told(stack, kind):
    return far(event["recipient"] for event in stack.log.read()
               if event["type"] == kind and event["origin"] == "maillog")


def test_kills_with_all_features_leave_each_outcome_once(stack_maker, world):
    """Trace, reports, cache, watch, delivery log, Elastic's schema."""
    stack = stack_maker(start=False, maillog=[world.postfix.log],
                        event_log_format="ecs",
                        outgoing_clients=["127.0.0.1"],
                        bounce_rules=[TOP / "packaging/bounce-rules.conf"])
    stack.nixied.settings["trace_keys"] = stack.nixied.state / "trace.keys"
    stack.nixied.write()
    stack.start()
    stack.suppress("@shut.test")
    stack.log.wait(type="mark")
    chance = random.Random(7)
    meanwhile = [lambda: None] * 3 + [
        lambda: stack.redis.command("SCRIPT", "FLUSH"),
        lambda: stack.redis.command("CLIENT", "KILL", "TYPE", "normal"),
        lambda: stack.suppress(f"x{chance.random()}@far.test")]
    with Traffic(stack) as load:
        for _ in range(ROUNDS):
            mark, wanted = stack.log.mark(), chance.randrange(1, 20)
            wait_until(lambda: len(stack.log.since(
                mark, origin="session")) > wanted, "mail comes in", 40)
            stack.nixied.kill()
            chance.choice(meanwhile)()
            stack.nixied.start()
    sent = len(load.accepted)
    remote = stack.remote

    def refusals(code):
        return far(one.decode() for one, said in remote.refused
                   if said == code)

    def outcomes():
        return {"delivery": far(remote.recipients()),
                "bounce": refusals(b"550"), "delay": refusals(b"450")}
    wait_until(lambda: sum(map(sum, (count.values()
                                     for count in outcomes().values())))
               >= sent, "all is tried", 120)
    for kind, wanted in outcomes().items():
        wait_until(lambda: sum(told(stack, kind).values())
                   >= sum(outcomes()[kind].values()),
                   f"every {kind} is told", 60)
    stack.postfix.delete_all()
    print({kind: sum(count.values()) for kind, count in outcomes().items()},
          len(load.refused), len(load.reported))
    for kind, wanted in outcomes().items():
        assert told(stack, kind) == wanted, kind
    load.check_refusals()
    reported = Counter(event["recipient"] for event
                       in stack.log.since(type="out_of_band")
                       if event["recipient"].startswith("good"))
    assert set(reported.values()) <= {1}
    assert set(reported) <= set(load.reported)
    assert len(reported) > len(load.reported) // 10  # the others saw no filter
    assert len(stack.log.torn) <= ROUNDS * 2
    assert all(event.ecs for event in stack.log.since(type="delivery"))
    stack.settle(timeout=60)
