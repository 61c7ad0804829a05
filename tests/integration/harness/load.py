"""Clients that send mail all the time, and what must be true after it."""

import random
import threading

from .wait import wait_until


class Load:
    """with Load(stack): mail comes in until the end of the block.

    Each message has a recipient of shut.test, which is to be suppressed, and
    one of example.com. accepted and refused hold what clients were told.
    """

    def __init__(self, stack, clients=3):
        self.stack = stack
        self.stopped = threading.Event()
        self.accepted = []
        self.refused = []
        self.failures = []
        self.threads = [threading.Thread(target=self.client, args=(i,))
                        for i in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def client(self, number):
        count = 0
        while not self.stopped.is_set():
            try:
                with self.stack.dialogue() as smtp:
                    for _ in range(5):
                        count += 1
                        self.message(smtp, f"c{number}n{count}")
            except OSError as failure:
                self.failures.append(repr(failure))

    def message(self, smtp, name):
        gone, good = f"gone{name}@shut.test", f"good{name}@example.com"
        replies, taken = smtp.message("load@nixie.test", [gone, good])
        if replies[gone].code == 550:
            self.refused.append(gone)
        if taken is not None and taken.code == 250:
            self.accepted.append(good)

    def logged(self, kind):
        return [event["recipient"]
                for event in self.stack.log.since(type=kind)
                if event["sender"] == "load@nixie.test"]

    def check_all(self):
        """Nothing failed; each answer is in the log exactly once."""
        assert self.failures == []
        self.compare("suppressed", self.refused)
        self.compare("reception", self.accepted)

    def compare(self, kind, told):
        logged = self.logged(kind)
        assert len(logged) == len(set(logged)), f"{kind} twice"
        assert set(logged) == set(told), (
            f"{kind}: only in the log {sorted(set(logged) - set(told))}, "
            f"only told {sorted(set(told) - set(logged))}")

    def check_refusals(self):
        """After kills: each refusal is in the log, none twice.

        Messages may have passed while nobody filtered, and an event may be
        there whose answer never reached the client.
        """
        assert self.failures == []
        logged = self.logged("suppressed")
        assert set(self.refused) <= set(logged)
        assert len(logged) == len(set(logged))


def kill_loop(stack, rounds, seed=1):
    """kill -9 of nixied under load; Redis hung, stopped, emptied meanwhile.

    Afterwards every refusal is in the log, no line is torn but by a kill,
    and Redis equals the log.
    """
    chance = random.Random(seed)
    stack.suppress("@shut.test")

    def restart_redis():
        stack.redis.restart()
        stack.suppress("@shut.test")

    def hang_redis():
        stack.redis.hang()
        stack.send(["hung@example.com"])
        stack.redis.go_on()

    def pause_redis():
        stack.redis.hang()
        stack.nixied.start()
        mark = stack.log.mark()
        wait_until(lambda: len(stack.log.outcomes(mark)) > 5,
                   "mail comes in, without Redis", 20)
        stack.nixied.kill()
        stack.redis.go_on()

    meanwhile = [lambda: None] * 4 + [
        restart_redis, hang_redis, pause_redis,
        lambda: stack.redis.command("SCRIPT", "FLUSH"),
        lambda: stack.redis.command("CLIENT", "KILL", "TYPE", "normal")]
    with Load(stack) as load:
        for _ in range(rounds):
            mark, wanted = stack.log.mark(), chance.randrange(1, 30)
            wait_until(lambda: len(stack.log.outcomes(mark)) > wanted,
                       "mail comes in", 20)
            stack.nixied.kill()
            chance.choice(meanwhile)()
            stack.nixied.start()
    load.check_refusals()
    assert len(stack.log.torn) <= rounds * 2
    stack.settle(timeout=60)
