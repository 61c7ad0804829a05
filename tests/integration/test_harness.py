"""That the tests would notice: what finds faults here finds planted ones."""

import pytest

from harness import oracle
from harness.nixied import sanitizer_reports
from harness.smtp import Reply

RACE = """\
==================
WARNING: ThreadSanitizer: data race (pid=1)
  Write of size 8 at 0x7b04 by thread T6:
    #0 on_rcpt ../milter/session.c:420 (nixied+0xc504)
    #1 mi_worker <null> (libmilter.so.1.0.1+0x89d5)

  Previous write of size 8 at 0x7b04 by thread T5:
    #0 on_mail ../milter/session.c:220 (nixied+0xc504)
    #1 mi_worker <null> (libmilter.so.1.0.1+0x89d5)

  Thread T6 (tid=3, running) created by main thread at:
    #0 main ../milter/nixied.c:112 (nixied+0x7168)

SUMMARY: ThreadSanitizer: data race ../milter/session.c:420 in on_rcpt
==================
"""
OF_LIBMILTER = """\
==================
WARNING: ThreadSanitizer: data race (pid=1)
  Atomic read of size 1 at 0x7f56056b8c20 by thread T6:
    #0 pthread_mutex_lock x.inc:4324 (libtsan.so.2+0x558e1)
    #1 mi_closener <null> (libmilter.so.1.0.1+0x7eca)

  Previous write of size 1 at 0x7f56056b8c20 by main thread:
    #0 pthread_mutex_destroy x.cpp:1312 (libtsan.so.2+0x42191)
    #1 mi_listener <null> (libmilter.so.1.0.1+0x81cc)
    #2 main ../milter/nixied.c:112 (nixied+0x7168)

  Location is global '<null>' at 0x0 (libmilter.so.1.0.1+0x12c20)

  Thread T6 (tid=3, running) created by main thread at:
    #0 start_threads ../milter/daemon.c:454 (nixied+0xc504)

SUMMARY: ThreadSanitizer: data race in mi_closener
==================
"""
REPORTS = (
    ("race of ours", RACE, 1),
    ("race in libmilter", OF_LIBMILTER, 0),
    ("both", RACE + OF_LIBMILTER, 1),
    ("address", "==1==ERROR: AddressSanitizer: heap-use-after-free\n", 1),
    ("leak", "==1==ERROR: LeakSanitizer: detected memory leaks\n", 1),
    ("undefined", "a.c:1:2: runtime error: shift too large\n", 1),
    ("nothing", "2026-11-21T20:26:19Z nixied: nixied stopped\n", 0),
)


@pytest.mark.parametrize("text, count", [row[1:] for row in REPORTS],
                         ids=[row[0] for row in REPORTS])
def test_reports_of_sanitizers_are_found(text, count):
    assert len(sanitizer_reports(text)) == count


def test_reply_is_taken_apart():
    reply = Reply([b"550-5.7.1 one", b"550 5.7.1 two words"], 0)
    assert (reply.code, reply.enhanced_status, reply.text) == (
        550, "5.7.1", "two words")
    assert Reply([b"250 Ok"], 0).enhanced_status == ""


def test_buckets_are_those_of_redis_cluster():
    assert oracle.binascii.crc_hqx(b"123456789", 0) == 0x31c3


PLANTED = (
    # what to do to the recipient's hash
    ("HINCRBY", "receptions", "1"),
    ("HDEL", "receptions"),
    ("HSET", "last_reception_at", "2026-11-21T20:26:19.908348Z"),
    ("HSET", "surplus", "1"),
)


@pytest.mark.parametrize("command", PLANTED, ids=[
    " ".join(row[:2]) for row in PLANTED])
def test_planted_difference_is_found(stack, name, command):
    address = f"{name}@example.com"
    stack.send([address])
    stack.log.wait(recipient=address)
    stack.settle()
    key = oracle.history_key("nixie:", "recipient", address)
    dump = stack.redis.command("DUMP", key)
    stack.redis.command(command[0], key, *command[1:])
    with pytest.raises(AssertionError, match=address):
        stack.settle(1)
    stack.redis.command("RESTORE", key, 0, dump, "REPLACE")
    stack.settle()


def test_surplus_and_missing_keys_are_found(stack, name):
    address = f"{name}@example.com"
    stack.send([address])
    stack.log.wait(recipient=address)
    stack.settle()
    surplus = oracle.history_key("nixie:", "domain", "surplus.test")
    stack.redis.command("HSET", surplus, "receptions", "1")
    with pytest.raises(AssertionError, match="surplus.test"):
        stack.settle(1)
    stack.redis.command("DEL", surplus)
    key = oracle.history_key("nixie:", "recipient", address)
    dump = stack.redis.command("DUMP", key)
    stack.redis.command("DEL", key)
    with pytest.raises(AssertionError, match=address):
        stack.settle(1)
    stack.redis.command("RESTORE", key, 0, dump)


def test_a_number_used_twice_is_found(stack, name):
    stack.send([f"{name}@example.com"])
    event = stack.log.wait(recipient=f"{name}@example.com")
    events = next(events for events in stack.log.files.values()
                  if event in events)
    events.append(event)
    with pytest.raises(AssertionError):
        stack.log.check_order()
    events.pop()
    stack.log.check_order()
