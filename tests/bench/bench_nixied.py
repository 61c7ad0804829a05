#!/usr/bin/env python3
"""bench_nixied.py - what nixied costs beside a filter that does nothing

usage: bench_nixied.py [--build DIR] [--json FILE] [--quick] [--only WORD,...]

bench_milter asks nixied and nothing_milter in turns, each with the same
questions, so that a busy machine slows both: rates, latencies and processor
time are told as ratios within one run, the median of its rounds. A backlog of
events is applied in turns with redis-benchmark, which sends one of the
recorder's own script calls, as many at a time, to as many keys.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

TICK = os.sysconf("SC_CLK_TCK")
PIPELINE = 64  # calls that the recorder has on their way, recorder_store.c

# what is asked: the words of bench_milter, entries on the list, what Redis does
PARTS = [
    ("rcpt 10k, none on it", {"entries": 10_000}, "runs"),
    ("rcpt 1M, none on it", {}, "runs"),
    ("rcpt 1M, 1 % on it", {"hits": 1}, "runs"),
    ("rcpt 1M, 50 % on it", {"hits": 50}, "runs"),
    ("rcpt 1M, 1000 idle", {"idle": 1000}, "runs"),
    ("message", {"whole": 1, "recipients": 1}, "runs"),
    ("message, 3 at a time",
     {"whole": 1, "recipients": 1, "connections": 3}, "runs"),
    ("rcpt 1M, Redis stopped", {}, "stopped"),
    ("rcpt 1M, Redis down", {}, "down"),
]


def wait_for(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"bench_nixied.py: waited in vain for {what}")
        time.sleep(0.02)


def answers(path):
    with socket.socket(socket.AF_UNIX) as link:
        try:
            link.connect(str(path))
            return True
        except OSError:
            return False


def free_port():
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        return link.getsockname()[1]


class Process:
    def __init__(self, words, errors, ready):
        with open(errors, "ab") as file:
            self.process = subprocess.Popen(
                [str(word) for word in words], stdin=subprocess.DEVNULL,
                stdout=file, stderr=file)
        wait_for(lambda: self.process.poll() is not None or ready(), words[0])
        if self.process.poll() is not None:
            sys.exit(pathlib.Path(errors).read_text())

    def cpu_seconds(self):
        stat = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory_kb(self):
        status = pathlib.Path(
            f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))

    def send(self, number):
        self.process.send_signal(number)

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


class Redis(Process):
    def __init__(self, folder):
        self.path = folder / "redis.sock"
        super().__init__(
            ["redis-server", "--port", "0", "--unixsocket", self.path,
             "--unixsocketperm", "777", "--save", "", "--appendonly", "no", "--dir", folder],
            folder / "redis.err",
            lambda: answers(self.path) and self.ask("PING") == "PONG")

    def ask(self, *words):
        return subprocess.run(
            ["redis-cli", "-s", str(self.path), *words],
            capture_output=True, text=True, check=True).stdout.strip()


class Nixied(Process):
    def __init__(self, build, folder):
        user = "nobody" if os.getuid() == 0 else None
        self.port = free_port()
        self.path = folder / "run" / "nixie.sock"
        for name in ("state", "log", "run"):
            made = folder / name
            made.mkdir(mode=0o750, exist_ok=True)
            if user is not None:
                shutil.chown(made, user)
        settings = {
            "milter_socket": f"unix:{self.path}",
            "milter_socket_group": "",
            "state_dir": folder / "state",
            "event_log": folder / "log" / "events.jsonl",
            "trace_keys": folder / "state" / "trace.keys",
            "redis": f"unix:{folder}/redis.sock",
            "metrics": f"127.0.0.1:{self.port}",
        }
        if user is not None:
            settings["user"] = user
        config = folder / "nixie.conf"
        config.write_text("".join(f'{name} = "{value}"\n'
                                  for name, value in settings.items()))
        super().__init__([build / "nixied", "-c", config],
                         folder / "nixied.err", lambda: answers(self.path))

    def figure(self, name):
        with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/metrics") as page:
            text = page.read().decode()
        return float(re.search(rf"^{name}(?:{{.*}})? (\S+)$", text,
                               re.MULTILINE).group(1))


class Bench:
    def __init__(self, options, folder):
        self.build = pathlib.Path(options.build).resolve()
        self.folder = folder
        self.quick = options.quick
        self.rounds = 3 if options.quick else 7
        self.seconds = 1 if options.quick else 2
        self.entries = 0
        self.results = {}
        self.redis = Redis(folder)
        self.nixied = Nixied(self.build, folder)
        nothing = folder / "nothing.sock"
        self.nothing = Process(
            [self.build / "tests/bench/nothing_milter", nothing],
            folder / "nothing.err", lambda: answers(nothing))
        self.nothing.path = nothing

    def end(self):
        self.redis.send(signal.SIGCONT)
        for process in (self.nothing, self.nixied, self.redis):
            process.end()

    def load(self, filter_, words, seconds=None):
        """One run of bench_milter, and the processor time of the filter."""
        words = {"seconds": seconds or self.seconds,
                 "entries": self.entries or 1,
                 "check": 1 if filter_ is self.nixied else 0, **words}
        before = filter_.cpu_seconds()
        done = subprocess.run(
            [str(self.build / "tests/bench/bench_milter"),
             str(filter_.path), *(f"{name}={value}"
                                  for name, value in words.items())],
            capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(done.stderr)
        result = json.loads(done.stdout)
        result["cpu_us"] = 1e6 * (filter_.cpu_seconds() - before) / (
            result["messages_per_s"] * words["seconds"] if words.get("whole")
            else result["rcpts"])
        result["rate"] = result["messages_per_s" if words.get("whole")
                                else "rcpts_per_s"]
        return result

    def fill(self, entries):
        """The list, read to its end by nixied."""
        if entries == self.entries:
            return
        maker = subprocess.Popen(
            [str(self.build / "tests/bench/bench_milter"), "-", "list=1",
             f"entries={entries}"], stdout=subprocess.PIPE)
        subprocess.run(["redis-cli", "-s", str(self.redis.path), "--pipe"],
                       stdin=maker.stdout, capture_output=True, check=True)
        maker.wait()
        self.entries = entries
        self.settle()

    def settle(self):
        """Until nixied and Redis have nothing left to do."""
        def spent():
            return self.nixied.cpu_seconds() + self.redis.cpu_seconds()

        def is_idle():
            before = spent()
            time.sleep(0.5)
            return spent() - before < 0.03

        wait_for(is_idle, "the list to be read", 120)

    def drain(self):
        """Until Redis has all events: what runs next has the machine."""
        wait_for(lambda: self.nixied.figure("nixie_recorder_lag_events") == 0,
                 "the recorder", 300)

    def compare(self, name, words):
        """In turns; the ratios are of neighbours."""
        pairs = []
        for turn in range(self.rounds):
            order = [self.nothing, self.nixied]
            runs = {}
            for filter_ in order if turn % 2 == 0 else reversed(order):
                runs[filter_] = self.load(filter_, words)
            pairs.append((runs[self.nixied], runs[self.nothing]))
        ratios = [ours["rate"] / theirs["rate"] for ours, theirs in pairs]
        self.results[name] = {
            "throughput": statistics.median(ratios),
            "throughput_low": min(ratios), "throughput_high": max(ratios),
            "p99": statistics.median(
                ours["p99_us"] / max(theirs["p99_us"], 1)
                for ours, theirs in pairs),
            "rate": statistics.median(ours["rate"] for ours, _ in pairs),
            "cpu_us": statistics.median(ours["cpu_us"] for ours, _ in pairs),
            "nothing_cpu_us": statistics.median(
                theirs["cpu_us"] for _, theirs in pairs),
        }
        row = self.results[name]
        print(f"{name:24} throughput {row['throughput']:.2f} "
              f"({row['throughput_low']:.2f}-{row['throughput_high']:.2f}) "
              f"p99 {row['p99']:.2f}; a second {row['rate']:.0f}; us of CPU "
              f"{row['cpu_us']:.1f} to {row['nothing_cpu_us']:.1f}",
              flush=True)

    def stop_redis(self, state):
        if state == "stopped":
            self.redis.send(signal.SIGSTOP)
            time.sleep(3)  # until the cache knows that it is silent
        elif state == "down":
            self.redis.end()
            time.sleep(1)

    def start_redis(self, state):
        if state == "stopped":
            self.redis.send(signal.SIGCONT)
        elif state == "down":
            self.redis = Redis(self.folder)
            self.entries = 0

    # --- the recorder ------------------------------------------------------

    def apply(self, seconds):
        """Events a second of a backlog, and how many there were."""
        self.redis.ask("CLIENT", "PAUSE", "60000", "WRITE")
        self.load(self.nixied,
                  {"whole": 1, "recipients": 100, "check": 0}, seconds)
        before = self.nixied.figure("nixie_recorder_applied_total")
        began = time.monotonic()
        self.redis.ask("CLIENT", "UNPAUSE")
        self.drain()
        took = time.monotonic() - began
        count = self.nixied.figure("nixie_recorder_applied_total") - before
        return count, count / took

    def calls(self):
        """The recorder's script calls of a backlog: their words."""
        self.redis.ask("SCRIPT", "FLUSH")  # so that one brings the script
        with open(self.folder / "monitor", "wb") as file:
            monitor = subprocess.Popen(
                ["redis-cli", "-s", str(self.redis.path), "MONITOR"],
                stdout=file)
            time.sleep(0.3)
            count, _ = self.apply(1)
            time.sleep(0.3)
            monitor.terminate()
            monitor.wait()
        return count, read_calls(self.folder / "monitor")

    def record(self):
        """The recorder beside redis-benchmark with one of its calls."""
        self.drain()
        events, calls = self.calls()
        if not calls:
            sys.exit("bench_nixied.py: no call of the recorder was seen")
        operations = sum(operations_of(call) for call in calls)
        calls.sort(key=operations_of)
        model = calls[len(calls) // 2]
        events_a_call = operations_of(model) * events / operations
        pairs = []
        for turn in range(self.rounds):
            count, rate = self.apply(self.seconds)
            pairs.append((rate, events_a_call * self.benchmark(
                as_template(model, f"turn{turn}-"), count, events_a_call)))
            print(f"  {pairs[-1][0]:.0f} events a second of the recorder, "
                  f"{pairs[-1][1]:.0f} of redis-benchmark", flush=True)
        ratio = statistics.median(ours / theirs for ours, theirs in pairs)
        self.results["recorder"] = {
            "ratio": ratio, "events_a_call": events_a_call,
            "events_per_s": statistics.median(ours for ours, _ in pairs)}
        print(f"recorder                 {ratio:.2f} of redis-benchmark with "
              f"-P {PIPELINE} and a call of {events_a_call:.1f} events",
              flush=True)

    def benchmark(self, words, events, events_a_call):
        """Calls a second of redis-benchmark, for as many events and keys."""
        # each call finds the checkpoint that it expects, and leaves it so
        self.redis.ask("HSET", words[3], words[3 + int(words[2])], "1")
        done = subprocess.run(
            ["redis-benchmark", "-s", str(self.redis.path), "-c", "1",
             "-P", str(PIPELINE), "-r", str(int(events)),
             "-n", str(max(int(events / events_a_call), PIPELINE)),
             "-q", "--csv", *words],
            capture_output=True, text=True, check=True)
        return float(done.stdout.splitlines()[-1].split('","')[1])


# --- what MONITOR tells -----------------------------------------------------

WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"')
ESCAPE = re.compile(rb"\\(x[0-9a-f]{2}|.)", re.DOTALL)
LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}


def unescaped(word):
    def one(match):
        code = match.group(1)
        if len(code) == 3:
            return bytes([int(code[1:], 16)])
        return LETTERS.get(code, code)
    return ESCAPE.sub(one, word).decode("utf-8", "surrogateescape")


def lines_of(path):
    with open(path, "rb") as file:
        for line in file:
            if b" lua] " not in line and b'] "' in line:
                yield [unescaped(word) for word in WORD.findall(line)]


def read_calls(path):
    return [words for words in lines_of(path)
            if words[0].upper() == "EVALSHA" and int(words[2]) > 1]


def body_of(call):
    """Where the operations begin: behind owner, checkpoints and rights."""
    rights = 3 + int(call[2]) + 3
    return rights + 1 + 2 * int(call[rights])


def operations_of(call):
    at, count = body_of(call), 0
    while at < len(call):
        if call[at] == "key":
            at += 1
        else:
            at += 3
            count += 1
    return count


def as_template(call, name):
    """The call with recipients that redis-benchmark draws anew each time."""
    words = list(call)
    keys = int(words[2])
    for i in range(4, 3 + keys):
        words[i] = re.sub(r"user\d+@", f"{name}__rand_int__@", words[i])
    words[4 + keys] = words[5 + keys] = "1"  # expected, and then
    return words


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=".")
    parser.add_argument("--json")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    only = [word for word in options.only.split(",") if word]

    def is_wanted(name):
        return not only or any(word in name for word in only)

    with tempfile.TemporaryDirectory(prefix="nixie-bench-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        bench = Bench(options, folder)
        try:
            for part, words, state in PARTS:
                if not is_wanted(part):
                    continue
                words = dict(words)
                bench.fill(words.pop("entries", 1_000_000)
                           if part.startswith("rcpt") else bench.entries)
                bench.stop_redis(state)
                bench.compare(part, words)
                bench.start_redis(state)
                bench.drain()
            bench.results["memory_kb"] = bench.nixied.memory_kb()
            if is_wanted("recorder"):
                bench.record()
        finally:
            bench.end()
        if options.json:
            pathlib.Path(options.json).write_text(
                json.dumps(bench.results, indent=1) + "\n")


if __name__ == "__main__":
    main()
