"""All servers together."""

import contextlib
import os
import pathlib
import shutil
import tempfile

from . import oracle
from .nixied import TOP, Nixied, test_user
from .postfix import Postfix
from .redis import Redis, RedisError
from .remote import RemoteServer
from .sendmail import Sendmail
from .wait import wait_until


class World:
    """What lasts for the whole run: folder, remote server, MTAs.

    nixied changes below it: each listens on the same milter socket. Sendmail
    is started when a test first wants it.
    """

    def __init__(self, **postfix):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="nixie-try."))
        self.root.chmod(0o755)
        self.run = self.root / "run"
        self.run.mkdir()
        shutil.chown(self.run, test_user())
        self.run.chmod(0o755)  # Sendmail trusts no folder open to all
        self.milter_socket = self.run / "milter.sock"
        self.remote = RemoteServer().start()
        self.postfix = Postfix(self.root / "postfix", self.remote.port,
                               self.milter_socket, **postfix)
        self._sendmail = None
        self.stacks = 0
        self.stack = None  # the one whose nixied runs

    def start(self):
        self.postfix.start()
        return self

    @contextlib.contextmanager
    def running(self, *others):
        """With other servers, which end before it."""
        try:
            self.start()
            for other in others:
                other.start()
            yield self
        finally:
            for other in others:
                other.stop()
            self.stop()

    @property
    def sendmail(self):
        if self._sendmail is None:
            self._sendmail = Sendmail(self.remote.port, self.milter_socket)
            self._sendmail.start()
        return self._sendmail

    def delete_all(self):
        """No mail of one test is delivered, or counted, in the next."""
        self.postfix.delete_all()
        if self._sendmail is not None:
            self._sendmail.delete_all()

    def stop(self):
        self.postfix.stop()
        if self._sendmail is not None:
            self._sendmail.stop()
        self.remote.stop()
        if not os.environ.get("NIXIE_KEEP"):
            shutil.rmtree(self.root)


class Stack:
    """A Redis and a nixied of its own in a World."""

    def __init__(self, world, redis_options=(), postfix=None, **settings):
        self.world = world
        self.postfix = postfix or world.postfix
        self.mta = self.postfix  # the one that send() and dialogue() speak to
        self.remote = world.remote
        assert world.stack is None, "one nixied at a time: one milter socket"
        world.stack = self
        world.stacks += 1
        self.root = world.root / f"s{world.stacks}"
        self.root.mkdir()
        self.root.chmod(0o755)
        self.redis = Redis(self.root / "redis", redis_options)
        self.nixied = Nixied(self.root / "nixie", world.milter_socket,
                             self.redis.endpoint, **settings)
        self.log = self.nixied.log

    @classmethod
    def marking(cls, world, **settings):
        """One that marks what goes out, and knows bounces by the rules."""
        made = cls(world, outgoing_clients=["127.0.0.1"],
                   bounce_rules=[TOP / "packaging/bounce-rules.conf"],
                   **settings)
        made.nixied.settings["trace_keys"] = made.nixied.state / "trace.keys"
        made.nixied.write()
        return made

    @contextlib.contextmanager
    def running(self):
        """Ended with the checks of every run, unless it could not start."""
        try:
            yield self.start()
        except BaseException:
            self.stop()
            raise
        self.finish()

    def start(self):
        self.remote.forget()
        self.redis.start()
        self.nixied.start()
        return self

    def suppress(self, pattern, note="asked by phone"):
        self.redis.cli("SET", f"nixie:suppress:{pattern}", note)

    def dialogue(self, **options):
        return self.mta.dialogue(**options)

    def send(self, recipients, sender="sender@nixie.test", **options):
        """One message in one connection: ({recipient: reply}, reply)."""
        with self.dialogue() as smtp:
            return smtp.message(sender, recipients, **options)

    def bounced(self, recipients, sender, far, **options):
        """Sends; the out_of_band event of the first that far bounces."""
        mark = self.log.mark()
        _, end = self.send(recipients, sender=sender, **options)
        assert end.code == 250
        try:
            return self.log.wait(mark, type="out_of_band", timeout=30)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{far.log_text()[-5000:]}\n"
                                 f"{self.mta.log_text()[-2000:]}") from error

    def history(self, address):
        """The recipient's hash as text, {} when there is none."""
        key = oracle.history_key(self.nixied.prefix, "recipient", address)
        words = [word.decode() for word in self.redis.command("HGETALL", key)]
        return dict(zip(words[::2], words[1::2]))

    def behind(self):
        """What the recorder has not done yet."""
        try:
            return oracle.behind(self.redis, self.nixied.prefix,
                                 self.log.read())
        except (RedisError, OSError) as error:
            return str(error)

    def settle(self, timeout=30):
        """Waits until everything logged is in Redis, and compares."""
        wait_until(
            lambda: not self.behind(),
            lambda: f"the recorder has caught up: {self.behind()}\n"
            f"{self.nixied.error_text()[-2000:]}", timeout, pause=0.05)
        # what is decided then is logged a little later, and applied
        wait_until(
            lambda: not self.differences(),
            lambda: "Redis is what the log tells: "
            + "\n".join(self.differences()[:20]), timeout, pause=0.1)

    def differences(self):
        return oracle.differences(self.redis, self.nixied.prefix,
                                  self.log.read())

    def stop(self):
        """Ends both, without a look at the result."""
        if self.world.stack is self:
            self.world.stack = None
        if self.nixied.process is not None:
            self.nixied.kill()
        self.redis.stop()
        self.world.delete_all()

    def finish(self):
        """What must hold at the end of every run, then the end."""
        try:
            self.settle()
            self.log.check()
            assert self.nixied.end() == 0, self.nixied.error_text()
            self.log.check()
            self.nixied.check_sanitizers()
        finally:
            self.stop()
