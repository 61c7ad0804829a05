"""Waiting for a condition, with a limit."""

import os
import socket
import time


class TimedOut(AssertionError):
    """What was awaited did not happen in time."""


def wait_until(condition, what, timeout=10.0, pause=0.02):
    """Return the first true value of condition(); TimedOut after timeout.

    what is a text, or a function that gives one, for the message.
    """
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            text = what() if callable(what) else what
            raise TimedOut(f"not within {timeout:g} s: {text}")
        time.sleep(pause)


def free_port():
    """A TCP port of loopback that nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def port_answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def unix_answers(path):
    """True when somebody accepts connections on a Unix socket."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1)
            probe.connect(str(path))
    except OSError:
        return False
    return True


def process_runs(pid):
    """True while the process exists and is not a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as status:
            return status.read().rpartition(b")")[2].split()[0] != b"Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def signal_process(pid, number):
    """False when it is gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
