"""nixied under test: folders, configuration, signals, event log."""

import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess

from .events import EventLog
from .wait import process_runs, unix_answers, wait_until

TOP = pathlib.Path(__file__).resolve().parents[3]
SANITIZER_REPORT = re.compile(
    r"(ERROR|WARNING): (Address|Leak|Memory|Thread|Undefined\w*)Sanitizer"
    r"|runtime error:")
# In a report of ThreadSanitizer: behind what two threads did.
REPORT_TAIL = re.compile(r"^  (Location is|Mutex M|Thread T\d+ .*, running)",
                         re.MULTILINE)
OUR_FRAME = re.compile(r"^ +#\d+ (?!main ).*/milter/\w+\.[ch]:",
                       re.MULTILINE)


def sanitizer_reports(text):
    """The reports in what nixied wrote that are about nixied.

    libmilter destroys locks at its end that its threads still use: a report
    with frames of it and none of ours is none of ours.
    """
    found = []
    for block in re.split(r"^={18,}$", text, flags=re.MULTILINE):
        if SANITIZER_REPORT.search(block) is None:
            continue
        tail = REPORT_TAIL.search(block)
        acts = block[:tail.start()] if tail else block
        if "libmilter.so" not in acts or OUR_FRAME.search(acts):
            found.append(block)
    return found


def build_folder():
    """Where nixied and nixie were built: $NIXIE_BUILD, here, or the top."""
    named = os.environ.get("NIXIE_BUILD")
    if named:
        return pathlib.Path(named).resolve()
    here = pathlib.Path.cwd()
    return here if (here / "nixied").exists() else TOP


def test_user():
    """Whom nixied becomes: nixie where the package made it, else nobody."""
    try:
        return pwd.getpwnam("nixie").pw_name
    except KeyError:
        return "nobody"


def setting(value):
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(setting(part) for part in value) + "}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class Nixied:
    """One daemon; root is its folder, made here.

    Settings not given are those of a test: our folders, our Redis. Change
    .settings and write() or restart() to try others.
    """

    def __init__(self, root, milter_socket, redis_endpoint, **settings):
        self.root = pathlib.Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o755)
        self.milter_socket = pathlib.Path(milter_socket)
        self.process = None
        self.errors = self.root / "nixied.err"
        self.state = self.folder("state")
        self.log_folder = self.folder("log")
        self.config = self.root / "nixie.conf"
        self.settings = {
            "node": "test-node",
            "user": test_user(),
            "milter_socket": f"unix:{milter_socket}",
            "milter_socket_group": "postfix",
            "state_dir": self.state,
            "event_log": self.log_folder / "events.jsonl",
            "redis": redis_endpoint,
            "redis_timeout_ms": 500,  # the machine may be busy with others
            **settings,
        }
        self.log = EventLog(str(self.settings["event_log"]))
        self.write()

    def folder(self, name):
        """Makes a folder that nixied may write."""
        path = self.root / name
        path.mkdir(exist_ok=True)
        shutil.chown(path, test_user())
        path.chmod(0o750)
        return path

    @property
    def pid(self):
        return self.process.pid

    @property
    def prefix(self):
        return self.settings.get("key_prefix", "nixie:")

    def write(self, text=None):
        """The configuration file, from .settings or as given."""
        if text is None:
            text = "".join(f"{name} = {setting(value)}\n"
                           for name, value in self.settings.items())
        self.config.write_text(text)
        self.config.chmod(0o644)

    @staticmethod
    def environment():
        environment = dict(os.environ)
        environment.setdefault("ASAN_OPTIONS",
                               "abort_on_error=0:detect_leaks=1")
        environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        environment.setdefault("TSAN_OPTIONS", "halt_on_error=0:exitcode=0")
        environment.pop("NOTIFY_SOCKET", None)
        return environment

    def spawn(self, *options):
        """The process alone, without waiting for its socket."""
        return subprocess.Popen(
            [str(build_folder() / "nixied"), "-c", str(self.config),
             *options],
            stdin=subprocess.DEVNULL, stdout=open(self.errors, "ab"),
            stderr=subprocess.STDOUT, env=self.environment(), cwd="/")

    def start(self, timeout=20):
        self.milter_socket.unlink(missing_ok=True)
        self.process = self.spawn()
        wait_until(lambda: self.process.poll() is not None
                   or unix_answers(self.milter_socket),
                   lambda: f"nixied listens: {self.error_text()}", timeout)
        if self.process.poll() is not None:
            raise AssertionError(f"nixied ended with {self.process.poll()}: "
                                 f"{self.error_text()}")
        return self

    def check_configuration(self):
        """nixied -n; (exit status, what it printed)."""
        done = subprocess.run(
            [str(build_folder() / "nixied"), "-n", "-c", str(self.config)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=self.environment(), timeout=30,
            check=False)
        return done.returncode, done.stdout.decode(errors="replace")

    def send(self, number):
        self.process.send_signal(number)

    def end(self, number=signal.SIGTERM, timeout=20):
        """Signals, waits, returns the exit status."""
        process = self.process
        process.send_signal(number)
        # libmilter's listener looks every 5 s whether to stop, and whenever
        # somebody connects: tests need not wait
        wait_until(lambda: process.poll() is not None
                   or unix_answers(self.milter_socket)
                   and process.poll() is not None,
                   lambda: f"nixied ends: {self.error_text()}", timeout)
        self.process = None
        return process.returncode

    def kill(self):
        self.end(signal.SIGKILL)

    def running(self):
        return self.process is not None and process_runs(self.pid)

    def restart(self, **settings):
        """With other settings, if any."""
        if self.process is not None:
            assert self.end() == 0, self.error_text()
        self.settings.update(settings)
        self.write()
        return self.start()

    def rotate(self, timeout=10):
        """SIGUSR1, and waits for the first record of the new file."""
        mark = self.log.mark()
        self.send(signal.SIGUSR1)
        return self.log.wait(mark, type="log_open", timeout=timeout)

    def error_text(self):
        try:
            return self.errors.read_text(errors="replace")[-6000:]
        except FileNotFoundError:
            return ""

    def check_sanitizers(self):
        found = sanitizer_reports(self.errors.read_text(errors="replace"))
        assert not found, "\n".join(found)[:6000]

    def tool_command(self, *words):
        """nixie(1) with our configuration."""
        return [str(build_folder() / "nixie"), "-c", str(self.config), *words]

    def tool(self, *words, data=None, timeout=30):
        """Runs nixie(1); the finished process."""
        return subprocess.run(
            self.tool_command(*words), input=data, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=self.environment(), timeout=timeout,
            check=False)
