"""An Exim of our own, as the far end: it takes mail, and bounces it later.

Its packages would remove Postfix, so they are only unpacked (setup.sh does
that). It wants a user of a name that it was built with: the mount namespace
that it runs in has one.
"""

import os
import pathlib
import shutil
import subprocess

from .wait import free_port, port_answers, wait_until

UNPACKED = pathlib.Path(os.environ.get("NIXIE_EXIM",
                                       "/var/cache/nixie-tests/exim"))
PROGRAM = UNPACKED / "usr/sbin/exim4"

INSIDE = """\
set -e
root=$1
shift
mount --bind "$root/passwd" /etc/passwd
mount --bind "$root/group" /etc/group
exec "$@"
"""

# Local parts say what becomes of mail that was taken.
CONFIG = """\
primary_hostname = mx.exim.test
exim_path = {program}
keep_environment =
spool_directory = {root}/spool
log_file_path = {root}/log/%slog
pid_file_path = {root}/exim.pid
tls_advertise_hosts =
dsn_advertise_hosts = {dsn}
acl_smtp_rcpt = accept
acl_smtp_data = accept
host_lookup =
rfc1413_hosts =
smtp_accept_max_per_connection = 10000
bounce_return_body = {body}
never_users =

begin routers

fail:
  driver = redirect
  domains = *.exim.test
  local_parts = ^fail
  allow_fail
  data = :fail: 550 5.1.1 there is no such user

full:
  driver = redirect
  domains = *.exim.test
  local_parts = ^full
  allow_fail
  data = :fail: 552 5.2.2 the mailbox is over quota

alias:
  driver = redirect
  domains = *.exim.test
  local_parts = ^alias
  data = reject-$local_part@far.$domain

forward:
  driver = redirect
  domains = *.exim.test
  local_parts = ^forward
  data = alias-$local_part@$domain

home:
  driver = manualroute
  domains = hosted.test
  route_data = 127.0.0.1
  transport = home
  self = send

away:
  driver = manualroute
  domains = far.*
  route_data = 127.0.0.1
  transport = away
  self = send

begin transports

home:
  driver = smtp
  port = {home_port}
  interface = 127.0.0.9
  hosts_try_prdr =
  hosts_try_fastopen =
  allow_localhost

away:
  driver = smtp
  port = {remote_port}
  hosts_try_prdr =
  hosts_try_fastopen =
  allow_localhost
"""


def missing():
    """What these tests lack, "" when nothing."""
    if not PROGRAM.exists():
        return f"no {PROGRAM}: tests/run unpacks Exim"
    libraries = subprocess.run(["ldd", str(PROGRAM)], stdout=subprocess.PIPE,
                               check=False).stdout
    if b"not found" in libraries:
        return f"Exim lacks libraries: {libraries.decode()}"
    if subprocess.run(["unshare", "--mount", "true"],
                      check=False).returncode != 0:
        return "no namespaces (a container without CAP_SYS_ADMIN?)"
    return ""


class Exim:
    """One daemon; root is its folder, made here."""

    def __init__(self, root, home_port, remote_port, port=None, dsn="*",
                 body="true"):
        self.root = pathlib.Path(root)
        self.port = port or free_port()
        self.process = None
        for name in ("", "spool", "log"):
            (self.root / name).mkdir()
            shutil.chown(self.root / name, "mail", "mail")
        mail = (self.root / "spool").stat()
        for name, line in (
                ("passwd", f"Debian-exim:x:{mail.st_uid}:{mail.st_gid}::"
                 "/nonexistent:/bin/false\n"),
                ("group", f"Debian-exim:x:{mail.st_gid}:\n")):
            text = pathlib.Path("/etc", name).read_text()
            (self.root / name).write_text(text + line)
        (self.root / "inside").write_text(INSIDE)
        (self.root / "exim.conf").write_text(CONFIG.format(
            root=self.root, program=PROGRAM, dsn=dsn, body=body, home_port=home_port,
            remote_port=remote_port))

    def log_text(self):
        return "".join(path.read_text(errors="replace") for path
                       in sorted((self.root / "log").iterdir()))

    def start(self):
        self.process = subprocess.Popen(
            ["unshare", "--mount", "sh", str(self.root / "inside"),
             str(self.root), str(PROGRAM), "-C", str(self.root / "exim.conf"),
             "-bdf", "-q1m", "-oX", f"127.0.0.1.{self.port}"],
            stdin=subprocess.DEVNULL, stdout=open(self.root / "out", "ab"),
            stderr=subprocess.STDOUT, cwd="/")
        wait_until(lambda: self.process.poll() is not None
                   or port_answers(self.port),
                   lambda: "Exim listens: "
                   + (self.root / "out").read_text() + self.log_text(), 20)
        assert self.process.poll() is None, (self.root / "out").read_text()
        return self

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
