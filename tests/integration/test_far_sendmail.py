"""What a real Sendmail takes and bounces later is believed, as Exim's is."""

import pytest

from harness.decided import entry, settle, strikes, ttl
from harness.sendmail import Sendmail, missing
from harness.stack import Stack, World
from harness.wait import free_port

SENDER = "sender@nixie.test"  # whose mail the remote server takes

# Whatever its domain, the local part says what becomes of a mailbox; far.test
# is the remote server's. Mail home comes from elsewhere.
FAR_MC = """\
CLIENT_OPTIONS(`Family=inet, Address=127.0.0.9')dnl
{flags}LOCAL_RULE_0
R$+ < @ far.test $* > $*\t$#far $@ [127.0.0.1] $: $1 < @ far.test >
R$+ < @ $+ .sendmail.test $* > $*\t$#local $: $1
MAILER_DEFINITIONS
Mfar, P=[IPC], F=mDFMuXa8, S=EnvFromSMTP/HdrFromSMTP, R=EnvToSMTP, E=\\r\\n, \
L=2040, T=DNS/RFC822/SMTP, A=TCP $h {port}
"""
FLAGS = {
    "dsn": "",
    "plain": "define(`confPRIVACY_FLAGS', `noreceipts')dnl\n",
    "headers": "define(`confPRIVACY_FLAGS', `nobodyreturn')dnl\n",
}
ALIASES = """\
postmaster: /dev/null
fail: "|cat > /dev/null; exit 67"
alias: reject-alias@far.test
forward: alias
"""


@pytest.fixture(scope="module", params=list(FLAGS))
def stack(request):
    """Postfix, nixied, and a Sendmail that mail for .sendmail.test goes to."""
    if missing():
        pytest.skip(missing())
    port = free_port()
    # a name of its own: each would take the other for itself
    world = World(extra="myhostname = home.nixie.test\n"
                  "transport_maps = inline:{ "
                  f".sendmail.test=smtp:[127.0.0.1]:{port} }}\n")
    far = Sendmail(world.postfix.port, port=port, extra=FAR_MC.format(
        flags=FLAGS[request.param], port=world.remote.port))
    (far.root / "etc/aliases").write_text(ALIASES)
    with world.running(far):
        made = Stack.marking(world)
        made.far = far
        with made.running():
            yield made


def bounced(stack, recipients, **options):
    """Sends; the out_of_band event of the first recipient."""
    return stack.bounced(recipients, SENDER, stack.far, **options)


@pytest.mark.parametrize("options", [{}, {"parameters": "RET=HDRS"}])
def test_who_is_unknown_there_is_suppressed_at_once(stack, name, options):
    victim = f"fail@{name}.sendmail.test"
    event = bounced(stack, [victim], **options)
    assert (event["recipient"], event["trace"]) == (victim, "valid")
    assert (event["reason"], event["failure_type"]) == (
        "user_unknown", "hard"), event
    assert event["reporting_mta"] == "mx.nixie.test"
    assert (event["counted"], event["strike_limit"]) == (True, 1)
    settle(stack)
    assert entry(stack, victim)["reason"] == "user_unknown"
    assert 6.9 < ttl(stack, victim) <= 7
    assert stack.send([victim], sender=SENDER)[0][victim].code == 550


@pytest.mark.parametrize("how", ["alias", "forward"])
def test_what_fails_behind_it_is_whom_we_sent_to(stack, name, how):
    """The address that failed was never ours to know."""
    victim = f"{how}@{name}.sendmail.test"
    event = bounced(stack, [victim])
    assert (event["recipient"], event["trace"]) == (victim, "valid")
    assert event["final_recipient"] == "reject-alias@far.test"
    assert event["reason"] == "user_unknown"
    settle(stack)
    assert entry(stack, victim)["reason"] == "user_unknown"
    assert stack.redis.command("KEYS", "nixie:suppress:reject-*") == []


def test_of_two_recipients_only_the_one_that_failed_has_a_strike(stack, name):
    victim = f"fail@{name}.sendmail.test"
    friend = f"reads@{name}.remote.test"
    event = bounced(stack, [victim, friend])
    assert (event["recipient"], event["trace"]) == (victim, "shared")
    settle(stack)
    assert entry(stack, victim) == {}
    assert strikes(stack, friend) == []
    event = bounced(stack, [victim, friend])
    settle(stack)
    assert entry(stack, victim).get("reason") == "user_unknown", event
