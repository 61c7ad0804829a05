"""Scopes: mail that has lists, a mode and policies of its own."""

import base64
import json
import signal

import pytest

from harness.decided import (entry, now, seconds, settle, strikes, ttl,
                             with_section)
from harness.postfix import Postfix
from harness.reports import bounce, complaint
from harness.stack import Stack
from harness.wait import free_port, wait_until

OTHERS = "127.0.0.9"  # whose mail is not ours

# cleanup(8) has the name of main.cf: sessions that it plays have no listener
EXTRA = """\
milter_macro_daemon_name = SUBMISSION
smtpd_authorized_xclient_hosts = 127.0.0.1
"""
SECTIONS = """\
scope "reset" {
    listeners = {"SUBMISSION", "STRICT"}
    auth_users = {"shop", "app"}
}
scope "submitted" { listeners = {"SUBMISSION", "STRICT"} }
scope "office" {
    clients = {"192.0.2.0/24", "2001:db8::/32"}
    mode = "observe"
}
scope "news" {
    senders = {"@news.test", "letter@shop.test", "@.lists.test", "weekly@"}
    policy "mailbox_full" { strikes = 1 days = 1 release = {"2d"} }
    policy "user_unknown" { strikes = 0 }
}
"""
NEWS = "any@news.test"
RESET = "reset@shop.test"


class Postfix2(Postfix):
    """With a second listener, of another name."""

    def __init__(self, *arguments, **options):
        self.mx_port = free_port()
        super().__init__(*arguments, **options)
        master = self.config / "master.cf"
        master.write_text(
            master.read_text()
            + f"127.0.0.1:{self.mx_port} inet n - n - - smtpd\n"
            "  -o milter_macro_daemon_name=MX\n")

    def dialogue(self, submission=False, **options):
        made = super().dialogue(**options)
        if submission:
            return made
        made.close()
        port, self.port = self.port, self.mx_port
        try:
            return super().dialogue(**options)
        finally:
            self.port = port


@pytest.fixture(scope="module")
def postfix(world):
    made = Postfix2(world.root / "postfix-scopes", world.remote.port,
                    world.milter_socket, extra=EXTRA)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def stack(world, postfix):
    made = Stack.marking(world, postfix=postfix, maillog=[postfix.log])
    with_section(made, SECTIONS)
    with made.running():
        yield made


def at(name):
    """An address in a domain of its own: no breaker opens."""
    return f"{name}@{name}.example"


def xclient(smtp, words):
    if words:
        reply = smtp.command(f"XCLIENT {words}")
        assert reply.code == 220, reply
        smtp.command("EHLO client.nixie.test")


def letter(name):
    return (b"From: sender@nixie.test\r\nSubject: letter\r\nMessage-ID: <"
            + name.encode() + b"@nixie.test>\r\n\r\nHello\r\n")


def send(stack, sender, recipients, submission=False, client="", text=None):
    with stack.postfix.dialogue(submission=submission) as smtp:
        xclient(smtp, client)
        return smtp.message(sender, recipients, text or letter("x"))


def codes(replies):
    return {address: reply.code for address, reply in replies[0].items()}


def mail(stack, name, sender, recipient):
    """Sends a message of ours; as the remote server got it.

    Only what is later than a delivery is a strike, so that is waited for.
    """
    mark = stack.log.mark()
    token = b"\r\nMessage-ID: <" + name.encode() + b"@nixie.test>\r\n"
    _, end = send(stack, sender, [recipient], text=letter(name))
    assert end is not None and end.code == 250
    delivery = stack.log.wait(mark, type="delivery", recipient=recipient)
    wait_until(lambda: now() > seconds(delivery["timestamp"]) + 1,
               "it is later")
    return next(text for _, _, text in list(stack.remote.messages)
                if token in text)


def tell(stack, report, recipient, kind="feedback", sender=""):
    """The event that a report from elsewhere becomes."""
    mark = stack.log.mark()
    with stack.postfix.dialogue(source=OTHERS) as smtp:
        _, end = smtp.message(sender, ["known@hosted.test"], report)
    assert end is not None and end.code == 250
    return stack.log.wait(mark, type=kind, recipient=recipient)


# ---- which one ----

@pytest.mark.parametrize("sender, submission, client, scope", [
    (NEWS, False, "", "news"),
    (NEWS.upper(), False, "", "news"),
    ("letter@shop.test", False, "", "news"),
    ("any@a.b.lists.test", False, "", "news"),
    ("any@lists.test", False, "", None),
    ("weekly@far.test", False, "", "news"),
    (RESET, False, "", None),
    ("", False, "", None),
    (RESET, True, "LOGIN=shop", "reset"),
    (NEWS, True, "LOGIN=app", "reset"),
    (RESET, True, "LOGIN=bob", "submitted"),
    (RESET, True, "", "submitted"),
    (RESET, False, "LOGIN=shop", None),
    (RESET, False, "ADDR=192.0.2.77", "office"),
    (NEWS, False, "ADDR=192.0.2.77", "office"),
    (RESET, False, "ADDR=192.0.3.77", None),
    (RESET, True, "ADDR=192.0.2.77", "submitted"),
])
def test_the_first_scope_whose_conditions_all_fit(stack, name, sender,
                                                  submission, client, scope):
    mark = stack.log.mark()
    # only of our own domains: not every client may relay
    recipients = ["known@hosted.test"]
    replies = send(stack, sender, recipients, submission, client)
    assert codes(replies) == {"known@hosted.test": 250}
    event = stack.log.wait(mark, type="reception",
                           recipient="known@hosted.test")
    assert event.get("scope") == scope
    assert event["listener"] == ("SUBMISSION" if submission else "MX")


def test_a_transaction_has_a_scope_of_its_own(stack, name):
    mark = stack.log.mark()
    with stack.postfix.dialogue() as smtp:
        for sender in (NEWS, RESET, NEWS):
            smtp.message(sender, [at(name)])
        smtp.mail(NEWS)
        smtp.rcpt(stack.postfix.unknown)
    events = stack.log.wait(mark, count=3, type="reception",
                            recipient=at(name))
    assert [event.get("scope") for event in events] == ["news", None, "news"]
    rejection = stack.log.wait(mark, type="rejection")
    assert rejection["scope"] == "news"


# ---- lists ----

def test_an_opt_out_of_news_never_blocks_a_password_reset(stack, name):
    stack.redis.cli("SET", f"nixie:suppress@news:{at(name)}", "opted out")
    mark = stack.log.mark()
    assert codes(send(stack, NEWS, [at(name)])) == {at(name): 550}
    event = stack.log.wait(mark, type="suppressed", recipient=at(name))
    assert (event["scope"], event["suppression_scope"]) == ("news", "news")
    for submission, client in ((False, ""), (True, ""), (True, "LOGIN=shop")):
        assert codes(send(stack, RESET, [at(name)], submission,
                          client)) == {at(name): 250}


def test_the_list_for_all_goes_for_scopes_too(stack, name):
    stack.suppress(at(name))
    mark = stack.log.mark()
    assert codes(send(stack, NEWS, [at(name)])) == {at(name): 550}
    event = stack.log.wait(mark, type="suppressed", recipient=at(name))
    assert event["scope"] == "news" and "suppression_scope" not in event
    assert codes(send(stack, RESET, [at(name)])) == {at(name): 550}
    event = stack.log.wait(mark, type="suppressed", sender=RESET)
    assert "scope" not in event
    stack.redis.cli("SET", f"nixie:allow@news:{at(name)}", "")
    assert codes(send(stack, NEWS, [at(name)])) == {at(name): 250}
    assert codes(send(stack, RESET, [at(name)])) == {at(name): 550}


def test_a_scope_may_observe_while_others_refuse(stack, name):
    stack.suppress("known@hosted.test")
    stack.redis.cli("SET", "nixie:suppress@office:known@hosted.test", "")
    mark = stack.log.mark()
    try:
        assert codes(send(stack, RESET, ["known@hosted.test"], False,
                          "ADDR=192.0.2.9")) == {"known@hosted.test": 250}
        event = stack.log.wait(mark, type="would_suppress")
        assert (event["scope"], event["suppression_scope"],
                event["action"]) == ("office", "office", "observe")
        assert codes(send(stack, RESET, ["known@hosted.test"])) == {
            "known@hosted.test": 550}
    finally:
        stack.redis.cli("DEL", "nixie:suppress:known@hosted.test",
                        "nixie:suppress@office:known@hosted.test")


def test_mail_by_sendmail_has_a_sender_and_no_listener(stack, name):
    stack.redis.cli("SET", f"nixie:suppress@news:{at(name)}", "opted out")
    mark = stack.log.mark()
    assert stack.postfix.sendmail(
        NEWS, [at(name), at(name + "x")]).returncode == 0
    event = stack.log.wait(mark, type="suppressed", recipient=at(name))
    assert (event["scope"], event["action"]) == ("news", "drop")
    event = stack.log.wait(mark, type="reception", recipient=at(name + "x"))
    assert event["scope"] == "news"
    assert stack.postfix.sendmail(RESET, [at(name)]).returncode == 0
    event = stack.log.wait(mark, type="reception", recipient=at(name))
    assert event["listener"] == "SUBMISSION" and "scope" not in event


# ---- reports ----

@pytest.mark.parametrize("kind, reason", [("abuse", "complaint"),
                                          ("opt-out", "unsubscribe")])
@pytest.mark.parametrize("who", ["named", "redacted"])
def test_a_complaint_suppresses_in_its_scope_only(stack, name, kind, reason,
                                                  who):
    text = mail(stack, name, NEWS, at(name))
    mark = stack.log.mark()
    event = tell(stack, complaint(at(name) if who == "named" else None, text,
                                  kind), at(name))
    assert (event["scope"], event["counted"]) == ("news", True)
    settle(stack)
    added = stack.log.wait(mark, type="suppression_added",
                           recipient=at(name))
    assert (added["scope"], added["reason"]) == ("news", reason)
    assert entry(stack, at(name)) == {}
    key = f"nixie:suppress@news:{at(name)}"
    assert stack.redis.command("HGET", key, "reason") == reason.encode()
    assert int(stack.redis.command("TTL", key)) == -1
    assert codes(send(stack, NEWS, [at(name)])) == {at(name): 550}
    assert codes(send(stack, RESET, [at(name)])) == {at(name): 250}
    settle(stack)
    # strikes of other reasons stay what they were
    assert "escalation" not in stack.history(at(name))
    assert stack.history(at(name))["escalation@news"] == "1"


def test_mail_in_no_scope_is_complained_about_for_all(stack, name):
    text = mail(stack, name, RESET, at(name))
    event = tell(stack, complaint(at(name), text), at(name))
    assert "scope" not in event
    settle(stack)
    assert entry(stack, at(name))["reason"] == "complaint"
    assert codes(send(stack, NEWS, [at(name)])) == {at(name): 550}


def test_a_complaint_counts_although_an_entry_for_all_stands(stack, name):
    """That one ends; who wants no news wants none then."""
    text = mail(stack, name, NEWS, at(name))
    stack.redis.cli("SET", f"nixie:suppress:{at(name)}", "", "EX", "1000")
    assert tell(stack, complaint(at(name), text), at(name))["counted"]
    settle(stack)
    assert stack.redis.command(
        "HGET", f"nixie:suppress@news:{at(name)}", "reason") == b"complaint"


def test_who_is_unreachable_is_so_for_all(stack, name):
    text = mail(stack, name, NEWS, at(name))
    stack.redis.cli("SET", f"nixie:suppress@news:{at(name)}", "opted out")
    event = tell(stack, bounce(at(name), text, status="5.2.2",
                               diagnostic="smtp; 552 5.2.2 Mailbox full"),
                 at(name), "out_of_band")
    # by the scope's policy: one message, two days
    assert (event["scope"], event["reason"]) == ("news", "mailbox_full")
    assert (event["counted"], event["strike_limit"]) == (True, 1)
    settle(stack)
    assert entry(stack, at(name))["reason"] == "mailbox_full"
    added = stack.log.wait(type="suppression_added", recipient=at(name))
    assert "scope" not in added
    assert ttl(stack, at(name)) == 2
    assert codes(send(stack, RESET, [at(name)])) == {at(name): 550}


def test_the_delivery_log_goes_by_the_scope_of_the_message(stack, name):
    gone, full = f"reject{name}@{name}.example", f"full{name}@{name}.example"
    mark = stack.log.mark()
    send(stack, NEWS, [gone, full, at(name)])
    event = stack.log.wait(mark, type="bounce", recipient=gone)
    assert (event["scope"], event["counted"]) == ("news", False)
    event = stack.log.wait(mark, type="delay", recipient=full)
    assert (event["scope"], event["strike_limit"]) == ("news", 1)
    assert stack.log.wait(mark, type="delivery",
                          recipient=at(name))["scope"] == "news"
    mark = stack.log.mark()
    send(stack, RESET, [gone])
    event = stack.log.wait(mark, type="bounce", recipient=gone)
    assert event["counted"] and "scope" not in event
    settle(stack)
    assert entry(stack, gone)["reason"] == "user_unknown"
    assert entry(stack, full)["reason"] == "mailbox_full"
    stack.postfix.delete_all()


def test_a_forged_scope_is_none(stack, name):
    """Each bit of the mark's first bytes, which tell key, day and scope."""
    text = mail(stack, name, NEWS, at(name))
    head, _, rest = text.partition(b"\r\nReceived: ")
    words = head.partition(b":")[2].split()
    mark = base64.urlsafe_b64decode(b"".join(words[1:]) + b"===")
    assert mark[0] >> 5 == 2
    for place in (0, 6, 7, 8):
        forged = bytearray(mark)
        forged[place] ^= 1
        value = base64.urlsafe_b64encode(bytes(forged)).rstrip(b"=")
        event = tell(stack, complaint(
            at(name), b"Nixie-Trace: 1 " + value + b"\r\nReceived: " + rest),
            at(name))
        assert event["trace"] == "none" and "scope" not in event
    settle(stack)
    assert strikes(stack, at(name)) == []


# ---- reload, and the tool ----

def reload(stack, sections):
    with_section(stack, sections)
    told = stack.nixied.error_text().count("reloaded")
    stack.nixied.send(signal.SIGUSR2)
    wait_until(lambda: stack.nixied.error_text().count("reloaded") > told,
               lambda: f"it is loaded: {stack.nixied.error_text()[-500:]}")


def test_scopes_change_without_a_restart(stack, name):
    text = mail(stack, name, NEWS, at(name))
    try:
        reload(stack, 'scope "bills" { senders = {"@news.test"} }')
        mark = stack.log.mark()
        send(stack, NEWS, [at(name)])
        assert stack.log.wait(mark, type="reception")["scope"] == "bills"
        # nobody knows which mail it was: no mail at all is on the safe side
        event = tell(stack, complaint(at(name), text), at(name))
        assert (event["trace"], event["counted"]) == ("valid", True)
        assert "scope" not in event
        settle(stack)
        assert entry(stack, at(name))["reason"] == "complaint"
    finally:
        reload(stack, SECTIONS)
    with_section(stack, SECTIONS, 'scope "none" {}')
    stack.nixied.send(signal.SIGUSR2)
    wait_until(lambda: "no condition" in stack.nixied.error_text(),
               "it is refused")
    with_section(stack, SECTIONS)
    mark = stack.log.mark()
    send(stack, NEWS, [at(name + "y")])
    assert stack.log.wait(mark, type="reception")["scope"] == "news"


def test_why_chooses_as_nixied_does(stack, name):
    stack.redis.cli("SET", f"nixie:suppress@news:{at(name)}", "opted out")
    stack.redis.cli("SET", f"nixie:suppress@office:{at(name)}", "")
    rows = (
        (("--as-sender", NEWS), "news", "refuse"),
        (("-s", f"<{RESET}>"), None, "accept"),
        (("-s", NEWS, "--client", "192.0.2.1"), "office", "observe"),
        (("-s", NEWS, "-l", "SUBMISSION", "-u", "shop"), "reset", "accept"),
        (("-s", NEWS, "-l", "MX", "-u", "shop"), "news", "refuse"),
        (("--scope", "news"), "news", "refuse"),
    )
    for options, scope, answer in rows:
        done = stack.nixied.tool("why", "--json", *options, at(name))
        told = json.loads(done.stdout)
        assert (told.get("scope"), told["at_rcpt"]) == (scope, answer), options
    told = json.loads(stack.nixied.tool("why", "--json", at(name)).stdout)
    assert told["at_rcpt"] == "accept" and "scope" not in told
    assert told["in_scopes"] == [f"nixie:suppress@office:{at(name)}",
                                 f"nixie:suppress@news:{at(name)}"]


def test_key_prints_strikes_of_each_scope(stack, name):
    lines = stack.nixied.tool("key", at(name)).stdout.decode().splitlines()
    for scope in ("reset", "submitted", "office", "news"):
        assert sum(line.endswith(f":strikes@{scope}:{at(name)}")
                   for line in lines) == 1


def test_lists_of_a_scope_that_is_not_configured_are_told(stack, name):
    done = stack.nixied.tool("suppress", "add", "--scope", "news", at(name))
    assert done.returncode == 0 and b"configured" not in done.stderr
    assert codes(send(stack, NEWS, [at(name)])) == {at(name): 550}
    done = stack.nixied.tool("suppress", "del", "--scope", "news", at(name))
    assert done.returncode == 0
    assert codes(send(stack, NEWS, [at(name)])) == {at(name): 250}
    done = stack.nixied.tool("suppress", "add", "--scope", "nwes", at(name))
    assert done.returncode == 0
    assert b'no section scope "nwes" is configured' in done.stderr
    stack.nixied.tool("suppress", "del", "--scope", "nwes", at(name))


# ---- Sendmail ----

def test_sendmail_names_its_daemons(world, stack, sendmail_missing, name):
    if sendmail_missing:
        pytest.skip(sendmail_missing)
    rows = [(False, False, RESET, None), (False, False, NEWS, "news"),
            (True, False, NEWS, "submitted"), (True, True, NEWS, "reset")]
    for strict, login, sender, scope in rows:
        mark = stack.log.mark()
        with world.sendmail.dialogue(strict=strict) as smtp:
            if login:
                if not any(b"AUTH" in line for line in smtp.hello.lines):
                    continue
                token = base64.b64encode(b"\0app\0open").decode()
                assert smtp.command(f"AUTH PLAIN {token}").code == 235
            replies, _ = smtp.message(sender, [at(name)])
        assert replies[at(name)].code == 250
        event = stack.log.wait(mark, type="reception", recipient=at(name))
        assert event.get("scope") == scope, (strict, login, sender)
        assert event["listener"] == ("STRICT" if strict else "MTA")
    stack.redis.cli("SET", f"nixie:suppress@news:{at(name)}", "opted out")
    with world.sendmail.dialogue() as smtp:
        replies, _ = smtp.message(NEWS, [at(name)])
        assert replies[at(name)].code == 550
        replies, _ = smtp.message(RESET, [at(name)])
        assert replies[at(name)].code == 250
