"""Sendmail: what it does otherwise than Postfix, and mail handed to its MSP.

What is the same on both is in the tests that ask for the fixture mta.
"""

import base64
import subprocess

import pytest

from harness.sendmail import BARE_MILTER_MC, Sendmail
from harness.wait import wait_until

pytestmark = [
    pytest.mark.usefixtures("mta"),
    pytest.mark.parametrize("mta", ("sendmail",), indirect=True),
]


@pytest.fixture
def settings(stack):
    """Settings for one test, set by calling it."""
    def change(**given):
        before.update({name: stack.nixied.settings.get(name)
                       for name in given})
        stack.nixied.restart(**given)

    before = {}
    yield change
    for name, value in before.items():
        if value is None:
            stack.nixied.settings.pop(name)
        else:
            stack.nixied.settings[name] = value
    if before:
        stack.nixied.restart()


# --- RCPT ------------------------------------------------------------------

def test_recipients_of_one_message_get_their_answers(stack, mta, name):
    good, gone = f"{name}good@example.com", f"{name}gone@example.com"
    stack.suppress(gone)
    mark = stack.log.mark()
    replies, taken = stack.send([
        good, gone, "daemon", mta.unknown, "x@closed.test",
        "deferred@example.com", "nobody@hosted.test"])
    assert [reply.code for reply in replies.values()] == [
        250, 550, 250, 550, 554, 450, 550]
    assert taken.code == 250
    assert replies[gone].lines[0].startswith(
        f"550 5.7.1 <{gone}>... Recipient suppressed: listed [".encode())
    queue_id = taken.text.split()[0]
    stack.log.wait(mark, count=2, type="reception")
    events = {event["recipient"]: event for event in stack.log.outcomes(mark)}
    # check_rcpt and virtusertable refuse before a filter is asked
    assert {key: event["type"] for key, event in events.items()} == {
        gone: "suppressed", mta.unknown: "rejection", good: "reception",
        "daemon@mx.nixie.test": "reception"}
    for event in events.values():
        assert event.has({"queue_id": queue_id, "listener": "MTA",
                          "client_ip": "127.0.0.1",
                          "sender": "sender@nixie.test"}), event
    assert events[mta.unknown].has({
        "reply_code": 550, "enhanced_status": "5.1.1", "decided_by": "mta",
        "diagnostic": "User unknown"})
    # the message came without one: Sendmail's own
    assert events[good]["message_id"].endswith(f".{queue_id}@mx.nixie.test")
    assert events[good]["size"] > 0
    stack.remote.wait_for(good)
    mta.wait_empty()
    assert gone not in stack.remote.recipients()
    assert f"to=<{gone}>, reject=550 5.7.1" in mta.log_text()


def test_authenticated_user_is_in_the_events(stack, mta, name):
    gone, good = f"{name}gone@example.com", f"{name}good@example.com"
    stack.suppress(gone)
    mark = stack.log.mark()
    with mta.dialogue() as smtp:
        if not any(b"AUTH" in line for line in smtp.hello.lines):
            pytest.skip("no AUTH (libsasl2-modules?)")
        token = base64.b64encode(b"\0app\0open").decode()
        assert smtp.command(f"AUTH PLAIN {token}").code == 235
        smtp.message("a@b.test", [gone, good])
    stack.log.wait(mark, type="reception")
    assert [(event["type"], event["auth_user"])
            for event in stack.log.outcomes(mark)] == [
                ("suppressed", "app"), ("reception", "app")]


def test_configured_refusal_reaches_the_client(stack, settings, name):
    settings(refusal="450 4.2.1 100%% of <%r> wait")
    stack.suppress(f"{name}@example.com")
    replies, _ = stack.send([f"{name}@example.com"])
    reply = replies[f"{name}@example.com"]
    assert (reply.code, reply.enhanced_status) == (450, "4.2.1")
    assert reply.text == f"100% of <{name}@example.com> wait"


# Mail to them all goes to daemon. Of local recipients Sendmail tells a filter
# only the user, "daemon".
LOCAL = (
    "daemon", "DAEMON", '"daemon"', "\\daemon", "(x)daemon",
    "Daemon@MX.nixie.test", "daemon@mx.nixie.test.", "daemon@localhost",
    "daemon@[127.0.0.1]", '"daemon"@[127.0.0.1]', "daemon%localhost",
    "localhost!daemon", "@mx.nixie.test:daemon@localhost",
    "daemon%mx.nixie.test@localhost", "daemon%mx.nixie.test@[127.0.0.1]",
    '"daemon@mx.nixie.test"@localhost', "mx.nixie.test!daemon@localhost",
    "localhost!mx.nixie.test!daemon", '""daemon@mx.nixie.test',
    'dae"mon"@localhost', "known@hosted.test",
)


@pytest.mark.parametrize("spelling", LOCAL)
def test_spelling_of_a_local_mailbox_is_refused(stack, spelling):
    stack.suppress("daemon@mx.nixie.test")
    mark = stack.log.mark()
    replies, _ = stack.send([spelling])
    stack.redis.cli("DEL", "nixie:suppress:daemon@mx.nixie.test")
    assert replies[spelling].code == 550, replies
    assert "suppressed" in replies[spelling].text
    event = stack.log.wait(mark, type="suppressed")
    assert event["suppression_pattern"] == "daemon@mx.nixie.test"


def test_local_recipients_that_are_not_listed_get_their_mail(stack, mta):
    stack.suppress("daemon@elsewhere.test")
    stack.suppress("bin@mx.nixie.test")
    mark = stack.log.mark()
    replies, taken = stack.send(["daemon@localhost", "known@hosted.test",
                                 "bin@localhost", "team"])
    assert [reply.code for reply in replies.values()] == [250, 250, 550, 250]
    assert taken.code == 250
    events = stack.log.wait(mark, count=3, type="reception")
    assert [event["recipient"] for event in events] == [
        "daemon@localhost", "known@hosted.test", "team@mx.nixie.test"]
    mta.wait_empty()
    assert b"Hello" in mta.mailbox("daemon")
    assert mta.mailbox("bin") == b""
    stack.remote.wait_for("away@example.org")  # of the alias team


def test_entry_for_the_typed_address_comes_before_its_mailbox(stack):
    stack.suppress("daemon@mx.nixie.test", "the mailbox")
    stack.suppress("known@hosted.test", "the address")
    stack.redis.cli("SET", "nixie:allow:daemon@localhost", "")
    mark = stack.log.mark()
    replies, _ = stack.send(["known@hosted.test", "daemon@localhost",
                             "postmaster@localhost"])
    for key in ("suppress:daemon@mx.nixie.test", "suppress:known@hosted.test",
                "allow:daemon@localhost"):
        stack.redis.cli("DEL", f"nixie:{key}")
    assert [reply.code for reply in replies.values()] == [550, 250, 250]
    event = stack.log.wait(mark, type="suppressed")
    assert event.has({"recipient": "known@hosted.test",
                      "suppression_note": "the address"})


QUOTED = ('vic"tim"@example.com', 'v"ic"tim@example.com',
          '""victim@example.com', 'victim""@example.com',
          '\\victim@example.com', 'vic\\tim@example.com')


@pytest.mark.parametrize("spelling", QUOTED)
def test_quotes_that_sendmail_takes_hide_nobody(stack, spelling):
    stack.suppress("victim@example.com")
    mark = stack.log.mark()
    replies, _ = stack.send([spelling])
    assert replies[spelling].code == 550, replies
    event = stack.log.wait(mark, type="suppressed")
    assert event["recipient"] == "victim@example.com"


# --- sendmail(1): by the MSP to the MTA, an SMTP session like any other ------

def test_submission_with_a_suppressed_recipient_is_bounced(stack, mta, name):
    gone, good = f"{name}gone@example.com", f"{name}good@example.com"
    sender = f"{name}sender@b.test"
    stack.suppress(gone)
    mark = stack.log.mark()
    done = mta.sendmail(sender, [gone, good])
    assert done.returncode == 67  # EX_NOUSER: the MSP delivers at once
    event = stack.log.wait(mark, type="suppressed")
    assert event.has({"recipient": gone, "action": "reject",
                      "sender": sender})
    stack.remote.wait_for(good)
    stack.remote.wait_for(sender)  # the bounce, by the MSP
    mta.wait_empty()
    assert gone not in stack.remote.recipients()
    bounce = next(text for _, recipients, text in stack.remote.messages
                  if recipients == [sender.encode()])
    assert b"Recipient suppressed: listed" in bounce


def test_submission_from_the_null_sender_is_let_through(stack, mta, name):
    stack.suppress(f"{name}@example.com")
    mark = stack.log.mark()
    assert mta.sendmail("<>", [f"{name}@example.com"]).returncode == 0
    event = stack.log.wait(mark, type="would_suppress")
    assert event.has({"action": "exempt", "sender": ""})
    stack.remote.wait_for(f"{name}@example.com")
    mta.wait_empty()


def test_recipients_from_the_headers_are_refused_too(stack, mta, name):
    gone, good = f"{name}gone@example.com", f"{name}good@example.com"
    stack.suppress(gone)
    mark = stack.log.mark()
    text = f"To: {gone}, {good}\nSubject: x\n\nHello\n".encode()
    mta.sendmail(f"{name}@b.test", [], text, options=["-t"])
    assert stack.log.wait(mark, type="suppressed")["recipient"] == gone
    stack.remote.wait_for(good)
    mta.wait_empty()
    assert gone not in stack.remote.recipients()


# --- settings, and what is broken ----------------------------------------------

def test_observe_mode_refuses_nobody(stack, settings, name):
    settings(mode="observe")
    stack.suppress(f"{name}@example.com")
    mark = stack.log.mark()
    replies, _ = stack.send([f"{name}@example.com"])
    assert replies[f"{name}@example.com"].code == 250
    event = stack.log.wait(mark, type="would_suppress")
    assert event["action"] == "observe"


@pytest.mark.parametrize("on_store_failure, code", (("accept", 250),
                                                    ("tempfail", 451)))
def test_without_redis_the_setting_decides(stack, settings, name,
                                           on_store_failure, code):
    settings(on_store_failure=on_store_failure)
    stack.suppress(f"{name}@example.com")
    mark = stack.log.mark()
    stack.redis.hang()
    try:
        replies, _ = stack.send([f"{name}@example.com"])
    finally:
        stack.redis.go_on()
    assert replies[f"{name}@example.com"].code == code
    stack.log.wait(mark, type="reception" if code == 250 else "suppressed")
    wait_until(lambda: stack.send([f"{name}@example.com"])[0][
        f"{name}@example.com"].code == 550, "the list answers again")


def test_while_nixied_is_away_the_flag_decides(stack, mta, name):
    gone = f"{name}@example.com"
    stack.suppress(gone)
    stack.nixied.kill()
    try:
        with mta.dialogue() as smtp:  # F= none
            assert smtp.message("a@b.test", [gone])[1].code == 250
        with mta.dialogue(strict=True) as smtp:  # F=T
            assert smtp.mail().code == 451
            assert "try again" in str(smtp.mail())
        assert stack.log.mark() == len(stack.log.events)
    finally:
        stack.nixied.start()
    mark = stack.log.mark()
    for strict, listener in ((False, "MTA"), (True, "STRICT")):
        with mta.dialogue(strict=strict) as smtp:
            smtp.mail()
            assert smtp.rcpt(gone).code == 550
        stack.log.wait(mark, type="suppressed", listener=listener)
    stack.remote.wait_for(gone)  # of the first message


def test_sendmail_may_be_started_before_nixied(stack, mta, name):
    gone = f"{name}@example.com"
    stack.suppress(gone)
    stack.nixied.kill()
    mta.milter_socket.unlink()
    other = Sendmail(stack.remote.port, mta.milter_socket)
    try:
        other.start()
        stack.nixied.start()
        with other.dialogue() as smtp:
            smtp.mail()
            assert smtp.rcpt(gone).code == 550
    finally:
        other.stop()


def test_socket_in_a_folder_open_to_others_is_left_alone(stack, mta, name):
    """README warns: Sendmail then lets mail pass, and logs why."""
    gone, folder = f"{name}@example.com", mta.milter_socket.parent
    stack.suppress(gone)
    folder.chmod(0o775)
    try:
        assert stack.send([gone])[0][gone].code == 250
    finally:
        folder.chmod(0o755)
    assert stack.send([gone])[0][gone].code == 550
    assert "Milter (nixie): local socket name" in mta.log_text()


@pytest.mark.parametrize("strict, code", ((False, 250), (True, 451)))
def test_session_in_which_nixied_died_goes_on_as_the_flag_says(
        stack, mta, name, strict, code):
    gone, good = f"{name}gone@example.com", f"{name}good@example.com"
    stack.suppress(gone)
    with mta.dialogue(strict=strict) as smtp:
        smtp.mail()
        assert smtp.rcpt(gone).code == 550
        stack.nixied.kill()
        stack.nixied.start()
        assert smtp.rcpt(good).code == code
        smtp.command("RSET")
        assert smtp.mail().code == code
    mark = stack.log.mark()
    with mta.dialogue(strict=strict) as smtp:  # a new one is filtered again
        replies, taken = smtp.message("a@b.test", [gone, good])
        assert (replies[gone].code, taken.code) == (550, 250)
    stack.log.wait(mark, type="reception", recipient=good)


# --- the configuration ---------------------------------------------------------

# What sendmail.mc may have made of the lists: nixied asks for what it needs.
MACROS = {
    "defaults": "",
    "nothing": "".join(
        f"define(`confMILTER_MACROS_{stage}', `{{load_avg}}')dnl\n"
        for stage in ("CONNECT", "HELO", "ENVFROM", "ENVRCPT", "EOM")),
}


@pytest.mark.parametrize("macros", MACROS)
def test_macros_come_whatever_sendmail_mc_lists(stack, mta, name, macros):
    gone, good = f"{name}gone@example.com", f"{name}good@example.com"
    stack.suppress(gone)
    other = Sendmail(stack.remote.port, mta.milter_socket, BARE_MILTER_MC,
                     MACROS[macros])
    try:
        other.start()
        mark = stack.log.mark()
        with other.dialogue() as smtp:
            replies, taken = smtp.message(
                "a@b.test", [gone, "DAEMON@localhost", other.unknown, good])
        queue_id = taken.text.split()[0]
    finally:
        other.stop()
    assert [reply.code for reply in replies.values()] == [550, 250, 550, 250]
    stack.log.wait(mark, count=2, type="reception")
    assert [(event["type"], event["queue_id"], event["listener"])
            for event in stack.log.outcomes(mark)] == [
                (kind, queue_id, "MTA") for kind in (
                    "suppressed", "rejection", "reception", "reception")]


FEATURES = (
    # arguments, what follows the filter's name
    ("", "S=unix:/run/nixie/milter.sock, T=C:2s;S:5s;R:5s;E:30s"),
    (", `inet:8895@127.0.0.1'",
     "S=inet:8895@127.0.0.1, T=C:2s;S:5s;R:5s;E:30s"),
    (", `local:/x', `T'", "S=local:/x, F=T, T=C:2s;S:5s;R:5s;E:30s"),
    (", , `R'", "S=unix:/run/nixie/milter.sock, F=R, "
     "T=C:2s;S:5s;R:5s;E:30s"),
    (", `', `4'", "S=unix:/run/nixie/milter.sock, F=4, "
     "T=C:2s;S:5s;R:5s;E:30s"),
    (", , `X'", None),
)


@pytest.mark.parametrize("arguments, filter_line", FEATURES)
def test_feature_makes_the_lines_of_sendmail_cf(mta, arguments, filter_line):
    source = ("divert(0)dnl\nVERSIONID(`test')\nOSTYPE(`linux')dnl\n"
              "define(`confMILTER_MACROS_CONNECT', "
              "confMILTER_MACROS_CONNECT`, {client_addr}')dnl\n"
              f"FEATURE(`nixie'{arguments})dnl\n"
              "INPUT_MAIL_FILTER(`other', `S=local:/other')dnl\n"
              "MAILER(`smtp')dnl\n")
    done = subprocess.run(
        ["m4", f"-D_CF_DIR_={mta.root}/cf/", f"{mta.root}/cf/m4/cf.m4", "-"],
        input=source.encode(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, timeout=30, check=True)
    lines = done.stdout.decode().splitlines()
    if filter_line is None:
        assert b"*** ERROR: FEATURE(nixie)" in done.stderr
        return
    assert done.stderr == b""
    assert f"Xnixie, {filter_line}" in lines
    assert "O InputMailFilters=nixie, other" in lines
    assert ("O Milter.macros.connect=j, _, {daemon_name}, {if_name}, "
            "{if_addr}, {client_addr}, i") in lines
    assert "O Milter.macros.eom={msg_id}, i" in lines
