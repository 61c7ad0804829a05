#!/usr/bin/python3
"""A delivery log of millions of lines, rotated while it is read, and nixied
killed with SIGKILL again and again: each line's events come exactly once.

usage: tests/torture/maillog.py [LINES [KILLS [SEED]]]    (10000000 200)
       make torture-maillog

NIXIE_BUILD names the folder with nixied. It needs redis-server, and up to
2 GB in $TMPDIR. NIXIE_TORTURE_SECONDS ends the writing early: what was written
by then must still come. Prints what it measured, and each minute how far it
is; exit status 1: a line was lost, or came twice, or nothing came any more.
"""

import gzip
import json
import lzma
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/integration"))

from harness.nixied import Nixied, test_user  # noqa: E402
from harness.redis import Redis  # noqa: E402

CHUNK = 2000                    # lines of a write
ROTATE = 200000                 # lines of a file, about
FOLDER_MAX = 1000 * 1000 * 1000
BEHIND_MAX = 150000             # lines that the writer is ahead
STUCK = 300                     # seconds without an event, on a busy machine
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

POSTFIX = ("postfix/smtp[{pid}]: {id}: to=<u{user}@d{domain}.test>, "
           "relay=mx.d{domain}.test[192.0.2.1]:25, delay=1.2, "
           "delays=0.03/0.01/0.44/0.72, dsn={rest}\n")
SENT = "2.0.0, status=sent (250 2.0.0 Ok: queued as 1234567890)"
BOUNCED = ("5.1.1, status=bounced (host mx.d{domain}.test[192.0.2.1] said: "
           "550 5.1.1 <u{user}@d{domain}.test>: No such user (in reply to "
           "RCPT TO command))")
DEFERRED = ("4.2.2, status=deferred (host mx.d{domain}.test[192.0.2.1] said: "
            "452 4.2.2 Over quota (in reply to RCPT TO command))")
SENDMAIL = ("sm-mta[{pid}]: {id}: to={to}, delay=00:00:01, xdelay=00:00:01, "
            "mailer=esmtp, pri=1, relay=mx.d{domain}.test. [192.0.2.1], "
            "{rest}\n")
REFUSED = "sm-mta[{pid}]: {id}: <u{user}@d{domain}.test>... User unknown\n"
OTHERS = (
    "postfix/smtpd[{pid}]: connect from c{user}.test[192.0.2.9]\n",
    "postfix/smtpd[{pid}]: disconnect from c{user}.test[192.0.2.9] ehlo=1 "
    "mail=1 rcpt=1 data=1 quit=1 commands=5\n",
    "postfix/qmgr[{pid}]: {id}: from=<s{user}@here.test>, size=3402, nrcpt=1 "
    "(queue active)\n",
    "postfix/cleanup[{pid}]: {id}: message-id=<{user}.{pid}@here.test>\n",
    "dovecot: imap(u{user}): Disconnected: Logged out in=11 out=512\n",
)


def postfix_id(number):
    return f"{number + (1 << 40):X}"


def sendmail_id(number):
    text = ""
    for _ in range(5):
        number, digit = divmod(number, 62)
        text = DIGITS[digit] + text
    return f"6AL{text}003001"


class Writer(threading.Thread):
    """expected: queue id -> (how many events it has, of which type), until
    they are seen."""

    def __init__(self, log, lines, seed):
        super().__init__(daemon=True)
        self.log, self.lines = log, lines
        self.random = random.Random(seed)
        self.expected = {}
        self.refused = set()  # queue ids: each is told, or counted
        self.lock = threading.Lock()
        self.written = self.events = self.rotations = self.compressed = 0
        self.room = threading.Event()
        self.stamp = ""
        self.done = False

    def line(self, number):
        """(text, queue id, events, their type)"""
        draw = self.random.random()
        values = {"pid": 100 + number % 900, "user": number % 500,
                  "domain": number % 40, "id": postfix_id(number)}
        if draw < 0.5:
            return OTHERS[number % len(OTHERS)].format(**values), None, 0, ""
        if draw < 0.9:
            kind, rest = (("delivery", SENT) if draw < 0.8 else
                          ("bounce", BOUNCED) if draw < 0.87 else
                          ("delay", DEFERRED))
            return (POSTFIX.format(rest=rest.format(**values), **values),
                    values["id"], 1, kind)
        count = 1 + number % 4
        values["id"] = sendmail_id(number)
        if draw < 0.92:  # it waits for a session that may tell it, too
            return REFUSED.format(**values), values["id"], 1, "rejection"
        to = ",".join(f"<v{n}@d{values['domain']}.test>"
                      for n in range(count))
        kind, rest = "delivery", "dsn=2.0.0, stat=Sent (ok)"
        if draw > 0.98:  # it waits for what may follow
            kind = "delay"
            rest = "dsn=4.0.0, reply=451 later, stat=Deferred: 451 later"
        elif draw > 0.97:  # a list that is broken within an address
            lists = to + ',<"b, [more]', ' w"@x.test>,<last@x.test>'
            other = OTHERS[number % len(OTHERS)].format(**values)
            first, second = (SENDMAIL.format(to=part, rest=rest, **values)
                             for part in lists)
            return (first + self.stamp + other + self.stamp + second,
                    values["id"], 2 + count, kind)
        return (SENDMAIL.format(to=to, rest=rest, **values), values["id"],
                count, kind)

    def run(self):
        file = open(self.log, "ab", buffering=0)
        limit = ROTATE
        while self.written < self.lines:
            while not self.room.wait(1) and self.written < self.lines:
                pass
            if self.written >= self.lines:
                break
            stamp = self.stamp = time.strftime(
                "%Y-%m-%dT%H:%M:%S+00:00 mail ", time.gmtime())
            parts, expected, refused = [], {}, []
            for number in range(self.written,
                                min(self.written + CHUNK, self.lines)):
                text, queue_id, events, kind = self.line(number)
                parts.append(stamp + text)
                if kind == "rejection":
                    refused.append(queue_id)
                elif events:
                    expected[queue_id] = (events, kind)
            with self.lock:
                self.expected.update(expected)
                self.refused.update(refused)
            self.events += len(refused) + sum(
                events for events, _ in expected.values())
            data = "".join(parts).encode()
            cut = self.random.randrange(len(data))
            file.write(data[:cut])  # a reader sees half a line
            file.write(data[cut:])
            self.written += len(parts)
            limit -= len(parts)
            if limit <= 0:
                file = self.rotate(file)
                limit = self.random.randrange(ROTATE // 2, ROTATE * 3 // 2)
        file.close()
        self.done = True

    def rotate(self, file):
        """As logrotate(8) does it with dates; the writer holds on a while."""
        self.rotations += 1
        old = f"{self.log}-{1795212000 + 3600 * self.rotations}"
        os.rename(self.log, old)
        if self.random.random() < 0.5:
            time.sleep(self.random.random() * 0.2)
        file.close()
        new = open(self.log, "ab", buffering=0)
        os.chmod(self.log, 0o644)
        previous = f"{self.log}-{1795212000 + 3600 * (self.rotations - 1)}"
        if self.rotations % 3 == 0 and os.path.exists(previous):
            with open(previous, "rb") as source, \
                    self.compressor(previous) as target:
                shutil.copyfileobj(source, target, 1 << 20)
            os.unlink(previous)
            self.compressed += 1
        self.remove_old()
        return new

    def compressor(self, path):
        """As gzip and xz in turn."""
        if self.compressed % 2:
            return lzma.open(path + ".xz", "wb", preset=0)
        return gzip.open(path + ".gz", "wb", 1)

    def remove_old(self):
        for number in range(1, self.rotations - 8):
            for end in ("", ".gz", ".xz"):
                pathlib.Path(f"{self.log}-{1795212000 + 3600 * number}{end}"
                             ).unlink(missing_ok=True)


class Reader:
    """Holds each event against what is expected."""

    def __init__(self, folder, writer):
        self.folder, self.writer = pathlib.Path(folder), writer
        self.files = {}  # inode -> [file, bytes that are no whole line]
        self.got = self.twice = self.unknown = self.wrong = self.torn = 0
        self.summed = 0  # refusals that have no event of their own
        self.left = {}  # queue id -> recipients, until it has them all

    def read(self):
        for path in sorted(self.folder.glob("events.jsonl*")):
            try:
                inode = path.stat().st_ino
                if inode not in self.files:
                    self.files[inode] = [open(path, "rb"), b""]
            except FileNotFoundError:
                continue
        for state in self.files.values():
            data = state[1] + state[0].read()
            whole, newline, state[1] = data.rpartition(b"\n")
            if newline:
                self.take(whole.split(b"\n"))

    def take(self, lines):
        for line in lines:
            if b'"origin":"maillog"' not in line[:400]:
                continue
            try:
                event = json.loads(line)
            except ValueError:
                self.torn += 1
                continue
            if "aggregated" in event:
                self.got += event["aggregated"]
                self.summed += event["aggregated"]
                continue
            self.one(event["queue_id"], event["recipient"], event["type"])

    def one(self, queue_id, recipient, kind):
        self.got += 1
        with self.writer.lock:
            if kind == "rejection" and queue_id in self.writer.refused:
                self.writer.refused.remove(queue_id)
                return
        seen = self.left.setdefault(queue_id, set())
        if recipient in seen:
            self.twice += 1
            if self.twice <= 10:
                print("twice:", queue_id, recipient, flush=True)
            return
        seen.add(recipient)
        with self.writer.lock:
            wanted = self.writer.expected.get(queue_id)
            if wanted is None:
                self.unknown += 1
                if self.unknown <= 10:
                    print("not expected:", queue_id, recipient, flush=True)
                return
            if kind != wanted[1]:
                self.wrong += 1
                if self.wrong <= 10:
                    print("no", wanted[1], queue_id, kind, flush=True)
            if len(seen) == wanted[0]:
                del self.writer.expected[queue_id]
                del self.left[queue_id]

    def make_room(self):
        """What was read of the event log goes when the disk is full of it."""
        paths = sorted(self.folder.glob("events.jsonl.*"))
        size = sum(path.stat().st_size for path in paths)
        for path in paths[:-2]:
            if size > FOLDER_MAX:
                size -= path.stat().st_size
                state = self.files.pop(path.stat().st_ino)
                state[0].close()
                path.unlink()


def main():
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else 10000000
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 30)
    root = pathlib.Path(tempfile.mkdtemp(prefix="nixie-torture."))
    root.chmod(0o755)
    print(f"lines={lines} kills={kills} seed={seed}", flush=True)
    (root / "run").mkdir()
    shutil.chown(root / "run", test_user())
    log = root / "mail.log"
    log.touch()
    redis = Redis(root / "redis")
    nixied = Nixied(root / "nixie", root / "run/milter.sock", redis.endpoint,
                    maillog=[log],
                    bounce_rules=[TOP / "packaging/bounce-rules.conf"])
    writer = Writer(log, lines, seed)
    reader = Reader(nixied.log_folder, writer)
    redis.start()
    nixied.start()
    wait_for_mark(nixied)
    begin = time.monotonic()
    writer.room.set()
    writer.start()
    done = run(writer, reader, nixied, kills, random.Random(seed + 1))
    seconds = time.monotonic() - begin
    lost = (sum(events for events, _ in writer.expected.values())
            - sum(map(len, reader.left.values()))
            + len(writer.refused) - reader.summed)
    print(f"kills={done} rotations={writer.rotations} "
          f"compressed={writer.compressed} lines={writer.written} "
          f"events={writer.events} got={reader.got} lost={lost} "
          f"counted={reader.summed} "
          f"twice={reader.twice} unknown={reader.unknown} wrong={reader.wrong} "
          f"torn={reader.torn} seconds={seconds:.0f}", flush=True)
    if not writer.done:
        print("nothing came any more, before all was written")
    if lost:
        print("lost:", list(writer.expected.items())[:10])
    nixied.kill()
    redis.stop()
    good = writer.done and not (lost or reader.twice or reader.unknown
                                or reader.wrong)
    if good and not os.environ.get("NIXIE_KEEP"):
        shutil.rmtree(root)
    else:
        print(f"all of it is in {root}")
    return 0 if good else 1


def wait_for_mark(nixied):
    while not any(b'"type":"mark"' in path.read_bytes()
                  for path in nixied.log_folder.glob("events.jsonl*")):
        time.sleep(0.05)


def run(writer, reader, nixied, kills, chance):
    """Kills at random until all is written; waits for the rest."""
    done, next_at, quiet_since = 0, 0, time.monotonic()
    rotate_at, got = 0, -1
    begin = told = time.monotonic()
    seconds = float(os.environ.get("NIXIE_TORTURE_SECONDS", "inf"))
    while True:
        reader.read()
        now = time.monotonic()
        if now - begin > seconds:
            writer.lines = writer.written  # it ends where it is
        if now - told >= 60:
            told = now
            print(f"lines={writer.written} got={reader.got} kills={done} "
                  f"seconds={now - begin:.0f}", flush=True)
        if reader.got != got:
            got, quiet_since = reader.got, time.monotonic()
        ahead = len(writer.expected)
        reader.make_room()
        if ahead > BEHIND_MAX:
            writer.room.clear()
        else:
            writer.room.set()
        if writer.done and not writer.expected \
                and len(writer.refused) <= reader.summed \
                or time.monotonic() - quiet_since > STUCK:
            return done
        share = writer.written / max(writer.lines, 1)
        if done < kills and share * kills >= done \
                and time.monotonic() >= next_at:
            nixied.process.send_signal(signal.SIGKILL)
            nixied.process.wait()
            done += 1
            reader.read()
            nixied.start()
            next_at = time.monotonic() + chance.random() * 2
        elif time.monotonic() >= rotate_at:
            nixied.send(signal.SIGUSR1)
            rotate_at = time.monotonic() + 10
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
