"""/metrics and /healthz of nixied beside a real Postfix."""

import http.client
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest

from harness.wait import wait_until

SAMPLE = re.compile(r'^([a-z_]+)(\{[^}]*\})? (-?[0-9.e+-]+|\+Inf)$')


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Page:
    """What nixied answers on its port."""

    def __init__(self, port):
        self.port = port

    def ask(self, path, method="GET", host=None):
        """(status, body, headers)."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            link.request(method, path,
                         headers={"Host": host or f"localhost:{self.port}"})
            answer = link.getresponse()
            return (answer.status, answer.read().decode(),
                    dict(answer.getheaders()))
        finally:
            link.close()

    def samples(self):
        """{"name{labels}": value}."""
        status, body, _ = self.ask("/metrics")
        assert status == 200
        found = {}
        for line in body.splitlines():
            if not line.startswith("#"):
                match = SAMPLE.match(line)
                assert match, line
                found[match[1] + (match[2] or "")] = float(match[3])
        return found

    def wait(self, name, value, what):
        wait_until(lambda: self.samples().get(name) == value,
                   lambda: f"{what}: {self.samples().get(name)}", 20)


@pytest.fixture
def watched(stack_maker, world):
    port = free_port()
    made = stack_maker(maillog=[world.postfix.log],
                       metrics=f"127.0.0.1:{port}")
    made.page = Page(port)
    made.page.wait("nixie_recorder_connected", 1, "the recorder is there")
    return made


def test_mail_shows_in_the_metrics(watched, name):
    watched.log.wait(type="mark")
    before = watched.page.samples()
    assert before["nixie_lookups_available"] == 1
    assert before["nixie_recorder_connected"] == 1
    assert before["nixie_event_log_writable"] == 1
    assert before["nixie_process_open_fds"] > 5
    assert before["nixie_process_resident_memory_bytes"] > 1e6
    assert abs(before["nixie_process_start_time_seconds"] - time.time()) < 60
    watched.redis.command("SET", f"nixie:suppress:{name}@far.test", "no")
    replies, _ = watched.send([f"{name}@far.test", f"reject-{name}@far.test"])
    assert replies[f"{name}@far.test"].code == 550
    assert replies[f"reject-{name}@far.test"].code == 250
    watched.log.wait(type="bounce", recipient=f"reject-{name}@far.test")
    page = watched.page
    page.wait('nixie_events_total{type="bounce"}', 1, "the bounce is counted")
    after = page.samples()
    assert after['nixie_events_total{type="suppressed"}'] == 1
    assert after['nixie_events_total{type="reception"}'] == 1
    assert after['nixie_suppressed_total{action="reject"}'] == 1
    assert after['nixie_recipients_checked_total{verdict="suppress"}'] == 1
    assert after['nixie_recipients_checked_total{verdict="pass"}'] >= 1
    assert after["nixie_recipient_check_seconds_count"] >= 2
    assert after['nixie_lookups_total{result="found"}'] >= 1
    assert after["nixie_lookup_seconds_count"] >= 2
    assert after["nixie_sessions_total"] >= 1
    assert after['nixie_failures_total{type="bounce",'
                 'reason="user_unknown"}'] == 1
    page.wait("nixie_recorder_lag_events", 0, "all is in Redis")
    file = f'{{file="{watched.postfix.log}"}}'
    assert after[f"nixie_maillog_readable{file}"] == 1
    page.wait(f"nixie_maillog_behind_bytes{file}", 0, "the log is read")
    wait_until(lambda: page.samples()["nixie_maillog_outcomes_total"] >= 1,
               "the bounce is an outcome of the log")
    page.wait("nixie_sessions_open", 0, "sessions end")


def test_the_format_is_what_the_header_says(watched):
    status, body, headers = watched.page.ask("/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert headers["Cache-Control"] == "no-store"
    names = re.findall(r"^# TYPE (\S+) ", body, re.MULTILINE)
    assert names and len(names) == len(set(names))
    status, body, _ = watched.page.ask("/metrics", "HEAD")
    assert (status, body) == (200, "")


def test_only_we_are_answered(watched):
    assert watched.page.ask("/metrics", host="rebound.example")[0] == 421
    assert watched.page.ask("/metrics", "POST")[0] == 405
    assert watched.page.ask("/etc/passwd")[0] == 404


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_curl_reads_it(watched):
    done = subprocess.run(
        ["curl", "-sS", "--fail", "--noproxy", "*",
         f"http://127.0.0.1:{watched.page.port}/healthz"],
        stdout=subprocess.PIPE, timeout=20, check=True)
    assert done.stdout == b"ok\n"


def test_redis_away_is_a_remark(watched, name):
    page = watched.page
    assert page.ask("/healthz")[:2] == (200, "ok\n")
    watched.redis.stop()
    watched.send([f"{name}@far.test"])
    page.wait("nixie_lookups_available", 0, "lookups are told to be down")
    page.wait("nixie_recorder_connected", 0, "the recorder is told to be away")
    status, body, _ = page.ask("/healthz")
    assert status == 200
    assert body.startswith("ok\nredis: does not answer lookups")
    assert page.samples()['nixie_lookups_total{result="unavailable"}'] >= 1
    watched.redis.start()
    page.wait("nixie_recorder_connected", 1, "the recorder is back")
    page.wait("nixie_lookups_available", 1, "lookups are back")
    wait_until(lambda: page.ask("/healthz")[:2] == (200, "ok\n"), "all is well")


def test_a_failed_reload_is_counted(watched):
    good = watched.nixied.config.read_text()
    watched.nixied.write(good + 'mode = "perhaps"\n')
    watched.nixied.send(12)
    watched.page.wait("nixie_config_reloads_failed_total", 1, "it is counted")
    watched.nixied.write(good)


def test_a_taken_port_keeps_it_from_starting(watched):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert watched.nixied.end() == 0
        watched.nixied.settings["metrics"] = f"127.0.0.1:{port}"
        watched.nixied.write()
        with pytest.raises(AssertionError, match="another program listens"):
            watched.nixied.start()
        watched.nixied.process = None
    watched.nixied.start()


def test_fifty_scrapes_a_second_do_not_slow_mail(watched, name):
    """Beside the same load without them: the median of the answers to RCPT."""
    def rcpt_seconds(count):
        taken = []
        for number in range(count):
            began = time.monotonic()
            watched.send([f"{name}-{number}@far.test"])
            taken.append(time.monotonic() - began)
        return sorted(taken)[count // 2]

    rcpt_seconds(10)
    quiet = rcpt_seconds(40)
    ends = threading.Event()
    scrapes = []

    def scrape():
        while not ends.wait(0.02):
            began = time.monotonic()
            assert watched.page.ask("/metrics")[0] == 200
            scrapes.append(time.monotonic() - began)

    reader = threading.Thread(target=scrape)
    reader.start()
    try:
        scraped = rcpt_seconds(200)  # long enough for ten scrapes
    finally:
        ends.set()
        reader.join()
    print(f"message {quiet * 1e3:.1f} ms, with {len(scrapes)} scrapes "
          f"{scraped * 1e3:.1f} ms; a scrape "
          f"{sorted(scrapes)[len(scrapes) // 2] * 1e3:.1f} ms")
    assert len(scrapes) > 10
    assert scraped < 3 * quiet + 0.05
