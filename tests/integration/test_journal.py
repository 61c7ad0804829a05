"""The delivery log in a real journal: systemd-journald, and what ends it."""

import collections
import random

import pytest

from harness import journald
from harness.journald import Journald, JournalNixied
from harness.redis import Redis


@pytest.fixture
def journal(world, tmp_path):
    if journald.missing():
        pytest.skip(journald.missing())
    made = Journald(tmp_path / "journald")
    yield made.start()
    made.stop()


@pytest.fixture
def nixied(world, journal):
    assert world.stack is None
    world.stacks += 1
    root = world.root / f"j{world.stacks}"
    root.mkdir()
    root.chmod(0o755)
    redis = Redis(root / "redis")
    redis.start()
    made = JournalNixied(root / "nixie", world.milter_socket, redis.endpoint,
                         maillog=["journal"])
    made.journald = journal
    made.start()
    made.log.wait(type="mark")
    yield made
    if made.process is not None:
        made.kill()
    redis.stop()


def line(number):
    return (f"{number + (1 << 40):X}: to=<u{number}@far.test>, "
            "relay=mx.far.test[192.0.2.1]:25, delay=1, delays=0/0/0/1, "
            "dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 1234567890)")


def told(nixied):
    return collections.Counter(event["recipient"] for event in
                               nixied.log.since(type="delivery"))


def recipients(first, last):
    return collections.Counter(f"u{number}@far.test"
                               for number in range(first, last))


def test_entries_are_told_as_they_come(journal, nixied):
    journal.write(line(1))
    event = nixied.log.wait(type="delivery", recipient="u1@far.test")
    assert event["queue_id"] == f"{1 + (1 << 40):X}"
    assert event["remote_mta"] == "mx.far.test"
    journal.write(line(2), tag="cron[1]", priority=78)
    journal.write(line(3), tag="root")
    journal.write("60215wXk003001: <x@mx.nixie.test>... User unknown",
                  tag="sm-mta[7]")
    nixied.log.wait(type="rejection", recipient="x@mx.nixie.test")
    journal.write(line(4))
    nixied.log.wait(type="delivery", recipient="u4@far.test")
    assert told(nixied) == recipients(1, 2) + recipients(4, 5)


def test_kills_and_rotations_lose_and_double_nothing(journal, nixied):
    chance = random.Random(2026)
    number = 0
    for round_number in range(25):
        for _ in range(chance.randrange(1, 6)):
            count = chance.randrange(1, 60)
            journal.write(*(line(number + i) for i in range(count)))
            number += count
        what = chance.random()
        if what < 0.3:
            journal.rotate()
        if what < 0.8:
            nixied.kill()
            if what < 0.5:
                journal.write(line(number))
                number += 1
            if what < 0.15:
                journal.rotate()
            nixied.start()
    nixied.log.wait(type="delivery", recipient=f"u{number - 1}@far.test",
                    timeout=30)
    assert told(nixied) == recipients(0, number)
    assert "maillog lost" not in nixied.error_text()


def test_a_vacuum_of_what_was_read_is_no_loss(journal, nixied):
    journal.write(line(1))
    nixied.log.wait(type="delivery", recipient="u1@far.test")
    journal.rotate()
    journal.write(line(2))
    nixied.log.wait(type="delivery", recipient="u2@far.test")
    journal.vacuum()
    journal.write(line(3))
    nixied.log.wait(type="delivery", recipient="u3@far.test")
    nixied.kill()
    journal.write(line(4))
    nixied.start()
    nixied.log.wait(type="delivery", recipient="u4@far.test")
    assert told(nixied) == recipients(1, 5)
    assert "maillog lost" not in nixied.error_text()


def test_a_cursor_that_is_gone_is_told_and_the_rest_is_read(journal, nixied):
    journal.write(line(1))
    nixied.log.wait(type="delivery", recipient="u1@far.test")
    nixied.kill()
    journal.write(line(2))
    journal.wait_for(line(2))
    journal.rotate()
    journal.vacuum()  # nobody has read the second
    journal.write(line(3), line(4))
    nixied.start()
    nixied.log.wait(type="delivery", recipient="u4@far.test")
    assert told(nixied) == recipients(1, 2) + recipients(3, 5)
    assert nixied.error_text().count("maillog lost: the journal") == 1
    nixied.kill()
    journal.write(line(5))
    nixied.start()
    nixied.log.wait(type="delivery", recipient="u5@far.test")
    assert told(nixied) == recipients(1, 2) + recipients(3, 6)
