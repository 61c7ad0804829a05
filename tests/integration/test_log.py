"""The event log: rotation, a full disk, a folder renamed away."""

import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from harness.decided import with_section
from harness.load import Load
from harness.wait import wait_until


def files_of(stack):
    """The files of the event log, without the lock beside them."""
    return sorted(name for name in os.listdir(stack.nixied.log_folder)
                  if not name.startswith("."))


def test_a_hundred_rotations_under_load_lose_no_line(stack_maker):
    stack = stack_maker()
    stack.suppress("@shut.test")
    with Load(stack) as load:
        for _ in range(100):
            seen = stack.log.mark()
            wait_until(lambda: stack.log.since(seen, origin="session"),
                       "an event in the new file")
            stack.nixied.rotate()
    load.check_all()
    names = files_of(stack)
    assert len(names) == 101
    shape = re.compile(r"events\.jsonl(\.[0-9]{8}T[0-9]{6}Z\.[0-9]+)?$")
    assert all(shape.fullmatch(name) for name in names), names
    numbers = [event["file_number"]
               for event in stack.log.since(type="log_open")]
    assert sorted(numbers) == list(range(min(numbers), min(numbers) + 101))


def test_file_renamed_by_another_is_noticed(stack_maker):
    stack = stack_maker()
    stack.send(["one@example.com"])
    stack.log.wait(recipient="one@example.com")
    path = pathlib.Path(stack.nixied.settings["event_log"])
    path.rename(f"{path}.1")
    stack.send(["two@example.com"])
    stack.log.wait(recipient="two@example.com")
    wait_until(path.exists, "a new file, without being told", 5)
    stack.send(["three@example.com"])
    stack.log.wait(recipient="three@example.com")
    assert b"three@example.com" in path.read_bytes()


def test_rotation_after_a_rename_by_logrotate(stack_maker):
    """rename, then SIGUSR1: one new file, and nothing renamed twice."""
    stack = stack_maker()
    path = pathlib.Path(stack.nixied.settings["event_log"])
    for i in range(5):
        stack.send([f"n{i}@example.com"])
        stack.log.wait(recipient=f"n{i}@example.com")
        path.rename(f"{path}.{i}")
        stack.nixied.send(signal.SIGUSR1)
        wait_until(path.exists, "a new file", 5)
    stack.send(["last@example.com"])
    stack.log.wait(recipient="last@example.com")
    assert len(files_of(stack)) == 6


def test_file_without_an_event_is_not_rotated(stack_maker):
    stack = stack_maker()
    stack.send(["one@example.com"])
    stack.log.wait(recipient="one@example.com")
    stack.nixied.rotate()
    size = stack.nixied.errors.stat().st_size
    stack.nixied.send(signal.SIGUSR1)
    stack.nixied.send(signal.SIGUSR2)  # of two pending ones taken after it
    wait_until(lambda: stack.nixied.errors.stat().st_size > size,
               "the configuration is read again")
    stack.send(["two@example.com"])
    stack.log.wait(recipient="two@example.com")
    assert len(files_of(stack)) == 2


def test_log_folder_renamed_away_loses_nothing(stack_maker):
    stack = stack_maker()
    folder = stack.nixied.log_folder
    away = folder.with_name("log.away")
    stack.log.folders.append(str(away))
    stack.send(["before@example.com"])
    stack.log.wait(recipient="before@example.com")
    folder.rename(away)
    for i in range(5):
        replies, taken = stack.send([f"during{i}@example.com"])
        assert taken.code == 250
    folder.mkdir()
    shutil.copystat(away, folder)
    shutil.chown(folder, stack.nixied.settings["user"])
    wait_until((folder / "events.jsonl").exists, "a file in the new folder",
               10)
    stack.send(["after@example.com"])
    stack.log.wait(recipient="after@example.com")
    for i in range(5):
        stack.log.wait(recipient=f"during{i}@example.com")


def test_torn_last_line_is_ended_and_passed_over(stack_maker):
    stack = stack_maker()
    stack.send(["one@example.com"])
    stack.log.wait(recipient="one@example.com")
    stack.settle()
    stack.nixied.kill()
    path = pathlib.Path(stack.nixied.settings["event_log"])
    with path.open("ab") as file:
        file.write(b'{"schema":"nixie/1","seq":12,"timest')
    stack.nixied.start()
    stack.send(["two@example.com"])
    stack.log.wait(recipient="two@example.com")
    stack.settle()
    assert len(stack.log.torn) == 1


def test_garbage_in_the_folder_harms_nobody(stack_maker):
    stack = stack_maker()
    stack.send(["one@example.com"])
    stack.settle()
    assert stack.nixied.end() == 0
    folder = stack.nixied.log_folder
    (folder / "events.jsonl.empty").touch()
    (folder / "events.jsonl.binary").write_bytes(bytes(range(256)) * 100)
    (folder / "events.jsonl.nul").write_bytes(b"\0" * 5000)
    (folder / "events.jsonl.text").write_text("hello\nworld\n")
    (folder / "events.jsonl.gz").write_bytes(b"\x1f\x8b\x08\0hello")
    stack.nixied.start()
    stack.send(["two@example.com"])
    stack.log.wait(recipient="two@example.com")
    stack.settle()
    for path in folder.glob("events.jsonl.[begnt]*"):
        path.unlink()
    stack.log.torn.clear()


@pytest.fixture
def small_disk(stack_maker):
    """A stack whose log lies on a file system of 2 MiB."""
    stack = stack_maker(start=False)
    folder = stack.nixied.log_folder
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "nixie-test", str(folder)],
        capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"may not mount a tmpfs: {done.stderr.decode().strip()}")
    shutil.chown(folder, stack.nixied.settings["user"])
    folder.chmod(0o750)
    try:
        yield stack.start()
        stack.finish()
    finally:
        stack.stop()
        subprocess.run(["umount", "-l", str(folder)], check=False)


def resize(folder, size):
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)],
                   check=True)


def send_batch(smtp, addresses):
    """One message for all, its RCPTs pipelined."""
    smtp.pipeline(["MAIL FROM:<p@nixie.test>"] + [
        f"RCPT TO:<{address}>" for address in addresses])
    assert smtp.data().code == 250


def fill(folder):
    """Takes all the space there is."""
    with open(folder / "filler", "ab", buffering=0) as file:
        size = 65536
        while size > 0:
            try:
                if file.write(b"x" * size) < size:
                    size //= 2
            except OSError:
                size //= 2


def test_full_disk_stops_no_mail_and_loses_no_event_it_can_hold(small_disk):
    stack = small_disk
    stack.suppress("@shut.test")
    stack.send(["before@example.com"])
    stack.log.wait(recipient="before@example.com")
    fill(stack.nixied.log_folder)
    sent = []
    for i in range(20):
        replies, taken = stack.send([f"n{i}@shut.test", f"n{i}@example.com"])
        assert replies[f"n{i}@shut.test"].code == 550
        assert taken.code == 250
        sent += [f"n{i}@shut.test", f"n{i}@example.com"]
    (stack.nixied.log_folder / "filler").unlink()
    for address in sent:
        stack.log.wait(recipient=address)
    assert stack.log.torn == []
    stack.settle()


def test_full_disk_beyond_memory_leaves_a_gap_record(small_disk):
    stack = small_disk
    folder = stack.nixied.log_folder
    fill(folder)
    total, batch = 10500, 750
    with stack.dialogue() as smtp:
        for start in range(0, total, batch):
            send_batch(smtp, [f"n{i}@example.com"
                              for i in range(start, start + batch)])
    resize(folder, "32m")
    gap = stack.log.wait(type="gap", timeout=20)
    stack.send(["after@example.com"])
    stack.log.wait(recipient="after@example.com")
    received = len(stack.log.since(type="reception"))
    assert gap["gap_count"] > 0
    assert received - 1 + gap["gap_count"] == total
    seqs = {event["seq"] for event in stack.log.since(type="reception")}
    missing = set(range(gap["gap_first_seq"], gap["gap_last_seq"] + 1))
    assert not seqs & missing
    assert len(missing) == gap["gap_count"]


def test_log_on_a_disk_that_fills_by_itself_goes_on_after_it_is_freed(
        small_disk):
    """2 MiB of events, then old files are taken away, as an operator does."""
    stack = small_disk
    accepted = []
    folder = stack.nixied.log_folder
    with stack.dialogue() as smtp:
        while os.statvfs(folder).f_bavail > 0 or len(accepted) < 3000:
            addresses = [f"n{len(accepted) + i}@example.com"
                         for i in range(500)]
            send_batch(smtp, addresses)
            accepted += addresses
            assert len(accepted) < 9000, "the disk does not fill"
    assert len(stack.log.since(type="reception")) < len(accepted)
    resize(folder, "8m")
    wait_until(lambda: len(stack.log.since(type="reception")) ==
               len(accepted), lambda: f"{len(accepted)} receptions, there "
               f"are {len(stack.log.since(type='reception'))}", 15)
    stack.settle()
    assert stack.log.torn == []
    assert stack.log.since(type="gap") == []


def test_tempfail_setting_refuses_for_a_while_on_a_full_disk(small_disk):
    stack = small_disk
    stack.nixied.restart(on_log_failure="tempfail")
    folder = stack.nixied.log_folder
    fill(folder)
    wait_until(lambda: stack.send(["ann@example.com"])[1].code == 451,
               "the last page is full, too", 10, pause=0)
    (folder / "filler").unlink()
    wait_until(lambda: stack.send(["bob@example.com"])[1].code == 250,
               "mail is taken again", 10, pause=0.2)


def test_events_in_the_elastic_common_schema_do_all_that_flat_ones_do(
        stack_maker, name):
    stack = stack_maker(event_log_format="ecs")
    stack.suppress(f"{name}@gone.test")
    mark = stack.log.mark()
    replies, _ = stack.send([f"{name}@gone.test", f"{name}@example.org"])
    assert replies[f"{name}@gone.test"].code == 550
    event = stack.log.wait(mark, type="suppressed")
    assert event.fields["event"]["action"] == "suppressed"
    assert event.fields["event"]["type"] == ["denied"]
    assert event.fields["email"]["to"]["address"] == [f"{name}@gone.test"]
    assert event.fields["host"]["name"] == "test-node"
    assert event.fields["@timestamp"] == event["timestamp"]
    stack.settle()
    assert stack.history(f"{name}@gone.test")["suppressed"] == "1"
    assert stack.nixied.tool("suppress", "add", f"{name}2@gone.test",
                             "--note", "x").returncode == 0
    shown = stack.nixied.tool("tail", "--no-follow", "--type", "suppressed")
    assert f"{name}@gone.test" in shown.stdout.decode()
    stack.nixied.rotate()
    stack.nixied.kill()
    stack.nixied.restart()
    stack.settle()
    flat = len(stack.log.events)
    stack.nixied.restart(event_log_format="flat")
    stack.send([f"{name}@gone.test"])
    assert not stack.log.wait(flat, type="suppressed").ecs
    stack.settle()


HOSTILE = ('"a\\" 1 EX 5 {{05}} *3 {}"@far.test', '"{}%s%n"@far.test',
           '"{}, status=sent (250"@far.test', '"{}\\\\"@far.test',
           '"{}:nixie:suppress:x"@far.test', "{}{{01}}@far.test",
           '"{}>, dsn=2.0.0"@far.test', "<{}" + "x" * 200 + "@far.test>")


def test_full_disk_with_elastic_fields_scopes_and_hostile_addresses(
        small_disk, world, name):
    """Also what the delivery log tells meanwhile waits, and comes once."""
    stack = small_disk
    stack.nixied.settings.update(event_log_format="ecs",
                                 maillog=[world.postfix.log])
    with_section(stack, *(
        f'scope "{scope}" {{ senders = {{"{sender}"}} }}' for scope, sender in
        (("a.b-C_9", "@odd.test"), ("x" * 64, "@b\u00fccher.test"),
         ("default", '\\"a b\\"@q.test'))))
    assert stack.nixied.end() == 0
    stack.nixied.start()
    stack.log.wait(type="mark")
    stack.redis.cli("SET", "nixie:suppress@a.b-C_9:@far.test", "scope")
    senders = ("s@odd.test", "s@xn--bcher-kva.test", '"a b"@q.test')
    with stack.dialogue() as smtp:
        wait_until(lambda: smtp.mail("s@odd.test").code == 250
                   and smtp.rcpt("x@far.test").code == 550
                   or smtp.command("RSET") is None, "the list is read", 10)
        smtp.command("RSET")
    mark = stack.log.mark()
    fill(stack.nixied.log_folder)
    taken = []
    for number in range(4):
        for sender in senders:
            for form in HOSTILE:
                recipient = form.format(f"{name}{number}{len(sender)}")
                with stack.dialogue() as smtp:
                    assert smtp.mail(sender).code == 250
                    reply = smtp.rcpt(recipient.strip("<>"))
                    assert reply.code == (550 if "odd" in sender else 250)
                    if reply.code == 250:
                        assert smtp.data().code == 250
                        taken.append(recipient)
    (stack.nixied.log_folder / "filler").unlink()
    wanted = len(taken)
    stack.log.wait(mark, wanted, type="reception", timeout=20)
    stack.log.wait(mark, wanted, type="delivery", timeout=40)
    stack.settle()
    for kind in ("reception", "delivery"):
        events = stack.log.since(mark, type=kind)
        assert len(events) == wanted
        assert len({event["recipient"] for event in events}) == wanted
        assert {event["scope"] for event in events} == {"x" * 64, "default"}
        assert all(event.ecs for event in events)
    refused = stack.log.since(mark, type="suppressed")
    assert len(refused) == wanted // 2
    assert {event["scope"] for event in refused} == {"a.b-C_9"}
    assert stack.log.torn == []
