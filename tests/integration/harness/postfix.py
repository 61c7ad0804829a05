"""A Postfix of our own: configuration, queue and log below one folder.

It runs beside whatever Postfix the machine has and touches nothing of it. As
root, postfix(1), postqueue(1) and sendmail(1) take another configuration by
-c or MAIL_CONFIG without more ado; an ordinary user would need the folder in
alternate_config_directories of /etc/postfix/main.cf, because postdrop(1) is
set-gid. The tests run as root.
"""

import json
import os
import pathlib
import shutil
import subprocess

from .smtp import Dialogue
from .wait import (free_port, port_answers, process_runs, signal_process,
                   wait_until)

HOSTNAME = "mx.nixie.test"

MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {root}/spool
data_directory = {root}/data
mail_owner = postfix
setgid_group = postdrop
maillog_file = {root}/log/mail.log
maillog_file_prefixes = {root}/log
myhostname = {hostname}
mydomain = nixie.test
myorigin = {hostname}
mydestination = {hostname}, localhost
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
local_transport = smtp:[127.0.0.1]:{remote_port}
default_transport = smtp:[127.0.0.1]:{remote_port}
relay_transport = smtp:[127.0.0.1]:{remote_port}
virtual_transport = smtp:[127.0.0.1]:{remote_port}
virtual_mailbox_domains = hosted.test
virtual_mailbox_maps = inline:{{ known@hosted.test=known }}
transport_maps =
smtp_dns_support_level = disabled
smtp_tls_security_level = none
smtpd_tls_security_level = none
smtpd_peername_lookup = no
smtpd_recipient_restrictions = check_recipient_access texthash:{root}/etc/access
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 100000
smtpd_hard_error_limit = 100001
smtpd_junk_command_limit = 100000
smtpd_recipient_limit = 6000
smtpd_recipient_overshoot_limit = 100000
smtpd_client_connection_count_limit = 0
default_destination_concurrency_limit = 50
default_process_limit = 100
in_flow_delay = 0
notify_classes =
minimal_backoff_time = 1h
maximal_backoff_time = 2h
bounce_queue_lifetime = 1d
milter_protocol = 6
"""

MILTERS = """\
smtpd_milters = {{ unix:{socket}, connect_timeout=2s, command_timeout=5s, \
content_timeout=20s, default_action={action} }}
non_smtpd_milters = $smtpd_milters
"""

MASTER_CF = """\
{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

# What our own MTA refuses, beside the unknown users of hosted.test.
ACCESS = """\
deferred@example.com 450 4.2.0 Mailbox busy, come back later
unknown@example.com 550 5.1.1 User unknown here
closed.test 554 5.7.1 Not from here
"""


def merge(main, extra):
    """extra takes the place of what main says of the same parameters.

    Each program of Postfix warns of a parameter that is there twice: also
    postlogd(8), through itself, which waits for ever when ten others did so
    before it has read the first.
    """
    names = {line.partition("=")[0].strip() for line in extra.splitlines()
             if "=" in line}
    kept = [line for line in main.splitlines()
            if line.partition("=")[0].strip() not in names]
    return "\n".join(kept) + "\n" + extra


class Postfix:
    """One instance; root is its folder, made here."""

    unknown = "unknown@example.com"  # refused, and a milter is shown that
    syntax_errors = ()  # refusals of odd addresses before milters see them

    def __init__(self, root, remote_port, milter_socket=None,
                 default_action="accept", extra=""):
        self.root = pathlib.Path(root)
        self.remote_port = remote_port
        self.milter_socket = milter_socket
        self.default_action = default_action
        self.extra = extra
        self.port = free_port()
        self.config = self.root / "etc"
        self.log = self.root / "log" / "mail.log"
        self._write()

    def _write(self):
        for name, owner, mode in (("", "root", 0o755), ("etc", "root", 0o755),
                                  ("spool", "root", 0o755),
                                  ("data", "postfix", 0o700),
                                  ("log", "root", 0o755)):
            path = self.root / name
            path.mkdir(parents=True, exist_ok=True)
            shutil.chown(path, owner)
            path.chmod(mode)
        self.log.touch()
        self.log.chmod(0o644)  # postlogd(8) makes it for root alone
        main = MAIN_CF.format(root=self.root, hostname=HOSTNAME,
                              remote_port=self.remote_port)
        if self.milter_socket is not None:
            main += MILTERS.format(socket=self.milter_socket,
                                   action=self.default_action)
        (self.config / "main.cf").write_text(merge(main, self.extra))
        # Postfix waits some seconds for one that may be half written
        os.utime(self.config / "main.cf", (0, 0))
        (self.config / "master.cf").write_text(
            MASTER_CF.format(port=f"127.0.0.1:{self.port}"))
        (self.config / "access").write_text(ACCESS)

    def environment(self):
        environment = dict(os.environ)
        environment["MAIL_CONFIG"] = str(self.config)
        return environment

    def _run(self, *command, check=True, data=b""):
        done = subprocess.run(command, input=data, env=self.environment(),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=60, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.returncode}\n"
                               f"{done.stderr.decode(errors='replace')}"
                               f"{self.log_text()[-3000:]}")
        return done

    def start(self):
        self._run("postfix", "-c", str(self.config), "start")
        wait_until(lambda: port_answers(self.port),
                   lambda: "Postfix listens\n" + self.log_text()[-3000:], 20)
        return self

    def master_pid(self):
        try:
            return int((self.root / "spool/pid/master.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def stop(self):
        pid = self.master_pid()
        self._run("postfix", "-c", str(self.config), "stop", check=False)
        if pid is None:
            return
        try:
            wait_until(lambda: not process_runs(pid), "master(8) ends", 10)
        except AssertionError:
            signal_process(pid, 9)
            raise

    def log_text(self):
        try:
            return self.log.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def queue(self):
        """Messages in the queue, as postqueue -j tells them."""
        done = self._run("postqueue", "-c", str(self.config), "-j")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def queue_text(self):
        """The same for people."""
        done = self._run("postqueue", "-c", str(self.config), "-p")
        return done.stdout.decode(errors="replace").rstrip("\n")

    def wait_empty(self, timeout=15):
        """Waits until no message is queued, nor waits in maildrop."""
        wait_until(lambda: not self.queue() and not self._maildrop(),
                   lambda: f"queue is empty: {self.queue()} "
                   f"{self._maildrop()}\n{self.log_text()[-2000:]}", timeout)

    def _maildrop(self):
        return [path.name
                for path in (self.root / "spool/maildrop").iterdir()]

    def _has_mail(self, *folders):
        return any(path.is_file() for folder in folders
                   for path in (self.root / "spool" / folder).rglob("*"))

    def flush(self):
        """Tries again. What is logged as deferred is still active then."""
        wait_until(lambda: not self._has_mail("maildrop", "incoming",
                                              "active"),
                   lambda: f"nothing is under way: {self.queue()}")
        self._run("postqueue", "-c", str(self.config), "-f")

    def delete_all(self):
        """Works on a Postfix that is stopped, too."""
        if self._has_mail("maildrop", "incoming", "active", "deferred",
                          "hold"):
            self._run("postsuper", "-c", str(self.config), "-d", "ALL")

    def sendmail(self, sender, recipients, text=b"Subject: try\n\nHello\n",
                 options=()):
        """sendmail(1); returns the finished process."""
        return self._run("sendmail", "-C", str(self.config), "-i",
                         *options, "-f", sender, "--", *recipients,
                         check=False, data=text)

    def dialogue(self, **options):
        return Dialogue(("127.0.0.1", self.port), **options)
