"""A systemd-journald of our own, without systemd, in a mount namespace.

Its files belong to nixied's user, as there may be no group systemd-journal.
"""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess

from .nixied import Nixied, build_folder, test_user
from .wait import wait_until

PROGRAM = pathlib.Path("/lib/systemd/systemd-journald")

INSIDE = """\
set -e
mkdir -p /run/systemd /run/log
mount -t tmpfs none /run/systemd
mount -t tmpfs none /run/log
mount --bind "$1" /etc/systemd/journald.conf
mkdir -p /run/systemd/journal "/run/log/journal/$(cat /etc/machine-id)"
chown -R "root:$2" /run/log/journal
chmod -R g+rxs,o= /run/log/journal
exec {program}
"""

SETTINGS = """\
[Journal]
Storage=volatile
RateLimitBurst=0
ReadKMsg=no
RuntimeMaxFileSize=512K
"""


def missing():
    """What these tests lack, "" when nothing."""
    for path in (PROGRAM, pathlib.Path("/etc/systemd/journald.conf"),
                 pathlib.Path("/etc/machine-id")):
        if not path.exists():
            return f"no {path}"
    for program in ("unshare", "nsenter", "journalctl"):
        if shutil.which(program) is None:
            return f"no {program}"
    if subprocess.run(["unshare", "--mount", "true"],
                      check=False).returncode != 0:
        return "no namespaces (a container without CAP_SYS_ADMIN?)"
    if b"libsystemd" not in subprocess.run(
            ["ldd", str(build_folder() / "nixied")], stdout=subprocess.PIPE,
            check=True).stdout:
        return "built without libsystemd"
    return ""


class Journald:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self.process = None

    def start(self):
        settings = self.root / "journald.conf"
        settings.write_text(SETTINGS)
        inside = self.root / "inside"
        inside.write_text(INSIDE.format(program=PROGRAM))
        self.process = subprocess.Popen(
            ["unshare", "--mount", "sh", str(inside), str(settings),
             str(pwd.getpwnam(test_user()).pw_gid)],
            stdin=subprocess.DEVNULL, stderr=open(self.root / "err", "ab"))
        self.top = pathlib.Path(f"/proc/{self.process.pid}/root")
        self.socket = self.top / "run/systemd/journal/dev-log"
        wait_until(lambda: self.socket.exists() and self.files(),
                   lambda: "journald listens: "
                   + (self.root / "err").read_text(), 20)
        return self

    def command(self, *words):
        """The words that run something where the journal is seen."""
        return ["nsenter", "--mount", "--target", str(self.process.pid),
                *words]

    def files(self):
        try:
            return sorted(self.top.glob("run/log/journal/*/*.journal"))
        except OSError:
            return []

    def write(self, *messages, tag="postfix/smtp[9]", priority=22):
        """As syslog(3) of a mail program does."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.connect(str(self.socket))
            for message in messages:
                client.send(f"<{priority}>Nov 21 10:00:00 {tag}: {message}"
                            .encode())

    def wait_for(self, message):
        """Until it is in a file."""
        def is_there():
            done = subprocess.run(
                ["journalctl", "--directory",
                 str(self.top / "run/log/journal"), "--output=cat",
                 "--no-pager", "--lines=100"], stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, check=False)
            return message.encode() in done.stdout

        wait_until(is_there, "journald has written it")

    def rotate(self):
        before = self.files()
        self.process.send_signal(signal.SIGUSR2)
        wait_until(lambda: self.files() != before, "journald has rotated")

    def vacuum(self):
        """All files but those that are written to go."""
        for path in self.files():
            if "@" in path.name:
                os.unlink(path)

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class JournalNixied(Nixied):
    """Runs where the journal is seen."""

    journald = None

    def spawn(self, *options):
        return subprocess.Popen(
            self.journald.command(str(build_folder() / "nixied"), "-c",
                                  str(self.config), *options),
            stdin=subprocess.DEVNULL, stdout=open(self.errors, "ab"),
            stderr=subprocess.STDOUT, env=self.environment(), cwd="/")
