"""Every byte a stranger can send, at every place: the log stays JSON."""

import base64
import json
import subprocess

import pytest

from harness.postfix import Postfix
from harness.stack import Stack

# NUL, CR and LF end a command; the client cannot get them into one.
BYTES = [bytes([byte]) for byte in range(1, 256) if byte not in (10, 13)]


@pytest.fixture(scope="module")
def stack(world):
    """Behind a Postfix that lets bytes pass that are not UTF-8."""
    postfix = Postfix(world.root / "postfix8", world.remote.port,
                      world.milter_socket, extra="smtputf8_enable = no\n")
    made = Stack(world, postfix=postfix)
    try:
        postfix.start()
        yield made.start()
        made.finish()
    finally:
        made.stop()
        postfix.stop()


def in_chunks(size):
    """All of them in a few strings."""
    return [b"".join(BYTES[start:start + size])
            for start in range(0, len(BYTES), size)]


def parses_everywhere(stack):
    """Each line by Python, jq and jansson, to the same members."""
    stack.log.check()
    lines = [event.line for event in stack.log.events]
    done = subprocess.run(["jq", "-c", "."], input=b"\n".join(lines) + b"\n",
                          stdout=subprocess.PIPE, check=True)
    by_jq = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(by_jq) == len(lines)
    for event, members in zip(stack.log.events, by_jq):
        assert dict(event) == members
    # nixie reads with jansson; what it cannot read has no type
    by_jansson = []
    for kind in {event["type"] for event in stack.log.events}:
        done = stack.nixied.tool("tail", "--json", "--no-follow", "--type",
                                 kind, "--lines", str(len(lines)))
        assert done.returncode == 0, done.stderr
        by_jansson += done.stdout.splitlines()
    assert sorted(by_jansson) == sorted(lines)


PLACES = {
    "HELO": (b"HELO %s",),
    "EHLO": (b"EHLO %s",),
    "MAIL": (b"MAIL FROM:<%s@example.com>", b"RCPT TO:<good@example.com>"),
    "MAIL quoted": (b'MAIL FROM:<"%s"@example.com>',
                    b"RCPT TO:<good@example.com>"),
    "MAIL bare": (b"MAIL FROM:%s", b"RCPT TO:<good@example.com>"),
    "MAIL parameter": (b"MAIL FROM:<a@b.test> ENVID=%s",
                       b"RCPT TO:<good@example.com>"),
    "MAIL xtext": (b"MAIL FROM:<a@b.test> ENVID=x",
                   b"RCPT TO:<good@example.com>"),
    "RCPT": (b"MAIL FROM:<a@b.test>", b"RCPT TO:<%s@example.com>"),
    "RCPT quoted": (b"MAIL FROM:<a@b.test>", b'RCPT TO:<"%s"@example.com>'),
    "RCPT domain": (b"MAIL FROM:<a@b.test>", b"RCPT TO:<a@%s>"),
    "RCPT suppressed": (b"MAIL FROM:<a@b.test>", b'RCPT TO:<"%s"@shut.test>'),
    "RCPT refused": (b"MAIL FROM:<a@b.test>", b'RCPT TO:<"%s"@closed.test>'),
    "RCPT parameter": (b"MAIL FROM:<a@b.test>",
                       b"RCPT TO:<good@example.com> ORCPT=rfc822;%s"),
    "RCPT bare": (b"MAIL FROM:<a@b.test>", b"RCPT TO:%s"),
}


@pytest.mark.parametrize("place", PLACES)
def test_every_byte_leaves_lines_that_parse(stack, place):
    stack.suppress("@shut.test")
    values = BYTES + in_chunks(16) + [b"".join(BYTES)]
    with stack.dialogue() as smtp:
        for value in values:
            for template in PLACES[place]:
                smtp.command(template.replace(b"%s", value))
            smtp.data()
            smtp.command("RSET")
    # the daemon lives, and says so
    replies, _ = stack.send(["gone@shut.test"])
    assert replies["gone@shut.test"].code == 550
    stack.log.wait(recipient="gone@shut.test")
    assert stack.log.torn == []
    stack.log.check()


def test_bytes_of_headers_leave_lines_that_parse(stack):
    with stack.dialogue() as smtp:
        for value in BYTES + in_chunks(16):
            text = (b"Message-ID: <" + value + b"@x>\r\nSubject: " + value +
                    b"\r\nX-" + value + b": y\r\n\r\n" + value + b"\r\n")
            smtp.message("a@b.test", ["good@example.com"], text)
    stack.log.wait(message_id="a@x")
    assert stack.log.torn == []


def test_bytes_that_are_not_utf8_stand_beside_in_base64(stack, name):
    mark = stack.log.mark()
    with stack.dialogue() as smtp:
        smtp.mail()
        smtp.rcpt(name.encode() + b"\xff\xfe@example.com")
        smtp.data(b"Message-ID: <\xc0\xaf@x>\r\n\r\nx\r\n")
    event = stack.log.wait(mark, type="reception")
    assert event["recipient"] == f"{name}\ufffd\ufffd@example.com"
    assert event["message_id"] == "\ufffd\ufffd@x"
    assert base64.b64decode(event["message_id_base64"]) == b"\xc0\xaf@x"
    assert base64.b64decode(event["original_recipient_base64"]) == (
        name.encode() + b"\xff\xfe@example.com")


def test_bytes_in_list_entries_reach_neither_reply_nor_break_lines(stack):
    with stack.redis.client() as redis, stack.dialogue() as smtp:
        for number, value in enumerate(BYTES + in_chunks(16) + [
                b"\0", b"\r\n550 x", b"x" * 5000, b"%s%n%%"]):
            redis.command("HSET", f"nixie:suppress:e{number}@example.com",
                          "reason", value, "note", value, "by", value,
                          "added_at", value, "origin", value, "mode", value)
            smtp.mail()
            reply = smtp.rcpt(f"e{number}@example.com")
            assert reply.code == 550
            assert len(reply.lines) == 1
            assert all(0x20 <= byte < 0x7f for byte in reply.lines[0])
            smtp.command("RSET")
            event = stack.log.wait(recipient=f"e{number}@example.com")
            assert event["type"] == "suppressed"
    stack.log.check()


def test_redis_commands_in_an_address_stay_an_address(stack):
    mark = stack.log.mark()
    with stack.dialogue() as smtp:
        smtp.mail()
        for address in (b'"a\\" 1 EX 5 {07} *3"@example.com',
                        b'"{01}:x"@example.com', b'"a:b:c"@example.com',
                        b'"nixie:suppress"@example.com'):
            assert smtp.rcpt(address).code == 250
        smtp.data()
    stack.log.wait(mark, count=4, type="reception")
    stack.settle()


def test_all_lines_parse_with_python_jq_and_jansson(stack):
    """Last in this file: everything that the tests above have sent."""
    assert len(stack.log.read()) > 1000
    parses_everywhere(stack)
