#!/usr/bin/python3
"""What packaging/try shows: nixie between a private Postfix and Redis.

usage: demo.py [--keep] [--remove FOLDER]

--keep goes on in the background when all is shown, until it is sent SIGTERM.
--remove FOLDER is what to remove at the end beside the servers' own folder.
Needs root, and nixied and nixie in $NIXIE_BUILD.
"""

import argparse
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness import oracle  # noqa: E402
from harness.nixied import build_folder  # noqa: E402
from harness.stack import Stack, World  # noqa: E402
from harness.wait import wait_until  # noqa: E402

WIDTH = 78
SENDER = "shop@nixie.test"


def title(text):
    print(f"\n\n{text}\n{'-' * len(text)}\n")


def say(text):
    print(textwrap.fill(" ".join(text.split()), WIDTH) + "\n")


def show(text, indent="    "):
    """Text of a program, folded to the width of a terminal."""
    for line in text.splitlines() or [""]:
        print(textwrap.fill(line, WIDTH, initial_indent=indent,
                            subsequent_indent=indent + "    ",
                            break_on_hyphens=False))


def show_json(line):
    """Folded behind commas."""
    text = ""
    for member in line.split(',"'):
        member = member if member.startswith("{") else '"' + member
        if len(text) + len(member) + 6 > WIDTH:
            print("    " + text)
            text = ""
        text += member + ("," if not member.endswith("}") else "")
    print("    " + text)


def command(*words):
    """What one would type."""
    show("# " + " ".join(word if word.startswith("$") else shlex.quote(word)
                         for word in words))


class Demo:
    def __init__(self):
        self.world = World()
        self.stack = None

    def start(self):
        self.world.start()
        # which Postfix nixied asks for the times between attempts
        os.environ["MAIL_CONFIG"] = str(self.world.postfix.config)
        self.stack = Stack(self.world, node="mx.nixie.test",
                           maillog=[self.world.postfix.log]).start()

    def stop(self):
        if self.stack is not None:
            self.stack.stop()
        self.world.stop()

    def redis_cli(self, *words, quiet=False):
        if not quiet:
            command("redis-cli", "-s", "$REDIS", *words)
        printed = self.stack.redis.cli(*words)
        if not quiet:
            show(printed)
            print()
        return printed

    def nixie(self, *words, until=None):
        """until: with what the lines begin that are left out."""
        command("nixie", *words)
        done = self.stack.nixied.tool(*words)
        text = (done.stdout + done.stderr).decode(errors="replace")
        if until is not None:
            text = text.partition(until)[0] + "..."
        show(text.rstrip("\n"))

    def settle(self):
        """Until nothing more comes, and Redis has it all."""
        wait_until(lambda: not self.stack.behind(),
                   "the recorder has caught up", 15)

    def dialogue(self, recipients):
        with self.stack.dialogue(helo="shop.nixie.test") as smtp:
            smtp.message(SENDER, recipients)
            smtp.quit()
            for side, line in smtp.transcript:
                show(f"{side}: {line.decode(errors='replace')}")

    def sendmail(self, *recipients):
        command("sendmail", "-f", SENDER, "--", *recipients)
        self.stack.postfix.sendmail(SENDER, recipients)

    # --- the parts of the show -------------------------------------------

    def introduce(self):
        title("What runs now, all of it private and on loopback")
        for name, where in (
                ("Redis", self.stack.redis.socket),
                ("Postfix", f"127.0.0.1:{self.world.postfix.port}, with "
                 "nixied as its milter"),
                ("nixied", f"as {self.stack.nixied.settings['user']}, "
                 f"{self.stack.nixied.config}"),
                ("remote server", f"127.0.0.1:{self.world.remote.port}, "
                 "takes what Postfix sends on")):
            show(f"{name + ':':<15}{where}")

    def suppress(self):
        title("1. Two entries for the list, made with redis-cli")
        say("A key that exists acts on the next RCPT. Any value will do; a "
            "hash can say more.")
        self.redis_cli("SET", "nixie:suppress:gone@example.com",
                       "asked by phone")
        self.redis_cli("HSET", "nixie:suppress:@shut.test", "reason",
                       "domain_no_mail", "note", "shut down in May")

    def over_smtp(self):
        title("2. One message over SMTP, to five recipients")
        say("gone@example.com is on the list, of eve@shut.test the domain. "
            "nixied refuses both while the envelope is open. deferred@ and "
            "unknown@ are refused by this Postfix itself: nixied only takes "
            "note.")
        self.dialogue(["good@example.com", "gone@example.com",
                       "eve@shut.test", "deferred@example.com",
                       "unknown@example.com"])
        self.world.remote.wait_for("good@example.com")
        print()
        say("The remote server got it for good@example.com only.")

    def with_sendmail(self):
        title("3. The same with sendmail(1)")
        say("Here nothing can be refused at RCPT: such mail would stay in "
            "the queue for ever. nixied deletes the recipient at the end of "
            "the message, and when nobody is left it refuses the message, "
            "so that its sender gets a bounce.")
        self.sendmail("gone@example.com", "friend@example.com")
        self.world.remote.wait_for("friend@example.com")
        self.sendmail("gone@example.com")
        self.world.remote.wait_for(SENDER)
        self.world.postfix.wait_empty()
        print()
        command("postqueue", "-p")
        show(self.world.postfix.queue_text())
        print()
        say("The remote server has mail for: " +
            ", ".join(self.world.remote.recipients()) +
            " (the last is the bounce).")

    def for_a_while(self):
        title("4. An entry that ends by itself")
        self.redis_cli("SET", "nixie:suppress:back@example.com", "on leave",
                       "EX", "2")
        replies, _ = self.stack.send(["back@example.com"], SENDER)
        show(f"at once:      {replies['back@example.com']}")
        wait_until(lambda: not self.stack.redis.command(
            "EXISTS", "nixie:suppress:back@example.com"), "it ends", 5)
        replies, _ = self.stack.send(["back@example.com"], SENDER)
        show(f"2 s later:    {replies['back@example.com']}")

    def afterwards(self):
        title("5. What becomes of mail in the queue: the delivery log")
        say("Postfix took both, and the remote server refuses them: one for "
            "good, one for a while. nixied reads that in Postfix's log. An "
            "unknown user goes on the list at once, for a week.")
        mark = self.stack.log.mark()
        replies, _ = self.stack.send(["reject@example.com",
                                      "defer@example.com"], SENDER)
        for recipient, reply in replies.items():
            show(f"{recipient + ':':<21}{reply}")
        print()
        for wanted in ("delay", "suppression_added"):
            self.stack.log.wait(mark, type=wanted)
        self.settle()
        command("grep", "reject@.*bounced", "mail.log")
        for line in self.world.postfix.log_text().splitlines():
            if "<reject@" in line and "status=bounced" in line:
                show(line)
        print()
        for wanted in ("bounce", "delay", "suppression_added"):
            self.nixie("tail", "--no-follow", "--lines", "1", "--type", wanted)
        print()
        self.nixie("why", "reject@example.com", until="strikes:")
        print()
        self.nixie("health")

    def events(self):
        title("6. The event log: a line for each outcome of each recipient")
        self.stack.log.wait(type="reception", recipient="back@example.com")
        self.settle()
        self.nixie("tail", "--no-follow", "--lines", "60")
        print()
        say("Each is one line of JSON, here the first refusal:")
        show_json(self.stack.log.since(type="suppressed")[0].line.decode())

    def history(self):
        title("7. The history in Redis")
        for address in ("gone@example.com", "unknown@example.com"):
            self.nixie("key", address)
            key = oracle.history_key("nixie:", "recipient", address).decode()
            command("redis-cli", "-s", "$REDIS", "HGETALL", key)
            for field, value in sorted(self.stack.history(address).items()):
                show(f"{field:<22}{value}")
            print()
        events = self.stack.log.read()
        different = oracle.differences(self.stack.redis, "nixie:", events)
        outcomes = len(self.stack.log.outcomes())
        say(f"Redis was compared with the {outcomes} outcomes in the log, "
            "field by field: " + ("they are equal." if not different else
                                  "DIFFERENT: " + "; ".join(different)))
        return not different

    def how_to_play(self):
        title("It goes on running: play with it")
        environment = self.world.root / "environment"
        environment.write_text(
            f"REDIS={self.stack.redis.socket}\n"
            f"PORT={self.world.postfix.port}\n"
            f"PATH={build_folder()}:$PATH\n"
            f"export MAIL_CONFIG={self.world.postfix.config}\n"
            f"nixie() {{ command nixie -c {self.stack.nixied.config} "
            "\"$@\"; }\n")
        say("In a shell of root (telnet and swaks are packages of Debian):")
        for line in (
                f". {environment}",
                "redis-cli -s $REDIS SET nixie:suppress:you@example.com ''",
                "nixie tail",
                "nixie why you@example.com",
                "nixie health",
                "nixie suppress list",
                "telnet 127.0.0.1 $PORT",
                "swaks -s 127.0.0.1 -p $PORT -t you@example.com",
                "echo hello | sendmail -f me@nixie.test you@example.com",
                "postqueue -p"):
            print("    " + line)
        print()
        say("This Postfix refuses deferred@example.com (450), "
            "unknown@example.com and what is not known@hosted.test (550). "
            "The remote server refuses recipients that begin with reject "
            "(550), defer or full (4xx), and takes all others.")
        print(f"    events:       {self.stack.nixied.settings['event_log']}")
        print(f"    delivery log: {self.world.postfix.log}\n")
        say("To end it and remove everything:")
        print(f"    kill {os.getpid()}\n")

    def run(self):
        self.introduce()
        self.suppress()
        self.over_smtp()
        self.with_sendmail()
        self.for_a_while()
        self.afterwards()
        self.events()
        return self.history()


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--remove", metavar="FOLDER")
    return parser.parse_args()


def fork_keeper():
    """The child returns, and goes on; the parent waits for its word."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        os.setsid()
        return writing
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        sys.exit(0 if told.read() == b"ready" else 1)


def keep_running(told):
    """Lets the parent go, and waits to be ended."""
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    sys.stdout.flush()
    with open(os.devnull, "r+b") as null:
        for descriptor in (0, 1, 2):
            os.dup2(null.fileno(), descriptor)
    os.write(told, b"ready")
    os.close(told)
    signal.sigwait(signals)


def main():
    arguments = parse_arguments()
    sys.stdout.reconfigure(line_buffering=True)
    told = fork_keeper() if arguments.keep else None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    demo = Demo()
    done = False
    try:
        demo.start()
        done = demo.run()
        if told is not None:
            demo.how_to_play()
            keep_running(told)
    except KeyboardInterrupt:
        print("\nInterrupted.")
    except subprocess.CalledProcessError as failure:
        print(f"{failure}: {failure.stderr}", file=sys.stderr)
    finally:
        demo.stop()
        if told is not None and arguments.remove:
            shutil.rmtree(arguments.remove, ignore_errors=True)
    if told is None:
        print("\nEnded, and removed. packaging/try --keep leaves it running.")
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
