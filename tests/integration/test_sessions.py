"""Orders of commands: several messages, RSET, pipelining, lost clients."""

import threading

import pytest

from harness.wait import wait_until

# each test with Postfix and with Sendmail
pytestmark = pytest.mark.usefixtures("mta")
only_postfix = pytest.mark.parametrize("mta", ("postfix",), indirect=True)


def test_messages_of_one_connection_do_not_mix(stack, name):
    gone = f"{name}gone@example.com"
    stack.suppress(gone)
    mark = stack.log.mark()
    with stack.dialogue() as smtp:
        for i in range(5):
            replies, taken = smtp.message(
                f"s{i}@nixie.test", [f"{name}{i}@example.com", gone],
                text=f"Message-ID: <m{i}@x>\r\n\r\nx\r\n".encode())
            assert taken.code == 250
        smtp.quit()
    receptions = stack.log.wait(mark, count=5, type="reception")
    refusals = stack.log.wait(mark, count=5, type="suppressed")
    assert len({event["session_id"] for event in receptions}) == 1
    assert len({event["transaction_id"] for event in receptions}) == 5
    for i, (reception, refusal) in enumerate(zip(receptions, refusals)):
        assert reception["recipient"] == f"{name}{i}@example.com"
        assert reception["sender"] == refusal["sender"] == f"s{i}@nixie.test"
        assert reception["message_id"] == f"m{i}@x"
        assert reception["transaction_id"] == refusal["transaction_id"]
        assert reception["queue_id"] == refusal["queue_id"]
    assert len(stack.log.outcomes(mark)) == 10


def test_rset_forgets_the_recipients(stack, name):
    first, second = f"{name}a@example.com", f"{name}b@example.com"
    mark = stack.log.mark()
    with stack.dialogue() as smtp:
        smtp.mail("one@nixie.test")
        smtp.rcpt(first)
        smtp.command("RSET")
        smtp.message("two@nixie.test", [second])
        smtp.quit()
    event = stack.log.wait(mark, type="reception")
    assert (event["recipient"], event["sender"]) == (second, "two@nixie.test")
    assert len(stack.log.outcomes(mark)) == 1


def test_second_hello_forgets_the_recipients(stack, name):
    mark = stack.log.mark()
    with stack.dialogue() as smtp:
        smtp.mail("one@nixie.test")
        smtp.rcpt(f"{name}a@example.com")
        smtp.command("EHLO again.test")
        smtp.message("two@nixie.test", [f"{name}b@example.com"])
    event = stack.log.wait(mark, type="reception")
    assert event.has({"recipient": f"{name}b@example.com",
                      "helo": "again.test"})
    assert len(stack.log.outcomes(mark)) == 1


def test_pipelined_commands_get_their_answers_in_order(stack, mta, name):
    gone = f"{name}gone@example.com"
    stack.suppress(gone)
    mark = stack.log.mark()
    with stack.dialogue() as smtp:
        replies = smtp.pipeline([
            "MAIL FROM:<p@nixie.test>", f"RCPT TO:<{name}1@example.com>",
            f"RCPT TO:<{gone}>", f"RCPT TO:<{mta.unknown}>",
            f"RCPT TO:<{name}2@example.com>", "DATA"])
        assert [reply.code for reply in replies] == [
            250, 250, 550, 550, 250, 354]
        smtp.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
        assert smtp.reply().code == 250
    stack.log.wait(mark, count=2, type="reception")
    assert [event["type"] for event in stack.log.outcomes(mark)] == [
        "suppressed", "rejection", "reception", "reception"]


def test_message_to_refused_recipients_only_is_not_received(stack, name):
    gone = f"{name}@example.com"
    stack.suppress(gone)
    mark = stack.log.mark()
    with stack.dialogue() as smtp:
        smtp.mail()
        assert smtp.rcpt(gone).code == 550
        assert smtp.command("DATA").code in (503, 554)
        smtp.quit()
    assert [event["type"] for event in stack.log.outcomes(mark)] == [
        "suppressed"]


def test_client_that_goes_away_at_any_stage_harms_nobody(stack, name):
    stages = (
        [], ["MAIL FROM:<a@b.test>"],
        ["MAIL FROM:<a@b.test>", f"RCPT TO:<{name}@example.com>"],
        ["MAIL FROM:<a@b.test>", f"RCPT TO:<{name}@example.com>", "DATA"],
    )
    mark = stack.log.mark()
    for stage in stages:
        with stack.dialogue() as smtp:
            for line in stage:
                smtp.command(line)
    for cut in (b"Subj", b"Subject: x\r\n\r\n", b"Subject: x\r\n\r\nbo"):
        with stack.dialogue() as smtp:
            for line in stages[-1]:
                smtp.command(line)
            smtp.send(cut)
    replies, _ = stack.send([f"{name}after@example.com"])
    assert replies[f"{name}after@example.com"].code == 250
    stack.log.wait(mark, recipient=f"{name}after@example.com")
    assert stack.log.since(mark, recipient=f"{name}@example.com") == []


@only_postfix
def test_message_with_smtputf8(stack):
    recipient = "j\u00fcrgen@b\u00fccher.example"
    stack.suppress("gone@xn--bcher-kva.example")
    mark = stack.log.mark()
    with stack.dialogue() as smtp:
        replies, taken = smtp.message(
            "j\u00f6rg@b\u00fccher.example",
            [recipient, "gone@b\u00fccher.example"],
            text="Subject: Gr\u00fc\u00dfe\r\n\r\n\u00fc\r\n".encode(),
            parameters="SMTPUTF8 BODY=8BITMIME")
    assert [reply.code for reply in replies.values()] == [250, 550]
    assert taken.code == 250
    event = stack.log.wait(mark, type="reception")
    assert event.has({"recipient": "j\u00fcrgen@xn--bcher-kva.example",
                      "recipient_domain": "xn--bcher-kva.example",
                      "sender": "j\u00f6rg@b\u00fccher.example"})


@only_postfix
def test_every_stage_at_which_postfix_refuses_is_recorded(stack, name):
    mark = stack.log.mark()
    with stack.dialogue() as smtp:
        smtp.mail()
        assert smtp.rcpt("x@closed.test").code == 554
        assert smtp.rcpt("nobody@hosted.test").code == 550
        assert smtp.rcpt("deferred@example.com").code == 450
        assert smtp.rcpt(f"{name}@example.com").code == 250
        assert smtp.data().code == 250
    stack.log.wait(mark, type="reception")
    rejections = stack.log.since(mark, type="rejection")
    assert [(event["recipient"], event["enhanced_status"])
            for event in rejections] == [
                ("x@closed.test", "5.7.1"), ("nobody@hosted.test", "5.1.1"),
                ("deferred@example.com", "4.2.0")]
    assert all(event["decided_by"] == "mta" for event in rejections)
    assert stack.redis.keys("nixie:suppress:*closed*") == []


@only_postfix
def test_two_thousand_recipients_of_one_message(stack, name):
    addresses = [f"{name}n{i}@example.com" for i in range(2000)]
    stack.suppress(addresses[700])
    mark = stack.log.mark()
    with stack.dialogue() as smtp:
        replies = smtp.pipeline(
            ["MAIL FROM:<p@nixie.test>"] +
            [f"RCPT TO:<{address}>" for address in addresses])
        codes = [reply.code for reply in replies[1:]]
        assert codes[700] == 550
        assert codes.count(250) == len(addresses) - 1
        assert smtp.data().code == 250
    stack.log.wait(mark, count=1999, type="reception", timeout=20)
    stack.settle()


def test_connections_at_the_same_time_do_not_mix(stack, name):
    gone = f"{name}gone@example.com"
    stack.suppress(gone)
    mark = stack.log.mark()
    failures = []

    def client(number):
        try:
            with stack.dialogue() as smtp:
                for i in range(5):
                    address = f"{name}c{number}m{i}@example.com"
                    replies, taken = smtp.message(
                        f"c{number}m{i}@nixie.test", [gone, address])
                    assert replies[gone].code == 550
                    assert taken.code == 250
        except (AssertionError, OSError) as failure:
            failures.append(f"{number}: {failure!r}")

    threads = [threading.Thread(target=client, args=(i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    receptions = stack.log.wait(mark, count=100, type="reception")
    for event in receptions:
        local = event["sender"].partition("@")[0]
        assert event["recipient"] == f"{name}{local}@example.com"
    wait_until(lambda: len(stack.log.outcomes(mark)) == 200, "200 events")
    stack.settle()
