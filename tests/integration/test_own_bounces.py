"""Bounces that a real Postfix makes itself: over alias and forward, and when
nixied is started anew between the log and a late report.
"""

import signal

import pytest

from harness.decided import entry, settle, strikes
from harness.reports import bounce
from harness.stack import Stack, World

SENDER = "sender@nixie.test"
FAR = "reject-behind@far.test"  # the remote server refuses it

EXTRA = """\
internal_mail_filter_classes = bounce
virtual_alias_maps = regexp:{ { /^alias/ reject-behind@far.test } }
alias_maps = regexp:{ { /^forward/ reject-behind@far.test } }
mydestination = mx.nixie.test
transport_maps = inline:{ mx.nixie.test=local: }
"""


class Source:
    """Of what is known: bounces that pass the filter, or the log."""

    def __init__(self, stack, follow):
        self.stack, self.follow = stack, follow

    def fail(self, recipient, notify="", parameters=""):
        """Sends; the event that counts."""
        stack = self.stack
        mark = stack.log.mark()
        with stack.dialogue() as smtp:
            smtp.mail(SENDER, parameters)
            assert smtp.rcpt(recipient, notify.strip()).code == 250
            assert smtp.data().code == 250
        kind = "bounce" if self.follow else "out_of_band"
        try:
            return stack.log.wait(mark, type=kind, timeout=20)
        except AssertionError as error:
            raise AssertionError(
                f"{error}\n{stack.mta.log_text()[-3000:]}") from error


@pytest.fixture(scope="module", params=["milter", "log"])
def source(request):
    world = World(extra=EXTRA)
    follow = request.param == "log"
    options = {"maillog": [world.postfix.log]} if follow else {}
    with world.running():
        made = Stack.marking(world, **options)
        with made.running():
            if follow:
                made.log.wait(type="mark")
            yield Source(made, follow)


OPTIONS = {
    "plain": {},
    "headers": {"parameters": "RET=HDRS"},
    "failure": {"notify": " NOTIFY=FAILURE"},
    "never": {"notify": " NOTIFY=NEVER"},
}


@pytest.mark.parametrize("options", list(OPTIONS))
@pytest.mark.parametrize("how, domain", [("alias", "{}.alias.test"),
                                         ("forward", "mx.nixie.test")])
def test_what_fails_behind_it_is_whom_we_sent_to(source, name, how, domain,
                                                 options):
    stack = source.stack
    if options == "never" and not source.follow:
        pytest.skip("nobody is told then")
    victim = f"{how}-{name}@{domain.format(name)}"
    event = source.fail(victim, **OPTIONS[options])
    assert event["recipient"] == victim
    assert event["final_recipient"] == FAR
    assert (event["reason"], event["failure_type"]) == ("user_unknown", "hard")
    assert event["counted"] is True, event
    if not source.follow:
        assert event["trace"] == "valid"
    settle(stack)
    assert entry(stack, victim)["reason"] == "user_unknown"
    assert stack.redis.command("KEYS", "nixie:suppress:reject-*") == []
    assert stack.send([victim], sender=SENDER)[0][victim].code == 550


# ---- nixied is started anew in between ----

FULL = b"552 5.2.2 <%s>: Over quota\r\n"
WAIT = b"452 4.2.2 <%s>: Over quota\r\n"
MARKED = (b"From: sender@nixie.test\r\nTo: somebody@nixie.test\r\n"
          b"Subject: letter\r\nDate: Mon, 02 Nov 2026 12:00:00 +0000\r\n"
          b"Message-ID: <%s@nixie.test>\r\n\r\nHello\r\n")


def restart(stack, how, between=lambda: None):
    if how == "term":
        assert stack.nixied.end() == 0
    else:
        stack.nixied.end(signal.SIGKILL)
    between()
    stack.nixied.start()


@pytest.mark.parametrize("source", ["log"], indirect=True)
@pytest.mark.parametrize("how", ["term", "kill"])
@pytest.mark.parametrize("when", ["before", "while", "after"])
def test_the_log_and_a_late_report_are_one_strike_over_a_restart(
        source, name, how, when):
    """The bounce is logged before nixied ends, while it is away, or after."""
    stack = source.stack
    remote = stack.remote
    victim = f"v@{name}.example"
    friend = f"f@{name}.example"
    remote.answers[victim.encode()] = WAIT % victim.encode()
    mark = stack.log.mark()
    _, end = stack.send([victim, friend], sender=SENDER,
                        text=MARKED % name.encode())
    assert end.code == 250
    nonce = stack.log.wait(mark, type="reception",
                           recipient=victim)["trace_nonce"]
    delayed = stack.log.wait(mark, type="delay", recipient=victim)
    assert delayed["trace_nonce"] == nonce
    remote.answers[victim.encode()] = FULL % victim.encode()

    def give_up():
        stack.mta.flush()
        stack.mta.wait_empty()

    if when == "before":
        give_up()
        stack.log.wait(mark, type="bounce", recipient=victim)
    restart(stack, how, give_up if when == "while" else lambda: None)
    if when == "after":
        give_up()
    bounced = stack.log.wait(mark, type="bounce", recipient=victim)
    assert (bounced["trace_nonce"], bounced["counted"]) == (nonce, True)
    restart(stack, how)
    sent = next(text for _, recipients, text in remote.messages
                if recipients == [friend.encode()])
    report = bounce(victim, sent, status="5.2.2",
                    diagnostic="smtp; 552 5.2.2 Over quota")
    late = stack.log.mark()  # behind Postfix's own, which the log tells too
    with stack.dialogue(source="127.0.0.9") as smtp:
        _, end = smtp.message("", ["known@hosted.test"], report)
    assert end.code == 250
    try:
        told = stack.log.wait(late, type="out_of_band", recipient=victim)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{stack.mta.log_text()[-3000:]}\n"
                             f"{stack.nixied.error_text()}") from error
    assert (told["trace"], told["counted"]) == ("shared", True)
    assert told["trace_id"].startswith(nonce + "-")
    settle(stack)
    assert strikes(stack, victim) == [nonce.encode()]
    assert len(stack.log.since(mark, type="bounce", recipient=victim)) == 1


@pytest.mark.parametrize("source", ["log"], indirect=True)
@pytest.mark.parametrize("how", ["term", "kill"])
def test_what_was_forwarded_is_ours_over_a_restart(source, name, how):
    """The log says "forwarded as" before nixied ends, and fails after."""
    stack = source.stack
    victim = f"forward-{name}@mx.nixie.test"
    far = FAR.encode()
    stack.remote.answers[far] = WAIT % far
    mark = stack.log.mark()
    stack.send([victim], sender=SENDER)
    delayed = stack.log.wait(mark, type="delay", recipient=victim)
    forwarded = stack.log.wait(mark, type="mark", recipient=victim)
    assert forwarded["forwarded_as"] == delayed["queue_id"]
    restart(stack, how)
    del stack.remote.answers[far]
    stack.mta._run("postqueue", "-c", str(stack.mta.config), "-f")
    failed = stack.log.wait(mark, type="bounce", recipient=victim)
    assert failed["attempt"] == 2
    assert (failed["counted"], failed["reason"]) == (True, "user_unknown")
    settle(stack)
    assert entry(stack, victim)["reason"] == "user_unknown"
