"""What becomes of the recipients of a message sent over SMTP."""

import time

import pytest

from harness.wait import wait_until

# each test with Postfix and with Sendmail
pytestmark = pytest.mark.usefixtures("mta")
only_postfix = pytest.mark.parametrize("mta", ("postfix",), indirect=True)


def types_of(events):
    return {event["recipient"]: event["type"] for event in events}


@only_postfix
def test_five_recipients_of_one_message_get_five_answers(stack):
    stack.suppress("gone@example.com")
    stack.redis.cli("HSET", "nixie:suppress:@shut.test", "reason",
                    "domain_no_mail", "note", "shut down in May")
    mark = stack.log.mark()
    replies, taken = stack.send([
        "good@example.com", "gone@example.com", "eve@shut.test",
        "deferred@example.com", "unknown@example.com"])
    assert [reply.code for reply in replies.values()] == [
        250, 550, 550, 450, 550]
    assert taken.code == 250
    gone = replies["gone@example.com"]
    assert gone.enhanced_status == "5.7.1"
    assert gone.text.startswith("Recipient suppressed: listed [")
    assert "asked by phone" not in gone.text, "a note is not for clients"
    assert replies["eve@shut.test"].text.startswith(
        "Recipient suppressed: domain_no_mail [")

    stack.log.wait(mark, type="reception")
    events = stack.log.outcomes(mark)
    assert types_of(events) == {
        "good@example.com": "reception",
        "gone@example.com": "suppressed",
        "eve@shut.test": "suppressed",
        "deferred@example.com": "rejection",
        "unknown@example.com": "rejection",
    }
    assert len(events) == 5
    for member in ("transaction_id", "session_id", "sender", "queue_id"):
        assert len({event[member] for event in events}) == 1, member
    queue_id = taken.text.rpartition(" ")[2]
    by_recipient = {event["recipient"]: event for event in events}
    assert by_recipient["good@example.com"]["queue_id"] == queue_id
    assert by_recipient["good@example.com"]["size"] > 0
    assert by_recipient["gone@example.com"].has({
        "action": "reject", "decided_by": "nixie", "reply_code": 550,
        "enhanced_status": "5.7.1", "recipient_domain": "example.com",
        "suppression_pattern": "gone@example.com",
        "suppression_note": "asked by phone", "smtp_stage": "rcpt"})
    assert by_recipient["eve@shut.test"].has({
        "suppression_pattern": "@shut.test",
        "suppression_reason": "domain_no_mail"})
    assert by_recipient["deferred@example.com"].has({
        "decided_by": "mta", "enhanced_status": "4.2.0"})
    assert "come back later" in by_recipient["deferred@example.com"][
        "diagnostic"]
    assert by_recipient["unknown@example.com"]["enhanced_status"] == "5.1.1"
    assert "reply_code" not in by_recipient["unknown@example.com"]

    stack.settle()
    assert stack.history("good@example.com")["receptions"] == "1"
    assert stack.history("gone@example.com")["suppressed"] == "1"
    assert stack.history("eve@shut.test").items() >= {
        "suppressed": "1", "last_type": "suppressed"}.items()
    assert stack.history("deferred@example.com")["rejections"] == "1"
    assert stack.history("unknown@example.com").items() >= {
        "rejections": "1", "last_enhanced_status": "5.1.1",
        "last_queue_id": queue_id}.items()
    assert stack.redis.keys("nixie:*:strikes:*") == []
    stack.remote.wait_for("good@example.com")
    assert "gone@example.com" not in stack.remote.recipients()


@only_postfix
def test_unknown_user_of_a_hosted_domain_is_a_rejection(stack):
    mark = stack.log.mark()
    replies, _ = stack.send(["nobody@hosted.test"])
    assert replies["nobody@hosted.test"].code == 550
    event = stack.log.wait(mark, recipient="nobody@hosted.test")
    assert event["type"] == "rejection"
    assert event["enhanced_status"] == "5.1.1"
    assert "queue_id" not in event


def test_suppressed_recipient_that_the_mta_refuses_is_only_a_rejection(
        stack, mta):
    stack.suppress(mta.unknown)
    mark = stack.log.mark()
    replies, _ = stack.send([mta.unknown])
    assert "User unknown" in replies[mta.unknown].text
    stack.log.wait(mark, recipient=mta.unknown)
    stack.redis.cli("DEL", f"nixie:suppress:{mta.unknown}")
    assert [event["type"] for event in stack.log.outcomes(mark)] == [
        "rejection"]


def test_the_same_mailbox_twice_makes_two_events(stack, name):
    address = f"{name}@example.com"
    mark = stack.log.mark()
    with stack.dialogue() as smtp:
        smtp.mail()
        assert smtp.rcpt(address).code == 250
        assert smtp.rcpt(f"{name}@EXAMPLE.com").code == 250
        assert smtp.data().code == 250
    stack.log.wait(mark, count=2, type="reception", recipient=address)


def test_reception_tells_of_the_message(stack, name):
    mark = stack.log.mark()
    stack.send([f"{name}@example.com"], sender="Anna@Sender.test",
               text=b"Message-ID: <one.two@sender.test>\r\n"
               b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 10,
               parameters="ENVID=QQ314159 SIZE=400")
    event = stack.log.wait(mark, type="reception")
    assert event["message_id"] == "one.two@sender.test"
    assert event["sender"] == "Anna@Sender.test"
    assert event["envelope_id"] == "QQ314159"
    assert event["client_ip"] == "127.0.0.1"
    assert event["helo"] == "client.nixie.test"
    assert event["origin"] == "session"
    assert event["size"] >= 120


PATTERNS = (
    # pattern, address, is it suppressed?
    ("{n}@example.net", "{n}@example.net", True),
    ("{n}@example.net", "{n}@sub.example.net", False),
    ("@{n}.test", "any@{n}.test", True),
    ("@{n}.test", "any@sub.{n}.test", False),
    ("@.{n}.test", "any@sub.{n}.test", True),
    ("@.{n}.test", "any@a.b.{n}.test", True),
    ("@.{n}.test", "any@{n}.test", False),
    ("{n}@", "{n}@anywhere.test", True),
    ("{n}@", "x{n}@anywhere.test", False),
)


@pytest.mark.parametrize("pattern, address, hit", PATTERNS)
def test_pattern_forms(stack, name, pattern, address, hit):
    pattern, address = pattern.format(n=name), address.format(n=name)
    stack.suppress(pattern)
    mark = stack.log.mark()
    replies, _ = stack.send([address])
    assert replies[address].code == (550 if hit else 250)
    event = stack.log.wait(mark, recipient=address)
    assert event["type"] == ("suppressed" if hit else "reception")
    assert event.get("suppression_pattern") == (pattern if hit else None)


def test_exact_entry_is_named_before_the_domains(stack, name):
    stack.suppress(f"@{name}.test", "whole domain")
    stack.suppress(f"ann@{name}.test", "this one")
    mark = stack.log.mark()
    stack.send([f"ann@{name}.test"])
    event = stack.log.wait(mark, type="suppressed")
    assert event["suppression_pattern"] == f"ann@{name}.test"
    assert event["suppression_note"] == "this one"


ALLOWED = ("ann@{n}.test", "@{n}.test", "ann@")


@pytest.mark.parametrize("pattern", ALLOWED)
def test_allow_wins_at_every_level(stack, name, pattern):
    address, key = f"ann@{name}.test", f"nixie:allow:{pattern.format(n=name)}"
    stack.suppress(address)
    stack.redis.cli("SET", key, "")
    mark = stack.log.mark()
    replies, _ = stack.send([address])
    stack.redis.cli("DEL", key)
    assert replies[address].code == 250
    assert stack.log.wait(mark, recipient=address)["type"] == "reception"
    replies, _ = stack.send([address])
    assert replies[address].code == 550


ENTRY_TYPES = (
    ("string", ("SET", "{k}", "a note")),
    ("empty string", ("SET", "{k}", "")),
    ("hash", ("HSET", "{k}", "reason", "user_unknown", "note", "a note")),
    ("foreign hash", ("HSET", "{k}", "colour", "blue")),
    ("list", ("RPUSH", "{k}", "a", "b")),
    ("set", ("SADD", "{k}", "a")),
    ("sorted set", ("ZADD", "{k}", "1", "a")),
    ("stream", ("XADD", "{k}", "*", "a", "b")),
    ("bitmap", ("SETBIT", "{k}", "7", "1")),
    ("hyperloglog", ("PFADD", "{k}", "a")),
    ("geo", ("GEOADD", "{k}", "13.4", "52.5", "Berlin")),
    ("bytes", ("SET", "{k}", "\udcff\udcfe\n\r% {}")),
)


@pytest.mark.parametrize("command", [row[1] for row in ENTRY_TYPES],
                         ids=[row[0] for row in ENTRY_TYPES])
def test_a_key_of_any_type_suppresses(stack, name, command):
    address = f"{name}@example.org"
    words = [word.format(k=f"nixie:suppress:{address}") if "{k}" in word
             else word for word in command]
    with stack.redis.client() as redis:
        redis.command(*[word.encode("utf-8", "surrogateescape")
                        for word in words])
    mark = stack.log.mark()
    replies, taken = stack.send([address, f"other{name}@example.org"])
    assert replies[address].code == 550
    assert taken.code == 250
    event = stack.log.wait(mark, type="suppressed", recipient=address)
    if "note" in words or "a note" in words:
        assert event["suppression_note"] == "a note"


def test_hash_entry_is_told_in_reply_and_event(stack, name):
    address = f"{name}@example.org"
    stack.redis.cli("HSET", f"nixie:suppress:{address}", "reason",
                    "user_unknown", "type", "hard", "origin", "policy",
                    "by", "ann", "added_at", "2026-11-02T08:00:00.000000Z")
    mark = stack.log.mark()
    replies, _ = stack.send([address])
    event = stack.log.wait(mark, type="suppressed")
    assert replies[address].text == (
        "Recipient suppressed: user_unknown since 2026-11-02 "
        f"[{event['transaction_id']}]")
    assert event.has({"suppression_reason": "user_unknown",
                      "suppression_origin": "policy",
                      "suppression_by": "ann",
                      "suppression_added_at": "2026-11-02T08:00:00.000000Z"})
    stack.settle()
    hour = event["timestamp"][:13].replace("-", "").replace("T", "")
    stats = stack.redis.hashes(f"nixie:*:stats:{hour}")
    assert any(b"suppressed|user_unknown" in fields
               for fields in stats.values())


@only_postfix
def test_entry_with_a_time_to_live_ends_by_itself(stack, name):
    address = f"{name}@example.org"
    stack.redis.cli("SET", f"nixie:suppress:{address}", "on leave", "EX", "2")
    mark = stack.log.mark()
    start = time.monotonic()
    replies, _ = stack.send([address])
    assert replies[address].code == 550
    assert "suppression_expires_at" in stack.log.wait(mark, type="suppressed")
    wait_until(lambda: stack.send([address])[0][address].code == 250,
               "the entry ends", 15, pause=0.2)
    assert time.monotonic() - start > 1.5


def test_deleted_entry_lets_the_next_rcpt_through(stack, name):
    address = f"{name}@example.org"
    with stack.dialogue() as smtp:
        smtp.mail()
        assert smtp.rcpt(address).code == 250
        stack.suppress(address)
        assert smtp.rcpt(address).code == 550
        stack.redis.cli("DEL", f"nixie:suppress:{address}")
        assert smtp.rcpt(address).code == 250


EXEMPT = ("postmaster@{n}.test", "abuse@{n}.test", "PostMaster@{n}.test")


@pytest.mark.parametrize("address", EXEMPT)
def test_exempt_recipient_is_let_through_with_an_event(stack, name, address):
    address = address.format(n=name)
    stack.suppress(f"@{name}.test")
    mark = stack.log.mark()
    replies, taken = stack.send([address])
    assert (replies[address].code, taken.code) == (250, 250)
    stack.log.wait(mark, type="reception")
    event = stack.log.wait(mark, type="would_suppress")
    assert event["action"] == "exempt"
    assert event["recipient"] == address.lower()
    assert event["suppression_pattern"] == f"@{name}.test"


def test_null_sender_is_let_through_with_an_event(stack, name):
    address = f"{name}@example.org"
    stack.suppress(address)
    mark = stack.log.mark()
    replies, taken = stack.send([address], sender="")
    assert (replies[address].code, taken.code) == (250, 250)
    event = stack.log.wait(mark, type="would_suppress")
    assert event.has({"action": "exempt", "sender": ""})
    assert stack.log.wait(mark, type="reception")["sender"] == ""


def test_entry_in_observe_mode_only_reports(stack, name):
    address = f"{name}@example.org"
    stack.redis.cli("HSET", f"nixie:suppress:{address}", "mode", "observe",
                    "reason", "mailbox_full")
    mark = stack.log.mark()
    replies, _ = stack.send([address])
    assert replies[address].code == 250
    event = stack.log.wait(mark, type="would_suppress")
    assert event.has({"action": "observe", "suppression_mode": "observe",
                      "suppression_reason": "mailbox_full"})
    stack.settle()
    history = stack.history(address)
    assert (history["would_suppress"], history["receptions"]) == ("1", "1")
    assert "suppressed" not in history
