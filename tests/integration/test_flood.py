"""A stranger who makes the MTA refuse recipient after recipient.

Beyond a rate its refusals are counted, not written; all else stays as it is.
XCLIENT gives a session the address of another host.
"""

import time

import pytest

from harness.postfix import Postfix

RATE = 200
EXTRA = """\
smtpd_authorized_xclient_hosts = 127.0.0.0/8
mynetworks = 127.0.0.0/8, 192.0.2.0/24
smtpd_recipient_limit = 100000
"""


@pytest.fixture
def flooded(world, stack_maker):
    postfix = Postfix(world.root / f"postfixf{world.stacks}",
                      world.remote.port, world.milter_socket, extra=EXTRA)
    stack = stack_maker(postfix=postfix)
    stack.suppress("@gone.test")
    postfix.start()
    yield stack
    postfix.stop()


def session_of(stack, attributes):
    smtp = stack.dialogue()
    assert smtp.command(f"XCLIENT {attributes}").code == 220
    smtp.command("EHLO flood.test")
    smtp.mail()
    return smtp


def spray(smtp, recipients):
    """The codes, in pieces that no buffer is too small for."""
    codes = []
    for at in range(0, len(recipients), 500):
        replies = smtp.pipeline([f"RCPT TO:<{recipient}>"
                                 for recipient in recipients[at:at + 500]])
        codes += [reply.code for reply in replies]
    return codes


def counted(events, kind):
    """(events with a recipient, the sum of those without)."""
    events = [event for event in events if event["type"] == kind]
    sums = [event["aggregated"] for event in events if "aggregated" in event]
    return len(events) - len(sums), sum(sums)


def test_flood_of_a_stranger_is_counted_but_not_written(flooded, name):
    stack = flooded
    recipients = [f"{name}{i}@{'closed' if i % 4 == 0 else 'gone'}.test"
                  for i in range(20000)]
    mark = stack.log.mark()
    began = time.monotonic()
    with session_of(stack, "ADDR=192.0.2.1") as smtp:
        codes = spray(smtp, recipients)
        smtp.quit()
    # to the last of them the answer is the same
    assert codes == [554, 550, 550, 550] * 5000
    stack.nixied.end()  # what is not yet summed up is then
    seconds = time.monotonic() - began
    events = stack.log.outcomes(mark)
    rejected, more_rejected = counted(events, "rejection")
    refused, more_refused = counted(events, "suppressed")
    assert rejected + more_rejected == 5000
    assert refused + more_refused == 15000
    print(f"{seconds:.1f} s: {len(events)} lines")
    assert RATE <= rejected + refused <= RATE * (seconds + 1)
    sums = [event for event in events if "aggregated" in event]
    assert 2 <= len(sums) <= 2 * (seconds + 2)
    for event in sums:
        assert event["client_ip"] == "192.0.2.1"
        assert "recipient" not in event and "session_id" not in event
    stack.nixied.start()
    stack.settle()
    hours = [dict(zip(words[::2], words[1::2]))
             for words in (stack.redis.command("HGETALL", key)
                           for key in stack.redis.keys("nixie:{*}:stats:*"))]
    for kind, number in ((b"rejection", 5000), (b"suppressed", 15000)):
        assert sum(int(fields.get(kind, 0)) for fields in hours) == number
    assert stack.redis.keys("nixie:suppress:*") == [b"nixie:suppress:@gone.test"]


@pytest.mark.parametrize("attributes", ("ADDR=127.0.0.1",
                                        "ADDR=192.0.2.2 LOGIN=ann"))
def test_whoever_is_known_has_a_line_each(flooded, name, attributes):
    stack = flooded
    mark = stack.log.mark()
    with session_of(stack, attributes) as smtp:
        codes = spray(smtp, [f"{name}{i}@gone.test" for i in range(1000)])
    assert codes == [550] * 1000
    assert counted(stack.log.outcomes(mark), "suppressed") == (1000, 0)
    stack.settle()


def test_rate_is_a_setting(flooded, name):
    stack = flooded
    stack.nixied.restart(client_event_rate=0)
    recipients = [f"{name}{i}@gone.test" for i in range(1000)]
    mark = stack.log.mark()
    with session_of(stack, "ADDR=192.0.2.3") as smtp:
        assert spray(smtp, recipients) == [550] * 1000
    assert counted(stack.log.outcomes(mark), "suppressed") == (1000, 0)
    stack.nixied.restart(client_event_rate=5, mode="observe")
    mark = stack.log.mark()
    with session_of(stack, "ADDR=192.0.2.3") as smtp:
        assert spray(smtp, recipients[:100]) == [250] * 100
    stack.log.wait(mark, type="would_suppress", client_ip="192.0.2.3",
                   recipient=None)
    alone, more = counted(stack.log.outcomes(mark), "would_suppress")
    assert alone + more == 100 and 5 <= alone < 50
    stack.settle()


LINES = (
    "sm-mta[{pid}]: 60215wXk{pid:06}: ruleset=check_rcpt, arg1=<{to}>, "
    "relay=far.test [{ip}], reject=550 5.7.1 <{to}>... Relaying denied",
    "sm-mta[{pid}]: 60215wXk{pid:06}: <{to}>... User unknown",
)


@pytest.mark.parametrize("line, ip, limited", [
    (0, "192.0.2.1", True), (0, "IPv6:2001:db8::1", True), (0, "127.0.0.1", False),
    (1, None, True)])
def test_refusals_in_the_log_of_sendmail_are_counted(world, stack_maker,
                                                     tmp_path, line, ip,
                                                     limited):
    """5000 in three seconds of the log, read at once; nixied is started anew."""
    path = world.root / f"maillog{world.stacks}"
    path.write_text("")
    path.chmod(0o644)
    stack = stack_maker(maillog=[path])
    stack.log.wait(type="mark")
    now = int(time.time()) - 10
    mark = stack.log.mark()
    with open(path, "a") as file:
        for i in range(5000):
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00",
                                  time.gmtime(now + i // 2000))
            text = LINES[line].format(pid=1000 + i % 9, to=f"u{i}@x.test",
                                      ip=ip)
            file.write(f"{stamp} mx {text}\n")
    wanted = 3 * RATE if limited else 5000
    try:
        stack.log.wait(mark, wanted, type="rejection", timeout=12)
    except AssertionError as error:
        raise AssertionError(stack.nixied.error_text()[-2000:]) from error
    assert stack.nixied.end() == 0
    stack.nixied.start()
    stack.settle()
    lines, summed = counted(stack.log.outcomes(mark), "rejection")
    assert lines + summed == 5000
    assert (lines, summed) == (wanted, 5000 - wanted)
    for event in stack.log.since(mark, type="rejection"):
        assert event["origin"] == "maillog"
        if ip and "aggregated" in event:
            assert ip.endswith(event["client_ip"])


def test_refusals_in_the_log_are_counted_once_over_kills(world, stack_maker):
    """Between them what has a line; nixied is killed while it reads."""
    path = world.root / f"maillog{world.stacks}"
    path.write_text("")
    path.chmod(0o644)
    stack = stack_maker(maillog=[path])
    stack.log.wait(type="mark")
    mark = stack.log.mark()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00",
                          time.gmtime(int(time.time()) - 60))
    written = delivered = 0
    for kill in range(8):
        with open(path, "a", encoding="ascii") as file:
            for i in range(3000):
                text = LINES[0].format(pid=1000 + i % 9,
                                       to=f"u{kill}n{i}@x.test",
                                       ip=f"192.0.2.{1 + i % 2}")
                file.write(f"{stamp} mx {text}\n")
                if i % 500 == 499:
                    file.write(
                        f"{stamp} mx postfix/smtp[9]: F{kill}A2C{i:05}: "
                        f"to=<d{i}@x.test>, relay=mx[192.0.2.1]:25, delay=1, "
                        "delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)\n")
                    delivered += 1
            written += 3000
        time.sleep(0.01 * kill)
        stack.nixied.kill()
        stack.nixied.start()
    stack.log.wait(mark, type="delivery", queue_id="F7A2C02999")
    assert stack.nixied.end() == 0
    stack.nixied.start()
    stack.settle()
    lines, summed = counted(stack.log.outcomes(mark), "rejection")
    assert (lines + summed, summed > 0) == (written, True)
    assert counted(stack.log.outcomes(mark), "delivery") == (delivered, 0)
