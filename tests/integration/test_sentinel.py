"""Redis behind sentinels: failovers lose writes, and nothing is lost."""

import shutil
import time

import pytest

from harness import oracle
from harness.load import Load
from harness.sentinel import SECRET, Group
from harness.wait import wait_until

SLOWEST = 1  # seconds, of an answer to RCPT
BACK = 8  # seconds, from the end of a master to lookups in the next one


class Scene:
    """A nixied that asks the sentinels of a group."""

    def __init__(self, stack):
        self.group = Group(stack.root / "group")
        self.stack = stack
        stack.redis = self.group.master
        secret = stack.nixied.root / "password"
        secret.write_text(SECRET)
        shutil.chown(secret, stack.nixied.settings["user"])
        secret.chmod(0o600)
        stack.nixied.settings.update(redis=self.group.location,
                                     redis_user="nixie",
                                     redis_password_file=secret)
        stack.nixied.write()

    def start(self):
        self.group.start()
        self.stack.nixied.start()
        self.stack.suppress("@shut.test")
        wait_until(lambda: self.group.replica.command(
            "EXISTS", "nixie:suppress:@shut.test"), "the replica follows", 5)
        self.wait_refused()
        return self

    def turn_to_replica(self):
        self.stack.redis = self.group.replica

    def refused(self):
        replies, _ = self.stack.send(["gone@shut.test"])
        return replies["gone@shut.test"].code == 550

    def wait_refused(self, timeout=10):
        wait_until(self.refused, lambda: "the list is read: "
                   + self.stack.nixied.error_text(), timeout, pause=0.05)

    def wait_lag(self, least=20):
        """Writes that the master has taken, and the replica has not."""
        group, prefix = self.group, self.stack.nixied.prefix

        def missing():
            have = oracle.checkpoints(group.master, prefix)
            kept = oracle.checkpoints(group.replica, prefix)
            return sum(seq > kept.get(key, 0) for key, seq in have.items())
        wait_until(lambda: missing() >= least, "the replica lags", 10)

    @staticmethod
    def check(load):
        """As told, so logged; while no master answers nothing is refused."""
        load.compare("suppressed", load.refused)
        logged = [name for name in load.logged("reception")
                  if name.startswith("good")]
        assert sorted(logged) == sorted(load.accepted)
        assert load.failures == []

    def rollbacks(self):
        return self.stack.nixied.errors.read_text(errors="replace").count(
            "redis forgot what it had")


@pytest.fixture
def scene(stack_maker):
    made = Scene(stack_maker(start=False))
    try:
        yield made
        if made.stack.nixied.process is not None:
            made.stack.finish()
    finally:
        made.stack.stop()
        made.group.stop()


def test_failover_to_a_replica_that_lags_loses_nothing(scene):
    group, stack = scene.start().group, scene.stack
    with Load(stack) as load:
        wait_until(lambda: len(load.accepted) > 10, "mail comes in")
        group.master.cut_replica()
        scene.wait_lag()
        group.master.kill()
        killed = time.monotonic()
        group.wait_failover()
        scene.turn_to_replica()
        told = len(load.refused)
        wait_until(lambda: len(load.refused) > told, "the list is read", BACK)
        assert time.monotonic() - killed < BACK
        stack.log.wait(type="store_recovered")
    scene.check(load)
    stack.settle()
    assert scene.rollbacks() > 0

    group.master.start()  # without data, and a master until it is told
    wait_until(group.master.in_step, "the old master follows", 20)
    stack.send(["last@example.com"])
    stack.settle()
    assert stack.history("last@example.com")["receptions"] == "1"
    # what it was sent as a replica is no script
    assert not {"eval", "evalsha"} & group.master.calls().keys()
    assert "eval" in group.replica.calls()


def test_writes_to_a_master_that_is_no_more_are_made_again(scene):
    """Split brain: nixied still reaches it, the sentinels do not."""
    group, stack = scene.start().group, scene.stack
    stack.send([f"early{i}@example.com" for i in range(10)])
    stack.settle()
    with Load(stack, clients=2) as load:
        group.master.cut_replica()
        group.master.cut_sentinels()
        group.wait_failover()
        told = len(load.accepted)
        wait_until(lambda: len(load.accepted) > told + 10, "mail goes on")
        scene.wait_lag()
        group.master.mend()
        wait_until(group.master.in_step, "the old master follows", 30)
        scene.turn_to_replica()
        told = len(load.refused)
        wait_until(lambda: len(load.refused) > told, "the list is read", BACK)
    scene.check(load)
    stack.settle()
    assert scene.rollbacks() > 0
    assert stack.history("early3@example.com")["receptions"] == "1"


def test_start_before_the_sentinels_and_end_of_some(scene):
    group, stack = scene.group, scene.stack
    group.start_servers()
    stack.suppress("@shut.test")
    stack.nixied.start()
    assert not scene.refused(), "nobody names a master yet"
    assert "Connection refused" in stack.nixied.error_text()
    group.start_sentinels()
    scene.wait_refused()
    stack.settle()
    for sentinel in group.sentinels[:2]:
        sentinel.kill()
    group.master.command("CLIENT", "KILL", "USER", "nixie")
    scene.wait_refused()
    group.sentinels[2].kill()
    group.master.command("CLIENT", "KILL", "USER", "nixie")
    scene.wait_refused()  # the master is known, and still is one
    stack.settle()


def test_master_that_becomes_a_replica_is_asked_now_and_then(scene):
    group, stack = scene.start().group, scene.stack
    for sentinel in group.sentinels:
        sentinel.kill()
    group.master.demote()
    before = group.master.connections()
    end = time.monotonic() + 1
    while time.monotonic() < end:
        stack.send(["one@example.com"])
    made = group.master.connections() - before
    assert 0 < made < 30, made
    assert "redis does not take events" in stack.nixied.error_text()
    group.master.promote()
    stack.settle()


def test_hung_sentinels_never_hold_up_an_answer(scene):
    scene.stack.nixied.settings["redis_timeout_ms"] = 50
    scene.stack.nixied.write()
    group, stack = scene.start().group, scene.stack
    everybody = (group.master, *group.sentinels)
    for server in everybody:
        server.hang()
    try:
        slowest, end = 0, time.monotonic() + 1
        while time.monotonic() < end:
            with stack.dialogue() as smtp:
                smtp.mail()
                slowest = max(slowest, *(smtp.rcpt(f"n{i}@example.com").seconds
                                         for i in range(20)))
                assert smtp.data().code == 250
    finally:
        for server in everybody:
            server.go_on()
    assert slowest < SLOWEST
    scene.wait_refused()


def test_tool_finds_the_master(scene):
    group, stack = scene.group, scene.stack
    group.start_servers()
    stack.suppress("bob@example.com", "on leave")
    done = stack.nixied.tool("why", "bob@example.com")
    assert done.returncode == 2
    assert b"redis: sentinel 127.0.0.1:" in done.stderr
    assert b"Connection refused" in done.stderr
    last = group.sentinels[2]
    last.start()
    done = stack.nixied.tool("why", "bob@example.com")
    assert b"on leave" in done.stdout, done.stderr
    last.command("ACL", "SETUSER", "default", "resetpass", ">of-sentinels")
    done = stack.nixied.tool("why", "bob@example.com")
    assert done.returncode == 2
    assert b"ACL SETUSER nixie on >PASSWORD" in done.stderr
    with last.client() as client:
        client.command("AUTH", "of-sentinels")
        client.command("ACL", "SETUSER", "nixie", "on", f">{SECRET}", "-@all",
                       "+sentinel|get-master-addr-by-name")
    done = stack.nixied.tool("why", "bob@example.com")
    assert b"on leave" in done.stdout, done.stderr


CACHE = ("+set", "+time", "+ping", "+subscribe", "+client|id",
         "+client|tracking", "+hkeys", "&__redis__:invalidate")


@pytest.fixture
def cached(scene):
    """With the rights for the suppression cache."""
    group = scene.group
    group.start()
    for server in (group.master, group.replica):
        server.command("ACL", "SETUSER", "nixie", *CACHE)
    scene.stack.nixied.start()
    scene.stack.suppress("@shut.test")
    wait_until(lambda: "suppression cache current"
               in scene.stack.nixied.error_text(), "the list is read", 10)
    scene.wait_refused()
    return scene


def test_list_of_a_master_that_is_no_more_is_not_trusted_for_long(cached):
    """Split brain: nixied reaches the old one, the operator the new one."""
    group, stack = cached.group, cached.stack
    group.master.cut_replica()
    group.master.cut_sentinels()
    group.wait_failover()
    group.replica.cli("SET", "nixie:suppress:new@far.test", "of the new one")
    group.replica.cli("DEL", "nixie:suppress:@shut.test")
    began = time.monotonic()
    wait_until(lambda: stack.send(["new@far.test"])[0]["new@far.test"].code
               == 550 and not cached.refused(),
               "the list of the new master", BACK, pause=0.1)
    print(f"{time.monotonic() - began:.1f} s")
    cached.turn_to_replica()
    stack.settle()


def test_cache_knows_when_it_is_not_sure_over_failovers(cached):
    """What is told as "ok" is no older than seconds; else it says so."""
    group, stack = cached.group, cached.stack
    wait_until(lambda: group.replica.in_step() and group.replica.cli(
        "EXISTS", "nixie:suppress:@shut.test") == "1",
               "the replica has the list", 10)
    group.master.hang()
    hung = time.monotonic()
    mark = stack.log.mark()
    states = set()
    try:
        while time.monotonic() - hung < 60 and not (
                group.replica.is_master() and "ok" in states):
            assert cached.refused(), (
                f"{[dict(event) for event in stack.log.since(mark)]}\n"
                f"{stack.nixied.error_text()[-2000:]}\n"
                f"{stack.postfix.log_text()[-1000:]}")
            event = stack.log.wait(mark, type="suppressed")
            mark = stack.log.mark()
            states.add(event["store_state"])
            if event["store_state"] == "ok":
                assert (group.replica.is_master()
                        or time.monotonic() - hung < 3), dict(event)
                if not group.replica.is_master():
                    states.clear()
            else:
                assert event["store_age_seconds"] <= (
                    time.monotonic() - hung + 2)
    finally:
        group.master.go_on()
    assert "stale" in states and "ok" in states
    cached.turn_to_replica()
    group.replica.cli("SET", "nixie:suppress:next@far.test", "")
    wait_until(lambda: stack.send(["next@far.test"])[0]["next@far.test"].code
               == 550, "the list of the new master", BACK, pause=0.05)
    stack.settle(timeout=60)
