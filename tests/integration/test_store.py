"""Redis down, hung, busy or empty: mail flows, and nothing is lost."""

import functools
import shutil
import time

import pytest

from harness import oracle
from harness.redis import RedisError
from harness.wait import wait_until

SLOWEST = 1  # seconds, of an answer to RCPT


@pytest.fixture
def stack_maker(stack_maker):
    """With the default deadline of lookups."""
    return functools.partial(stack_maker, redis_timeout_ms=50)


def codes_and_slowest(stack, addresses):
    """RCPTs one by one in a few connections: {code: count}, seconds."""
    counts, slowest = {}, 0
    for start in range(0, len(addresses), 50):
        with stack.dialogue() as smtp:
            smtp.mail()
            for address in addresses[start:start + 50]:
                reply = smtp.rcpt(address)
                counts[reply.code] = counts.get(reply.code, 0) + 1
                slowest = max(slowest, reply.seconds)
            assert smtp.data().code == 250
    return counts, slowest


def wait_refused(stack, address):
    """The breaker closes and the list counts again."""
    wait_until(lambda: stack.send([address])[0][address].code == 550,
               f"{address} is refused again", 10, pause=0.1)


def test_hung_redis_never_holds_up_an_answer(stack_maker):
    stack = stack_maker()
    stack.suppress("gone@example.com")
    wait_refused(stack, "gone@example.com")
    stack.redis.hang()
    try:
        counts, slowest = codes_and_slowest(
            stack, ["gone@example.com"] + [f"n{i}@example.com"
                                           for i in range(200)])
    finally:
        stack.redis.go_on()
    assert counts == {550: 1, 250: 200}  # the list in memory
    assert slowest < SLOWEST
    wait_refused(stack, "gone@example.com")
    assert stack.log.since(type="store_degraded") != []
    stack.log.wait(type="store_recovered")


def test_redis_that_dies_and_comes_back_gets_the_whole_history(stack_maker):
    stack = stack_maker()
    stack.suppress("gone@example.com")
    wait_refused(stack, "gone@example.com")
    stack.redis.kill()
    counts, slowest = codes_and_slowest(
        stack, ["gone@example.com"] + [f"n{i}@example.com"
                                       for i in range(99)])
    assert counts == {550: 1, 250: 99}  # the list in memory
    assert slowest < SLOWEST
    stack.log.wait(type="store_degraded")
    stack.redis.start()
    stack.suppress("gone@example.com")
    wait_refused(stack, "gone@example.com")
    stack.log.wait(type="store_recovered")
    stack.settle()


def test_start_without_redis(stack_maker):
    stack = stack_maker(start=False)
    stack.nixied.start()
    counts, slowest = codes_and_slowest(
        stack, [f"n{i}@example.com" for i in range(20)])
    assert counts == {250: 20}
    assert slowest < SLOWEST
    stack.redis.start()
    stack.settle()


def test_tempfail_setting_asks_to_come_back(stack_maker):
    stack = stack_maker(on_store_failure="tempfail")
    stack.redis.kill()
    mark = stack.log.mark()
    with stack.dialogue() as smtp:
        smtp.mail()
        reply = smtp.rcpt("ann@example.com")
        assert (reply.code, reply.enhanced_status) == (451, "4.3.0")
        smtp.command("RSET")
        smtp.mail("")
        assert smtp.rcpt("ann@example.com").code == 250
        smtp.command("RSET")
        smtp.mail()
        assert smtp.rcpt("postmaster@example.com").code == 250
    event = stack.log.wait(mark, type="suppressed")
    assert event.has({"action": "tempfail", "store_state": "down",
                      "recipient": "ann@example.com", "reply_code": 451})
    stack.redis.start()
    wait_until(lambda: stack.send(["ann@example.com"])[0][
        "ann@example.com"].code == 250, "Redis counts again", 10, pause=0.1)


def test_tempfail_setting_keeps_mail_of_sendmail_for_later(stack_maker):
    """It stays in maildrop, and goes out once Redis answers."""
    stack = stack_maker(on_store_failure="tempfail")
    stack.redis.kill()
    assert stack.postfix.sendmail("a@b.test",
                                  ["later@example.com"]).returncode == 0
    wait_until(lambda: "4.3.0" in stack.postfix.log_text(),
               "pickup is told to come back", 10)
    stack.redis.start()
    wait_until(lambda: stack.send(["x@example.com"])[0][
        "x@example.com"].code == 250, "Redis counts again", 10, pause=0.1)
    # wakes pickup(8)
    stack.postfix.sendmail("a@b.test", ["other@example.com"])
    stack.remote.wait_for("later@example.com")
    stack.postfix.wait_empty()


def test_redis_that_is_loading_does_not_stop_mail(stack_maker):
    stack = stack_maker(redis_options=(
        "--key-load-delay", "1000",
        "--loading-process-events-interval-bytes", "1024"))
    with stack.redis.client() as redis:
        redis.pipeline([("SET", f"filler:{i}", "x" * 100)
                        for i in range(3000)])
        redis.command("SAVE")
    stack.redis.restart()
    with pytest.raises(RedisError, match="LOADING"):
        stack.redis.command("GET", "x")
    counts, slowest = codes_and_slowest(
        stack, [f"n{i}@example.com" for i in range(20)])
    assert counts == {250: 20}
    assert slowest < SLOWEST
    with stack.redis.client() as redis:
        redis.command("CONFIG", "SET", "key-load-delay", "0")
    stack.settle()


def test_full_redis_does_not_stop_mail_and_catches_up(stack_maker):
    stack = stack_maker(redis_options=("--maxmemory-policy", "noeviction"))
    stack.suppress("gone@example.com")
    wait_refused(stack, "gone@example.com")
    stack.redis.command("CONFIG", "SET", "maxmemory", "1")
    replies, taken = stack.send(["gone@example.com", "good@example.com"])
    assert replies["gone@example.com"].code == 550, "reads still work"
    assert taken.code == 250
    stack.redis.command("CONFIG", "SET", "maxmemory", "0")
    stack.settle()


def test_slow_script_of_another_does_not_stop_mail(stack_maker):
    stack = stack_maker()
    stack.redis.command("CONFIG", "SET", "busy-reply-threshold", "10")
    client = stack.redis.client()
    client.socket.sendall(client.encode(
        ("EVAL", "while true do end", "0")))
    wait_until(lambda: busy(stack.redis), "Redis is busy", 5)
    counts, slowest = codes_and_slowest(
        stack, [f"n{i}@example.com" for i in range(20)])
    stack.redis.command("SCRIPT", "KILL")
    client.close()
    assert counts == {250: 20}
    assert slowest < SLOWEST
    stack.settle()


def busy(redis):
    try:
        redis.command("GET", "x")
    except RedisError as error:
        return "BUSY" in str(error)
    return False


def test_redis_with_password_and_user(stack_maker):
    stack = stack_maker(start=False, redis_user="nixie")
    secret = stack.nixied.root / "password"
    secret.write_text("s3cret pass\n")
    stack.redis.start()
    stack.redis.command("ACL", "SETUSER", "nixie", "on", ">s3cret pass",
                        "~nixie:*", "+@all")
    stack.redis.command("ACL", "SETUSER", "default", "resetkeys", "~x:*")
    shutil.chown(secret, stack.nixied.settings["user"])
    secret.chmod(0o644)
    stack.nixied.settings["redis_password_file"] = str(secret)
    stack.nixied.write()
    assert stack.nixied.spawn().wait(10) != 0, "the secret is readable by all"
    assert "password" in stack.nixied.error_text()
    secret.chmod(0o600)
    assert stack.nixied.check_configuration()[0] == 0
    stack.nixied.start()
    with stack.redis.client() as redis:
        redis.command("AUTH", "nixie", "s3cret pass")
        redis.command("SET", "nixie:suppress:gone@example.com", "")
    wait_refused(stack, "gone@example.com")
    stack.redis.command("ACL", "SETUSER", "default", "~*")
    stack.settle()
    assert "s3cret" not in stack.nixied.error_text()


def test_lost_connections_are_made_again(stack_maker):
    stack = stack_maker()
    stack.suppress("gone@example.com")
    wait_refused(stack, "gone@example.com")
    for i in range(5):
        stack.redis.command("CLIENT", "KILL", "TYPE", "normal")
        stack.send([f"n{i}@example.com"])
        wait_refused(stack, "gone@example.com")
    stack.settle()


def test_forgotten_scripts_are_loaded_again(stack_maker):
    stack = stack_maker()
    for i in range(5):
        stack.redis.command("SCRIPT", "FLUSH")
        stack.send([f"n{i}@example.com"])
    stack.settle()


def test_keys_of_a_wrong_type_stop_nothing(stack_maker):
    stack = stack_maker()
    replies, _ = stack.send(["one@example.com"])
    assert replies["one@example.com"].code == 250
    stack.settle()
    key = oracle.history_key("nixie:", "recipient", "two@example.com")
    stack.redis.command("SET", key, "in the way")
    mark = stack.log.mark()
    stack.send(["two@example.com", "three@example.com"])
    stack.log.wait(mark, count=2, type="reception")
    wait_until(lambda: not stack.behind(), "the recorder goes on", 10)
    found = oracle.differences(stack.redis, stack.nixied.prefix,
                               stack.log.read())
    assert all("two@example.com" in text for text in found), found
    assert stack.history("three@example.com")["receptions"] == "1"
    stack.redis.command("DEL", key)
    stack.redis.command("HSET", key, "receptions", "1", "last_reception_at",
                        stack.log.since(mark, recipient="two@example.com")[0][
                            "timestamp"])


def test_thousand_lookups_while_redis_comes_and_goes(stack_maker):
    stack = stack_maker()
    slowest = 0
    for i in range(10):
        (stack.redis.hang if i % 2 == 0 else stack.redis.go_on)()
        _, seconds = codes_and_slowest(
            stack, [f"m{i}n{n}@example.com" for n in range(40)])
        slowest = max(slowest, seconds)
    stack.redis.go_on()
    assert slowest < SLOWEST
    start = time.monotonic()
    stack.settle()
    assert time.monotonic() - start < 30
