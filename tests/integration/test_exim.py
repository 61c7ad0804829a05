"""What a real Exim takes and bounces later is believed, and rightly placed."""

import pytest

from harness import exim
from harness.decided import entry, settle, strikes, ttl
from harness.exim import Exim
from harness.stack import Stack, World
from harness.wait import free_port

HOME = "known@hosted.test"


@pytest.fixture(scope="module", params=["dsn", "plain", "headers"])
def stack(request):
    """Postfix, nixied, and an Exim that mail for .exim.test goes to."""
    missing = exim.missing()
    if missing:
        pytest.skip(missing)
    port = free_port()
    world = World(extra="transport_maps = inline:{ "
                  f".exim.test=smtp:[127.0.0.1]:{port} }}\n")
    far = Exim(world.root / "exim", world.postfix.port, world.remote.port,
               port, dsn="" if request.param == "plain" else "*",
               body="false" if request.param == "headers" else "true")
    with world.running(far):
        made = Stack.marking(world)
        made.exim = far
        with made.running():
            yield made


def bounced(stack, recipients, **options):
    """Sends; the out_of_band event of the first recipient."""
    return stack.bounced(recipients, HOME, stack.exim, **options)


@pytest.mark.parametrize("options", [{}, {"parameters": "RET=HDRS"}])
def test_who_is_unknown_there_is_suppressed_at_once(stack, name, options):
    victim = f"fail@{name}.exim.test"
    event = bounced(stack, [victim], **options)
    assert (event["recipient"], event["trace"]) == (victim, "valid")
    assert (event["reason"], event["failure_type"]) == ("user_unknown", "hard")
    assert event["reporting_mta"] == "mx.exim.test"
    assert (event["counted"], event["strike_limit"]) == (True, 1)
    settle(stack)
    assert entry(stack, victim)["reason"] == "user_unknown"
    assert 6.9 < ttl(stack, victim) <= 7
    assert stack.send([victim], sender=HOME)[0][victim].code == 550


def test_a_full_mailbox_there_is_one_strike(stack, name):
    victim = f"full@{name}.exim.test"
    event = bounced(stack, [victim])
    assert (event["trace"], event["reason"]) == ("valid", "mailbox_full")
    settle(stack)
    assert len(strikes(stack, victim)) == 1
    assert entry(stack, victim) == {}


@pytest.mark.parametrize("how", ["alias", "forward"])
def test_what_fails_behind_it_is_whom_we_sent_to(stack, name, how):
    """The address that failed was never ours to know."""
    victim = f"{how}@{name}.exim.test"
    event = bounced(stack, [victim])
    assert event["recipient"] == victim
    assert event["reason"] == "user_unknown"
    assert event["trace"] == "valid"
    settle(stack)
    assert entry(stack, victim)["reason"] == "user_unknown"
    assert stack.redis.command("KEYS", "nixie:suppress:reject-*") == []


def test_of_two_recipients_only_the_one_that_failed_has_a_strike(stack, name):
    victim = f"fail@{name}.exim.test"
    friend = f"reads@{name}.remote.test"
    event = bounced(stack, [victim, friend])
    assert (event["recipient"], event["trace"]) == (victim, "shared")
    assert event["strike_limit"] == 2
    settle(stack)
    assert entry(stack, victim) == {}
    assert strikes(stack, friend) == []
    bounced(stack, [victim, friend])
    settle(stack)
    assert entry(stack, victim)["reason"] == "user_unknown"
