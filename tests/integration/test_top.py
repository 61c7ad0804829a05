"""nixie top in a terminal, and once without; nixie tail's filters."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from harness.wait import wait_until


class Terminal:
    """A program in a pseudo-terminal."""

    def __init__(self, command, environment, rows=30, columns=100):
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.output = b""
        self.process = subprocess.Popen(
            command, stdin=self.slave, stdout=self.slave,
            stderr=subprocess.PIPE, env={**environment, "TERM": "xterm"},
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(
                0, termios.TIOCSCTTY, 0))

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds=0.2):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.master], [], [], 0.05)[0]:
                self.output += os.read(self.master, 65536)
        return self.output

    def wait(self, pattern, timeout=10):
        wait_until(lambda: re.search(pattern, self.read()),
                   lambda: f"{pattern!r} is shown: {self.output[-3000:]}",
                   timeout)

    def forget(self):
        self.output = b""

    def type(self, keys):
        os.write(self.master, keys)

    def end(self, timeout=10):
        """Waits; the exit status, and whether the terminal is as it was."""
        wait_until(lambda: self.read(0.05) is not None
                   and self.process.poll() is not None, "it ends", timeout)
        same = termios.tcgetattr(self.slave) == self.before
        return self.process.returncode, same

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal(stack):
    made = []

    def make(*words, **size):
        made.append(Terminal(stack.nixied.tool_command("top", *words),
                             stack.nixied.environment(), **size))
        return made[-1]

    yield make
    for each in made:
        each.close()


LEFT_SCREEN = b"\x1b[?1049l"


def test_top_shows_what_happens(stack, terminal, name):
    shown = terminal()
    shown.wait(rb"nixie top .*test-node|no event read yet")
    shown.wait(rb"suppressed[^a-z]*0\.0")
    stack.redis.command("SET", f"nixie:suppress:{name}@far.test", "no")
    replies, _ = stack.send([f"{name}@far.test", f"{name}-2@far.test"])
    assert replies[f"{name}@far.test"].code == 550
    stack.log.wait(type="reception", recipient=f"{name}-2@far.test")
    stack.nixied.tool("suppress", "add", f"{name}-3@far.test", "--reason",
                      "complaint")
    shown.wait(name.encode() +
               rb"-3@far\.test\x1b\S*complaint\x1b\S*command")
    shown.type(b"q")
    assert shown.end() == (0, True)
    assert LEFT_SCREEN in shown.output
    # of a whole screen; later ones only write what has changed
    later = terminal()
    later.wait(rb"suppressed\x1b[^a-z]*[0-9]+\.[1-9]")


def test_top_takes_the_size_of_its_terminal(terminal):
    shown = terminal(rows=40, columns=120)
    shown.wait(rb"newest suppressions")
    shown.forget()
    shown.resize(8, 40)
    shown.wait(rb"nixie top")
    assert b"newest suppressions" not in shown.output
    shown.forget()
    shown.resize(50, 150)
    shown.wait(rb"newest suppressions")
    shown.resize(1, 1)
    shown.read(0.5)
    shown.type(b"q")
    assert shown.end() == (0, True)


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT,
                                    signal.SIGHUP, signal.SIGQUIT))
def test_top_gives_the_terminal_back(terminal, number):
    shown = terminal("--interval", "60")
    shown.wait(rb"newest suppressions")
    shown.process.send_signal(number)
    assert shown.end(5) == (0, True)
    assert LEFT_SCREEN in shown.output


def test_top_ends_with_its_terminal(stack):
    shown = Terminal(stack.nixied.tool_command("top"),
                     stack.nixied.environment())
    shown.wait(rb"nixie top")
    os.close(shown.master)
    wait_until(lambda: shown.process.poll() is not None, "it ends", 10)
    shown.process.stderr.close()
    os.close(shown.slave)


def test_top_follows_rotations(stack, terminal, name):
    shown = terminal()
    shown.wait(rb"newest suppressions")
    stack.nixied.tool("suppress", "add", f"{name}-2@far.test")
    shown.wait(name.encode() + rb"-2@far\.test")
    stack.nixied.rotate()
    stack.nixied.tool("suppress", "add", f"{name}@far.test")
    shown.wait(name.encode() + rb"@far\.test")
    shown.type(b"Q")
    assert shown.end() == (0, True)


def test_top_without_a_terminal_is_printed_once(stack):
    for words in ((), ("--once",)):
        done = stack.nixied.tool("top", *words)
        assert done.returncode == 0
        assert done.stdout.startswith(b"nixie top  ")
        assert b"newest suppressions" in done.stdout
        assert b"\x1b" not in done.stdout
    told = json.loads(stack.nixied.tool("top", "--json").stdout)
    assert told["node"] == "test-node"
    assert set(told["types"]["bounce"]) == {"10s", "60s", "900s"}
    assert stack.nixied.tool("top", "/nowhere").returncode == 2
    assert stack.nixied.tool("top", "--interval", "0").returncode == 2


def test_an_unknown_terminal_gets_text(stack):
    master, slave = pty.openpty()
    done = subprocess.run(
        stack.nixied.tool_command("top"), stdin=slave, stdout=slave,
        stderr=subprocess.PIPE, timeout=20, check=False,
        env={**stack.nixied.environment(), "TERM": "no-such-terminal"})
    assert done.returncode == 0
    assert b"set TERM" in done.stderr
    assert b"newest suppressions" in os.read(master, 65536)
    os.close(master)
    os.close(slave)


def tail(stack, *words):
    done = stack.nixied.tool("tail", "--json", "--no-follow", *words)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_tail_filters(stack, name):
    begin = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    stack.redis.command("SET", f"nixie:suppress:{name}@far.test", "no")
    stack.send([f"{name}@far.test", f"{name}@near.test", f"{name}-2@far.test"])
    stack.log.wait(type="reception", recipient=f"{name}-2@far.test")
    here = ("--since", begin)
    stack.nixied.rotate()
    found = tail(stack, *here, "--type", "suppressed,reception", "--domain",
                 "far.test")
    assert [(event["type"], event["recipient"]) for event in found
            if event["recipient"].startswith(name)] == [
                ("suppressed", f"{name}@far.test"),
                ("reception", f"{name}-2@far.test")]
    queue_id = next(event["queue_id"] for event in found
                    if event["recipient"] == f"{name}-2@far.test"
                    and event["type"] == "reception")
    assert {event["queue_id"] for event in
            tail(stack, *here, "-q", queue_id)} == {queue_id}
    assert tail(stack, *here, "--origin", "report") == []
    assert tail(stack, "--since", "2000-01-01", "--until", "2000-01-02") == []
    assert tail(stack, *here, "--reason", "complaint",
                "--recipient", f"{name}@far.test") == []
