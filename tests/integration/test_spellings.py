"""Spellings of a suppressed mailbox, and addresses that only look alike."""

import pytest

# each test with Postfix and with Sendmail
pytestmark = pytest.mark.usefixtures("mta")
only_postfix = pytest.mark.parametrize("mta", ("postfix",), indirect=True)

SAME = (
    "victim@example.com",
    "VICTIM@EXAMPLE.COM",
    '"victim"@example.com',
    '"vic\\tim"@example.com',
    "victim@example.com.",
    "@a.test,@b.test:victim@example.com",
    "victim%example.com@mx.nixie.test",
    "victim%example.com",
    "example.com!victim",
    "victim@example.com(comment)",
    "(c)victim@example.com",
    " victim@example.com ",
    "victim @ example.com",
    '"victim@example.com"',
    "victim@example.com@mx.nixie.test",
    "Foo <victim@example.com>",
    '"victim@example.com"@mx.nixie.test',
    "victim@Example.Com",
    "(a(b)c)victim(d)@(e)example.com",
    '"\\v\\i\\c\\t\\i\\m"@example.com',
)
OTHERS = (
    "victim+tag@example.com",
    "vic.tim@example.com",
    "vict\u0456m@example.com",  # Cyrillic
    "victim@ex\u0430mple.com",  # Cyrillic
    "victim@example.org",
    "victim@sub.example.com",
    "victim@example.com.org",
    "victims@example.com",
    '"vic tim"@example.com',
    '"victim "@example.com',
)
INTERNATIONAL = (
    # suppressed key, spelling
    ("ann@xn--bcher-kva.example", "ann@b\u00fccher.example"),
    ("ann@xn--bcher-kva.example", "ann@B\u00dcCHER.example"),
    ("ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"),
    ("ann@xn--bcher-kva.example", "ann@XN--BCHER-KVA.example"),
    ("ann@xn--bcher-kva.example", "ann@bu\u0308cher.example"),
    ("ann@u3002.test", "ann@u3002\u3002test"),
    ("j\u00fcrgen@nfc.test", "ju\u0308rgen@nfc.test"),
    ("j\u00fcrgen@nfc.test", "J\u00fcrgen@nfc.test"),
    ("ann@xn--strae-oqa.test", "ann@stra\u00dfe.test"),
)


def answer(stack, spelling):
    with stack.dialogue() as smtp:
        offered = b"250-SMTPUTF8" in smtp.hello.lines
        smtp.mail(parameters="SMTPUTF8" if offered else "")
        return smtp.rcpt(spelling)


@pytest.fixture(scope="module", autouse=True)
def victim(stack):
    stack.suppress("victim@example.com")


@pytest.mark.parametrize("spelling", SAME)
def test_spelling_is_refused(stack, mta, spelling):
    mark = stack.log.mark()
    reply = answer(stack, spelling)
    if reply.code in mta.syntax_errors:
        return
    assert reply.code == 550 and "suppressed" in reply.text, reply
    event = stack.log.wait(mark, type="suppressed")
    assert event["recipient"] == "victim@example.com"
    typed = spelling.strip()
    if typed == "victim@example.com":
        assert "original_recipient" not in event or spelling != typed
    else:
        assert event["original_recipient"].strip() == typed


def test_spelling_without_brackets_is_refused(stack):
    with stack.dialogue() as smtp:
        smtp.mail()
        assert smtp.command("RCPT TO:victim@example.com").code == 550
        assert smtp.command("RCPT TO: victim@example.com").code == 550


@pytest.mark.parametrize("other", OTHERS)
def test_look_alike_is_let_through(stack, mta, other):
    reply = answer(stack, other)
    assert reply.code in (250, *mta.syntax_errors), reply


@pytest.mark.parametrize("key, spelling", INTERNATIONAL)
def test_international_spelling_is_refused(stack, mta, key, spelling):
    stack.suppress(key)
    reply = answer(stack, spelling)
    if reply.code not in mta.syntax_errors:
        assert reply.code == 550 and "suppressed" in reply.text, reply


def test_address_literal_is_refused(stack):
    stack.suppress("ann@[192.0.2.1]")
    assert answer(stack, "ann@[192.0.2.1]").code == 550
    assert answer(stack, "ann@[192.0.2.2]").code == 250


@only_postfix  # Sendmail refuses more than 256 bytes itself
def test_of_an_endless_mailbox_the_domain_is_looked_up(stack):
    stack.suppress("@endless.test")
    mark = stack.log.mark()
    assert answer(stack, "x" * 330 + "@endless.test").code == 550
    event = stack.log.wait(mark, type="suppressed")
    assert "recipient" not in event
    assert event["recipient_domain"] == "endless.test"
