"""Mail handed in with sendmail(1): nothing may be refused at RCPT there."""

import pytest

from harness.wait import wait_until


def test_suppressed_recipient_is_dropped_and_the_other_gets_it(stack, name):
    gone, good = f"{name}gone@example.com", f"{name}good@example.com"
    stack.suppress(gone)
    mark = stack.log.mark()
    assert stack.postfix.sendmail("a@b.test", [gone, good]).returncode == 0
    event = stack.log.wait(mark, type="suppressed")
    assert event.has({"recipient": gone, "action": "drop", "sender":
                      "a@b.test"})
    assert stack.log.wait(mark, type="reception")["recipient"] == good
    stack.remote.wait_for(good)
    stack.postfix.wait_empty()
    assert gone not in stack.remote.recipients()
    assert len(stack.log.outcomes(mark)) == 2


@pytest.mark.parametrize("form", ["{local}@{domain}.", "{local}%{domain}",
                                  "{domain}!{local}"])
def test_rewritten_spelling_is_dropped(stack, name, form):
    local, domain = f"{name}gone", "example.com"
    gone, good = f"{local}@{domain}", f"{name}good@example.com"
    stack.suppress(gone)
    mark = stack.log.mark()
    typed = form.format(local=local, domain=domain)
    assert stack.postfix.sendmail("a@b.test", [typed, good]).returncode == 0
    event = stack.log.wait(mark, type="suppressed")
    assert event.has({"recipient": gone, "action": "drop"})
    stack.remote.wait_for(good)
    stack.postfix.wait_empty()
    assert gone not in stack.remote.recipients()


def test_message_with_nobody_left_is_rejected_to_its_sender(stack, name):
    gone, sender = f"{name}@example.com", f"{name}sender@b.test"
    stack.suppress(gone)
    mark = stack.log.mark()
    assert stack.postfix.sendmail(sender, [gone]).returncode == 0
    event = stack.log.wait(mark, type="suppressed")
    assert event.has({"recipient": gone, "action": "bounce"})
    stack.remote.wait_for(sender)  # the bounce
    stack.postfix.wait_empty()
    assert gone not in stack.remote.recipients()
    assert stack.log.since(mark, type="reception") == []
    _, _, text = next(message for message in stack.remote.messages
                      if message[1] == [sender.encode()])
    assert b"All recipients suppressed" in text


def test_null_sender_is_never_refused(stack, name):
    gone = f"{name}@example.com"
    stack.suppress(gone)
    mark = stack.log.mark()
    assert stack.postfix.sendmail("<>", [gone]).returncode == 0
    event = stack.log.wait(mark, type="would_suppress")
    assert event.has({"action": "exempt", "sender": "", "recipient": gone})
    stack.remote.wait_for(gone)
    stack.postfix.wait_empty()


def test_recipients_from_the_headers_are_dropped_too(stack, name):
    gone, good = f"{name}gone@example.com", f"{name}good@example.com"
    stack.suppress(gone)
    mark = stack.log.mark()
    text = f"To: {gone}, {good}\nSubject: x\n\nHello\n".encode()
    stack.postfix.sendmail("a@b.test", [], text, options=["-t"])
    assert stack.log.wait(mark, type="suppressed")["action"] == "drop"
    stack.remote.wait_for(good)
    stack.postfix.wait_empty()
    assert gone not in stack.remote.recipients()


def test_unqualified_recipient_is_dropped_though_postfix_rewrote_it(
        stack, name):
    good = f"{name}good@example.com"
    stack.suppress(f"{name}@mx.nixie.test")
    mark = stack.log.mark()
    stack.postfix.sendmail("a@b.test", [name, good])
    event = stack.log.wait(mark, type="suppressed")
    assert event["recipient"] == f"{name}@mx.nixie.test"
    stack.remote.wait_for(good)
    stack.postfix.wait_empty()
    assert f"{name}@mx.nixie.test" not in stack.remote.recipients()


def test_spelling_that_differs_in_case_is_dropped(stack, name):
    good = f"{name}good@example.com"
    stack.suppress(f"{name}@example.com")
    mark = stack.log.mark()
    stack.postfix.sendmail("a@b.test", [f"{name.upper()}@Example.COM", good])
    stack.log.wait(mark, type="suppressed")
    stack.remote.wait_for(good)
    stack.postfix.wait_empty()
    assert f"{name}@example.com" not in [
        recipient.lower() for recipient in stack.remote.recipients()]


def test_two_suppressed_and_one_good_leave_only_the_good(stack, name):
    gone = [f"{name}{i}@example.com" for i in range(2)]
    good = f"{name}good@example.com"
    for address in gone:
        stack.suppress(address)
    mark = stack.log.mark()
    stack.postfix.sendmail("a@b.test", [gone[0], good, gone[1]])
    events = stack.log.wait(mark, count=2, type="suppressed")
    assert {event["action"] for event in events} == {"drop"}
    assert len({event["queue_id"] for event in events}) == 1
    stack.remote.wait_for(good)
    stack.postfix.wait_empty()
    assert not set(gone) & set(stack.remote.recipients())


def test_bounces_of_postfix_reach_a_suppressed_sender(stack, name):
    """Our own bounces pass no milter here; nothing may stick."""
    sender = f"{name}@b.test"
    stack.suppress(sender)
    with stack.dialogue() as smtp:
        _, taken = smtp.message(sender, [f"reject{name}@example.com"])
    assert taken.code == 250
    stack.remote.wait_for(sender)
    wait_until(lambda: not stack.postfix.queue(), "the queue is empty")
