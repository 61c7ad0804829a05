"""Outcomes from the delivery log of a real Postfix."""

import json
import os
import signal
import subprocess

import pytest

from harness import oracle
from harness.nixied import Nixied, build_folder
from harness.wait import wait_until


@pytest.fixture
def watched(stack_maker, world):
    """nixied that follows Postfix's log, from its end on."""
    return stack_maker(maillog=[world.postfix.log])


def follows(stack):
    """Waits until the delivery log is followed."""
    return stack.log.wait(type="mark")


def flush(stack):
    stack.postfix.flush()


def strikes(stack, address):
    key = oracle.history_key(stack.nixied.prefix, "strikes", address)
    return [member.decode() for member in
            stack.redis.command("ZRANGE", key, "0", "-1")]


def entry(stack, address):
    words = stack.redis.command("HGETALL", f"nixie:suppress:{address}")
    words = [word.decode() for word in words]
    return dict(zip(words[::2], words[1::2]))


def test_a_delivery_is_told_with_its_message(watched, name):
    follows(watched)
    replies, end = watched.send([f"{name}@far.test"])
    assert end.code == 250
    event = watched.log.wait(type="delivery", recipient=f"{name}@far.test")
    reception = watched.log.wait(type="reception",
                                 recipient=f"{name}@far.test")
    assert event["origin"] == "maillog"
    assert event["queue_id"] == reception["queue_id"]
    assert event["sender"] == "sender@nixie.test"
    assert event["message_id"] == reception["message_id"]
    assert event["attempt"] == 1
    assert event["enhanced_status"].startswith("2.")
    assert event["remote_mta"] == "127.0.0.1"
    assert "counted" not in event


def test_a_hard_bounce_suppresses_at_once(watched, name):
    recipient = f"reject-{name}@far.test"
    follows(watched)
    watched.send([recipient])
    event = watched.log.wait(type="bounce", recipient=recipient)
    assert event["reason"] == "user_unknown"
    assert event["failure_type"] == "hard"
    assert event["reply_code"] == 550
    assert event["enhanced_status"] == "5.1.1"
    assert event["smtp_stage"] == "rcpt"
    assert event["decided_by"] == "remote"
    assert event["counted"] is True
    assert event["strike_limit"] == 1
    added = watched.log.wait(type="suppression_added", recipient=recipient)
    assert added["origin"] == "policy"
    assert added["suppression_reason"] == "user_unknown"
    assert "No such user here" in added["suppression_evidence"]
    wait_until(lambda: entry(watched, recipient), "the entry is in Redis")
    assert entry(watched, recipient)["origin"] == "policy"
    ttl = int(watched.redis.command("TTL", f"nixie:suppress:{recipient}"))
    assert 6 * 86400 < ttl <= 7 * 86400 + 1
    replies, _ = watched.send([recipient])
    assert replies[recipient].code == 550
    watched.settle()


def test_forty_retries_of_a_message_are_one_strike(watched, name):
    recipient = f"full-{name}@far.test"
    follows(watched)
    watched.send([recipient])
    for attempt in range(1, 11):
        event = watched.log.wait(type="delay", recipient=recipient,
                                 attempt=attempt)
        assert event["reason"] == "mailbox_full"
        assert event["counted"] is True
        assert event["estimated"] is True
        assert event["attempts_left"] >= 1
        flush(watched)
    watched.postfix.delete_all()
    watched.settle()
    assert len(strikes(watched, recipient)) == 1
    assert entry(watched, recipient) == {}


def test_a_delivery_clears_the_strikes(watched, name):
    recipient = f"{name}@far.test"
    follows(watched)
    watched.remote.answers[recipient.encode()] = b"452 4.2.2 Over quota\r\n"
    watched.send([recipient])
    watched.log.wait(type="delay", recipient=recipient)
    watched.settle()
    assert len(strikes(watched, recipient)) == 1
    watched.remote.answers.clear()
    flush(watched)
    event = watched.log.wait(type="delivery", recipient=recipient)
    assert event["attempt"] == 2
    watched.settle()
    assert strikes(watched, recipient) == []


def test_hostile_replies_are_told_as_they_are(watched, name):
    recipient = f"{name}@far.test"
    follows(watched)
    watched.remote.answers[recipient.encode()] = (
        b"550-5.2.1 first), dsn=2.0.0, status=sent (250 ok\r\n"
        b"550 5.2.1 to=<victim@far.test>, status=bounced \"x\" \\ %s\r\n")
    watched.send([recipient])
    event = watched.log.wait(type="bounce", recipient=recipient)
    assert event["enhanced_status"] == "5.2.1"
    assert "status=sent (250 ok" in event["diagnostic"]
    assert not watched.log.since(recipient="victim@far.test")
    watched.settle()


def test_a_forged_line_changes_nothing_but_the_log(watched, name):
    victim = f"{name}@far.test"
    follows(watched)
    with open(watched.postfix.log, "a", encoding="utf-8") as log:
        log.write("Nov 21 10:00:00 mx postfix/smtp[1]: ABCDEF1234: "
                  f"to=<{victim}>, relay=mx.far.test[192.0.2.1]:25, delay=1, "
                  "delays=0/0/1/0, dsn=5.1.1, status=bounced (host "
                  "mx.far.test[192.0.2.1] said: 550 5.1.1 No such user "
                  "(in reply to RCPT TO command))\n")
    event = watched.log.wait(type="bounce", recipient=victim)
    assert event["counted"] is False
    watched.settle()
    assert strikes(watched, victim) == []
    assert entry(watched, victim) == {}


def test_an_expired_message_reports_the_last_reply(watched, name):
    recipient = f"full-{name}@far.test"
    follows(watched)
    watched.send([recipient])
    delay = watched.log.wait(type="delay", recipient=recipient)
    watched.postfix._run("postsuper", "-c", str(watched.postfix.config), "-f",
                         delay["queue_id"])
    flush(watched)
    event = watched.log.wait(type="expiration", recipient=recipient,
                             timeout=20)
    assert event["reason"] == "mailbox_full"
    assert event["failure_type"] == "soft"
    assert event["counted"] is True
    assert "Over quota" in event["diagnostic"]
    assert event["attempts_left"] == 0
    watched.settle()
    assert len(strikes(watched, recipient)) == 1


def test_a_delivery_to_an_internal_hop_is_none(stack_maker, world, name):
    stack = stack_maker(maillog=[world.postfix.log],
                        internal_relays=[f"127.0.0.1:{world.remote.port}"])
    follows(stack)
    stack.send([f"{name}@far.test", f"reject-{name}@far.test"])
    event = stack.log.wait(type="bounce", recipient=f"reject-{name}@far.test")
    assert event["counted"] is False
    assert not stack.log.since(type="delivery", recipient=f"{name}@far.test")


def test_failures_of_an_allowed_recipient_are_ignored(watched, name):
    recipient = f"reject-{name}@far.test"
    follows(watched)
    watched.redis.cli("SET", f"nixie:allow:{recipient}", "")
    watched.send([recipient])
    event = watched.log.wait(type="bounce", recipient=recipient)
    assert event["reason"] == "error_ignored"
    assert event["failure_type"] == "ignored"
    assert event["counted"] is False
    watched.settle()


def test_a_kill_between_lines_loses_and_doubles_nothing(watched, name):
    follows(watched)
    recipients = [f"{name}-{number}@far.test" for number in range(60)]
    for number in range(0, 60, 10):
        for recipient in recipients[number:number + 10]:
            assert watched.send([recipient])[1].code == 250
        watched.nixied.kill()
        watched.nixied.start()
    for recipient in recipients:
        watched.log.wait(type="delivery", recipient=recipient)
    watched.settle()
    told = [event["recipient"] for event in watched.log.since(type="delivery")]
    assert sorted(told) == sorted(recipients)
    senders = {event.get("sender") for event in watched.log.since(
        type="delivery")}
    assert "sender@nixie.test" in senders
    assert senders <= {"sender@nixie.test", None}  # never another's


def test_a_rotation_loses_and_doubles_nothing(watched, world, name):
    follows(watched)
    recipients = [f"{name}-{number}@far.test" for number in range(30)]
    for number, recipient in enumerate(recipients):
        assert watched.send([recipient])[1].code == 250
        if number % 10 == 9:
            world.postfix.wait_empty()
            if number == 19:
                watched.nixied.kill()  # it is away during a rotation
            old = f"{world.postfix.log}.20261121-{number:06d}"
            os.rename(world.postfix.log, old)
            world.postfix.log.touch()
            world.postfix.log.chmod(0o644)
            world.postfix._run("postfix", "-c", str(world.postfix.config),
                               "reload")
            if number == 19:
                subprocess.run(["gzip", "-f", old], check=True)
                watched.nixied.start()
    for recipient in recipients:
        watched.log.wait(type="delivery", recipient=recipient, timeout=20)
    told = [event["recipient"] for event in watched.log.since(type="delivery")]
    assert sorted(told) == sorted(recipients)


def test_the_tool_reads_the_same_from_the_file(watched, world, name):
    follows(watched)
    watched.send([f"{name}@far.test", f"reject-{name}@far.test"])
    watched.log.wait(type="bounce", recipient=f"reject-{name}@far.test")
    done = subprocess.run(
        [str(build_folder() / "nixie"), "-c", str(watched.nixied.config),
         "maillog", str(world.postfix.log)], stdout=subprocess.PIPE,
        check=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    found = {(event["type"], event["recipient"]) for event in events}
    assert ("delivery", f"{name}@far.test") in found
    assert ("bounce", f"reject-{name}@far.test") in found


def test_an_operators_rule_wins_on_the_next_event(stack_maker, world, name):
    stack = stack_maker(start=False, maillog=[world.postfix.log])
    rules = stack.nixied.root / "rules.conf"
    rules.write_text("none.yet suppressed /never said by anybody/\n")
    stack.nixied.settings["bounce_rules"] = [rules]
    stack.nixied.write()
    stack.start()
    follows(stack)
    first, second, third = (f"reject-{name}-{n}@far.test" for n in range(3))
    stack.send([first])
    assert stack.log.wait(type="bounce",
                          recipient=first)["rule"] == "status:5.1.1"
    rules.write_text("ours.moved user_moved /no such user here/\n")
    stack.nixied.send(signal.SIGUSR2)
    wait_until(lambda: "configuration reloaded" in stack.nixied.error_text(),
               "nixied has reloaded")
    stack.send([second])
    event = stack.log.wait(type="bounce", recipient=second)
    assert (event["rule"], event["reason"]) == ("ours.moved", "user_moved")
    rules.write_text("ours.moved user_moved /unclosed(/\n")
    stack.nixied.send(signal.SIGUSR2)
    wait_until(lambda: "rules.conf:1" in stack.nixied.error_text(),
               "the error names file and line")
    stack.send([third])
    assert stack.log.wait(type="bounce", recipient=third)["rule"] == "ours.moved"


def test_our_own_refusal_in_sendmail_mail_is_told_once(watched, name):
    recipient = f"{name}@far.test"
    follows(watched)
    watched.suppress(recipient)
    watched.postfix.sendmail("sender@nixie.test", [recipient])
    event = watched.log.wait(type="suppressed", recipient=recipient)
    assert event["action"] == "bounce"
    watched.send([f"after-{recipient}"])  # its line comes behind
    watched.log.wait(type="delivery", recipient=f"after-{recipient}")
    assert not watched.log.since(type="bounce", recipient=recipient)


def test_a_sender_is_told_once_of_a_delay(stack_maker, world, name):
    stack = stack_maker(maillog=[world.postfix.log], delay_notice_after=2,
                        delay_notice_relay=f"127.0.0.1:{world.remote.port}")
    recipient = f"full-{name}@far.test"
    sender = f"boss-{name}@nixie.test"
    follows(stack)
    stack.send([recipient], sender=sender)
    first = stack.log.wait(type="delay", recipient=recipient, attempt=1)
    assert "delay_notice" not in first
    flush(stack)
    second = stack.log.wait(type="delay", recipient=recipient, attempt=2)
    assert second["delay_notice"] is True
    world.remote.wait_for(sender)
    flush(stack)
    third = stack.log.wait(type="delay", recipient=recipient, attempt=3)
    assert third["delay_notice"] is True
    notices = [text for origin, recipients, text in world.remote.messages
               if sender.encode() in recipients]
    assert len(notices) == 1
    assert b"Action: delayed" in notices[0]
    assert recipient.encode() in notices[0]
    assert [origin for origin, recipients, _ in world.remote.messages
            if sender.encode() in recipients] == [b""]
    stack.nixied.restart()
    follows(stack)
    flush(stack)
    stack.log.wait(type="delay", recipient=recipient, attempt=4)
    assert len([1 for _, recipients, _ in world.remote.messages
                if sender.encode() in recipients]) == 1
    world.postfix.delete_all()


def test_list_mail_is_not_told_of(stack_maker, world, name):
    stack = stack_maker(maillog=[world.postfix.log], delay_notice_after=1,
                        delay_notice_relay=f"127.0.0.1:{world.remote.port}")
    recipient = f"full-{name}@far.test"
    follows(stack)
    stack.send([recipient], sender=f"news-{name}@nixie.test",
               text=b"Subject: news\r\nList-Id: <news.nixie.test>\r\n\r\nHi\r\n")
    event = stack.log.wait(type="delay", recipient=recipient)
    assert "delay_notice" not in event
    assert stack.log.wait(type="reception", recipient=recipient)["bulk"] is True
    world.postfix.delete_all()


def test_a_log_named_twice_is_read_once(stack_maker, world, name):
    log = world.postfix.log
    stack = stack_maker(
        maillog=[log, log.parent / ".." / log.parent.name / log.name])
    follows(stack)
    recipient = f"{name}@far.test"
    stack.send([recipient])
    stack.log.wait(type="delivery", recipient=recipient)
    stack.settle()
    assert len(stack.log.since(type="delivery", recipient=recipient)) == 1
    assert "is the same file as" in stack.nixied.error_text()


def test_another_nixied_at_the_same_log_is_warned_of(watched, world):
    follows(watched)
    warning = "another nixied on this host follows"
    assert warning not in watched.nixied.error_text()
    for number, prefix in enumerate(("nixie:", "other:")):
        other = Nixied(watched.root / f"other{number}",
                       world.run / "other.sock", watched.redis.endpoint,
                       maillog=[world.postfix.log], key_prefix=prefix)
        other.start()
        other.log.wait(type="mark")
        assert (warning in other.error_text()) is (prefix == "nixie:")
        other.kill()
