"""What policy decided, and waiting for it."""

import time

from . import oracle
from .elsewhere import DAY
from .wait import wait_until


def is_decided(stack):
    return not any(stack.redis.hashes("nixie:{*}:due").values())


def settle(stack, timeout=20):
    """Everything is applied, what was due decided, and that is applied."""
    wait_until(lambda: not stack.behind() and is_decided(stack),
               lambda: f"all is decided: {stack.behind()} "
               f"{stack.redis.hashes('nixie:{*}:due')}\n"
               f"{stack.nixied.error_text()[-3000:]}", timeout, pause=0.05)
    stack.settle(timeout)


def put(stack, *others):
    """Their files are applied: a new instance is seen at start."""
    if stack.nixied.process is not None:
        assert stack.nixied.end() == 0, stack.nixied.error_text()
    for other in others:
        other.put(stack.nixied)
    stack.log.read()  # the oracle takes them before what is decided
    stack.nixied.start()
    settle(stack)


def entry(stack, address):
    words = stack.redis.command("HGETALL", f"nixie:suppress:{address}")
    words = [word.decode() for word in words]
    return dict(zip(words[::2], words[1::2]))


def ttl(stack, address):
    """In days; -1: for good; -2: there is none."""
    seconds = int(stack.redis.command("TTL", f"nixie:suppress:{address}"))
    return seconds if seconds < 0 else round(seconds / DAY, 2)


def strikes(stack, address):
    key = oracle.history_key("nixie:", "strikes", address)
    return stack.redis.command("ZRANGE", key, "0", "-1")


def added(stack, address, mark=0):
    return stack.log.since(mark, type="suppression_added", recipient=address)


def withheld(stack, address, mark=0):
    return [event["withheld_by"] for event in
            stack.log.since(mark, type="suppression_withheld",
                            recipient=address)]


def now():
    return time.time()


def five(elsewhere, address, times, reason="mailbox_full", **members):
    for when in times:
        elsewhere.fail(address, when, reason, "delay", **members)


def days(*ago):
    return [now() - 0.1 - number * DAY for number in ago]


def lift(stack, address, how):
    """The entry's time is over, or somebody takes it away."""
    if how == "expires":
        stack.redis.command("PEXPIRE", f"nixie:suppress:{address}", 1)
        wait_until(lambda: ttl(stack, address) == -2, "it has expired", 5)
    else:
        stack.redis.cli("DEL", f"nixie:suppress:{address}")


def with_section(stack, *sections):
    with_section_of(stack.nixied, *sections)


def with_section_of(nixied, *sections):
    """The configuration with more than keys."""
    nixied.write()
    text = nixied.config.read_text()
    nixied.write(text + "".join(f"{part}\n" for part in sections))


def seconds(text):
    return oracle.seconds_of({"timestamp": text})
