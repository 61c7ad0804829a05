"""The web page of nixied in a real browser, and its data."""

import datetime
import json
import time
import urllib.error
import urllib.request

import pytest

from harness import browser as browsers
from harness.stack import Stack
from harness.traffic import HOUR, Traffic, time_text
from harness.wait import free_port, wait_until

HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
HOSTILE_DOMAIN = "<img/src=x/onerror=document.title=1>.example"
KNOWN = "ann.known@freemail.example"

pytestmark = pytest.mark.skipif(browsers.missing() is not None,
                                reason=str(browsers.missing()))


def seed(redis):
    """Three days of mail, some domains, lists and a recipient."""
    traffic = Traffic(redis, time.time())
    traffic.days(3)
    traffic.domain("slow.example", "unreachable", 412, 9, down=5 * HOUR,
                   waiting=18)
    traffic.domain("freemail.example", "mailbox_full", 140, 5210)
    traffic.domain(HOSTILE_DOMAIN, "user_unknown", 7, 1)
    for i in range(300):
        traffic.suppress(f"carla.{i}@example.net", reason="mailbox_full",
                         origin="policy", added_at=time_text(traffic.now - i))
    traffic.suppress(KNOWN, reason="user_unknown", type="hard",
                     note="asked by phone", origin="command",
                     added_at="2026-11-02T10:00:00.000000Z", expires=86400 * 7)
    traffic.suppress("evil@example.com", reason="<script>document.title=1"
                     "</script>", note=HOSTILE, by=HOSTILE)
    traffic.write([("SET", "nixie:allow:postmaster@example.net", HOSTILE)])
    traffic.recipient(KNOWN, deliveries=212, bounces=3,
                      last_type="bounce", last_reason="user_unknown",
                      last_diagnostic=f"550 5.1.1 no such user {HOSTILE}",
                      last_at=time_text(traffic.now - 500))
    traffic.evidence(KNOWN, f"{time_text(traffic.now - 500)} 4bXk2s1Zq <1@x> "
                     f"550 5.1.1 user_unknown 550 5.1.1 {HOSTILE}")
    traffic.strikes(KNOWN, 500)
    return traffic


class Page:
    def __init__(self, stack, browser, address):
        self.stack = stack
        self.browser = browser
        self.address = address
        self.traffic = seed(stack.redis)

    def open(self, fragment=""):
        self.browser.open(f"{self.address}/{fragment}")
        self.browser.wait("state.stats !== null && state.found.size > 0 && "
                          "document.querySelector('#domains table') !== null",
                          "the page has drawn")

    def ask(self, path):
        """(status, JSON)"""
        try:
            with urllib.request.urlopen(f"{self.address}{path}",
                                        timeout=15) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def expected(self, kind, begin, hours):
        """{hour's number: count} of a type, as it was written."""
        found = {}
        for i in range(hours):
            fields = self.traffic.stats.get(begin + i * HOUR, {})
            count = sum(number for field, number in fields.items()
                        if field.split("|")[0] == kind)
            if count:
                found[i] = count
        return found

    def drawn(self, kind):
        """{bar's number: count} of a type, as the browser has it."""
        rows = self.browser.run(
            "return [...document.querySelectorAll("
            "`#plots .bar-part[data-type=${arguments[0]}]`)]"
            ".map((bar) => [+bar.dataset.step, +bar.dataset.count,"
            " bar.getBBox().height])", kind)
        assert all(height > 0 for _, _, height in rows)
        return {step: count for step, count, _ in rows}

    def begin(self):
        return int(datetime.datetime.fromisoformat(
            self.browser.run("return state.stats.from").replace("Z", "+00:00")
        ).timestamp())


@pytest.fixture(scope="module")
def page(world):
    port = free_port()
    stack = Stack(world, metrics=f"127.0.0.1:{port}")
    browser = None
    try:
        stack.start()
        browser = browsers.Browser()
        yield Page(stack, browser, f"http://127.0.0.1:{port}")
        assert stack.nixied.end() == 0, stack.nixied.error_text()
        stack.nixied.check_sanitizers()
    finally:
        if browser is not None:
            browser.stop()
        stack.stop()


def test_bars_are_what_redis_has(page):
    page.open()
    for kind in ("delivery", "delay", "bounce", "suppressed", "rejection"):
        assert page.drawn(kind) == page.expected(kind, page.begin(), 24), kind
    deliveries = sum(page.drawn("delivery").values())
    assert page.browser.run("return document.querySelector("
                            "'.tile[data-type=delivery]').dataset.total"
                            ) == str(deliveries)
    assert f"{deliveries:,}" in page.browser.text("#tiles")


def test_seven_days_have_a_bar_an_hour_and_thirty_one_a_day(page):
    page.open()
    page.browser.click("[data-range='7d']")
    page.browser.wait("state.stats.range === '7d'", "seven days are drawn")
    assert page.drawn("bounce") == page.expected("bounce", page.begin(), 168)
    page.browser.click("[data-range='30d']")
    page.browser.wait("state.stats.range === '30d'", "30 days are drawn")
    drawn = page.drawn("delivery")
    assert 3 <= len(drawn) <= 4
    assert sum(drawn.values()) == sum(
        page.expected("delivery", page.begin(), 720).values())


def test_legend_hides_an_outcome(page):
    page.open()
    assert page.drawn("delay")
    page.browser.run("[...document.querySelectorAll('#legend button')].find("
                     "(one) => one.textContent === 'Delayed').click()")
    assert not page.drawn("delay")
    assert page.drawn("bounce")


def test_reasons_have_bars(page):
    page.open()
    row = page.browser.run(
        "const row = document.querySelector('[data-reason=greylisted]');"
        "return [+row.dataset.total, row.innerText]")
    begin = page.begin()
    assert row[0] == sum(page.traffic.stats.get(begin + i * HOUR, {})
                         .get("delay|greylisted", 0) for i in range(24))
    assert "greylisted" in row[1]


def test_table_and_keys_tell_the_same(page):
    page.open()
    page.browser.click("#time-table summary")
    page.browser.wait("document.querySelectorAll('#time-table tbody tr')"
                      ".length === 24", "the table has 24 rows")
    page.browser.run("document.querySelector('#plots svg').focus()")
    page.browser.run(
        "document.querySelector('#plots svg').dispatchEvent("
        "new KeyboardEvent('keydown', {key: 'ArrowLeft', bubbles: true}))")
    told = page.browser.text("#tip")
    step = page.browser.run("return state.step")
    count = page.expected("delivery", page.begin(), 24)[step]
    assert f"{count:,}" in told and "Delivered" in told


def test_domains_in_trouble_are_named(page):
    page.open()
    rows = page.browser.run(
        "return [...document.querySelectorAll('#domains tbody tr')]"
        ".map((row) => row.innerText)")
    assert "slow.example" in rows[0] and "takes no mail" in rows[0]
    assert "unreachable" in rows[0] and "18" in rows[0]
    assert any("freemail.example" in row and "140" in row for row in rows)


def test_search_finds(page):
    page.open()
    page.browser.type("#search-text", "CARLA.27")
    page.browser.wait("state.search === 'CARLA.27' && state.cursor === ''"
                      " && state.found.size === 11", "the search has ended")
    assert "carla.277@example.net" in page.browser.text("#list")
    page.browser.type("#search-text", "nobody*")
    page.browser.wait("document.querySelector('#list').innerText"
                      ".includes('No entry')", "nothing is found")
    page.browser.click("[data-list='allow']")
    page.browser.type("#search-text", "postmaster")
    page.browser.wait("document.querySelector('#list').innerText"
                      ".includes('postmaster@example.net')", "it is found")


def test_list_pages_to_its_end(page):
    page.open()
    for _ in range(60):
        if page.browser.run("return state.cursor === ''"):
            break
        seen = page.browser.run("return state.looked")
        page.browser.run("document.querySelector('#more').click()")
        page.browser.wait(f"state.looked > {seen}", "more has come")
    assert page.browser.run("return state.found.size") == 302


def test_recipient_has_its_history(page):
    page.open()
    page.browser.type("#search-text", KNOWN)
    page.browser.wait("state.found.size === 1", "it is found")
    page.browser.click("#list button.link")
    page.browser.wait("document.querySelector('#recipient .verdict')"
                      " !== null", "the recipient is shown")
    told = page.browser.text("#recipient")
    for text in (KNOWN, "suppressed", "212", "asked by phone", "user unknown",
                 "550 5.7.1", "4bXk2s1Zq"):
        assert text in told, told
    page.open("#why=nobody%40example.org")
    page.browser.wait("document.querySelector('#recipient').innerText"
                      ".includes('not listed')", "nothing is known of it")
    page.browser.type("#why-text", "no mailbox")
    page.browser.click("#why button")
    page.browser.wait("document.querySelector('#recipient').innerText"
                      ".includes('write ann@example.org')", "it says so")


def test_hostile_texts_do_not_execute(page):
    page.browser.logs("browser")
    for fragment, place in (("#search=evil", "#list"), ("", "#domains"),
                            (f"#why={KNOWN}", "#recipient")):
        page.open(fragment)
        page.browser.wait("document.querySelector(" + json.dumps(place)
                          + ").innerText.includes('<img')", "it is text")
        assert page.browser.count("img") == 0
        assert page.browser.count("script") == 1
        assert page.browser.run("return document.title").startswith("nixie")
    page.browser.open(f"{page.address}/#search={HOSTILE}")
    page.browser.wait("document.querySelector('#list').innerText"
                      ".includes('No entry')", "nothing is found")
    assert page.browser.run("return document.title").startswith("nixie")


def test_nothing_external_is_requested(page):
    page.browser.requests()
    page.browser.logs("browser")
    page.open(f"#why={KNOWN}")
    page.browser.click("[data-range='7d']")
    page.browser.wait("state.stats.range === '7d'", "seven days are drawn")
    asked = [url for url in page.browser.requests() if url != "about:blank"]
    assert len(asked) >= 8
    assert all(url.startswith(f"{page.address}/") for url in asked), asked
    told = [row["message"] for row in page.browser.logs("browser")
            if row["level"] == "SEVERE"]
    assert not told, told


def test_page_fits_a_phone_and_the_dark(page):
    devtools = page.browser.devtools
    try:
        devtools("Emulation.setDeviceMetricsOverride", width=360, height=740,
                 deviceScaleFactor=2, mobile=True)
        page.open(f"#search=evil&why={KNOWN}")
        page.browser.wait("document.querySelector('.verdict') !== null",
                          "the recipient is shown")
        assert page.browser.run("return document.documentElement.scrollWidth"
                                ) <= 360
        ground = "return getComputedStyle(document.body).backgroundColor"
        light = page.browser.run(ground)
        devtools("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark"}])
        assert page.browser.run(ground) != light
    finally:
        devtools("Emulation.clearDeviceMetricsOverride")
        devtools("Emulation.setEmulatedMedia", features=[])


def test_tool_tells_the_same(page):
    page.open()
    done = page.stack.nixied.tool("stats", "--json")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    told = {row["type"]: row["count"] for row in rows if "type" in row}
    assert told["bounce"] == sum(page.drawn("bounce").values())
    assert told["delivery"] == sum(page.drawn("delivery").values())


def test_wrong_arguments_are_refused(page):
    for path in ("/api/stats?range=1y", "/api/domains?range=30d",
                 "/api/list?list=both", "/api/list?cursor=x",
                 "/api/list?cursor=" + "9" * 21,
                 "/api/list?search=" + "a" * 321, "/api/recipient",
                 "/api/recipient?address=ann"):
        status, answer = page.ask(path)
        assert status == 400 and answer["error"], (path, answer)
    status, answer = page.ask("/api/status")
    assert status == 200 and answer["node"] == "test-node"


def test_latest_changes_are_those_of_the_log(page):
    mark = page.stack.log.mark()
    done = page.stack.nixied.tool("suppress", "add", "ines@example.org",
                                  "--note", HOSTILE)
    assert done.returncode == 0, done.stderr
    page.stack.log.wait(mark, type="suppression_added")

    def newest():
        rows = page.ask("/api/recent")[1]["rows"]
        return rows and rows[0]["pattern"] == "ines@example.org" \
            and rows[0]["note"] == HOSTILE

    wait_until(newest, "it is told", 15)


def test_page_says_that_redis_is_away_and_keeps_trying(page):
    page.open()
    page.stack.redis.kill()
    wait_until(lambda: page.ask("/api/stats")[0] == 503, "503", 20)
    status, answer = page.ask("/api/list")
    assert status == 503 and answer["error"]
    page.browser.run("refresh('stats', showStats)")
    page.browser.wait("!document.querySelector('#fault').hidden",
                      "the page says so", 20)
    assert "keeps trying" in page.browser.text("#fault")
    assert page.browser.count("#plots .bar-part") > 20
    page.stack.redis.start()
    page.browser.wait("document.querySelector('#fault').hidden",
                      "it is well again", 60)
