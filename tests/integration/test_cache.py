"""The list in memory: RCPT is answered from it, and it is the list."""

import time

from harness.wait import wait_until

REFUSED = 550


def code(stack, recipient):
    return stack.send([recipient])[0][recipient].code


def wait_current(stack):
    wait_until(lambda: "suppression cache current" in stack.nixied.error_text(),
               "the list is read", 10)


def type_calls(stack):
    for line in stack.redis.cli("INFO", "commandstats").splitlines():
        if line.startswith("cmdstat_type:calls="):
            return int(line.split("=")[1].split(",")[0])
    return 0


def test_a_miss_never_asks_redis(stack_maker):
    stack = stack_maker()
    wait_current(stack)
    stack.suppress("gone@example.com")
    assert code(stack, "gone@example.com") == REFUSED
    before = type_calls(stack)
    assert before > 0
    replies = stack.send([f"n{i}@example.com" for i in range(90)])[0]
    assert {reply.code for reply in replies.values()} == {250}
    assert type_calls(stack) == before
    stack.settle()


def test_a_change_acts_on_the_next_rcpt(stack_maker):
    stack = stack_maker()
    wait_current(stack)
    for i in range(20):
        stack.suppress("gone@example.com")
        time.sleep(0.01)
        assert code(stack, "gone@example.com") == REFUSED
        stack.redis.cli("DEL", "nixie:suppress:gone@example.com")
        time.sleep(0.01)
        assert code(stack, "gone@example.com") == 250
    stack.settle()


def test_the_last_list_is_enforced_while_redis_is_away(stack_maker):
    stack = stack_maker()
    stack.suppress("gone@example.com")
    stack.suppress("@.example.net")
    stack.redis.cli("SET", "nixie:allow:boss@a.example.net", "")
    wait_current(stack)
    assert code(stack, "gone@example.com") == REFUSED
    stack.redis.kill()
    mark = stack.log.mark()
    assert code(stack, "gone@example.com") == REFUSED
    assert code(stack, "x@a.example.net") == REFUSED
    assert code(stack, "boss@a.example.net") == 250
    assert code(stack, "ann@example.com") == 250
    event = stack.log.wait(mark, type="suppressed",
                           recipient="gone@example.com")
    assert event.has({"action": "reject", "store_state": "stale",
                      "reply_code": 550,
                      "suppression_pattern": "gone@example.com"})
    assert 0 <= event["store_age_seconds"] < 60
    assert "suppression_note" not in event
    stack.redis.start()
    wait_until(lambda: code(stack, "gone@example.com") == 250,
               "the list of the new Redis, which is empty", 10, pause=0.1)
    stack.settle()


def test_a_stopped_redis_keeps_nobody_waiting(stack_maker):
    stack = stack_maker()
    stack.suppress("gone@example.com")
    wait_current(stack)
    assert code(stack, "gone@example.com") == REFUSED
    stack.redis.hang()
    started = time.monotonic()
    for i in range(20):
        assert code(stack, f"n{i}@example.com") == 250
        assert code(stack, "gone@example.com") == REFUSED
    assert time.monotonic() - started < 10
    stack.redis.go_on()
    stack.settle()


def test_without_a_cache_redis_is_asked(stack_maker):
    stack = stack_maker(suppression_cache_memory="0")
    stack.suppress("gone@example.com")
    assert code(stack, "gone@example.com") == REFUSED
    stack.redis.kill()
    assert code(stack, "gone@example.com") == 250
    stack.redis.start()
    stack.settle()


def test_a_name_that_is_half_there_is_not_read(stack_maker):
    stack = stack_maker()
    wait_current(stack)
    domain = ".".join(("d" * 60, "e" * 60, "f" * 60, "example.com"))
    with stack.redis.client(60) as client, stack.dialogue() as smtp:
        smtp.mail()
        # one message that names them all, larger than any buffer on its way
        client.command("EVAL", "for i = 1, 20000 do redis.call('SET', "
                       f"'nixie:suppress:u'..i..'@{domain}', '') end", 0)
        for number in range(20000, 19980, -1):
            assert smtp.rcpt(f"u{number}@{domain}").code == REFUSED
    stack.settle()


def test_redis_that_cannot_save_still_tells_of_changes(stack_maker):
    stack = stack_maker()
    wait_current(stack)
    (stack.redis.root / "dump.rdb").mkdir()  # in the way of the file
    stack.redis.cli("CONFIG", "SET", "save", "1000 1000")
    stack.redis.cli("BGSAVE")
    wait_until(lambda: "MISCONF" in stack.redis.cli("PING"), "no save", 10)
    time.sleep(1.5)  # pings meanwhile
    assert "no current suppression cache" not in stack.nixied.error_text()
    stack.redis.cli("CONFIG", "SET", "save", "")
    stack.settle()
