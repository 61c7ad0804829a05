"""nixie(1), the operator's tool, beside a running nixied and without it."""

import json
import subprocess
import threading

import pytest

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
    assert "decision: absent" in run(stack, "why", address)
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
                 "smtpd_milters", "non_smtpd_milters", "postfix chroot"):
        assert set(results[name]) == {"ok"}, name


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
                  ("suppress", "add"), ("mailbox",)):
        assert stack.nixied.tool(*words).returncode == 2, words
    assert stack.nixied.tool("--help").returncode == 0
