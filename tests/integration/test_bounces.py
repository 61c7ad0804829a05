"""Marks on outgoing mail, and which bounces and complaints are believed."""

import base64
import json
import re

import pytest

from harness import oracle
from harness.decided import entry, settle, strikes, ttl
from harness.reports import bounce, complaint, head_of
from harness.stack import Stack, World
from harness.wait import wait_until

OTHERS = "127.0.0.9"  # whose mail is not ours
TRACE = re.compile(rb"^Nixie-Trace:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*\r\n",
                   re.IGNORECASE | re.MULTILINE)


@pytest.fixture(scope="module")
def stack(world):
    with Stack.marking(world).running() as made:
        yield made


# ---- what goes out, and what comes in ----

class Mailed:
    """What the remote server got: text, recipients, its mark."""

    def __init__(self, message, argument, sent):
        self.sender, self.recipients, self.text = message
        self.sent = sent
        found = re.search(rb" ENVID=(\S+)", argument)
        self.envelope_id = found and found.group(1).decode()
        self.traces = TRACE.findall(head_of(self.text))

    @property
    def trace(self):
        """The value, unfolded: version, and base64url."""
        words = self.traces[0].partition(b":")[2].split()
        return words[0], b"".join(words[1:])

    def mark(self):
        text = self.trace[1]
        return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))

    def with_mark(self, mark):
        """The message as it were with another mark."""
        text = base64.urlsafe_b64encode(mark).rstrip(b"=")
        return self.text.replace(self.traces[0],
                                 b"Nixie-Trace: 1 " + text + b"\r\n")


def letter(name, more=b""):
    return (b"From: sender@nixie.test\r\nTo: somebody@nixie.test\r\n"
            b"Subject: letter\r\nDate: Mon, 02 Nov 2026 12:00:00 +0000\r\n"
            b"Message-ID: <" + name.encode() + b"@nixie.test>\r\n" + more
            + b"\r\nA line\r\n.. dots\r\n \xe9 bytes \t \r\n\r\n")


def taken(stack, name):
    """The messages with this id that the remote server got."""
    token = b"\r\nMessage-ID: <" + name.encode() + b"@nixie.test>\r\n"
    return [(message, argument) for message, argument
            in zip(list(stack.remote.messages), list(stack.remote.arguments))
            if token in message[2]]


def mail(stack, name, recipients, more=b"", count=1, **options):
    """Sends a message of ours; what the remote server got of it."""
    sent = letter(name, more)
    with stack.dialogue() as smtp:
        replies, end = smtp.message("sender@nixie.test", recipients, sent,
                                    **options)
    assert end is not None and end.code == 250, replies
    wait_until(lambda: len(taken(stack, name)) >= count,
               lambda: f"{name} is there: {stack.mta.log_text()[-2000:]}", 20)
    found = [Mailed(*one, sent) for one in taken(stack, name)]
    return found[0] if count == 1 else found


def come(stack, report, sender="", recipient="known@hosted.test"):
    """A message from elsewhere."""
    with stack.dialogue(source=OTHERS) as smtp:
        replies, end = smtp.message(sender, [recipient], report)
    assert end is not None and end.code == 250, (replies, end)


def tell(stack, report, recipient, kind="out_of_band", **options):
    """The event that a report from elsewhere becomes."""
    mark = stack.log.mark()
    come(stack, report, **options)
    return stack.log.wait(mark, type=kind, recipient=recipient)


def at(name, domain=None):
    """An address in a domain of its own: no breaker opens."""
    return f"{name}@{domain or name + '.example'}"


def trace_none(stack, kind="out_of_band"):
    """How often the stats have such reports that were not believed."""
    field = f"{kind}|trace_none".encode()
    return sum(int(fields.get(field, 0)) for fields
               in stack.redis.hashes("nixie:{*}:stats:*").values())


# ---- the mark ----

def test_mail_of_ours_gets_one_mark_in_front_and_an_envelope_id(mta, stack,
                                                                name):
    message = mail(stack, name, [at(name)])
    assert len(message.traces) == 1
    assert message.text.startswith(message.traces[0])
    assert all(len(line) <= 76 for line in message.traces[0].split(b"\r\n"))
    assert re.fullmatch(r"T1\.[A-Z2-7]{31}", message.envelope_id)
    reception = stack.log.wait(type="reception", recipient=at(name))
    assert reception["envelope_id"] == message.envelope_id
    assert at(name).encode() not in message.traces[0]


def test_nothing_else_of_a_message_changes(mta, stack, name):
    forged = b"Nixie-Trace: 1 AAAA\r\n"
    message = mail(stack, name, [at(name)])
    rest = message.text[len(message.traces[0]):]
    assert rest.startswith(b"Received: ")
    assert rest.endswith(message.sent)
    inbound = letter(name + "-in", forged)
    come(stack, inbound, sender="stranger@far.example",
         recipient=at(name + "-in"))
    wait_until(lambda: taken(stack, name + "-in"), "it is there", 20)
    (_, _, text), argument = taken(stack, name + "-in")[0]
    assert text.endswith(inbound)
    assert TRACE.findall(text) == [forged]
    assert b"ENVID" not in argument


def test_a_mark_that_a_client_brings_is_removed(mta, stack, name):
    message = mail(stack, name, [at(name)],
                   b"nixie-trace: 1 AAAA\r\nX-A: b\r\n"
                   b"NIXIE-TRACE: 1 BBBB\r\n\tCCCC\r\nNixie-Trace:\r\n")
    assert len(message.traces) == 1
    assert message.text.startswith(message.traces[0])
    assert b"AAAA" not in message.text and b"CCCC" not in message.text
    assert b"X-A: b\r\n\r\nA line" in message.text


def test_mail_of_the_null_sender_gets_no_mark(mta, stack, name):
    with stack.dialogue() as smtp:
        _, end = smtp.message("", [at(name)], letter(name))
    assert end.code == 250
    wait_until(lambda: taken(stack, name), "it is there", 20)
    (_, _, text), argument = taken(stack, name)[0]
    assert not TRACE.findall(text)
    assert b"ENVID" not in argument


def test_the_envelope_id_of_a_client_stays(mta, stack, name):
    message = mail(stack, name, [at(name)],
                   parameters="ENVID=mine+2B1 RET=HDRS")
    assert message.envelope_id == "mine+2B1"
    assert len(message.traces) == 1


def test_parameters_of_a_client_stay(mta, stack, name):
    """The sender is given anew with the envelope id: nothing else goes."""
    mail(stack, name, [at(name)], parameters="RET=HDRS BODY=8BITMIME")
    (message, argument), = taken(stack, name)
    assert message[0] == b"sender@nixie.test"
    assert b"RET=HDRS" in argument
    assert b"BODY=8BITMIME" in argument
    assert b"ENVID=T1." in argument


def test_mail_of_a_program_of_this_host_is_ours(mta, stack, name):
    text = letter(name).replace(b"\r\n", b"\n")
    done = mta.sendmail("sender@nixie.test", [at(name)], text)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: taken(stack, name), "it is there", 20)
    message = Mailed(*taken(stack, name)[0], text)
    assert len(message.traces) == 1
    assert message.envelope_id.startswith("T1.")


@pytest.mark.parametrize("few, many, size", [(2, 4, 4), (3, 4, 4), (5, 8, 8),
                                             (33, 50, 50)])
def test_how_many_recipients_there_are_is_not_seen(stack, name, few, many,
                                                   size):
    shapes = []
    for count in (few, many):
        recipients = [at(f"r{i}", f"{name}.example") for i in range(count)]
        message = mail(stack, f"{name}-{count}", recipients)
        mark = message.mark()
        tags = [mark[at:at + 8] for at in range(19, len(mark), 8)]
        assert tags == sorted(tags)
        assert len(set(tags)) == size
        shapes.append([len(line) for line
                       in message.traces[0].split(b"\r\n")])
        assert len(message.envelope_id) == 34
    assert shapes[0] == shapes[1]


def test_a_suppressed_recipient_has_no_place_in_the_mark(stack, name):
    stack.suppress(at(f"gone-{name}", f"{name}.example"))
    message = mail(stack, name, [at(f"gone-{name}", f"{name}.example"),
                                 at(name)])
    assert len(message.mark()) == 19 + len(at(name))


# ---- what is believed ----

@pytest.mark.parametrize("part", ["full", "headers"])
def test_a_bounce_with_our_mark_suppresses_at_once(mta, stack, name, part):
    message = mail(stack, name, [at(name)])
    event = tell(stack, bounce(at(name), message.text, part), at(name))
    assert event["trace"] == "valid"
    assert event["origin"] == "report"
    assert (event["reason"], event["failure_type"]) == ("user_unknown", "hard")
    assert event["enhanced_status"] == "5.1.1"
    assert event["reply_code"] == 550
    assert event["diagnostic"] == "550 5.1.1 No such user here"
    assert event["decided_by"] == "remote"
    assert event["reporting_mta"] == "mx.far.example"
    assert event["message_id"] == f"{name}@nixie.test"
    assert "queue_id" not in event
    assert (event["counted"], event["strike_limit"]) == (True, 1)
    settle(stack)
    added = stack.log.wait(type="suppression_added", recipient=at(name))
    assert added["origin"] == "policy"
    assert entry(stack, at(name))["reason"] == "user_unknown"
    assert 6.9 < ttl(stack, at(name)) <= 7
    assert stack.send([at(name)])[0][at(name)].code == 550


def test_a_bounce_with_our_envelope_id_alone_is_believed(mta, stack, name):
    message = mail(stack, name, [at(name)])
    event = tell(stack, bounce(at(name), part="none",
                               envelope_id=message.envelope_id), at(name))
    assert event["trace"] == "valid"
    assert event["envelope_id"] == message.envelope_id
    settle(stack)
    assert entry(stack, at(name))["reason"] == "user_unknown"


def test_a_bounce_after_forwarding_is_the_first_recipient_s(stack, name):
    other = at(f"new-{name}", "elsewhere.example")
    message = mail(stack, name, [at(name)])
    told = tell(stack, bounce(other, message.text, original=at(name)),
                at(name))
    assert (told["trace"], told["final_recipient"]) == ("valid", other)
    # nobody tells to whom it went: the mark does, but less surely
    again = mail(stack, f"{name}-b", [at(f"b-{name}", f"{name}.example")])
    told = tell(stack, bounce(other, again.text),
                at(f"b-{name}", f"{name}.example"))
    assert (told["trace"], told["final_recipient"]) == ("shared", other)
    assert told["strike_limit"] == 2
    settle(stack)
    assert entry(stack, at(name)) != {}
    assert entry(stack, told["recipient"]) == {}
    assert entry(stack, other) == {}


def test_one_of_several_recipients_takes_two_messages(stack, name):
    friends = [at(f"{who}-{name}", f"{name}.example") for who in ("a", "b")]
    for number in (1, 2):
        message = mail(stack, f"{name}-{number}", friends)
        # the other one has header and envelope id as well
        told = tell(stack, bounce(friends[0], message.text,
                                  envelope_id=message.envelope_id), friends[0])
        assert told["trace"] == "shared"
        assert (told["counted"], told["strike_limit"]) == (True, 2)
        settle(stack)
        assert len(strikes(stack, friends[0])) == (number if number < 2 else 0)
        assert bool(entry(stack, friends[0])) == (number == 2)
    assert entry(stack, friends[1]) == {}


def test_an_envelope_id_of_several_counts_softly(stack, name):
    friends = [at(f"{who}-{name}", f"{name}.example") for who in ("a", "b")]
    message = mail(stack, name, friends)
    told = tell(stack, bounce(friends[0], part="none",
                              envelope_id=message.envelope_id), friends[0])
    assert told["trace"] == "correlated"
    assert told["strike_limit"] > 2
    settle(stack)
    assert entry(stack, friends[0]) == {}
    assert stack.history(friends[0])["out_of_band"] == "1"


def test_a_delay_and_a_delivery_are_told_as_such(stack, name):
    message = mail(stack, name, [at(name)])
    told = tell(stack, bounce(
        at(name), message.text, action="delayed", status="4.2.2",
        diagnostic="smtp; 452 4.2.2 Over quota"), at(name), "delay")
    assert (told["reason"], told["trace"]) == ("mailbox_full", "valid")
    assert told["origin"] == "report"
    settle(stack)
    assert len(strikes(stack, at(name))) == 1
    tell(stack, bounce(at(name), action="delivered", status="2.0.0",
                       part="none", diagnostic=None), at(name), "delivery")
    settle(stack)
    assert len(strikes(stack, at(name))) == 1  # anybody may have said so
    told = tell(stack, bounce(at(name), message.text, action="delivered",
                              status="2.0.0", diagnostic=None), at(name),
                "delivery")
    assert told["trace"] == "valid"
    settle(stack)
    assert strikes(stack, at(name)) == []
    assert "last_delivery_at" in stack.history(at(name))


# ---- what is not ----

def forgeries(stack, name):
    """(what, report) of reports about at(name) that nobody may believe."""
    victim = at(name)
    other = at(f"other-{name}", f"{name}.example")
    ours = mail(stack, name, [victim])
    theirs = mail(stack, f"{name}-o", [other])
    bare = ours.text.replace(ours.traces[0], b"")
    mark = ours.mark()
    yield "no mark", bounce(victim, bare)
    yield "no message", bounce(victim, part="none")
    yield "another's envelope id", bounce(
        victim, theirs.text.replace(theirs.traces[0], b""),
        envelope_id=theirs.envelope_id)
    yield "no such key", bounce(
        victim, ours.with_mark(bytes([mark[0] ^ 0x10]) + mark[1:]))
    yield "another version", bounce(
        victim, ours.with_mark(bytes([mark[0] ^ 0x20]) + mark[1:]))
    day = int.from_bytes(mark[1:3], "big")
    for what, days in (("old", -15), ("future", 2), ("yesterday", -1)):
        yield what, bounce(victim, ours.with_mark(
            mark[:1] + (day + days).to_bytes(2, "big") + mark[3:]))
    for at_byte in range(0, len(mark), 3):
        flipped = bytearray(mark)
        flipped[at_byte] ^= 1
        yield f"bit in byte {at_byte}", bounce(victim,
                                               ours.with_mark(bytes(flipped)))
    yield "cut", bounce(victim, ours.with_mark(mark[:-1]))
    yield "more", bounce(victim, ours.with_mark(mark + b"\0"))
    yield "envelope id flipped", bounce(
        victim, part="none", envelope_id=ours.envelope_id[:-1] + (
            "Q" if ours.envelope_id[-1] != "Q" else "A"))
    yield "mark in the words", bounce(
        victim, bare, words=ours.traces[0].decode() + ours.envelope_id)
    yield "mark in the body", bounce(victim, bare + ours.traces[0])
    inner = bounce(victim, ours.text)
    yield "a report in a report", bounce(victim, inner)


def test_what_is_forged_is_logged_and_counts_nowhere(stack, name):
    victim = at(name)
    before = trace_none(stack)
    number = 0
    for what, report in forgeries(stack, name):
        event = tell(stack, report, victim)
        assert event["trace"] == "none", what
        assert event["counted"] is False, what
        assert "trace_id" not in event, what
        number += 1
    settle(stack)
    assert trace_none(stack) == before + number > 20
    assert entry(stack, victim) == {}
    assert strikes(stack, victim) == []
    assert "out_of_band" not in stack.history(victim)
    assert stack.history(victim).get("last_type") is None


def test_the_mark_of_another_recipient_proves_nothing(stack, name):
    """That of one names its own; a tag fits none but its own."""
    victim = at(name)
    theirs = mail(stack, name, [at(f"one-{name}", f"{name}.example")])
    event = tell(stack, bounce(victim, theirs.text),
                 at(f"one-{name}", f"{name}.example"))
    assert (event["trace"], event["final_recipient"]) == ("shared", victim)
    many = mail(stack, f"{name}-m", [at(f"{i}-{name}", f"{name}.example")
                                     for i in range(3)])
    event = tell(stack, bounce(victim, many.text), victim)
    assert event["trace"] == "none"
    settle(stack)
    assert entry(stack, victim) == {}


def test_a_mark_of_another_installation_is_none(stack, world, name):
    """The same message from a nixied with other keys."""
    message = mail(stack, name, [at(name)])
    keys = stack.nixied.state / "trace.keys"
    kept = keys.read_text()
    forged = re.sub(r"(?m)^(\d+) [0-9a-f]{64}", r"\1 " + "ab" * 32, kept)
    assert forged != kept
    try:
        keys.write_text(forged)
        stack.nixied.restart()
        event = tell(stack, bounce(at(name), message.text), at(name))
        assert event["trace"] == "none"
    finally:
        keys.write_text(kept)
        stack.nixied.restart()
    event = tell(stack, bounce(at(name), message.text), at(name))
    assert event["trace"] == "valid"


def test_a_report_sent_a_thousand_times_counts_once(stack, name):
    message = mail(stack, name, [at(name)])
    report = bounce(at(name), message.text, status="4.2.2",
                    diagnostic="smtp; 452 4.2.2 Over quota")
    mark = stack.log.mark()
    with stack.dialogue(source=OTHERS) as smtp:
        for _ in range(1000):
            _, end = smtp.message("", ["known@hosted.test"], report)
            assert end.code == 250
    stack.log.wait(mark, 1000, type="out_of_band", recipient=at(name),
                   trace="valid", timeout=60)
    settle(stack)
    assert len(strikes(stack, at(name))) == 1
    assert stack.history(at(name))["out_of_band"] == "1"
    domain = stack.redis.hashes(oracle.history_key(
        "nixie:", "domain", f"{name}.example").decode())
    assert [fields[b"out_of_band"] for fields in domain.values()] == [b"1"]
    assert entry(stack, at(name)) == {}


def test_copies_of_a_list_do_not_suppress_the_list(stack, name):
    post = at("friends", f"lists.{name}.example")
    message = mail(stack, name, [post])
    copy = message.traces[0] + (
        f"List-Id: Friends <friends.LISTS.{name}.example>\r\n".encode()
        + message.text[len(message.traces[0]):])
    event = tell(stack, bounce(at(name), copy), at(name))
    assert event["trace"] == "none"
    event = tell(stack, bounce(post, copy), post)
    assert event["trace"] == "none"
    settle(stack)
    assert entry(stack, post) == {}


def test_a_report_that_names_many_does_not_fill_the_log(stack, name):
    mark = stack.log.mark()
    more = [(at(f"r{i}", f"{name}.example"), None) for i in range(500)]
    come(stack, bounce(at(name), part="none", more=more))
    come(stack, bounce(at(f"last-{name}", f"{name}.example"), part="none"))
    stack.log.wait(mark, type="out_of_band",
                   recipient=at(f"last-{name}", f"{name}.example"))
    assert len(stack.log.since(mark, type="out_of_band")) == 21


def report_lines(stack, tmp_path, report, *options):
    """What nixie report says of it, as root with nixied's settings."""
    path = tmp_path / "report.eml"
    path.write_bytes(report)
    done = stack.nixied.tool("report", *options, str(path))
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def test_the_tool_believes_what_nixied_believes(stack, name, tmp_path):
    other = at(f"new-{name}", "elsewhere.example")
    one = mail(stack, name, [at(name)])
    two = mail(stack, f"{name}-2", [at(name), other])
    rows = (
        (bounce(at(name), one.text), at(name), None, "valid"),
        (bounce(other, one.text, original=at(name)), other, at(name), "valid"),
        (bounce(other, one.text), other, at(name), "shared"),
        (bounce(at(name), two.text), at(name), None, "shared"),
        (bounce(at(name), part="none", envelope_id=two.envelope_id), at(name),
         None, "correlated"),
        (bounce(at(name), part="none"), at(name), None, "none"),
        (bounce(at(name), one.with_mark(one.mark()[:-1] + b"?")), at(name),
         None, "none"),
        # To of the message is all that it names
        (complaint(None, one.text), "somebody@nixie.test", at(name),
         "shared"),
    )
    for report, recipient, original, trace in rows:
        told = json.loads(report_lines(stack, tmp_path, report))
        assert (told.get("recipient"), told.get("original_recipient"),
                told["trace"]) == (recipient, original, trace), told
    assert re.search("(?m)^  trace +valid$",
                     report_lines(stack, tmp_path, rows[0][0], "-e"))
    assert "none: the mark is not ours" in report_lines(
        stack, tmp_path, rows[6][0], "--explain")
    report_lines(stack, tmp_path, rows[0][0])
    (tmp_path / "nixie.conf").write_text('trace_keys = ""\n')
    done = stack.nixied.tool("-c", str(tmp_path / "nixie.conf"), "report",
                             "-e", str(tmp_path / "report.eml"))
    assert b"no keys to check" in done.stdout


# ---- complaints ----

@pytest.mark.parametrize("who", ["named", "redacted", "unnamed"])
@pytest.mark.parametrize("kind, reason", [("abuse", "complaint"),
                                          ("opt-out", "unsubscribe")])
def test_a_complaint_suppresses_for_good(stack, name, who, kind, reason):
    message = mail(stack, name, [at(name)])
    report = complaint(at(name) if who == "named" else None, message.text,
                       kind)
    if who == "unnamed":
        report = report.replace(b"Original-Rcpt-To: redacted@redacted\r\n",
                                b"")
    event = tell(stack, report, at(name), "feedback",
                 sender="fbl@far.example")
    assert event["trace"] == ("valid" if who == "named" else "shared")
    assert (event["reason"], event["feedback_type"]) == (reason, kind)
    assert event["feedback_agent"] == "Somebody/1.0"
    assert (event["counted"], event["strike_limit"]) == (True, 1)
    settle(stack)
    assert entry(stack, at(name))["reason"] == reason
    assert ttl(stack, at(name)) == -1


def test_a_complaint_outlasts_an_entry_for_failures(stack, name):
    one, two = (mail(stack, f"{name}-{i}", [at(name)]) for i in (1, 2))
    tell(stack, bounce(at(name), one.text), at(name), "out_of_band")
    settle(stack)
    assert entry(stack, at(name))["reason"] == "user_unknown"
    assert 0 < ttl(stack, at(name)) <= 7
    event = tell(stack, complaint(at(name), two.text), at(name), "feedback",
                 sender="fbl@far.example")
    assert event["counted"] is True
    settle(stack)
    assert entry(stack, at(name))["reason"] == "complaint"
    assert ttl(stack, at(name)) == -1


@pytest.mark.parametrize("kind", ["not-spam", "other", "auth-failure"])
def test_other_feedback_is_recorded_only(stack, name, kind):
    message = mail(stack, name, [at(name)])
    event = tell(stack, complaint(at(name), message.text, kind), at(name),
                 "feedback", sender="fbl@far.example")
    assert (event["trace"], event["counted"]) == ("valid", False)
    settle(stack)
    assert stack.history(at(name))["feedback"] == "1"
    assert entry(stack, at(name)) == {}


def test_a_complaint_without_a_mark_is_logged_only(stack, name):
    message = mail(stack, name, [at(name)])
    bare = message.text.replace(message.traces[0], b"")
    event = tell(stack, complaint(at(name), bare), at(name), "feedback",
                 sender="fbl@far.example")
    assert (event["trace"], event["counted"]) == ("none", False)
    settle(stack)
    assert "feedback" not in stack.history(at(name))


# ---- the bounces of our own MTA ----

@pytest.fixture
def own():
    """A Postfix whose bounces pass the filter; makes its stack."""
    world = World(extra="internal_mail_filter_classes = bounce\n"
                  "sender_bcc_maps = inline:{ boss@nixie.test="
                  "copies@copies.example }\n")
    made = []

    def start(follow=False):
        options = {"maillog": [world.postfix.log]} if follow else {}
        made.append(Stack.marking(world, **options).start())
        return made[-1]

    try:
        world.start()
        yield start
        for one in made:
            one.finish()
    finally:
        for one in made:
            one.stop()
        world.stop()


@pytest.mark.parametrize("how", ["smtp", "sendmail"])
def test_without_its_log_the_bounces_of_our_mta_are_learned_from(own, name,
                                                                 how):
    stack = own()
    victim = at(f"reject-{name}", f"{name}.example")
    other = at(f"reject-two-{name}", f"{name}.example")
    if how == "smtp":
        stack.send([victim])
    else:
        stack.postfix.sendmail("sender@nixie.test", [victim])
    event = stack.log.wait(type="out_of_band", recipient=victim)
    assert event["trace"] == "valid"
    assert event["reporting_mta"] == "mx.nixie.test"
    reception = stack.log.wait(type="reception", recipient=victim)
    assert event["queue_id"] == reception["queue_id"]
    assert event["sender"] == "sender@nixie.test"
    assert event["reason"] == "user_unknown"
    assert event["counted"] is True
    settle(stack)
    assert entry(stack, victim)["reason"] == "user_unknown"
    # of several the MTA tells of each: two messages, as from elsewhere
    friends = [other, at(f"reject-three-{name}", f"{name}.example")]
    for _ in range(2):
        assert entry(stack, other) == {}
        mark = stack.log.mark()
        stack.send(friends)
        for friend in friends:
            event = stack.log.wait(mark, type="out_of_band", recipient=friend)
            assert event["trace"] == "shared"
        settle(stack)
    assert entry(stack, other)["reason"] == "user_unknown"
    assert len(stack.log.since(type="suppression_added")) == 3
    stack.postfix.wait_empty()


def test_with_its_log_the_bounces_of_our_mta_count_once(own, name):
    stack = own(follow=True)
    stack.log.wait(type="mark")
    reject = at(f"reject-{name}", f"{name}.example")
    stack.send([reject])
    told = stack.log.wait(type="out_of_band", recipient=reject)
    bounced = stack.log.wait(type="bounce", recipient=reject)
    assert (told["trace"], told["counted"]) == ("valid", False)
    assert "trace_id" not in told
    assert told["queue_id"] == bounced["queue_id"]
    assert bounced["counted"] is True
    settle(stack)
    assert stack.history(reject)["bounces"] == "1"
    assert "out_of_band" not in stack.history(reject)
    assert stack.history(reject)["last_type"] == "bounce"
    stats = stack.redis.hashes("nixie:{*}:stats:*").values()
    assert [fields[b"out_of_band|told_by_log"] for fields in stats
            if b"out_of_band|told_by_log" in fields] == [b"1"]
    assert entry(stack, reject)["reason"] == "user_unknown"
    # what others say of mail of ours counts as ever
    message = mail(stack, name, [at(name)])
    event = tell(stack, bounce(at(name), message.text), at(name))
    assert (event["trace"], event["counted"]) == ("valid", True)
    settle(stack)
    assert entry(stack, at(name))["reason"] == "user_unknown"


def test_the_log_and_a_report_of_a_message_are_one_strike(own, name):
    """The log says that it waits; whoever took it in between that it failed."""
    stack = own(follow=True)
    stack.log.wait(type="mark")
    full = at(f"full-{name}", f"{name}.example")
    message = mail(stack, name, [full, at(name)])
    delayed = stack.log.wait(type="delay", recipient=full)
    reception = stack.log.wait(type="reception", recipient=full)
    assert delayed["trace_nonce"] == reception["trace_nonce"]
    report = bounce(full, message.text, status="4.2.2",
                    diagnostic="smtp; 452 4.2.2 Over quota")
    told = tell(stack, report, full)
    assert (told["trace"], told["counted"]) == ("shared", True)
    assert told["trace_id"].startswith(delayed["trace_nonce"] + "-")
    settle(stack)
    assert strikes(stack, full) == [delayed["trace_nonce"].encode()]
    stack.postfix.delete_all()


def test_giving_an_envelope_id_changes_nothing_else(own, name):
    """Postfix looks up the sender again: no second copy, no other sender."""
    stack = own()
    with stack.dialogue() as smtp:
        smtp.message("boss@nixie.test", [at(name)], letter(name))
        smtp.message("j\u00fcrgen@nixie.test", [at(name)],
                     letter(f"{name}-8"), parameters="SMTPUTF8")
        smtp.message("\"odd one\"@nixie.test", [at(name)],
                     letter(f"{name}-q"))
    wait_until(lambda: all(taken(stack, name + end)
                           for end in ("", "-q", "-8")), "they are there", 20)
    stack.postfix.wait_empty()
    copies = sorted(recipient.decode() for message, _ in taken(stack, name)
                    for recipient in message[1])
    assert copies == [at(name), "copies@copies.example"]
    (message, argument), = taken(stack, f"{name}-8")
    assert message[0] == "j\u00fcrgen@nixie.test".encode()
    assert b"SMTPUTF8" in argument and b"ENVID=T1." in argument
    (message, argument), = taken(stack, f"{name}-q")
    assert message[0] == b"\"odd one\"@nixie.test"
    assert b"ENVID=T1." in argument


# ---- messages that are none, and connections that end ----

def test_reports_pass_as_they_came(mta, stack, name):
    message = mail(stack, name, [at(name)])
    for number, report in enumerate((
            bounce(at(name), message.text),
            bounce(at(name), message.text, "headers"),
            complaint(at(name), message.text))):
        token = f"{name}-{number}"
        report = report.replace(b"<report@far.example>",
                                f"<{token}@nixie.test>".encode())
        come(stack, report, recipient=at(f"in-{name}", "hosted.example"))
        wait_until(lambda: taken(stack, token), "it is there", 20)
        (_, _, text), _ = taken(stack, token)[0]
        assert text.endswith(report)
        assert text.startswith(b"Received: ")


def test_messages_of_a_connection_are_told_apart(mta, stack, name):
    ours = mail(stack, name, [at(name)])
    report = bounce(at(name), ours.text)
    mark = stack.log.mark()
    with stack.dialogue(source=OTHERS) as smtp:
        smtp.mail("")
        smtp.rcpt("known@hosted.test")
        smtp.command("RSET")
        # without headers, without a body, without either
        for text in (b"\r\nno header\r\n", head_of(report), b"\r\n", report,
                     letter(f"{name}-x"), report):
            _, end = smtp.message("", ["known@hosted.test"], text)
            assert end.code == 250
    stack.log.wait(mark, 2, type="out_of_band", recipient=at(name))
    with stack.dialogue(source=OTHERS) as smtp:  # goes away in the middle
        smtp.mail("")
        smtp.rcpt("known@hosted.test")
        smtp.command("DATA")
        smtp.send(report[:len(report) // 2])
    come(stack, letter(f"{name}-y"), sender="stranger@far.example")
    settle(stack)
    assert len(stack.log.since(mark, type="out_of_band")) == 2
