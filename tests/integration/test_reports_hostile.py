"""Reports that somebody made to hurt: cheap, bounded, and passed on as is."""

import os
import threading

import pytest

from harness.decided import entry, settle, strikes
from harness.reports import BOUNDARY, bounce, head_of
from harness.smtp import Dialogue
from harness.stack import Stack
from harness.wait import wait_until

OTHERS = "127.0.0.9"
TICKS = os.sysconf("SC_CLK_TCK")
CPU_MAX = 0.5  # seconds for a message: ten times what it should take
SLOW = 30 if os.environ.get("NIXIE_SLOW") else 1  # sanitizers


@pytest.fixture(scope="module")
def stack(world):
    with Stack.marking(world).running() as made:
        yield made


def cpu(stack):
    with open(f"/proc/{stack.nixied.pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(stack):
    with open(f"/proc/{stack.nixied.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file
                    if line.startswith("VmRSS:")) / 1024


def parts_of(*parts):
    """A report of a daemon with these parts, each with its own headers."""
    head = (b"From: MAILER-DAEMON@far.example\r\nTo: known@hosted.test\r\n"
            b"Subject: Undelivered Mail Returned to Sender\r\n"
            b"MIME-Version: 1.0\r\nContent-Type: multipart/report; "
            b"report-type=delivery-status; boundary=\"" + BOUNDARY
            + b"\"\r\n\r\n")
    return head + b"".join(b"--" + BOUNDARY + b"\r\n" + part + b"\r\n"
                           for part in parts) + b"--" + BOUNDARY + b"--\r\n"


FIELDS = (b"Reporting-MTA: dns; far.example\r\n\r\n"
          b"Final-Recipient: rfc822; known@hosted.test\r\nAction: failed\r\n"
          b"Status: 5.1.1\r\n")
STATUS = b"Content-Type: message/delivery-status\r\n\r\n" + FIELDS
TEXT = b"<x@far.example>: 550 5.1.1 User unknown \xff\xc3\x28 \x00|\r\n"


def deep(depth):
    inside = FIELDS
    for level in range(depth):
        inside = (b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d"
                  b"\r\n" % (level, level)) + inside
    return inside


def nested(depth):
    return b"Content-Type: message/rfc822\r\n\r\n" * depth + FIELDS


def fold(text, width=900):
    return b"\r\n".join(text[at:at + width]
                        for at in range(0, len(text), width))


CHARSETS = ("utf-8 utf-7 utf-16 utf-16le utf-32 iso-2022-jp iso-2022-kr hz "
            "gb18030 big5 euc-kr koi8-r windows-1252 shift_jis ebcdic-us "
            "no-such-charset %s /etc/passwd").split()
ENCODINGS = "7bit 8bit base64 quoted-printable x-uuencode no-such".split()


def hostile():
    """(what, message)."""
    yield "10000 recipients", bounce(
        "r@far.example", part="none",
        more=[(f"r{i}@far.example", None) for i in range(10000)])
    yield "10000 parts", parts_of(*[STATUS] * 10000)
    yield "10000 text parts", parts_of(
        *[b"Content-Type: text/plain\r\n\r\n" + TEXT] * 10000)
    yield "depth 10000", parts_of(deep(10000))
    yield "10000 messages in each other", parts_of(nested(10000))
    yield "a boundary that begins another", parts_of(
        *[b"--" + BOUNDARY * 2 + b"\r\n" + STATUS] * 2000)
    yield "only dashes", parts_of(b"\r\n" + b"--\r\n" * 100000)
    yield "addresses alone", parts_of(b"\r\n" + b"".join(
        b"<a%d@far.example>: 550 5.1.1 no\r\n" % i for i in range(8000)))
    yield "at signs", parts_of(b"\r\n" + fold(b"a@b.c@" * 40000))
    yield "brackets", parts_of(b"\r\n" + fold(b"<" * 250000))
    yield "replies", parts_of(b"\r\n" + fold(b"550 5.1.1 " * 25000))
    yield "base64 of nothing", parts_of(
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64"
        b"\r\n\r\n" + fold(b"====" * 60000))
    yield "html", parts_of(b"Content-Type: text/html\r\n\r\n"
                           + fold(b"<p><!--<b x='" * 20000))
    yield "encoded words", (
        b"Subject:" + b" =?utf-8?B?w7w=?=\r\n" * 3000).replace(
            b"\r\n ", b"\r\n\t") + parts_of(STATUS)
    for charset in CHARSETS:
        kind = b"Content-Type: text/plain; charset=" + charset.encode()
        yield f"charset {charset}", parts_of(kind + b"\r\n\r\n" + TEXT * 1000)
    for encoding in ENCODINGS:
        kind = b"Content-Transfer-Encoding: " + encoding.encode()
        yield f"encoding {encoding}", parts_of(
            kind + b"\r\n\r\n" + TEXT * 1000,
            kind + b"\r\n" + STATUS + TEXT * 100)


def come(stack, name, message):
    """From elsewhere, to somebody at the remote server; its text there."""
    token = b"X-Token: " + name.encode() + b"\r\n"
    with stack.dialogue(source=OTHERS, timeout=120) as smtp:
        _, end = smtp.message("", [f"in@{name}.example"], token + message)
    assert end.code == 250, end
    found = []

    def arrived():
        found[:] = [text for _, _, text in list(stack.remote.messages)
                    if token in text]
        return found

    wait_until(arrived, f"{name} arrives", 60)
    return found[0]


@pytest.mark.parametrize("what, message", hostile(),
                         ids=lambda value: value if isinstance(value, str)
                         else "")
def test_it_costs_little_and_passes_as_it_came(stack, name, what, message):
    message = message.replace(b"\x00", b"?")  # Postfix strips it
    before, held = cpu(stack), memory(stack)
    text = come(stack, name, message)
    assert cpu(stack) - before <= (CPU_MAX + 2 / TICKS) * SLOW, what
    assert memory(stack) - held < 64, what
    assert text.endswith(message), what


def test_a_header_line_of_a_mebibyte_passes(stack, name):
    """The MTA folds or cuts such a line; we do not fall over it."""
    before, held = cpu(stack), memory(stack)
    come(stack, name, b"X-Long: " + fold(b"a" * 1048576, 900).replace(
        b"\r\n", b"\r\n ") + b"\r\nSubject: failure notice\r\n"
         b"From: MAILER-DAEMON@far.example\r\n\r\n" + TEXT.replace(
             b"\x00", b""))
    assert cpu(stack) - before <= (CPU_MAX + 2 / TICKS) * SLOW
    assert memory(stack) - held < 64


def test_a_hundred_mebibytes_pass(stack, name):
    """What else nixied does meanwhile is seen by a mail that is no report."""
    stack.postfix._run("postconf", "-c", str(stack.postfix.config),
                       "-e", "message_size_limit=200000000")
    stack.postfix._run("postfix", "-c", str(stack.postfix.config), "reload")
    much = fold(b"a" * (100 << 20), 998)
    before = cpu(stack)
    come(stack, f"{name}-plain", b"Subject: letter\r\n\r\n" + much + b"\r\n")
    usual, held = cpu(stack) - before, memory(stack)
    before = cpu(stack)
    message = parts_of(STATUS, b"Content-Type: message/rfc822\r\n\r\n" + much)
    text = come(stack, name, message)
    assert cpu(stack) - before - usual <= (CPU_MAX + 2 / TICKS) * SLOW
    assert memory(stack) - held < 64
    assert text.endswith(message)


def test_many_reports_at_once_while_the_settings_are_read_again(stack, name):
    """Senders side by side, marks true and false, SIGUSR2 in between."""
    victim = f"{name}@{name}.example"
    with stack.dialogue() as smtp:
        _, end = smtp.message("sender@nixie.test", [victim])
    assert end.code == 250
    stack.remote.wait_for(victim)
    ours = next(text for _, recipients, text in list(stack.remote.messages)
                if victim.encode() in recipients)
    true = bounce(victim, ours, status="4.2.2",
                  diagnostic="smtp; 452 4.2.2 Over quota")
    false = bounce(victim, ours.replace(head_of(ours)[:60], b"X-A: b\r\n", 1))
    failed = []

    def send(number):
        try:
            with Dialogue(("127.0.0.1", stack.postfix.port), source=OTHERS,
                          timeout=60) as smtp:
                for at in range(25):
                    _, end = smtp.message("", ["known@hosted.test"],
                                          true if (at + number) % 2 else false)
                    assert end.code == 250, end
        except (AssertionError, OSError) as error:
            failed.append(error)

    mark = stack.log.mark()
    threads = [threading.Thread(target=send, args=(number,))
               for number in range(16)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        stack.nixied.send(12)  # SIGUSR2
        threads[0].join(0.05)
        next((thread for thread in threads if thread.is_alive()),
             threads[0]).join(0.05)
    assert not failed, failed[:3]
    stack.log.wait(mark, 200, type="out_of_band", trace="valid", timeout=60)
    settle(stack, 60)
    assert len(strikes(stack, victim)) == 1
    assert stack.history(victim)["out_of_band"] == "1"
    assert entry(stack, victim) == {}
