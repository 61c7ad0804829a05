"""A master, a replica and three sentinels of our own, on loopback.

nixied and the sentinels log in as users of their own, so that a server can
be cut off from the sentinels and its replica while nixied still reaches it.
"""

import shutil
import subprocess

from .redis import Redis, RedisError
from .wait import free_port, port_answers, unix_answers, wait_until

NAME = "nixie-test"
SECRET = "s3cret of nixie"
# The rights that the manual names, for nixied and then for nixie; HELLO and
# AUTH are everybody's.
RIGHTS = """+type +exists +hmget +getrange +pttl +hget +hset +hsetnx +hincrby
    +hdel +hlen +hscan +del +expireat +zadd +zincrby +zrem +zremrangebyscore
    +zscore +zcard +zcount +zrange +zrangebyscore +lpush +ltrim +lrange +watch
    +unwatch +multi +exec +eval +evalsha
    +scan +hgetall +srandmember +xlen +zrevrange"""
USERS = (
    ("nixie", "on", f">{SECRET}", "~nixie:*", "-@all", *RIGHTS.split()),
    ("sentinel", "on", ">of-sentinels", "~*", "&*", "+@all"),
    ("link", "on", ">of-replicas", "~*", "&*", "+@all"),
    # a sentinel whose user is off still connects, and must get no PONG
    ("default", "on", "nopass", "~*", "&*", "+@all", "-ping", "-replicaof",
     "-slaveof"),
)
# For Redis 7 and later. A replica is asked each second while the master is
# down, and is taken when its answer is younger than five periods of pings:
# these stay as they are.
PACE = ("info-period", "100", "publish-period", "100", "ask-period", "100",
        "min-link-reconnect-period", "200")


class Server(Redis):
    """A Redis that the sentinels watch."""

    def __init__(self, root, master=None):
        self.port = free_port()
        super().__init__(root, (
            "--port", str(self.port), "--bind", "127.0.0.1",
            "--masteruser", "link", "--masterauth", "of-replicas",
            "--repl-diskless-sync-delay", "0",
            *(word for user in USERS for word in ("--user", *user)),
            *(("--replicaof", "127.0.0.1", str(master.port))
              if master else ())))

    def start(self, *extra):
        super().start(*extra)
        wait_until(lambda: port_answers(self.port), "Redis listens", 10)
        return self

    def is_master(self):
        try:
            return self.command("ROLE")[0] == b"master"
        except OSError:
            return False

    def in_step(self):
        """As a replica: nothing of the master's is missing."""
        try:
            role = self.command("ROLE")
        except OSError:  # a sentinel that gives it a role ends connections
            return False
        return role[0] == b"slave" and role[3] == b"connected"

    def cut_replica(self):
        self.command("ACL", "SETUSER", "link", "off")
        self.command("CLIENT", "KILL", "TYPE", "replica")

    def cut_sentinels(self):
        self.command("ACL", "SETUSER", "sentinel", "off")
        self.command("CLIENT", "KILL", "USER", "sentinel")

    def mend(self):
        """The sentinels and the replica reach it again."""
        self.command("ACL", "SETUSER", "sentinel", "on")
        self.command("ACL", "SETUSER", "link", "on")
        self.command("CLIENT", "KILL", "USER", "default", "SKIPME", "yes")

    def demote(self):
        """It follows a server that is not there."""
        self.as_link("REPLICAOF", "127.0.0.1", str(free_port()))

    def promote(self):
        self.as_link("REPLICAOF", "NO", "ONE")

    def as_link(self, *words):
        with self.client() as client:
            client.command("AUTH", "link", "of-replicas")
            client.command(*words)

    def connections(self):
        """How many there were since its start, this one not counted."""
        text = self.command("INFO", "stats").decode()
        return int(text.split("total_connections_received:")[1].split()[0]) - 1

    def calls(self):
        """{command: how often users called it} since the last reset."""
        text = self.command("INFO", "commandstats").decode()
        return {line.split(":")[0].removeprefix("cmdstat_"):
                int(line.split("calls=")[1].split(",")[0])
                for line in text.splitlines() if "calls=" in line}


class Sentinel(Redis):
    """One that watches the master."""

    def __init__(self, root, master):
        super().__init__(root)
        self.port = free_port()
        self.config = self.root / "sentinel.conf"
        self.config.write_text("\n".join((
            f"port {self.port}", "bind 127.0.0.1", f"dir {self.root}",
            f"unixsocket {self.socket}", "unixsocketperm 777",
            f"sentinel monitor {NAME} 127.0.0.1 {master.port} 2",
            f"sentinel auth-user {NAME} sentinel",
            f"sentinel auth-pass {NAME} of-sentinels",
            f"sentinel down-after-milliseconds {NAME} 500",
            f"sentinel failover-timeout {NAME} 3000", "")))

    def start(self, *extra):
        self.process = subprocess.Popen(
            [shutil.which("redis-server"), str(self.config), "--sentinel"],
            stdin=subprocess.DEVNULL,
            stdout=open(self.root / "redis.log", "ab"),
            stderr=subprocess.STDOUT)
        wait_until(lambda: unix_answers(self.socket)
                   and port_answers(self.port), "Sentinel listens", 10)
        try:
            self.command("SENTINEL", "DEBUG", *PACE)
        except RedisError:
            pass  # an older one takes its time
        return self

    def sees(self, what):
        words = self.command("SENTINEL", "MASTER", NAME)
        return words[words.index(what.encode()) + 1].decode()

    def knows_all(self):
        return (self.sees("num-slaves") == "1"
                and self.sees("num-other-sentinels") == "2")

    def named(self):
        """The port of the master."""
        return int(self.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME",
                                NAME)[1])


class Group:
    """All five; location is what nixied is told."""

    def __init__(self, root):
        self.master = Server(root / "one")
        self.replica = Server(root / "two", self.master)
        self.sentinels = [Sentinel(root / f"sentinel{i}", self.master)
                          for i in range(3)]
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in self.sentinels)
        self.location = f"sentinel:{hosts}/{NAME}"

    def start_servers(self):
        self.master.start()
        self.replica.start()
        wait_until(self.replica.in_step, "the replica is in step", 10)

    def start_sentinels(self):
        for sentinel in self.sentinels:
            sentinel.start()
        wait_until(lambda: all(one.knows_all() for one in self.sentinels),
                   "the sentinels know each other", 15)

    def start(self):
        self.start_servers()
        self.start_sentinels()
        return self

    def wait_failover(self, timeout=20):
        """The replica is the master, and the sentinels say so."""
        wait_until(lambda: self.replica.is_master()
                   and all(one.named() == self.replica.port
                           for one in self.sentinels if one.process),
                   "the replica takes over", timeout)

    def stop(self):
        for server in (*self.sentinels, self.replica, self.master):
            server.kill()
