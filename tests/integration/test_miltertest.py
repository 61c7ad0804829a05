"""Orders of callbacks that miltertest plays, beside any MTA."""

import pathlib
import shutil
import subprocess

import pytest

LUA = pathlib.Path(__file__).resolve().parent / "lua"

pytestmark = pytest.mark.skipif(shutil.which("miltertest") is None,
                                reason="miltertest is not installed")


def play(stack, script, name):
    """Runs a script; the outcomes that it left."""
    stack.suppress(f"{name}gone@example.com")
    stack.suppress(f"{name}gone@mx.nixie.test")
    mark = stack.log.mark()
    text = (LUA / "prelude.lua").read_text() + (LUA / script).read_text()
    done = subprocess.run(
        ["miltertest", "-D", f"socket={stack.world.milter_socket}",
         "-D", f"name={name}"],
        input=text.encode(), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=60, check=False)
    assert done.returncode == 0, done.stdout.decode(errors="replace")
    # a last message over SMTP: everything before it is logged
    stack.send([f"{name}end@example.com"])
    stack.log.wait(mark, recipient=f"{name}end@example.com")
    return [event for event in stack.log.outcomes(mark)
            if event.get("recipient") != f"{name}end@example.com"]


def test_abort_at_each_stage(stack, name):
    events = play(stack, "abort.lua", name)
    assert [(event["type"], event["recipient"]) for event in events] == [
        ("reception", f"{name}good@example.com")]
    assert events[0].has({"sender": "six@b.test", "message_id": "kept@x",
                          "queue_id": "4KEPT"})


def test_several_messages_of_one_connection(stack, name):
    events = play(stack, "messages.lua", name)
    assert [(event["type"], event["sender"], event.get("queue_id"))
            for event in events] == [
                (kind, f"s{number}@b.test", f"4Q{number}")
                for number in (1, 2, 3)
                for kind in ("suppressed", "reception")]
    assert len({event["transaction_id"] for event in events}) == 3
    assert [event["message_id"] for event in events
            if event["type"] == "reception"] == ["m1@x", "m2@x", "m3@x"]


def test_emulated_sessions(stack, name):
    events = play(stack, "emulated.lua", name)
    gone, good = f"{name}gone@example.com", f"{name}good@example.com"
    assert sorted((event["queue_id"], event["type"], event["recipient"],
                   event.get("action")) for event in events) == sorted([
                       ("4EMU1", "suppressed", gone, "drop"),
                       ("4EMU1", "reception", good, None),
                       ("4EMU2", "suppressed", gone, "bounce"),
                       ("4EMU3", "would_suppress", gone, "exempt"),
                       ("4EMU3", "reception", gone, None)])


def test_recipients_that_the_mta_refused(stack, name):
    events = play(stack, "rejected.lua", name)
    assert [(event["type"], event["recipient"][len(name):],
             event.get("enhanced_status"), event.get("diagnostic"))
            for event in events] == [
                ("rejection", "relay@example.com", "5.7.1",
                 "Relay access denied"),
                ("rejection", "later@example.com", "4.2.0",
                 "Recipient address rejected: Mailbox busy"),
                ("rejection", "silent@example.com", "5.1.1", None),
                ("rejection", "unknown@example.com", "5.1.1", "User unknown"),
                ("rejection", "quoted@example.com", "5.7.1",
                 "no mail for you"),
                ("rejection", "gone@example.com", "5.1.1",
                 "User unknown in local recipient table"),
                ("reception", "transport@example.com", None, None)]


def test_macros_of_sendmail(stack, name):
    events = play(stack, "sendmail.lua", name)
    assert [(event["type"], event["recipient"]) for event in events] == [
        ("suppressed", f"{name}gone@mx.nixie.test"),
        ("suppressed", f"{name}gone@example.com"),
        ("reception", f"{name}@mx.nixie.test")]
    assert {event["queue_id"] for event in events} == {"60215wXk003001"}
    assert events[2]["client_ip"] == "192.0.2.7"
    assert events[2]["listener"] == "MTA"


def test_what_no_mta_should_do(stack, name):
    events = play(stack, "odd.lua", name)
    by_recipient = {event["recipient"]: event for event in events
                    if event.get("recipient", "").startswith(name)}
    assert by_recipient[f"{name}gone@example.com"].has(
        {"type": "suppressed", "action": "drop"})
    assert by_recipient[f"{name}other@example.com"]["type"] == "reception"
    assert by_recipient[f"{name}plain@example.com"]["sender"] == ""
    assert by_recipient[f"{name}v6@example.com"].has(
        {"client_ip": "2001:db8::1", "helo": "two.test"})
