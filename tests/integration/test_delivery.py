"""Outcomes of deliveries, as both MTAs log them, against what the remote did."""

import collections
import fnmatch
import itertools
import time

import pytest

from harness import oracle
from harness.decided import with_section
from harness.nixied import TOP
from harness.postfix import Postfix
from harness.scripted import CLOSE, HANG, ScriptedWorld
from harness.sendmail import MILTER_MC, Sendmail, missing
from harness.stack import Stack
from harness.wait import wait_until

SERVERS = {
    "far.test": {},
    "busy.test": {"connect": b"421 4.3.2 Too busy, come back later\r\n"},
    "closed.far.test": {"connect": b"554 5.7.1 Your network is blocked\r\n"},
    "gone.test": {"connect": CLOSE},
    "mute.test": {"connect": HANG},
    "rude.test": {"ehlo": b"550 5.7.1 Go away, client\r\n"},
    "babble.test": {"connect": b"who are you\r\n" * 3},
    "down.test": None,
}

POSTFIX_EXTRA = """\
transport_maps = texthash:{root}/etc/transport
virtual_alias_maps = texthash:{root}/etc/virtual
smtp_connect_timeout = 2s
smtp_helo_timeout = 2s
smtp_mail_timeout = 2s
smtp_rcpt_timeout = 2s
smtp_data_init_timeout = 2s
smtp_data_done_timeout = 2s
smtp_quit_timeout = 1s
smtp_connection_cache_on_demand = no
smtp_destination_concurrency_failed_cohort_limit = 0
default_destination_concurrency_failed_cohort_limit = 0
smtp_skip_5xx_greeting = yes
"""

SENDMAIL_EXTRA = """\
FEATURE(`mailertable', `hash -o {root}/etc/mailertable')dnl
define(`confTO_ICONNECT', `2s')dnl
define(`confTO_CONNECT', `2s')dnl
define(`confTO_INITIAL', `2s')dnl
define(`confTO_HELO', `2s')dnl
define(`confTO_MAIL', `2s')dnl
define(`confTO_RCPT', `2s')dnl
define(`confTO_DATAINIT', `2s')dnl
define(`confTO_DATAFINAL', `2s')dnl
define(`confTO_QUIT', `1s')dnl
"""


@pytest.fixture(scope="module")
def remote():
    made = ScriptedWorld(SERVERS)
    yield made
    made.stop()


def routes(remote):
    return [*remote.addresses.items(), ("nixie.test", "127.0.0.2")]


@pytest.fixture(scope="module")
def postfix(world, remote):
    root = world.root / "postfix-delivery"
    made = Postfix(root, remote.port, world.milter_socket,
                   extra=POSTFIX_EXTRA.format(root=root))
    (made.config / "transport").write_text("".join(
        f"{domain} smtp:[{address}]:{remote.port}\n"
        for domain, address in routes(remote)) + "nowhere.test "
        "smtp:[no-such-host.invalid]\nnosuch.invalid smtp:[nosuch.invalid]\n"
        "local.test local:\n")
    (made.config / "virtual").write_text(
        "team@nixie.test team-a@far.test, team-b@far.test\n")
    made.start()
    yield made
    made.stop()


class DeliveringSendmail(Sendmail):
    def start(self):
        table = "".join(f"{domain}\trelay:[{address}]\n"
                        for domain, address in routes(self.remote))
        table += "nowhere.test\trelay:no-such-host.invalid\n"
        table += "nosuch.invalid\trelay:nosuch.invalid\n"
        table += "second.test\trelay:[{down.test}]:[{far.test}]\n".replace(
            "{", "").replace("}", "").replace(
                "down.test", self.remote.addresses["down.test"]).replace(
                    "far.test", self.remote.addresses["far.test"])
        self._run("makemap", "-C", str(self.config), "hash",
                  str(self.root / "etc/mailertable"), data=table.encode())
        return super().start()


@pytest.fixture(scope="module")
def sendmail(world, remote):
    if missing():
        yield None
        return
    made = DeliveringSendmail.__new__(DeliveringSendmail)
    made.remote = remote
    made.__init__(remote.port, world.milter_socket, MILTER_MC,
                  SENDMAIL_EXTRA)
    # the folder is known only now
    made.config.write_text(made.config.read_text().replace(
        "{root}", str(made.root)))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def stack(world, postfix, sendmail):
    logs = [log.log for log in (postfix, sendmail) if log is not None]
    made = Stack(world, postfix=postfix, maillog=logs,
                 retry_schedule=[5, 15, 30, 60, 90, 120, 240, 480, 960, 1440,
                                 2880],
                 bounce_rules=[TOP / "packaging/bounce-rules.conf"])
    with_section(made, "breaker { domain_failures = 0 all_failures = 0 }")
    try:
        made.start()
        made.log.wait(type="mark", count=len(logs))
        yield made
    except BaseException:
        made.stop()
        raise
    made.finish()


@pytest.fixture(params=("postfix", "sendmail"))
def mta(request, stack):
    stack.mta = request.getfixturevalue(request.param)
    if stack.mta is None:
        pytest.skip(missing())
    stack.mta.is_sendmail = request.param == "sendmail"
    yield stack.mta
    stack.mta.delete_all()


def try_again(stack):
    if stack.mta.is_sendmail:
        stack.mta._run("sendmail", "-C", str(stack.mta.config), "-L",
                       "sm-mta", "-q", check=False)
    else:
        stack.mta.flush()


def strikes(stack, address):
    key = oracle.history_key(stack.nixied.prefix, "strikes", address)
    return stack.redis.command("ZRANGE", key, "0", "-1")


NUMBERS = itertools.count(1)


@pytest.fixture
def name():
    return f"r{next(NUMBERS)}"


def outcomes(stack, mark, recipient):
    return [event for event in stack.log.since(mark, recipient=recipient)
            if event["type"] in ("delivery", "delay", "bounce", "expiration")]


def outcome(stack, mark, recipient, timeout=20):
    """The one outcome of a recipient."""
    wait_until(lambda: outcomes(stack, mark, recipient),
               lambda: f"an outcome of {recipient}\n"
               f"{stack.mta.log_text()[-3000:]}", timeout)
    time.sleep(0.1)
    stack.log.read()
    found = outcomes(stack, mark, recipient)
    assert len(found) == 1, found
    return found[0]


# What the remote does, and the event. reason "a|b": one of them; None: any.
Row = collections.namedtuple(
    "Row", "name domain what type status code stage reason counted destination",
    defaults=(False,))

ROWS = (
    Row("taken", "far.test", {}, "delivery", "2.0.0", 250, "eom", None,
        None),
    Row("unknown user", "far.test",
        {"rcpt": b"550 5.1.1 <%s>: No such user here\r\n"},
        "bounce", "5.1.1", 550, "rcpt", "user_unknown", True),
    Row("greylisted", "far.test",
        {"rcpt": b"450 4.7.1 <%s>: Greylisted, try again later\r\n"},
        "delay", "4.7.1", 450, "rcpt", "greylisted", False),
    Row("full for a while", "far.test",
        {"rcpt": b"452 4.2.2 <%s>: Mailbox is over quota\r\n"},
        "delay", "4.2.2", 452, "rcpt", "mailbox_full", True),
    Row("full for good", "far.test",
        {"rcpt": b"552 5.2.2 <%s>: Mailbox is over quota\r\n"},
        "bounce", "5.2.2", 552, "rcpt", "mailbox_full", True),
    Row("disabled, in many lines", "far.test",
        {"rcpt": b"550-5.2.1 The account you tried\r\n550-5.2.1 to reach is\r\n"
                 b"550 5.2.1 disabled.\r\n"},
        "bounce", "5.2.1", 550, "rcpt", "account_disabled", True),
    Row("no status", "far.test", {"rcpt": b"550 unknown user\r\n"},
        "bounce", "5.0.0|5.1.1", 550, "rcpt", "user_unknown", True),
    Row("imitates a delivery", "far.test",
        {"rcpt": b"550 5.1.1 x), dsn=2.0.0, status=sent (250 ok, stat=Sent\r\n"},
        "bounce", "5.1.1", 550, "rcpt", "user_unknown", True),
    Row("imitates another recipient", "far.test",
        {"rcpt": b"550 5.1.1 to=<victim@far.test>, dsn=5.1.1, "
                 b"status=bounced (x), stat=User unknown\r\n"},
        "bounce", "5.1.1", 550, "rcpt", "user_unknown", True),
    Row("bytes that are no UTF-8", "far.test",
        {"rcpt": b"550 5.1.1 \xff\xfe caf\xe9: user unknown \x80\r\n"},
        "bounce", "5.1.1", 550, "rcpt", "user_unknown", True),
    Row("a long line", "far.test",
        {"rcpt": b"550 5.1.1 user unknown " + b"x" * 475 + b"\r\n"},
        "bounce", "5.1.1", 550, "rcpt", "user_unknown", True),
    Row("quotes and percents", "far.test",
        {"rcpt": b'550 5.1.1 "%%s%%n" \\ user unknown "\r\n'},
        "bounce", "5.1.1", 550, "rcpt", "user_unknown", True),
    Row("garbage", "far.test", {"rcpt": b"no idea what you want\r\n"},
        "delay", "4.*", None, None, "unreachable", False, True),
    Row("closes at RCPT", "far.test", {"rcpt": CLOSE},
        "delay", "4.*", None, None, "unreachable|transient", False, True),
    Row("hangs at RCPT", "far.test", {"rcpt": HANG},
        "delay", "4.*", None, None, "unreachable|transient", False, True),
    Row("sender refused", "far.test",
        {"mail": b"550 5.1.8 Sender domain not found\r\n"},
        "bounce", "5.1.8", 550, "mail", "sender_rejected", False),
    Row("sender deferred", "far.test",
        {"mail": b"451 4.3.0 Try again later\r\n"},
        "delay", "4.3.0", 451, "mail", None, False),
    Row("data refused", "far.test", {"data": b"554 5.7.1 No thanks\r\n"},
        "bounce", "5.7.1", 554, "data", "policy_block", False),
    Row("data deferred", "far.test", {"data": b"451 4.3.0 Not now\r\n"},
        "delay", "4.3.0", 451, "data", None, False),
    Row("spam", "far.test",
        {"eom": b"554 5.7.1 Message rejected as spam\r\n"},
        "bounce", "5.7.1", 554, "eom", "spam_content|content_rejected|"
        "policy_block", False),
    Row("disk full", "far.test",
        {"eom": b"452 4.3.1 Insufficient system storage\r\n"},
        "delay", "4.3.1", 452, "eom", "system_full", True),
    Row("closes at the end", "far.test", {"eom": CLOSE},
        "delay", "4.*", None, None, "unreachable|transient", False, True),
    Row("too busy", "busy.test", {}, "delay", "4.3.2", 421, "connect", None,
        False, True),
    Row("blocked", "closed.far.test", {}, "delay|bounce", "?.7.1", 554,
        "connect", "sender_blocklisted", False, True),
    Row("goes at once", "gone.test", {}, "delay", "4.*", None, None,
        "unreachable|transient", False, True),
    Row("says nothing", "mute.test", {}, "delay", "4.*", None, None,
        "unreachable|transient", False, True),
    Row("EHLO refused", "rude.test", {}, "bounce", "5.7.1", 550, "connect",
        "policy_block", False, True),
    Row("speaks no SMTP", "babble.test", {}, "delay", "4.4.2", None, None,
        "unreachable", False, True),
    Row("nobody listens", "down.test", {}, "delay", "4.*", None, "connect",
        "unreachable", False, True),
    Row("host not found", "nowhere.test", {}, "delay|bounce", None, None,
        "connect", "dns_failure|domain_invalid", False, True),
    Row("no such domain", "nosuch.invalid", {}, "delay|bounce", "?.*", None,
        "connect", "dns_failure|domain_invalid", None, True),
)


def is_one_of(value, wanted):
    return wanted is None or any(fnmatch.fnmatchcase(str(value), one)
                                 for one in wanted.split("|"))


def script(remote, row, sender, recipient):
    for stage, reply in row.what.items():
        if isinstance(reply, bytes) and b"%s" in reply:
            reply = reply.replace(b"%s", recipient.encode())
        if stage == "rcpt":
            remote.of_recipient[recipient.encode()] = reply
        else:
            remote.of_sender[(sender.encode(), stage)] = reply


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_outcome_is_what_the_remote_did(stack, mta, remote, name, row):
    sender, recipient = f"{name}@sender.test", f"{name}@{row.domain}"
    script(remote, row, sender, recipient)
    mark = stack.log.mark()
    replies, end = stack.send([recipient], sender=sender)
    assert end is not None and end.code == 250, replies
    event = outcome(stack, mark, recipient)
    reception = stack.log.since(mark, type="reception",
                                recipient=recipient)[0]
    assert event["queue_id"] == reception["queue_id"]
    assert event["sender"] == sender
    assert event["origin"] == "maillog"
    assert event["attempt"] == 1
    assert is_one_of(event["type"], row.type)
    assert is_one_of(event.get("enhanced_status"), row.status)
    if not mta.is_sendmail or "smtp_stage" in event:
        assert is_one_of(event.get("smtp_stage"), row.stage)
    assert is_one_of(event.get("reason"), row.reason)
    if row.code is not None and not (mta.is_sendmail
                                     and event["type"] == "delivery"):
        assert event["reply_code"] == row.code
    if row.counted is not None:
        assert event["counted"] is row.counted
    if row.destination is not None:
        assert event.get("destination", False) is row.destination
    if event.get("reason") in ("dns_failure", "domain_invalid"):
        # an answer, not the want of one, and about that domain
        assert event["counted"] is (event["type"] == "bounce"
                                    and "nosuch" in row.domain)
    if event["type"] == "delay":
        assert event["attempts_left"] == 11
    if event["type"] == "delivery":
        assert recipient in remote.taken
    assert not stack.log.since(mark, recipient="victim@far.test")
    stack.settle()
    if event.get("counted") and event["strike_limit"] == 1:
        added = stack.log.wait(mark, type="suppression_added",
                               recipient=recipient)
        assert added["suppression_reason"] == event["reason"]
        wait_until(lambda: stack.send([recipient])[0][recipient].code == 550,
                   "the entry is in Redis, and acts")
    else:
        assert len(strikes(stack, recipient)) == bool(event.get("counted"))


def test_each_recipient_of_a_message_has_its_own_fate(stack, mta, remote,
                                                      name):
    fates = {
        f"{name}a@far.test": (None, "delivery"),
        f"{name}b@far.test": (b"550 5.1.1 No such user\r\n", "bounce"),
        f"{name}c@far.test": (b"450 4.2.0 Later\r\n", "delay"),
        f"{name}d@far.test": (b"552 5.2.2 Over quota\r\n", "bounce"),
        f"{name}e@far.test": (None, "delivery"),
        f"{name}f@down.test": (None, "delay"),
    }
    for recipient, (reply, _) in fates.items():
        if reply is not None:
            remote.of_recipient[recipient.encode()] = reply
    mark = stack.log.mark()
    stack.send(list(fates))
    found = {recipient: outcome(stack, mark, recipient)
             for recipient in fates}
    assert ({recipient: event["type"] for recipient, event in found.items()}
            == {recipient: kind for recipient, (_, kind) in fates.items()})
    assert len({event["queue_id"] for event in found.values()}) == 1
    assert found[f"{name}b@far.test"]["enhanced_status"] == "5.1.1"
    assert found[f"{name}d@far.test"]["enhanced_status"] == "5.2.2"
    for recipient, event in found.items():
        assert (recipient in remote.taken) == (event["type"] == "delivery")
    try_again(stack)
    again = [stack.log.wait(mark, type="delay", recipient=recipient, attempt=2)
             for recipient in (f"{name}c@far.test", f"{name}f@down.test")]
    assert [event["attempts_left"] for event in again] == [10, 10]
    time.sleep(0.5)
    for recipient, event in found.items():
        if event["type"] != "delay":
            assert len(outcomes(stack, mark, recipient)) == 1


def test_eleven_delays_count_down_and_are_one_strike(stack, mta, remote,
                                                     name):
    recipient = f"{name}@far.test"
    remote.of_recipient[recipient.encode()] = b"452 4.2.2 Over quota\r\n"
    mark = stack.log.mark()
    stack.send([recipient])
    for attempt in range(1, 12):
        event = stack.log.wait(mark, type="delay", recipient=recipient,
                               attempt=attempt, timeout=30)
        assert event["attempts_left"] == 12 - attempt
        assert event["estimated"] is True
        assert event["next_attempt_at"] > event["timestamp"]
        assert event["counted"] is True
        if attempt < 11:
            try_again(stack)
    found = outcomes(stack, mark, recipient)
    assert [event["attempt"] for event in found] == list(range(1, 12))
    assert len({event["first_attempt_at"] for event in found}) == 1
    stack.settle()
    assert len(strikes(stack, recipient)) == 1
    remote.of_recipient.clear()
    try_again(stack)
    event = stack.log.wait(mark, type="delivery", recipient=recipient,
                           timeout=30)
    assert event["attempt"] == 12
    stack.settle()
    assert strikes(stack, recipient) == []


def test_what_is_given_up_tells_the_last_reply(stack, mta, remote, name):
    first, second = f"{name}a@far.test", f"{name}b@far.test"
    sender = f"{name}@sender.test"
    remote.of_recipient[first.encode()] = b"452 4.2.2 Over quota\r\n"
    remote.of_recipient[second.encode()] = b"450 4.7.1 Greylisted\r\n"
    mark = stack.log.mark()
    stack.send([first, second], sender=sender)
    queue_id = outcome(stack, mark, first)["queue_id"]
    outcome(stack, mark, second)
    if mta.is_sendmail:
        time.sleep(2.1)  # it is older than its life is now
        mta._run("sendmail", "-C", str(mta.config), "-L", "sm-mta",
                 "-OTimeout.queuereturn=1s", "-q", check=False)
    else:
        mta._run("postsuper", "-c", str(mta.config), "-f", queue_id)
        try_again(stack)
    events = {recipient: stack.log.wait(mark, type="expiration",
                                        recipient=recipient, timeout=20)
              for recipient in (first, second)}
    assert events[first]["reason"] == "mailbox_full"
    assert events[first]["failure_type"] == "soft"
    assert "Over quota" in events[first]["diagnostic"]
    assert events[first]["enhanced_status"] == "4.2.2"
    assert events[second]["reason"] == "greylisted"
    for event in events.values():
        assert event["attempts_left"] == 0
        assert event["counted"] is True
        assert event["queue_id"] == queue_id
        assert event["sender"] == sender
        assert event["attempt"] == (2 if mta.is_sendmail else 1)
    time.sleep(0.5)
    for recipient in (first, second):
        kinds = [event["type"] for event in outcomes(stack, mark, recipient)]
        assert kinds.count("expiration") == 1
    stack.settle()
    assert len(strikes(stack, first)) == len(strikes(stack, second)) == 1


def test_bounce_of_the_null_sender_is_never_counted(stack, mta, remote, name):
    """The sender does not exist either: its bounce fails."""
    sender, recipient = f"{name}sender@far.test", f"{name}@far.test"
    remote.of_recipient[sender.encode()] = b"550 5.1.1 No such user\r\n"
    remote.of_recipient[recipient.encode()] = b"550 5.1.1 No such user\r\n"
    mark = stack.log.mark()
    stack.send([recipient], sender=sender)
    assert outcome(stack, mark, recipient)["counted"] is True
    event = outcome(stack, mark, sender)
    assert event["type"] == "bounce"
    assert event["counted"] is False
    stack.settle()
    assert strikes(stack, sender) == []


@pytest.mark.parametrize("mta", ("postfix",), indirect=True)
def test_members_of_an_alias_are_told_as_the_alias(stack, mta, remote, name):
    for member in ("team-a@far.test", "team-b@far.test"):
        remote.of_recipient[member.encode()] = b"452 4.2.2 Over quota\r\n"
    mark = stack.log.mark()
    stack.send(["team@nixie.test"])
    for attempt in (1, 2, 3):
        events = stack.log.wait(mark, count=2, type="delay",
                                recipient="team@nixie.test", attempt=attempt)
        assert {event["final_recipient"] for event in events} == {
            "team-a@far.test", "team-b@far.test"}
        for event in events:
            assert event["counted"] is True
            assert event["attempts_left"] == 12 - attempt
        try_again(stack)
    remote.of_recipient.pop(b"team-a@far.test")
    queue_id = events[0]["queue_id"]
    try_again(stack)
    stack.log.wait(mark, type="delivery", final_recipient="team-a@far.test")
    mta._run("postsuper", "-c", str(mta.config), "-f", queue_id)
    try_again(stack)
    event = stack.log.wait(mark, type="expiration",
                           recipient="team@nixie.test", timeout=20)
    assert event["final_recipient"] == "team-b@far.test"
    remote.of_recipient.clear()


@pytest.mark.parametrize("mta", ("sendmail",), indirect=True)
def test_exchangers_tried_in_one_run_are_one_attempt(stack, mta, remote,
                                                     name):
    recipient = f"{name}@second.test"
    mark = stack.log.mark()
    stack.send([recipient])
    event = outcome(stack, mark, recipient)
    time.sleep(2.5)
    assert [event["type"] for event in outcomes(stack, mark, recipient)] == [
        "delivery"]
    assert event["attempt"] == 1
    assert event["remote_ip"] == remote.addresses["far.test"]


@pytest.mark.parametrize("mta", ("sendmail",), indirect=True)
@pytest.mark.parametrize("typed", ("daemon", "Daemon", "daemon@localhost",
                                   "known@hosted.test"))
def test_local_mailbox_is_the_one_that_the_session_named(stack, mta, typed):
    mark = stack.log.mark()
    assert stack.send([typed])[1].code == 250
    reception = stack.log.wait(mark, type="reception")
    event = stack.log.wait(mark, type="delivery",
                           queue_id=reception["queue_id"])
    assert event["recipient"] == reception["recipient"]
    assert "remote_mta" not in event


@pytest.mark.parametrize("mta", ("sendmail",), indirect=True)
def test_refused_recipients_are_told_once(stack, mta, name):
    unknown = [f"nosuch{name}", f"nosuch{name}@mx.nixie.test"]
    refused = {"x@closed.test": "554", "deferred@example.com": "450",
               "nobody@hosted.test": "550", "unknown@example.com": "550",
               f"{name}@@far.test": "553", unknown[0]: "550",
               unknown[1]: "550", f"gone{name}@far.test": "550"}
    stack.suppress(f"gone{name}@far.test")
    mark = stack.log.mark()
    replies, _ = stack.send([*refused, f"{name}@far.test"])
    for recipient, code in refused.items():
        assert str(replies[recipient].code) == code
    outcome(stack, mark, f"{name}@far.test")
    time.sleep(2.5)  # what a session may tell, too, waits
    found = collections.Counter(
        event.get("original_recipient", event["recipient"])
        for event in stack.log.since(mark)
        if event["type"] in ("rejection", "suppressed"))
    assert found == collections.Counter(list(refused))
    for event in stack.log.since(mark, type="rejection"):
        typed = event.get("original_recipient", event["recipient"])
        assert event["origin"] == ("session" if typed in unknown
                                   else "maillog")
        assert event["decided_by"] == "mta"
        assert "counted" not in event


@pytest.mark.parametrize("mta", ("sendmail",), indirect=True)
def test_what_sendmail_1_may_not_send_is_refused_once(stack, mta, name):
    """The MSP is told no by the MTA, which tells nixied; both log it."""
    mark = stack.log.mark()
    recipient = f"nosuch{name}@mx.nixie.test"
    mta.sendmail(f"{name}@sender.test", [recipient, f"{name}@far.test"])
    outcome(stack, mark, f"{name}@far.test")
    time.sleep(2.5)
    assert [(event["type"], event["origin"])
            for event in stack.log.since(mark, recipient=recipient)
            if event["origin"] != "report"] == [("rejection", "session")]


@pytest.mark.parametrize("mta", ("sendmail",), indirect=True)
def test_recipients_of_an_abandoned_message_have_no_outcome(stack, mta, name):
    mark = stack.log.mark()
    recipient = f"{name}@far.test"
    with stack.dialogue() as smtp:
        smtp.mail()
        assert smtp.rcpt(recipient).code == 250
        smtp.command("RSET")
        assert smtp.message("a@sender.test", [f"b{recipient}"])[1].code == 250
    outcome(stack, mark, f"b{recipient}")
    assert "stat=RSET" in mta.log_text()
    assert not outcomes(stack, mark, recipient)
    assert not stack.log.since(mark, type="rejection", recipient=recipient)


def test_mail_handed_to_the_mta_is_delivered_once(stack, mta, name):
    """sendmail(1): with Sendmail the MSP logs a delivery to the MTA, too."""
    recipient = f"{name}@far.test"
    mark = stack.log.mark()
    mta.sendmail(f"{name}@sender.test", [recipient])
    event = outcome(stack, mark, recipient)
    time.sleep(1)
    assert [event["type"] for event in outcomes(stack, mark, recipient)] == [
        "delivery"]
    assert event["remote_ip"] != "127.0.0.1"
