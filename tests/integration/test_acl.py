"""The ACL users of nixie-redis(7): enough for all that nixied and nixie do."""

import json
import re
import shutil
import time
import urllib.request

import pytest

from harness.decided import entry, put, settle, with_section
from harness.elsewhere import DAY, Elsewhere
from harness.nixied import TOP
from harness.wait import free_port, wait_until

SECRET = "s3cret"
PAGE = (TOP / "packaging" / "man" / "nixie-redis.7").read_text()
SECTION = PAGE[PAGE.index(".Ss Access control"):PAGE.index(".Sh EXAMPLES")]
BLOCKS = [block.split() for block in
          re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", SECTION,
                     re.MULTILINE | re.DOTALL)]
FOR_CHECK = ["+info", "+time", "+config|get"]
SCOPES = 'scope "news" { senders = {"@news.test"} }'


def test_the_page_has_the_blocks_that_these_tests_read():
    assert BLOCKS[0][:4] == ["ACL", "SETUSER", "nixie", "on"]
    assert len(BLOCKS) == 2 and BLOCKS[1][0].startswith("+")
    assert SECTION.index(".Ic check") < SECTION.index(
        ".Ic +info , +time\nand\n.Ic +config|get .")


class Restricted:
    """nixied whose Redis allows it just what the page says."""

    def __init__(self, stack):
        self.stack = stack
        self.port = free_port()
        password = stack.nixied.root / "password"
        password.write_text(SECRET + "\n")
        shutil.chown(password, stack.nixied.settings["user"])
        password.chmod(0o600)
        stack.nixied.settings.update(
            redis_user="nixie", redis_password_file=str(password),
            metrics=f"127.0.0.1:{self.port}")
        with_section(stack, SCOPES)
        stack.redis.start()
        self.grant([word.replace("PASSWORD", SECRET)
                    for word in BLOCKS[0][3:]])

    def grant(self, words):
        self.stack.redis.command("ACL", "SETUSER", "nixie", *words)

    def denied(self):
        """What was refused so far: [(why, what)]."""
        found = []
        for row in self.stack.redis.command("ACL", "LOG"):
            facts = dict(zip(row[::2], row[1::2]))
            found.append((facts[b"reason"], facts[b"object"]))
        return found

    def run(self, *words, status=0, **options):
        done = self.stack.nixied.tool(*words, **options)
        printed = (done.stdout + done.stderr).decode()
        assert done.returncode == status, printed
        assert "NOPERM" not in printed
        return printed


@pytest.fixture
def restricted(stack_maker, world):
    stack = stack_maker(start=False, maillog=[world.postfix.log])
    made = Restricted(stack)
    stack.nixied.start()
    return made


def mail(stack, name):
    """Refusals, deliveries, delays, bounces; decisions of policy."""
    stack.suppress(f"gone@{name}.test")
    wait_until(lambda: stack.send([f"gone@{name}.test"])[0]
               [f"gone@{name}.test"].code == 550, "it is refused", 10)
    stack.send([f"ann@{name}.test", f"reject.b@{name}.test",
                f"defer.c@{name}.test"], sender="any@news.test")
    for kind, who in (("delivery", "ann"), ("bounce", "reject.b"),
                      ("delay", "defer.c")):
        stack.log.wait(type=kind, recipient=f"{who}@{name}.test", timeout=30)
    settle(stack)
    assert entry(stack, f"reject.b@{name}.test")["origin"] == "policy"


def history(stack, name):
    """What takes days: strikes, complaints, spikes, a domain that is down."""
    other = Elsewhere()
    now = time.time()
    for number in range(5):
        other.fail(f"full@{name}.test", now - DAY * number - 1,
                   "mailbox_full", "delay")
    other.complain(f"complains@{name}.test", now - 1)
    for number in range(30):
        other.fail(f"u{number}@spike.test", now - 1)
        other.fail(f"w{number}@down.test", now - 2, "unreachable", "delay",
                   destination=True, counted=False)
    put(stack, other)
    other.deliver(f"full@{name}.test", now)
    other.deliver("w1@down.test", now)
    put(stack, other)


def test_nixied_needs_no_more_than_its_user_has(restricted, name):
    stack = restricted.stack
    mail(stack, name)
    history(stack, name)
    assert restricted.denied() == []
    assert "NOPERM" not in stack.nixied.error_text()


def test_nixied_without_scripts_needs_no_more_either(restricted, name):
    stack = restricted.stack
    assert stack.nixied.end() == 0
    restricted.grant(["-eval", "-evalsha"])
    stack.nixied.start()
    mail(stack, name)
    history(stack, name)
    assert {what for _, what in restricted.denied()} <= {b"eval", b"evalsha"}


def test_nixie_needs_what_the_page_adds(restricted, name, tmp_path):
    stack = restricted.stack
    restricted.grant(BLOCKS[1])
    mail(stack, name)
    stack.redis.command("ZADD", "nixie:suppress:odd@example.com", "1", "x")
    stack.redis.command("RPUSH", "nixie:suppress:odder@example.com", "x")
    stack.redis.command("SADD", "nixie:suppress:oddest@example.com", "x")
    stack.redis.command("XADD", "nixie:allow:odd@example.com", "*", "x", "y")
    file = tmp_path / "list.csv"
    run = restricted.run
    run("suppress", "add", "--reason", "user_unknown", "--expires", "1d",
        "one@example.com", "@.example.com")
    run("allow", "add", "--scope", "news", "two@example.com")
    run("suppress", "list")
    run("allow", "list")
    run("suppress", "show", "one@example.com")
    for odd in ("odd", "odder", "oddest"):
        run("suppress", "show", f"{odd}@example.com")
        run("why", f"{odd}@example.com")
    run("allow", "show", "odd@example.com")
    file.write_text(run("suppress", "export"))
    run("suppress", "import", file)
    file.write_text("pattern,reason\nsome@example.com,user_unknown\n")
    run("suppress", "import", "--dry-run", file)
    run("suppress", "import", file)
    run("allow", "export")
    run("suppress", "release", "--since", "1h", "--dry-run")
    run("suppress", "release", "--since", "1h")
    run("suppress", "del", "one@example.com")
    run("why", f"reject.b@{name}.test")
    run("why", "--as-sender", "any@news.test", f"ann@{name}.test")
    run("health")
    run("health", f"{name}.test")
    for what in ("type", "hour", "reason", "domain"):
        run("stats", "--by", what)
    run("unclassified")
    run("unclassified", "--clear")
    run("forget", "--dry-run", f"ann@{name}.test")
    run("forget", f"ann@{name}.test")
    settle(stack)
    assert stack.nixied.end() == 0
    run("suppress", "add", "alone@example.com")
    run("suppress", "del", "alone@example.com")
    run("suppress", "release", "--since", "1h", status=1)
    stack.nixied.start()
    assert restricted.denied() == []


def test_check_needs_three_rights_more(restricted):
    restricted.grant([*BLOCKS[1], *FOR_CHECK])
    done = restricted.stack.nixied.tool("--json", "check")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row for row in told if "ACL" in row["text"]] == []
    assert restricted.denied() == []


def test_the_web_page_needs_what_the_page_says(restricted, name):
    stack = restricted.stack
    right = re.search(r"itself needs\n\.Ic (.*)\nfor its web page", SECTION)
    restricted.grant(right.group(1).split())
    mail(stack, name)
    stack.redis.command("SADD", "nixie:suppress:oddest@example.com", "x")
    stack.redis.command("XADD", "nixie:suppress:odd@example.com", "*", "x",
                        "y")
    for path in ("status", "stats?range=24h", "stats?range=30d",
                 "domains?range=24h", "recent",
                 "list?list=suppress&search=&cursor=",
                 "list?list=allow&search=a&cursor=",
                 f"recipient?address=reject.b@{name}.test",
                 "recipient?address=oddest@example.com",
                 "recipient?address=odd@example.com"):
        address = f"http://127.0.0.1:{restricted.port}/api/{path}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert "error" not in json.load(answer), path
    for path in ("metrics", "healthz"):
        urllib.request.urlopen(f"http://127.0.0.1:{restricted.port}/{path}",
                               timeout=10).close()
    assert restricted.denied() == []
