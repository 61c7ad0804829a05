"""Whole lists in and out: nixie suppress import and export."""

import csv
import io
import json
import signal
import subprocess
import time

import pytest

from harness.nixied import build_folder
from harness.wait import wait_until

COUNTS = ("added", "updated", "unchanged", "duplicates", "past", "bad")


def run(stack, *words, status=0, **options):
    """What the tool printed; its exit status must be status."""
    done = stack.nixied.tool(*words, **options)
    printed = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == status, printed
    return done.stdout.decode()


def take(stack, path, *options, status=0, verb="suppress"):
    """Imports; what became of the rows, without those that are 0."""
    told = json.loads(run(stack, verb, "import", "--json", *options, path,
                          status=status))
    return {count: told[count] for count in COUNTS if told[count]}


def content(stack):
    """All list entries: {key: (value, seconds left)}."""
    found = {}
    for key in stack.redis.command("KEYS", "nixie:*"):
        if b":{" in key:
            continue
        kind = stack.redis.command("TYPE", key)
        ask = {b"hash": ("HGETALL",), b"string": ("GET",),
               b"list": ("LRANGE", 0, -1), b"set": ("SMEMBERS",)}[
                   kind if isinstance(kind, bytes) else kind.encode()]
        left = stack.redis.command("TTL", key)
        value = stack.redis.command(ask[0], key, *ask[1:])
        if ask[0] == "HGETALL":
            value = sorted(zip(value[::2], value[1::2]))
        found[key] = (value, left // 60)
    return found


@pytest.fixture
def clean(stack):
    yield
    # what is known first: else each is an event, 1000 a second
    keys = [*stack.redis.keys("nixie:{*}:known"), *content(stack)]
    with stack.redis.client(30) as client:
        client.pipeline([("DEL", key) for key in keys])
        client.let_act()


def odd_entries(stack, name):
    """Whatever an operator can write under names that mail looks up."""
    domain = f"{name}.test"
    key = "nixie:suppress"
    for words in (
        ("SET", f"{key}:string@{domain}", "asked, by \"phone\"\r\nonce; more"),
        ("SET", f"{key}:empty@{domain}", ""),
        ("SET", f"{key}:bytes@{domain}", b"caf\xe9 \xff"),
        ("SET", f"{key}:short@{domain}", "on leave", "EX", 2592000),
        ("SET", f"{key}:long@{domain}", "x" * 5000),
        ("HSET", f"{key}:hash@{domain}", "reason", "User Unknown!", "note",
         "\u00fcn\u00efcode \u2603, \"quoted\"\nsecond line", "type", "hard",
         "by", "ann", "origin", "policy", "added_at", "yesterday", "mode",
         "observe", "evidence", "2026 Q1 - 550 x", "ticket", "7"),
        ("HSET", f"{key}:ends@{domain}", "reason", "mailbox_full"),
        ("EXPIRE", f"{key}:ends@{domain}", 86400),
        ("HSET", f"{key}:strange@{domain}", "ticket", "7"),
        ("RPUSH", f"{key}:list@{domain}", "a", "b"),
        ("SADD", f"{key}:set@{domain}", "a"),
        ("HSET", f"{key}:@{domain}", "reason", "domain_no_mail"),
        ("SET", f"{key}:@.{domain}", "all below"),
        ("SET", f"{key}:{name}@", "anywhere"),
        ("SET", f"{key}:{name}", "local"),
        ("SET", f"{key}@news:scoped@{domain}", "no news"),
        ("SET", f"{key}:\"a,b\"@{domain}", "quoted"),
        ("SET", f"{key}:\u00fc@{domain}", "SMTPUTF8"),
    ):
        stack.redis.command(*words)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_import_of_an_export_changes_nothing(stack, name, clean, tmp_path,
                                             form):
    odd_entries(stack, name)
    before = content(stack)
    path = tmp_path / "list"
    path.write_bytes(stack.nixied.tool("suppress", "export", "--format",
                                       form).stdout)
    mark = stack.log.mark()
    assert take(stack, path) == {"unchanged": len(before)}
    assert content(stack) == before
    assert not [event for event in stack.log.since(mark)
                if event["type"].startswith("suppression")]


def test_an_emptied_list_comes_back(stack, name, clean, tmp_path):
    odd_entries(stack, name)
    for odd in ("bytes", "hash", "long"):  # what no event can hold
        stack.redis.command("DEL", f"nixie:suppress:{odd}@{name}.test")
    stack.redis.command("DEL", f"nixie:suppress:{name}")
    stack.redis.command(
        "HSET", f"nixie:suppress:policy@{name}.test", "origin", "policy",
        "reason", "user_unknown", "type", "hard", "evidence", "2026 Q1 x",
        "added_at", "2026-11-01T00:00:00.000000Z")
    first = tmp_path / "first"
    first.write_bytes(stack.nixied.tool("suppress", "export").stdout)
    before = content(stack)
    for key in before:
        stack.redis.command("DEL", key)
    assert take(stack, first) == {"added": len(before)}
    stack.settle()
    after = content(stack)
    assert after.keys() == before.keys()
    for key, (value, left) in before.items():
        if stack.redis.command("TYPE", key) != b"hash":
            continue
        assert left - 2 <= after[key][1] <= left  # the time goes on
        if isinstance(value, bytes) and value:
            assert (b"note", value) in after[key][0]
        elif value and isinstance(value[0], tuple):
            kept = [pair for pair in value if pair[0] != b"ticket"]
            assert set(kept) <= set(after[key][0])
    second = tmp_path / "second"
    second.write_bytes(stack.nixied.tool("suppress", "export").stdout)
    assert take(stack, second) == {"unchanged": len(before)}
    assert take(stack, first) == {"unchanged": len(before)}


def test_allow_has_its_own(stack, name, clean, tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(f"address,note\npostmaster@{name}.test,always\n")
    mark = stack.log.mark()
    assert take(stack, path, verb="allow") == {"added": 1}
    assert stack.log.wait(mark, type="allow_added").has(
        {"suppression_pattern": f"postmaster@{name}.test",
         "suppression_note": "always"})
    rows = list(csv.DictReader(io.StringIO(run(stack, "allow", "export"))))
    assert [row["pattern"] for row in rows] == [f"postmaster@{name}.test"]


def test_bad_and_duplicate_lines_are_told(stack, name, clean, tmp_path):
    path = tmp_path / "list.csv"
    report = tmp_path / "bad.txt"
    path.write_text(
        f"email,reason,expires_at\na@{name}.test,x,\nno mailbox,x,\n"
        f"A@{name}.TEST,y,\nb@{name}.test,x,soon\n\"open@{name}.test,x,\n"
        f"c@{name}.test,x,2020-01-01\nd@{name}.test,x,,\n"
        f"e@{name}.test,x,\n")
    counts = {"added": 2, "duplicates": 1, "past": 1, "bad": 4}
    assert take(stack, path, "--dry-run", status=1) == counts
    assert not content(stack)
    assert take(stack, path, "--bad", report, status=1) == counts
    assert [line.split(":")[0] for line in report.read_text().splitlines()
            ] == ["line 4", "line 3", "line 5", "line 6", "line 8"]
    assert (f"a@{name}.test").encode() in b" ".join(content(stack))
    replies, _ = stack.send([f"a@{name}.test"])
    assert "y" in replies[f"a@{name}.test"].text  # the later line counted


SERVICES = {
    "sparkpost": (
        "recipient,type,source,description,created\n"
        "1@{0},transactional,Bounce Rule,\"550 5.2.2 mailbox full, sorry\","
        "2026-01-02T03:04:05+00:00\n"
        "2@{0},non_transactional,Spam Complaint,,2026-01-02T03:04:05+00:00\n",
        ["mailbox_full", "complaint"]),
    "ses": (
        '{{"SuppressedDestinationSummaries": [\n{{"EmailAddress": "1@{0}", '
        '"Reason": "BOUNCE", "LastUpdateTime": 1767323045.0}},\n'
        '{{"EmailAddress": "2@{0}", "Reason": "COMPLAINT", '
        '"LastUpdateTime": "2026-01-02T03:04:05+00:00"}}]}}\n',
        ["suppressed", "complaint"]),
    "sendgrid": (
        "status,reason,email,created\n"
        "5.1.1,550 5.1.1 The email account does not exist,1@{0},1767323045\n"
        ",,2@{0},1767323045\n", ["user_unknown", "suppressed"]),
    "mailgun": (
        "address,code,error,created_at\n"
        "1@{0},550,No such user here,\"Fri, 02 Jan 2026 03:04:05 UTC\"\n"
        "2@{0},552,Mailbox quota exceeded,\"Fri, 02 Jan 2026 03:04:05 UTC\"\n",
        ["user_unknown", "mailbox_full"]),
    "postmark": (
        "EmailAddress,SuppressionReason,Origin,CreatedAt\n"
        "1@{0},HardBounce,Recipient,2026-01-02T03:04:05Z\n"
        "2@{0},ManualSuppression,Recipient,2026-01-01T22:04:05-05:00\n",
        ["suppressed", "unsubscribe"]),
}


@pytest.mark.parametrize("service", SERVICES)
def test_exports_of_services(stack, name, clean, tmp_path, service):
    text, reasons = SERVICES[service]
    path = tmp_path / "export"
    path.write_text(text.format(f"{name}.test"))
    assert take(stack, path) == {"added": 2}
    found = [dict(content(stack)[f"nixie:suppress:{i}@{name}.test".encode()][0])
             for i in (1, 2)]
    assert [entry[b"reason"].decode() for entry in found] == reasons
    for entry in found:
        assert entry[b"origin"].decode() == service
        assert entry[b"added_at"] == b"2026-01-02T03:04:05.000000Z"
    assert take(stack, path, "--preset", service) == {"unchanged": 2}


def test_rows_about_bulk_mail_alone_are_told(stack, name, clean, tmp_path):
    """A newsletter's opt-out stops no password reset without a word."""
    path = tmp_path / "sparkpost.csv"
    path.write_text(
        "recipient,type,source\n"
        f"1@{name}.test,transactional,Bounce Rule\n"
        f"2@{name}.test,non_transactional,List Unsubscribe\n"
        f"3@{name}.test,NON_TRANSACTIONAL,List Unsubscribe\n")
    old = tmp_path / "old.jsonl"
    old.write_text("".join(json.dumps(row) + "\n" for row in (
        {"recipient": f"4@{name}.test", "transactional": True,
         "non_transactional": True},
        {"recipient": f"5@{name}.test", "transactional": False,
         "non_transactional": True})))
    for file, count in ((path, 2), (old, 1)):
        done = stack.nixied.tool("--json", "suppress", "import",
                                 "--dry-run", str(file))
        assert json.loads(done.stdout)["bulk_for_all"] == count
        assert (f"rows={count} are non_transactional, about bulk mail alone,"
                " and would stop all mail") in done.stderr.decode()
        assert b"--bulk-scope" in done.stderr
    assert not content(stack)
    told = stack.nixied.tool("suppress", "import", str(path)).stderr.decode()
    remedy = told.split("; nixie ")[1].split(" takes all")[0].split()
    run(stack, *remedy)
    assert not content(stack)
    done = stack.nixied.tool("--json", "suppress", "import",
                             "--bulk-scope", "news", str(path))
    assert b"non_transactional" not in done.stderr
    assert {key for key in content(stack)} == {
        f"nixie:suppress:1@{name}.test".encode(),
        f"nixie:suppress@news:2@{name}.test".encode(),
        f"nixie:suppress@news:3@{name}.test".encode()}


def test_what_amazon_ses_imports_is_imported(stack, name, clean, tmp_path):
    """A list of its form for bulk additions, which has no line of names."""
    path = tmp_path / "ses.csv"
    path.write_text(f"1@{name}.test,BOUNCE\n2@{name}.test, COMPLAINT\n")
    assert take(stack, path) == {"added": 2}
    found = [dict(content(stack)[f"nixie:suppress:{i}@{name}.test".encode()][0])
             for i in (1, 2)]
    assert [entry[b"reason"].decode() for entry in found] == [
        "suppressed", "complaint"]


def test_an_empty_file_is_told(stack, clean, tmp_path):
    path = tmp_path / "empty.csv"
    path.write_text("")
    done = stack.nixied.tool("suppress", "import", str(path))
    assert done.returncode == 0
    assert b"there is no row in it" in done.stderr
    path.write_text("email,reason\n")
    assert not stack.nixied.tool("suppress", "import", str(path)).stderr


def test_what_is_told_of_bulk_mail_outlives_an_interruption(
        stack, name, clean, tmp_path):
    """Its rows all stand before the place at which it goes on."""
    path = tmp_path / "list.csv"
    path.write_text("recipient,type,source\n" + "".join(
        f"u{i}@{name}.test,{'non_' if i < 10 else ''}transactional,"
        "Manually Added\n" for i in range(8000)))
    position = tmp_path / "position"
    words = [str(build_folder() / "nixie"), "-c", str(stack.nixied.config),
             "--json", "suppress", "import", "--resume", str(position),
             str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        wait_until(position.exists, "progress", 20)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert json.loads(position.read_text())["offset"] < path.stat().st_size
    done = subprocess.run(words, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    assert b"goes on behind line" in done.stderr
    assert json.loads(done.stdout)["bulk_for_all"] == 10
    assert b"rows=10 are non_transactional" in done.stderr
    wait_until(lambda: len(content(stack)) == 8000, "all are there", 20)
    stack.settle()


def test_interrupted_import_goes_on(stack, name, clean, tmp_path):
    path = tmp_path / "list.csv"
    count = 40000
    path.write_text("email\n" + "".join(
        f"u{i}@{name}.test\n" if i % 1000 else "no mailbox\n"
        for i in range(count)))
    position = tmp_path / "position"
    report = tmp_path / "bad.txt"
    words = [str(build_folder() / "nixie"), "-c", str(stack.nixied.config),
             "--json", "suppress", "import", "--resume", str(position),
             "--bad", str(report), str(path)]
    for number, status in ((signal.SIGKILL, -9), (signal.SIGINT, 2)):
        with subprocess.Popen(words, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            mark = position.read_text() if position.exists() else ""
            wait_until(lambda: position.exists()
                       and position.read_text() != mark, "progress", 20)
            process.send_signal(number)
            process.communicate()
            assert process.returncode == status
        offset = json.loads(position.read_text())["offset"]
        assert 0 < offset < path.stat().st_size
    done = subprocess.run(words, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1  # rows were bad
    assert b"goes on behind line" in done.stderr
    told = json.loads(done.stdout)
    bad = {f"line {i + 2}" for i in range(0, count, 1000)}
    assert told["rows"] >= count
    assert told["bad"] >= len(bad)
    assert told["added"] + told["unchanged"] + told["bad"] == told["rows"]
    assert {line.split(":")[0]
            for line in report.read_text().splitlines()} == bad
    assert not position.exists()
    wait_until(lambda: len(content(stack)) == count - len(bad),
               "all are there", 20)
    stack.settle()


def test_without_nixied_nothing_is_begun(stack, name, clean, tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(f"email\na@{name}.test\n")
    assert stack.nixied.end() == 0
    try:
        done = stack.nixied.tool("suppress", "import", path)
        assert done.returncode == 2
        assert b"no nixied on this host: start it" in done.stderr
        assert take(stack, path, "--dry-run") == {"added": 1}
    finally:
        stack.nixied.start()
    assert not content(stack)


def test_mail_and_other_tools_have_their_turn(stack, name, clean, tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("email\n" + "".join(f"u{i}@{name}.test\n"
                                        for i in range(10000)))
    with subprocess.Popen(
            [str(build_folder() / "nixie"), "-c", str(stack.nixied.config),
             "suppress", "import", str(path)], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL) as process:
        slowest = 0
        turns = 0
        while process.poll() is None:
            begun = time.monotonic()
            run(stack, "suppress", "add", f"x{turns}@{name}.test")
            replies, _ = stack.send([f"x{turns}@{name}.test"])
            assert replies[f"x{turns}@{name}.test"].code == 550
            slowest = max(slowest, time.monotonic() - begun)
            turns += 1
        assert process.returncode == 0
    assert turns > 1
    assert slowest < 5
    stack.settle()
