"""nixie check on a host that is made wrong on purpose, and put right.

Each finding names what is wrong and what to do. Where that is a command, it is
run as it was told, and the finding must be gone.
"""

import json
import pathlib
import re
import subprocess
import time

import pytest

from harness.wait import wait_until


def findings(stack, *results):
    """[(check, text)] of those that are not well; and the exit status."""
    done = stack.nixied.tool("check", "--json", "--postfix",
                             str(stack.postfix.config))
    assert not done.stderr, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    wanted = results or ("fail", "warn", "note")
    return ([(row["check"], row["text"]) for row in rows
             if row["result"] in wanted], done.returncode)


def told(stack, words):
    """The texts of findings that have these words."""
    return [text for _, text in findings(stack)[0] if words in text]


def postconf(stack, *words):
    return subprocess.run(["postconf", "-c", str(stack.postfix.config),
                           *words], check=True, capture_output=True)


@pytest.fixture
def kept(stack):
    """Postfix's configuration is as it was behind the test."""
    paths = [stack.postfix.config / name for name in ("main.cf", "master.cf")]
    before = [path.read_text() for path in paths]
    yield stack
    for path, text in zip(paths, before):
        path.write_text(text)


def run_remedy(stack, text):
    """Runs the postconf command that a finding tells."""
    found = re.search(r"postconf (-\w+) '?([^;']+?)'?; postfix reload", text)
    assert found, text
    postconf(stack, found.group(1), *found.group(2).split())


def test_a_healthy_host_is_a_few_lines(stack):
    stack.redis.command("CONFIG", "SET", "appendonly", "yes")
    done = stack.nixied.tool("check", "--postfix", str(stack.postfix.config))
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0, lines
    assert lines[-1].startswith("all is well"), lines
    assert not [line for line in lines if line[:4] in ("FAIL", "ok  ")], lines
    assert len(lines) < 12 and max(map(len, lines[-3:])) < 80, lines
    stack.redis.command("CONFIG", "SET", "appendonly", "no")
    everything = stack.nixied.tool("check", "-v", "--postfix",
                                   str(stack.postfix.config))
    assert b"\nok    redis: " in everything.stdout


def test_status_is_one_only_when_something_is_wrong(stack):
    assert findings(stack, "fail") == ([], 0)
    stack.redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    found, status = findings(stack, "fail")
    assert status == 1 and found[0][0] == "redis memory"
    stack.redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert findings(stack, "fail") == ([], 0)


# --- Postfix ----------------------------------------------------------------

@pytest.mark.parametrize("wrong, words", (
    (("-e", "receive_override_options=no_milters"), "turns nixie off"),
    (("-e", "milter_protocol=2",
      "smtpd_milters={ unix:%s, default_action=accept }"),
     "milter protocol 2 tells too little"),
    (("-e", "smtpd_milter_maps=inline:{10.0.0.1=DISABLE}"),
     "may turn nixie off for some clients"),
    (("-e", "internal_mail_filter_classes="), "does not learn which"),
    (("-P", "%d/inet/smtpd_milters="), "passes nixie by"),
    (("-P", "%d/inet/receive_override_options=no_milters"),
     "passes nixie by"),
))
def test_postfix_is_put_right_by_the_command_told(kept, wrong, words):
    stack = kept
    port = f"127.0.0.1:{stack.postfix.port}"
    values = [word.replace("%s", str(stack.world.milter_socket))
              .replace("%d", port) for word in wrong]
    postconf(stack, *values)
    texts = told(stack, words)
    assert texts, findings(stack)
    run_remedy(stack, texts[0])
    assert not told(stack, words)


def test_postfix_is_put_right_by_the_line_told(kept):
    """Not named, named without default_action, behind another, impatient."""
    stack = kept
    socket = stack.world.milter_socket
    for value, words in (
            ("", "does not name"),
            ("inet:127.0.0.1:9", "does not name"),
            (f"unix:{socket}", "without nixied Postfix does tempfail"),
            (f"{{ unix:{socket}, default_action=accept }}",
             "a nixied that hangs holds up each client"),
            (f"inet:127.0.0.1:9, {{ unix:{socket}, default_action=accept }}",
             "write it first")):
        postconf(stack, "-e", f"smtpd_milters={value}")
        texts = told(stack, words)
        assert texts, (value, findings(stack))
        found = re.search(r"write (smtpd_milters) = (\{.*\})$", texts[0])
        if found is not None:
            postconf(stack, "-e", f"{found[1]}={found[2]}")
            assert not told(stack, words), value
            assert not [text for name, text in findings(stack)[0]
                        if name == "smtpd_milters"]


def test_only_smtpd_milters_is_a_warning(kept):
    stack = kept
    postconf(stack, "-e", "non_smtpd_milters=")
    texts = told(stack, "mail by sendmail(1) passes unseen")
    assert texts and "write non_smtpd_milters = {" in texts[0]
    assert findings(stack)[1] == 0


def test_a_log_that_is_not_followed(kept):
    stack = kept
    stack.nixied.settings["maillog"] = ["/etc/hostname"]
    stack.nixied.write()
    try:
        log = stack.postfix.log
        assert told(stack, f'write maillog = {{"{log}"}}')
        assert told(stack, "has no line of Postfix or Sendmail")
        assert not told(stack, "internal_mail_filter_classes=bounce")
        run_remedy(stack, told(stack, "enable_long_queue_ids=yes")[0])
        assert not told(stack, "enable_long_queue_ids=yes")
        stack.nixied.settings["maillog"] = [str(log)]
        stack.nixied.write()
        assert not told(stack, "maillog = {")
    finally:
        del stack.nixied.settings["maillog"]
        stack.nixied.write()


def test_a_listener_that_no_service_has(kept):
    stack = kept
    stack.nixied.write(stack.nixied.config.read_text()
                       + 'scope "news" { listeners = {"newsletter"} }\n')
    try:
        text = told(stack, "has listener newsletter")[0]
        assert "submission/inet/milter_macro_daemon_name=newsletter" in text
        run_remedy(stack, text.replace(
            "submission/", f"127.0.0.1:{stack.postfix.port}/"))
        assert not told(stack, "has listener")
    finally:
        stack.nixied.write()


# --- nixied -------------------------------------------------------------------

def test_a_configuration_that_was_not_read(stack):
    stack.nixied.send(12)
    wait_until(lambda: not told(stack, "has not read it since"),
               "nixied has read what other tests wrote", 10)
    time.sleep(0.05)
    stack.nixied.write()
    text = told(stack, "has not read it since")[0]
    assert str(stack.nixied.config) in text
    assert text.endswith("systemctl reload nixied")
    stack.nixied.send(12)  # SIGUSR2, which that sends
    wait_until(lambda: not told(stack, "has not read it since"),
               "nixied has read it", 10)


def test_a_change_that_needs_a_restart(stack):
    stack.nixied.settings["node"] = "other-node"
    stack.nixied.write()
    stack.nixied.send(12)
    wait_until(lambda: told(stack, "node has another value"),
               "check names the key", 10)
    stack.nixied.settings["node"] = "test-node"
    stack.nixied.restart()
    assert not told(stack, "has another value")


def test_two_at_one_socket(stack):
    """The other only has the name, and the arguments."""
    folder = stack.root / "rival"
    folder.mkdir()
    config = folder / "rival.conf"
    config.write_text(
        stack.nixied.config.read_text().replace(
            str(stack.nixied.state), str(folder)))
    program = folder / "rival.py"
    program.write_text("import ctypes, time\n"
                       "ctypes.CDLL(None).prctl(15, b'nixied', 0, 0, 0)\n"
                       "time.sleep(60)\n")
    rival = subprocess.Popen(
        ["python3", str(program), "-c", str(config)])
    try:
        wait_until(lambda: told(stack, "is another nixied that listens"),
                   lambda: f"the rival is found: {findings(stack)}", 10)
        text = told(stack, "is another nixied")[0]
        assert f"kill {rival.pid}," in text and findings(stack)[1] == 1
    finally:
        rival.kill()
        rival.wait()
    assert not told(stack, "is another nixied")


# --- the host -------------------------------------------------------------------

def test_logrotate_that_loses_events(stack):
    stanza = pathlib.Path(f"/etc/logrotate.d/nixie-try-{stack.nixied.pid}")
    log = stack.nixied.settings["event_log"]
    try:
        for wrong, right in (("copytruncate", "nocopytruncate"),
                             ("compress", "nocompress"),
                             ("olddir /var/tmp", "noolddir"),
                             ("rotate 7", "rotate -1")):
            stanza.write_text(f"{log} {{\n    rotate -1\n    {wrong}\n}}\n")
            text = told(stack, str(stanza))[0]
            assert text.endswith(f"write {right}") or right in text
            stanza.write_text(f"{log} {{\n    rotate -1\n    {right}\n}}\n")
            assert not told(stack, str(stanza))
        stanza.write_text(f"{log} {{\n rotate -1\n postrotate\n"
                          "  kill -HUP `cat /var/lib/nixie/lock`\n"
                          " endscript\n}\n")
        assert "-s USR1 nixied" in told(stack, "sends HUP")[0]
        assert findings(stack)[1] == 1
    finally:
        stanza.unlink()


def test_rights_are_put_right_by_the_command_told(stack):
    """Each file and folder, as nixied's user may not have it."""
    log = pathlib.Path(stack.nixied.settings["event_log"])
    for path, mode in ((stack.nixied.state, 0o777), (log, 0o666),
                       (stack.world.milter_socket, 0o666)):
        before = path.stat().st_mode & 0o777
        path.chmod(mode)
        try:
            texts = told(stack, "chmod o-")
            assert texts and str(path) in texts[0], path
            command = re.search(r"chmod o-\w+ \S+$", texts[0]).group(0)
            subprocess.run(command.split(), check=True)
            assert not told(stack, "chmod o-"), path
        finally:
            path.chmod(before)


def test_what_an_upgrade_left(stack):
    beside = pathlib.Path(f"{stack.nixied.config}.dpkg-dist")
    beside.write_text("")
    text = told(stack, "left over from an upgrade")[0]
    command = re.search(r"then (rm \S+)$", text).group(1)
    subprocess.run(command.split(), check=True)
    assert not told(stack, "left over")


# --- Redis ------------------------------------------------------------------------

@pytest.mark.parametrize("wrong, words", (
    (("CONFIG", "SET", "timeout", "600"), "timeout 600"),
    (("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"),
     "drops entries of the list"),
    (("CONFIG", "SET", "maxmemory-policy", "volatile-lru"),
     "drops entries that have an expiry"),
    (("CONFIG", "SET", "save", ""), "a restart of Redis loses"),
))
def test_redis_is_put_right_by_the_command_told(stack, wrong, words):
    stack.redis.command(*wrong)
    text = told(stack, words)[0]
    found = re.search(r"CONFIG SET (\S+) (\S+),", text)
    stack.redis.command("CONFIG", "SET", found[1], found[2])
    assert not told(stack, words)
    for name, value in (("timeout", "0"), ("appendonly", "no"),
                        ("maxmemory-policy", "noeviction")):
        stack.redis.command("CONFIG", "SET", name, value)


def test_entries_in_another_database(stack, name):
    key = f"nixie:suppress:{name}@example.com"
    stack.redis.cli("-n", "5", "SET", key, "by mistake")
    text = told(stack, "database 5 has")[0]
    move = re.search(r"redis-cli -n (\d+) MOVE (\S+) (\d+)$", text)
    stack.redis.cli("-n", move[1], "MOVE", move[2], move[3])
    assert not told(stack, "database 5 has")
    assert stack.redis.command("EXISTS", key) == 1
    stack.redis.command("DEL", key)


def test_entries_of_a_scope_that_is_not_there(stack, name):
    key = f"nixie:suppress@nowhere:{name}@example.com"
    stack.redis.command("SET", key, "x")
    text = told(stack, "of a scope that is not configured")[0]
    assert key in text and 'scope "nowhere"' in text
    stack.redis.command("DEL", key)
    assert not told(stack, "not configured")


def test_a_replica_takes_no_writes(stack):
    stack.redis.command("REPLICAOF", "127.0.0.1", "1")
    try:
        texts = told(stack, "replica")
        assert texts and "set redis to its master" in texts[0]
        assert findings(stack)[1] == 1
    finally:
        stack.redis.command("REPLICAOF", "NO", "ONE")
    assert not told(stack, "replica")
