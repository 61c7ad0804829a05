"""A Redis of our own on a Unix socket, without persistence or TCP."""

import pathlib
import shutil
import signal
import socket
import subprocess
import time

from .wait import signal_process, unix_answers, wait_until


LISTS = (b":suppress", b":allow")
WRITES = ("SET", "HSET", "HDEL", "DEL", "UNLINK", "RENAME", "EXPIRE",
          "PEXPIRE")
ACTS_AFTER = 0.01  # seconds until a change of the lists acts, as promised


class RedisError(Exception):
    """An error reply."""


def is_list_change(command, key="", *_):
    key = key if isinstance(key, bytes) else str(key).encode()
    return command in WRITES and any(name in key for name in LISTS)


class RedisClient:
    """A small client of our own: bytes in, bytes out."""

    def __init__(self, path, timeout=10):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.stream = self.socket.makefile("rb")

    def close(self):
        self.stream.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @staticmethod
    def encode(words):
        words = [word if isinstance(word, bytes) else str(word).encode()
                 for word in words]
        return b"*%d\r\n" % len(words) + b"".join(
            b"$%d\r\n%s\r\n" % (len(word), word) for word in words)

    def command(self, *words):
        """Its reply; a change of the lists acts on what comes next."""
        reply = self._ask(words)
        if is_list_change(*words):
            self.let_act()
        if isinstance(reply, RedisError):
            raise reply
        return reply

    def let_act(self):
        """After the next reply Redis has told of what was before it."""
        self._ask(("PING",))
        time.sleep(ACTS_AFTER)

    def _ask(self, words):
        self.socket.sendall(self.encode(words))
        return self.read()

    def pipeline(self, commands):
        self.socket.sendall(b"".join(self.encode(words)
                                     for words in commands))
        return [self.read() for _ in commands]

    def read(self):
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            return RedisError(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        size = int(rest)
        if size < 0:
            return None
        if kind == b"$":
            return self.stream.read(size + 2)[:-2]
        return [self.read() for _ in range(size)]


class Redis:
    """redis-server in the folder root, which is made here."""

    def __init__(self, root, extra=()):
        self.root = pathlib.Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o755)
        self.socket = self.root / "redis.sock"
        self.extra = tuple(extra)
        self.process = None

    @property
    def endpoint(self):
        return f"unix:{self.socket}"

    def start(self, *extra):
        self.process = subprocess.Popen(
            [shutil.which("redis-server"), "--port", "0",
             "--unixsocket", str(self.socket), "--unixsocketperm", "777",
             "--dir", str(self.root), "--save", "", "--appendonly", "no",
             "--daemonize", "no", "--enable-debug-command", "yes",
             *self.extra, *extra],
            stdin=subprocess.DEVNULL,
            stdout=open(self.root / "redis.log", "ab"),
            stderr=subprocess.STDOUT)
        wait_until(lambda: unix_answers(self.socket), "Redis listens", 10)
        return self

    def send(self, number):
        signal_process(self.process.pid, number)

    def hang(self):
        self.send(signal.SIGSTOP)

    def go_on(self):
        self.send(signal.SIGCONT)

    def kill(self):
        """kill -9: nothing is saved."""
        if self.process is None:
            return
        self.send(signal.SIGKILL)
        self.process.wait(10)
        self.process = None
        self.socket.unlink(missing_ok=True)

    stop = kill

    def restart(self, *extra):
        """An empty one in its place."""
        self.kill()
        return self.start(*extra)

    def client(self, timeout=10):
        return RedisClient(self.socket, timeout)

    def command(self, *words):
        with self.client() as client:
            return client.command(*words)

    def cli(self, *words):
        """As an operator does it; the text that redis-cli prints."""
        done = subprocess.run(["redis-cli", "-s", str(self.socket), *words],
                              stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=10, check=True)
        if is_list_change(*words):
            with self.client() as client:
                client.let_act()
        return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")

    def keys(self, pattern="*"):
        with self.client() as client:
            return sorted(client.command("KEYS", pattern))

    def hashes(self, pattern):
        """{key: {field: value}} of all hashes whose name fits."""
        with self.client(30) as client:
            keys = client.command("KEYS", pattern)
            replies = client.pipeline([("HGETALL", key) for key in keys])
        found = {}
        for key, reply in zip(keys, replies):
            if isinstance(reply, RedisError):
                found[key] = {b"error": str(reply).encode()}
            else:
                found[key] = dict(zip(reply[::2], reply[1::2]))
        return found
