"""A Sendmail of our own: configuration, queue and log below one folder.

Postfix and Sendmail exclude each other as packages, so its programs come from
a folder into which packages were only unpacked (setup.sh does that). It runs
in mount and UTS namespaces of its own, which give it what it takes from the
machine: a host name with a dot (it sleeps a minute without), /etc/hosts, and
/dev/log, the only place that it logs to. The folder is not below /tmp, as
Sendmail trusts no file below a folder that everybody may write.
"""

import os
import pathlib
import shutil
import signal
import socket
import socketserver
import struct
import subprocess
import tempfile
import threading

from .nixied import TOP
from .postfix import HOSTNAME
from .smtp import Dialogue
from .wait import free_port, port_answers, wait_until

UNPACKED = pathlib.Path(os.environ.get("NIXIE_SENDMAIL",
                                       "/var/cache/nixie-tests/sendmail"))
PROGRAMS = UNPACKED / "usr/libexec/sendmail"
CF = UNPACKED / "usr/share/sendmail/cf"

INSIDE = """\
set -e
root=$1
shift
hostname {hostname}
mount --bind "{milter_folder}" "$root/milter"
mount --bind "$root/etc/hosts" /etc/hosts
if [ -d /usr/lib/sasl2 ]; then
    mount --bind "$root/etc/sasl2" /usr/lib/sasl2
fi
for device in null zero random urandom; do
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount --rbind "$root/dev" /dev
exec "$@"
"""

# What both have. Everything that a load or many refusals would slow is off.
COMMON_MC = """\
divert(0)dnl
VERSIONID(`tests of nixie')
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `{hostname}')dnl
define(`confSERVICE_SWITCH_FILE', `{root}/etc/service.switch')dnl
define(`confTO_IDENT', `0')dnl
define(`confREFUSE_LA', `9999')dnl
define(`confQUEUE_LA', `9999')dnl
define(`confDELAY_LA', `0')dnl
define(`STATUS_FILE', `')dnl
define(`confDONT_PROBE_INTERFACES', `True')dnl
define(`HELP_FILE', `{root}/etc/helpfile')dnl
"""

MTA_MC = COMMON_MC + """\
define(`QUEUE_DIR', `{root}/mqueue')dnl
define(`confPID_FILE', `{root}/sendmail.pid')dnl
define(`ALIAS_FILE', `{root}/etc/aliases')dnl
define(`confCW_FILE', `{root}/etc/local-host-names')dnl
define(`confFORWARD_PATH', `')dnl
define(`confLOG_LEVEL', `14')dnl
define(`confPRIVACY_FLAGS', `')dnl
define(`confBIND_OPTS', `-DNSRCH -DEFNAMES')dnl
define(`SMART_HOST', `relay:[127.0.0.1]')dnl
define(`RELAY_MAILER_ARGS', `TCP $h {remote_port}')dnl
define(`LOCAL_MAILER_PATH', `{root}/etc/deliver')dnl
define(`LOCAL_MAILER_ARGS', `deliver $u')dnl
define(`LOCAL_MAILER_FLAGS', `SPn9')dnl
define(`confAUTH_MECHANISMS', `PLAIN')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`accept_unqualified_senders')dnl
FEATURE(`use_cw_file')dnl
FEATURE(`access_db', `hash -T<TMPF> {root}/etc/access')dnl
FEATURE(`blocklist_recipients')dnl
FEATURE(`virtusertable', `hash {root}/etc/virtusertable')dnl
VIRTUSER_DOMAIN(`hosted.test example.com')dnl
DAEMON_OPTIONS(`Name=MTA, Addr=127.0.0.1, Port={port}')dnl
{milter}{extra}
MAILER(`local')dnl
MAILER(`smtp')dnl
"""

# With F= none mail passes while nixied is away. The second port, for those
# who want it to wait, has a filter with F=T.
MILTER_MC = """\
FEATURE(`nixie', `unix:{root}/milter/{socket}')dnl
MAIL_FILTER(`strict', `S=unix:{root}/milter/{socket}, F=T, \
T=C:2s;S:5s;R:5s;E:30s')dnl
DAEMON_OPTIONS(`Name=STRICT, Addr=127.0.0.1, Port={strict_port}, \
InputMailFilters=strict')dnl
"""

# A filter without nixie.m4, whose lists of macros are Sendmail's own.
BARE_MILTER_MC = """\
INPUT_MAIL_FILTER(`nixie', `S=unix:{root}/milter/{socket}, T=C:2s;R:5s')dnl
"""

SUBMIT_MC = COMMON_MC + """\
define(`MSP_QUEUE_DIR', `{root}/clientmqueue')dnl
define(`confPID_FILE', `{root}/submit.pid')dnl
define(`confRUN_AS_USER', `mail:mail')dnl
define(`confTRUSTED_USER', `mail')dnl
define(`confLOG_LEVEL', `14')dnl
define(`RELAY_MAILER_ARGS', `TCP $h {port}')dnl
FEATURE(`nocanonify')dnl
FEATURE(`msp', `[127.0.0.1]')dnl
"""

FILES = {
    "hosts": "127.0.0.1 {hostname} localhost\n",
    "service.switch": "hosts files\npasswd files\naliases files\n",
    "local-host-names": "{hostname}\nlocalhost\n",
    "helpfile": "#vers\t2\n",
    "sasl2/Sendmail.conf": ("pwcheck_method: saslauthd\n"
                            "saslauthd_path: {root}/saslauthd\n"
                            "mech_list: PLAIN\n"),
    "aliases": ("postmaster: root\nMAILER-DAEMON: postmaster\n"
                "team: daemon, away@example.org\n"),
    # check_rcpt refuses these before a filter hears of the recipient
    "access": ("Connect:127.0.0.9\tRELAY\n"
               "To:closed.test\tERROR:5.7.1:554 Not from here\n"
               "To:deferred@example.com\tERROR:4.2.0:450 Mailbox busy, "
               "come back later\n"),
    # and these when it has heard of nobody else
    "virtusertable": ("known@hosted.test\tdaemon\n"
                      "@hosted.test\terror:5.1.1:550 User unknown\n"
                      "unknown@example.com\terror:5.1.1:550 User unknown "
                      "here\n"),
}

DELIVER = """\
#!/bin/sh
exec cat >>"{root}/mail/$1"
"""


def missing():
    """What these tests lack, "" when nothing."""
    for path in (PROGRAMS / "sendmail", PROGRAMS / "makemap", CF / "m4/cf.m4"):
        if not path.exists():
            return f"no {path}: tests/run unpacks Sendmail"
    if shutil.which("m4") is None:
        return "no m4"
    libraries = subprocess.run(["ldd", str(PROGRAMS / "sendmail")],
                               stdout=subprocess.PIPE, check=False).stdout
    if b"not found" in libraries:
        return f"Sendmail lacks libraries: {libraries.decode()}"
    if subprocess.run(["unshare", "--mount", "--uts", "true"],
                      check=False).returncode != 0:
        return "no namespaces (a container without CAP_SYS_ADMIN?)"
    return ""


class Syslog:
    """Listens as /dev/log; the file gets the lines as rsyslog writes them."""

    def __init__(self, path, log):
        self.path, self.log = path, log
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        path.chmod(0o666)
        self.log.touch()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        with open(self.log, "ab", buffering=0) as file:
            while True:
                data = self.socket.recv(65536)
                if data == b"end":
                    return
                # "<22>Nov  1 10:00:00 sm-mta[1]: …", of glibc
                data = data.partition(b">")[2].rstrip(b"\n\0")
                file.write(data[:16] + b"mx " + data[16:] + b"\n")

    def stop(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.sendto(b"end", str(self.path))
        self.thread.join()
        self.socket.close()


class Passwords(socketserver.StreamRequestHandler):
    """As saslauthd(8): whoever has the password "open" may come in."""

    def handle(self):
        words = []
        for _ in ("user", "password", "service", "realm"):
            length, = struct.unpack(">H", self.rfile.read(2))
            words.append(self.rfile.read(length))
        answer = b"OK" if words[1] == b"open" else b"NO"
        self.wfile.write(struct.pack(">H", len(answer)) + answer)


class PasswordServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path):
        super().__init__(str(path), Passwords)
        self.thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05},
            daemon=True)
        self.thread.start()

    def stop(self):
        self.shutdown()
        self.server_close()
        self.thread.join()


class SendmailDialogue(Dialogue):
    """Replies without what Sendmail puts before texts, "<address>... "."""

    def reply(self, since=None):
        reply = super().reply(since)
        _, mark, text = reply.text.partition("... ")
        if mark and reply.text.startswith("<"):
            reply.text = text
        return reply


class Sendmail:
    """One instance with its MTA and MSP; its folder is made here."""

    unknown = f"nosuch@{HOSTNAME}"  # refused, and a milter is shown that
    # bytes 0x80 to 0x9f; two @, or words of more than 255 bytes
    syntax_errors = (501, 553)

    def __init__(self, remote_port, milter_socket=None, milter=MILTER_MC,
                 extra="", port=None):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="nixie-sendmail.",
                                                  dir="/run"))
        self.root.chmod(0o755)
        self.port, self.strict_port = port or free_port(), free_port()
        self.process = self.syslog = self.passwords = None
        self.log = self.root / "mail.log"
        self.milter_socket = pathlib.Path(milter_socket or
                                          self.root / "milter/none")
        values = {"root": self.root, "hostname": HOSTNAME, "port": self.port,
                  "strict_port": self.strict_port, "remote_port": remote_port,
                  "socket": self.milter_socket.name, "extra": extra,
                  "milter_folder": self.milter_socket.parent}
        values["milter"] = milter.format(**values) if milter_socket else ""
        self._write_folders()
        self._write_files(values)
        self.config = self._build("sendmail", MTA_MC.format(**values))
        self.submit_config = self._build("submit", SUBMIT_MC.format(**values))

    def _write_folders(self):
        for name, owner, mode in (("etc", "root", 0o755),
                                  ("etc/sasl2", "root", 0o755),
                                  ("dev", "root", 0o755),
                                  ("mail", "root", 0o755),
                                  ("milter", "root", 0o755),
                                  ("mqueue", "root", 0o700),
                                  ("clientmqueue", "mail", 0o770)):
            path = self.root / name
            path.mkdir()
            shutil.chown(path, owner, owner)
            path.chmod(mode)
        for name in ("null", "zero", "random", "urandom"):
            (self.root / "dev" / name).touch()
        for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"),
                             ("stdout", "fd/1"), ("stderr", "fd/2"),
                             ("log", self.root / "log.sock")):
            (self.root / "dev" / name).symlink_to(target)

    def _write_files(self, values):
        for name, text in FILES.items():
            (self.root / "etc" / name).write_text(text.format(**values))
        deliver = self.root / "etc/deliver"
        deliver.write_text(DELIVER.format(**values))
        deliver.chmod(0o755)
        inside = self.root / "etc/inside"
        inside.write_text(INSIDE.format(**values))
        cf = self.root / "cf"  # Sendmail's, and our feature
        cf.mkdir()
        for name in ("m4", "ostype", "mailer", "domain", "hack", "sh"):
            (cf / name).symlink_to(CF / name)
        shutil.copytree(CF / "feature", cf / "feature")
        shutil.copy(TOP / "packaging/nixie.m4", cf / "feature")

    def _build(self, name, text):
        source = self.root / f"etc/{name}.mc"
        source.write_text(text)
        config = self.root / f"etc/{name}.cf"
        done = subprocess.run(
            ["m4", f"-D_CF_DIR_={self.root}/cf/",
             str(self.root / "cf/m4/cf.m4"), str(source)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0 or done.stderr:
            raise RuntimeError(done.stderr.decode())
        config.write_bytes(done.stdout)
        return config

    def _command(self, program, *words):
        """The words that run it in namespaces of its own."""
        return ["unshare", "--mount", "--uts", "sh",
                str(self.root / "etc/inside"), str(self.root),
                str(PROGRAMS / program), *words]

    def _run(self, program, *words, data=b"", check=True):
        done = subprocess.run(self._command(program, *words), input=data,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=60, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"{program} {' '.join(words)}: "
                               f"{done.returncode}\n"
                               f"{(done.stdout + done.stderr).decode()}"
                               f"{self.log_text()[-3000:]}")
        return done

    def start(self):
        self.syslog = Syslog(self.root / "log.sock", self.log)
        self.passwords = PasswordServer(self.root / "saslauthd")
        etc = self.root / "etc"
        for name in ("access", "virtusertable"):
            self._run("makemap", "-C", str(self.config), "hash",
                      str(etc / name), data=(etc / name).read_bytes())
        self._run("sendmail", "-C", str(self.config), "-bi")
        self.process = subprocess.Popen(
            self._command("sendmail", "-C", str(self.config), "-L", "sm-mta",
                          "-bD"),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=open(self.root / "stderr", "ab"), start_new_session=True)
        wait_until(lambda: self.process.poll() is not None
                   or port_answers(self.port),
                   lambda: f"Sendmail listens\n{self.log_text()[-3000:]}", 20)
        if self.process.poll() is not None:
            raise AssertionError(
                f"Sendmail ended: {self.log_text()[-3000:]}"
                f"{(self.root / 'stderr').read_text()}")
        return self

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            finally:
                self._end_children()
        if self.syslog is not None:
            self.syslog.stop()
            self.passwords.stop()
        if not os.environ.get("NIXIE_KEEP"):
            shutil.rmtree(self.root)

    def _end_children(self):
        """Those that deliver, or talk to a client, outlive the daemon."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def log_text(self):
        try:
            return self.log.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def queue(self):
        """Names of the messages in the queues."""
        return [path.name[2:] for folder in ("mqueue", "clientmqueue")
                for path in (self.root / folder).iterdir()
                if path.name.startswith(("qf", "tf", "df"))]

    def queue_text(self):
        """For people."""
        done = self._run("sendmail", "-C", str(self.config), "-bp")
        return done.stdout.decode(errors="replace").rstrip("\n")

    def wait_empty(self, timeout=15):
        wait_until(lambda: not self.queue(),
                   lambda: f"queue is empty: {self.queue()}\n"
                   f"{self.log_text()[-2000:]}", timeout)

    def delete_all(self):
        for folder in ("mqueue", "clientmqueue"):
            for path in (self.root / folder).iterdir():
                path.unlink(missing_ok=True)

    def mailbox(self, name):
        """What a local user has got."""
        try:
            return (self.root / "mail" / name).read_bytes()
        except FileNotFoundError:
            return b""

    def sendmail(self, sender, recipients, text=b"Subject: try\n\nHello\n",
                 options=()):
        """sendmail(1), through the MSP; returns the finished process."""
        return self._run("sendmail", "-C", str(self.submit_config), "-Ac",
                         "-L", "sm-msp", "-i", *options, "-f", sender, "--",
                         *recipients, check=False, data=text)

    def dialogue(self, strict=False, **options):
        port = self.strict_port if strict else self.port
        return SendmailDialogue(("127.0.0.1", port), **options)
