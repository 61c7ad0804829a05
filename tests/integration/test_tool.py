"""nixie(1), the operator's tool, beside a running nixied and without it."""

import json
import subprocess
import threading

import pytest

from harness.redis import Redis
from harness.wait import wait_until


def run(stack, *words, status=0, **options):
    """What the tool printed; its exit status must be status."""
    done = stack.nixied.tool(*words, **options)
    printed = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == status, printed
    return done.stdout.decode()


def test_added_entry_refuses_and_is_an_event(stack, name):
    address = f"{name}@example.com"
    mark = stack.log.mark()
    run(stack, "suppress", "add", f"{name.upper()}@Example.com",
        "--reason", "user_unknown", "--note", "says the postman")
    event = stack.log.wait(mark, type="suppression_added")
    assert event.has({"suppression_pattern": address,
                      "suppression_reason": "user_unknown",
                      "suppression_note": "says the postman",
                      "origin": "command"})
    replies, _ = stack.send([address])
    assert replies[address].code == 550
    assert "user_unknown" in replies[address].text
    assert "says the postman" in run(stack, "suppress", "show", address)
    assert address in run(stack, "suppress", "list")
    run(stack, "suppress", "del", address)
    stack.log.wait(mark, type="suppression_removed")
    replies, _ = stack.send([address])
    assert replies[address].code == 250
    run(stack, "suppress", "show", address, status=1)
    stack.settle()


def test_allowed_mailbox_is_let_through(stack, name):
    address = f"ann@{name}.test"
    stack.suppress(f"@{name}.test")
    run(stack, "allow", "add", address)
    replies, _ = stack.send([address])
    assert replies[address].code == 250
    assert address in run(stack, "allow", "list")
    run(stack, "allow", "del", address)
    replies, _ = stack.send([address])
    assert replies[address].code == 550
    stack.settle()


def test_why_tells_the_entry(stack, name):
    address = f"ann@{name}.test"
    assert "decision: not listed" in run(stack, "why", address)
    stack.redis.cli("HSET", f"nixie:suppress:@{name}.test", "reason",
                    "domain_no_mail")
    told = run(stack, "why", address)
    assert f"@{name}.test" in told and "domain_no_mail" in told


def test_mailbox_prints_the_normal_form_and_the_keys(stack):
    lines = run(stack, "mailbox",
                '"Ann"@Sub.B\u00fccher.example.').splitlines()
    assert lines[0] == "ann@sub.xn--bcher-kva.example"
    assert "nixie:allow:ann@sub.xn--bcher-kva.example" in lines
    for pattern in ("ann@sub.xn--bcher-kva.example", "ann@",
                    "@sub.xn--bcher-kva.example",
                    "@.xn--bcher-kva.example", "@.example"):
        assert f"nixie:suppress:{pattern}" in lines


def test_key_prints_the_history_keys(stack, name):
    address = f"{name}@example.com"
    stack.send([address])
    stack.settle()
    keys = run(stack, "key", address).splitlines()
    recipient = next(key for key in keys if f":recipient:{address}" in key)
    assert stack.redis.command("HGET", recipient, "receptions") == b"1"
    assert any(f":evidence:{address}" in key for key in keys)
    assert any(":waiting:example.com" in key for key in keys)
    domain = next(key for key in keys if ":domain:example.com" in key)
    assert int(stack.redis.command("HGET", domain, "receptions")) >= 1


def test_tail_follows_across_a_rotation(stack, name):
    process = subprocess.Popen(
        stack.nixied.tool_command("tail", "--json"),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    lines = []
    threading.Thread(
        target=lambda: lines.extend(iter(process.stdout.readline, b"")),
        daemon=True).start()

    def seen(address):
        return any(json.loads(line).get("recipient") == address
                   for line in list(lines))

    try:
        for i in range(3):
            address = f"{name}{i}@example.com"
            stack.send([address])
            wait_until(lambda: seen(address), f"tail shows {address}", 5)
            stack.nixied.rotate()
    finally:
        process.terminate()
        process.wait(10)


def check_results(stack):
    """{check: [results]} of nixie check, and its exit status."""
    done = stack.nixied.tool("check", "--json", "--postfix",
                             str(stack.postfix.config))
    results = {}
    for line in done.stdout.splitlines():
        row = json.loads(line)
        results.setdefault(row["check"], []).append(row["result"])
    return done.returncode, results


def test_check_finds_nothing_wrong_here(stack):
    status, results = check_results(stack)
    assert status == 0, results
    for name in ("configuration", "nixied", "milter_socket", "redis",
                 "smtpd_milters", "non_smtpd_milters", "postfix chroot",
                 "bounce_rules"):
        assert set(results[name]) == {"ok"}, name
    assert results["maillog"] == ["note"]  # none is followed here


def test_check_says_what_is_wrong(stack):
    stack.redis.cli("SET", "nixie:suppress:Ann@Example.COM", "")
    status, results = check_results(stack)
    assert results["suppress list"] != ["ok"], "a key that never matches"
    stack.redis.cli("DEL", "nixie:suppress:Ann@Example.COM")
    stack.redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    status, results = check_results(stack)
    assert results["redis memory"] != ["ok"]
    stack.redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction")


@pytest.fixture
def stopped(stack):
    """nixied is down for one test."""
    stack.settle()
    assert stack.nixied.end() == 0
    yield stack
    stack.nixied.start()


def test_changes_work_without_nixied(stopped, name):
    stack = stopped
    status, results = check_results(stack)
    assert (status, results["nixied"]) == (1, ["fail"])
    address = f"{name}@example.com"
    run(stack, "suppress", "add", address, "--note", "by hand")
    assert stack.redis.command("EXISTS", f"nixie:suppress:{address}") == 1
    run(stack, "suppress", "del", address)
    assert stack.redis.command("EXISTS", f"nixie:suppress:{address}") == 0


def test_usage_errors_have_status_two(stack):
    for words in (("no-such-command",), ("suppress",),
                  ("suppress", "add"), ("mailbox",),
                  ("suppress", "add", "*@example.org"),
                  ("suppress", "add", "ann@example.org", "--reason", "a b"),
                  ("suppress", "add", "ann@example.org", "--reason", ""),
                  ("why", "@example.org"), ("key", "ann@"),
                  ("tail", "--no-follow", "-r", "a" * 330 + "@x.org")):
        assert stack.nixied.tool(*words).returncode == 2, words
    assert stack.nixied.tool("--help").returncode == 0


def test_help_lists_the_verbs(stack):
    for words in (("help", "suppress"), ("suppress", "--help"),
                  ("suppress", "-h")):
        told = run(stack, *words)
        for verb in ("add", "del", "show", "list"):
            assert f"suppress {verb}" in told, words
    assert not any(line.endswith(" ")
                   for line in run(stack, "help", "check").splitlines())


def test_closed_standard_output_reaches_no_other_file(stack, name):
    stack.suppress(f"{name}@x.test", "\r\nDEL nixie:suppress:kept@x.test\r\n")
    stack.suppress("kept@x.test")
    for closed in (">&-", "<&- >&-", "<&- >&- 2>&-"):
        command = subprocess.run(
            ["sh", "-c", f'exec "$@" {closed}', "sh",
             *stack.nixied.tool_command("suppress", "list")],
            stderr=subprocess.PIPE, timeout=30, check=False)
        assert command.returncode == 2, closed
        if "2>" not in closed:
            assert b"standard output cannot be written" in command.stderr
    assert stack.redis.command("EXISTS", "nixie:suppress:kept@x.test") == 1


def test_plain_string_and_what_becomes_of_its_note(stack, name):
    address = f"{name}@x.test"
    stack.suppress(address, "on leave")
    stack.redis.cli("EXPIRE", f"nixie:suppress:{address}", "1000")
    line = next(line for line in run(stack, "suppress", "list").splitlines()
                if line.startswith(address))
    assert "(string)" in line and "Z on leave" in line
    done = stack.nixied.tool("suppress", "add", address)
    assert done.returncode == 0
    assert b'its note is dropped: "on leave"' in done.stderr
    stack.settle()


def test_globs_in_keys_are_marked(stack):
    stack.suppress("*@example.org")
    try:
        told = run(stack, "suppress", "list")
        assert "no globs" in told
        _, results = check_results(stack)
        assert results["suppress list"] == ["fail"]
    finally:
        run(stack, "suppress", "del", "*@example.org")
    stack.settle()


def test_tail_shows_what_a_refusal_quotes(stack, name):
    stack.suppress(f"@{name}.test")
    replies, _ = stack.send([f"ann@{name}.test"])
    identity = replies[f"ann@{name}.test"].text.rsplit("[", 1)[1].rstrip("]")
    told = run(stack, "tail", "--no-follow", "-n", "1", "-t", "suppressed")
    assert f"suppression_pattern=@{name}.test" in told
    assert told.rstrip().endswith(f"[{identity}]")
    assert "store_state" not in told
    stack.settle()


def test_tail_leaves_out_what_is_no_event(stack, tmp_path):
    path = tmp_path / "other.log"
    path.write_text("Nov 21 postfix/smtpd: x\n{\"a\":1}\n\x1b[31m\n")
    for words in ((), ("--json",)):
        done = stack.nixied.tool("tail", "--no-follow", *words, str(path))
        assert (done.returncode, done.stdout) == (0, b"")
        assert done.stderr.count(b"no events") == 1


def event_line(seq, type_, **members):
    return json.dumps({
        "schema": "nixie/1", "seq": seq,
        "timestamp": "2026-11-21T20:36:32.208364Z",
        "event_id": "01a1ffd3-2d50-7c31-ad0d-4055c249f1db", "type": type_,
        "node": "mx", "instance": "8271eee00b2619d0", **members}) + "\n"


def test_tail_tells_of_attempts_and_domains(stack, tmp_path):
    path = tmp_path / "events.jsonl"
    soon = "2026-11-21T20:41:32.000000Z"
    path.write_text(
        event_line(1, "mark", origin="maillog", maillog_position="x")
        + event_line(2, "delay", recipient="ann@a.test", attempt=2,
                     attempts_left=7, next_attempt_at=soon)
        + event_line(3, "breaker_opened", reason="mailbox_full",
                     expires_at=soon)
        + event_line(4, "domain_down", recipient_domain="b.test",
                     reason="unreachable", first_attempt_at=soon)
        + event_line(5, "suppression_withheld", recipient="ann@c.test",
                     withheld_by="breaker")
        + event_line(6, "suppression_added", recipient="ann@d.test",
                     reason="mailbox_full", suppression_pattern="ann@d.test",
                     suppression_reason="mailbox_full"))
    lines = [line.split(" ", 2)[2].split(None, 1) for line in run(
        stack, "tail", "--no-follow", str(path)).splitlines()]
    assert lines == [
        ["delay", f"ann@a.test next_attempt_at={soon} attempt=2 "
         "attempts_left=7"],
        ["breaker_opened", f"all domains reason=mailbox_full "
         f"expires_at={soon}"],
        ["domain_down", f"b.test reason=unreachable first_attempt_at={soon}"],
        ["suppression_withheld", "ann@c.test withheld_by=breaker"],
        ["suppression_added", "ann@d.test reason=mailbox_full"]]
    done = stack.nixied.tool("tail", "--no-follow", "-r", "ann", str(path))
    assert b'"ann" has no @' in done.stderr


def test_an_exempt_pattern_is_told(stack, name):
    for pattern, told in ((f"postmaster@{name}.test", True),
                          ("postmaster@", True), (f"@{name}.test", False)):
        done = stack.nixied.tool("suppress", "add", pattern)
        assert done.returncode == 0
        assert (b"is exempt by the settings" in done.stderr) == told
        run(stack, "suppress", "del", pattern)
    stack.settle()


def test_why_shows_a_percent_sign_once(stack, name, tmp_path):
    path = tmp_path / "nixie.conf"
    path.write_text(stack.nixied.config.read_text()
                    + 'refusal = "550 5.7.1 100%% %R"\n')
    stack.suppress(f"@{name}.test")
    told = run(stack, "-c", str(path), "why", f"ann@{name}.test")
    assert "refused: 550 5.7.1 100% listed" in told


@pytest.fixture
def other_redis(stack, name):
    """A Redis that the running nixied does not use."""
    redis = Redis(stack.root / f"redis-{name}").start()
    yield redis
    redis.stop()


def redis_checks(stack, redis):
    """(exit status, what nixie check says of this Redis)."""
    path = redis.root / "nixie.conf"
    text = stack.nixied.config.read_text()
    path.write_text(text.replace(stack.redis.endpoint, redis.endpoint))
    done = stack.nixied.tool("-c", str(path), "check", "--postfix",
                             str(stack.postfix.config))
    return done.returncode, [line for line in done.stdout.decode().splitlines()
                             if line[6:].startswith("redis")]


def test_check_asks_redis_as_nixied_does(stack, other_redis):
    status, told = redis_checks(stack, other_redis)
    assert status == 0, told
    other_redis.socket.chmod(0o700)  # root gets in all the same
    status, told = redis_checks(stack, other_redis)
    assert status == 1
    assert any(line.startswith("FAIL") and "usermod -aG" in line
               for line in told), told


@pytest.mark.parametrize("words, expected", [
    (("ACL", "SETUSER", "default", "-hmget"), "ACL"),
    (("ACL", "SETUSER", "default", "-zremrangebyscore"), "ZREMRANGEBYSCORE"),
    (("CONFIG", "SET", "requirepass", "secret"), "redis_password_file"),
])
def test_check_names_what_redis_refuses(stack, other_redis, words, expected):
    other_redis.command(*words)
    status, told = redis_checks(stack, other_redis)
    assert status == 1
    assert any(line.startswith("FAIL") and expected in line
               for line in told), told


def test_check_names_a_hung_redis(stack, other_redis):
    other_redis.hang()
    status, told = redis_checks(stack, other_redis)
    assert status == 1
    assert any(line.startswith("FAIL") and "does not answer" in line
               for line in told), told


def test_check_fails_without_the_named_main_cf(stack):
    done = stack.nixied.tool("check", "--postfix", "/nonexistent")
    assert done.returncode == 1
    assert b"FAIL  postfix" in done.stdout
