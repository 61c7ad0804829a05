"""Log shippers read the event log: every seq arrives, in order.

rsyslog and syslog-ng with our recipes in packaging/shippers, changed only in
paths, and in where they send to: a collector here.
"""

import json
import os
import pathlib
import re
import socket
import subprocess
import threading

import pytest

from harness.nixied import TOP
from harness.wait import process_runs, wait_until

UNPACKED = pathlib.Path("/var/cache/nixie-tests")


class Collector:
    """Takes lines on a TCP port of loopback."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.lines = []
        self.peers = []
        threading.Thread(target=self.welcome, daemon=True).start()

    def welcome(self):
        while True:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            self.peers.append(peer)
            threading.Thread(target=self.read, args=(peer,),
                             daemon=True).start()

    def read(self, peer):
        with peer.makefile("rb") as lines:
            try:
                self.lines.extend(lines)
            except OSError:
                pass

    def close(self):
        self.server.close()
        for peer in self.peers:
            peer.close()

    def seqs(self):
        """In the order in which they first came."""
        return list(dict.fromkeys(
            json.loads(line)["seq"] for line in list(self.lines)))


class Shipper:
    """A process with the recipe, and the state it keeps across restarts."""

    def __init__(self, root, stack, collector):
        self.root = root / self.name
        self.root.mkdir()
        self.errors = self.root / "errors"
        self.config = self.root / "shipper.conf"
        recipe = (TOP / "packaging/shippers" / self.recipe).read_text()
        folder = str(stack.nixied.log_folder)
        recipe, paths = re.subn("/var/log/nixie", folder, recipe)
        recipe, hosts = re.subn("logs.example.net", "127.0.0.1", recipe)
        recipe, ports = re.subn("6514", str(collector.port), recipe)
        assert paths and hosts == 1 and ports == 1
        self.config.write_text(self.preamble() + recipe)
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            self.command(), stdin=subprocess.DEVNULL,
            stdout=open(self.errors, "ab"), stderr=subprocess.STDOUT,
            env={**os.environ, "LD_LIBRARY_PATH": self.libraries})
        return self

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.process = None

    def kill(self):
        if self.process is not None and process_runs(self.process.pid):
            self.process.kill()
            self.process.wait(timeout=30)

    def error_text(self):
        return self.errors.read_text(errors="replace")[-3000:]


class Rsyslog(Shipper):
    name = "rsyslog"
    recipe = "rsyslog.conf"
    program = UNPACKED / "rsyslog/usr/sbin/rsyslogd"
    modules = next(program.parents[2].glob("usr/lib/*/rsyslog"), None)
    libraries = ""

    def preamble(self):
        (self.root / "work").mkdir()
        return f'global(workDirectory="{self.root}/work")\n'

    def command(self):
        return [str(self.program), "-n", "-f", str(self.config), "-i",
                str(self.root / "pid"), "-M", str(self.modules)]


class SyslogNg(Shipper):
    name = "syslog-ng"
    recipe = "syslog-ng.conf"
    program = UNPACKED / "syslog-ng/usr/sbin/syslog-ng"
    modules = next(program.parents[2].glob("usr/lib/syslog-ng/[0-9]*"), None)
    libraries = str(modules and modules.parent)

    def preamble(self):
        return "@version: 3.38\n"

    def command(self):
        return [str(self.program), "-F", "--no-caps", "-f", str(self.config),
                "-R", str(self.root / "persist"), "-p",
                str(self.root / "pid"), "-c", str(self.root / "control"),
                f"--module-path={self.modules}"]


@pytest.fixture
def collector():
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture(params=[Rsyslog, SyslogNg], ids=lambda kind: kind.name)
def shipper(request, tmp_path, stack, collector):
    if not request.param.program.exists():
        pytest.skip(f"no {request.param.program}: tests/run unpacks it")
    shipper = request.param(tmp_path, stack, collector)
    yield shipper
    shipper.kill()


def logged(stack):
    """The numbers of all lines, a list for each file."""
    stack.log.read()
    return [[event["seq"] for event in events]
            for events in stack.log.files.values()]


def write_some(stack, name, count=200):
    """Events of one session, some of them long."""
    with stack.dialogue() as smtp:
        smtp.command("EHLO shippers.test")
        smtp.mail()
        smtp.pipeline([f"RCPT TO:<{name}{'x' * (i % 50)}.{i}@gone.test>"
                       for i in range(count)])
        smtp.quit()


def all_arrive(stack, shipper, collector):
    wanted = {seq for file in logged(stack) for seq in file}
    wait_until(lambda: wanted <= set(collector.seqs()),
               lambda: f"all {len(wanted)} lines at the collector: "
               f"{len(wanted - set(collector.seqs()))} are not, "
               f"{shipper.error_text()}", 30, pause=0.1)


def test_every_line_arrives_through_rotations_and_restarts(
        stack, shipper, collector, name):
    stack.suppress("@gone.test")
    write_some(stack, name)
    shipper.start()
    all_arrive(stack, shipper, collector)
    for turn in range(3):  # rotated under its eyes, while lines come
        write_some(stack, f"{name}{turn}")
        stack.nixied.rotate()
        write_some(stack, f"{name}{turn}b")
    all_arrive(stack, shipper, collector)
    for turn in range(3):  # and while it is away
        shipper.stop()
        write_some(stack, f"{name}{turn}c")
        stack.nixied.rotate()
        write_some(stack, f"{name}{turn}d")
        stack.nixied.rotate()
        write_some(stack, f"{name}{turn}e")
        shipper.start()
        all_arrive(stack, shipper, collector)


def test_lines_of_a_file_arrive_in_their_order(stack, shipper, collector,
                                               name):
    stack.suppress("@gone.test")
    shipper.start()
    for turn in range(3):
        write_some(stack, f"{name}{turn}", 500)
        stack.nixied.rotate()
    all_arrive(stack, shipper, collector)
    came = {seq: at for at, seq in enumerate(collector.seqs())}
    for file in logged(stack):
        places = [came[seq] for seq in file if seq in came]
        assert places == sorted(places)
