"""Ends and starts: signals, kill -9, lost folders, an emptied Redis."""

import os
import shutil
import signal

import pytest

from harness.wait import unix_answers, wait_until
from harness.load import Load, kill_loop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP],
                         ids=["SIGTERM", "SIGHUP"])
def test_signal_ends_it_in_order_while_mail_comes_in(stack_maker, number):
    stack = stack_maker()
    stack.suppress("@shut.test")
    with Load(stack) as load:
        wait_until(lambda: len(load.accepted) > 20, "mail comes in")
        assert stack.nixied.end(number, timeout=12) == 0
    assert not unix_answers(stack.world.milter_socket)
    assert not stack.world.milter_socket.exists()
    stack.nixied.start()
    load.check_refusals()


def test_ten_kills_under_load_leave_redis_equal_to_the_log(stack_maker):
    kill_loop(stack_maker(), 10)


def test_emptied_redis_is_rebuilt_from_the_log(stack_maker):
    stack = stack_maker()
    with stack.dialogue() as smtp:
        for i in range(20):
            smtp.message("s@nixie.test", [f"n{i}@example.com",
                                          "unknown@example.com"])
    stack.settle()
    stack.redis.command("FLUSHALL")
    stack.settle(timeout=45)
    assert stack.history("unknown@example.com")["rejections"] == "20"


def test_redis_restarted_without_its_data_is_rebuilt(stack_maker):
    stack = stack_maker()
    for i in range(3):
        stack.send([f"n{i}@example.com", "unknown@example.com"])
        stack.nixied.rotate()
    stack.settle()
    stack.redis.restart()
    assert set(stack.redis.keys()) <= {b"nixie:{00}:database"}
    stack.send(["unknown@example.com"])
    stack.settle()
    assert stack.history("unknown@example.com")["rejections"] == "4"


def test_redis_set_back_to_an_older_state_is_brought_forward(stack_maker):
    stack = stack_maker()
    stack.send([f"n{i}@example.com" for i in range(40)])
    stack.settle()
    with stack.redis.client() as redis:
        older = {key: redis.command("DUMP", key)
                 for key in redis.command("KEYS", "*")}
    stack.send([f"n{i}@example.com" for i in range(40)])
    stack.settle()
    with stack.redis.client() as redis:
        redis.command("MULTI")
        redis.command("FLUSHALL")
        for key, dump in older.items():
            redis.command("RESTORE", key, 0, dump)
        redis.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        redis.command("EXEC")
    stack.send(["last@example.com"])
    stack.settle()
    assert stack.history("n7@example.com")["receptions"] == "2"


def test_events_logged_without_redis_are_applied_at_the_next_start(
        stack_maker):
    stack = stack_maker()
    stack.redis.kill()
    with stack.dialogue() as smtp:
        for i in range(100):
            smtp.message("s@nixie.test", [f"n{i}@example.com"])
    assert stack.nixied.end() == 0
    stack.redis.start()
    stack.nixied.start()
    stack.settle()
    assert stack.history("n99@example.com")["receptions"] == "1"


def test_lost_state_folder_makes_a_new_instance_and_loses_nothing(
        stack_maker):
    stack = stack_maker()
    stack.redis.kill()
    stack.send(["one@example.com"])
    stack.log.wait(recipient="one@example.com")
    assert stack.nixied.end() == 0
    shutil.rmtree(stack.nixied.state)
    stack.nixied.folder("state")
    stack.redis.start()
    stack.nixied.start()
    stack.send(["two@example.com"])
    stack.settle()
    assert len({event["instance"] for event in stack.log.since()}) == 2
    assert stack.history("one@example.com")["receptions"] == "1"


def test_lost_position_of_the_recorder_counts_nothing_twice(stack_maker):
    stack = stack_maker()
    stack.send(["one@example.com"])
    stack.settle()
    assert stack.nixied.end() == 0
    (stack.nixied.state / "recorder.position").unlink()
    stack.nixied.start()
    stack.send(["two@example.com"])
    stack.settle()
    assert stack.history("one@example.com")["receptions"] == "1"


def test_files_of_another_host_are_applied_too(stack_maker):
    """A second host's log, copied into the folder of the first."""
    stack = stack_maker()
    stack.redis.kill()
    stack.send(["one@example.com"])
    stack.log.wait(recipient="one@example.com")
    assert stack.nixied.end() == 0
    log = stack.nixied.log_folder / "events.jsonl"
    log.rename(log.with_name("events.jsonl.other-host"))
    shutil.rmtree(stack.nixied.state)
    stack.nixied.folder("state")
    stack.redis.start()
    stack.nixied.start()
    stack.settle()
    assert stack.history("one@example.com")["receptions"] == "1"


def test_copied_state_folder_becomes_an_instance_of_its_own(stack_maker):
    stack = stack_maker()
    stack.send(["one@example.com"])
    stack.settle()
    assert stack.nixied.end() == 0
    copy = stack.nixied.root / "state.copy"
    shutil.copytree(stack.nixied.state, copy)
    shutil.chown(copy, stack.nixied.settings["user"])
    for path in copy.iterdir():
        shutil.chown(path, stack.nixied.settings["user"])
    stack.nixied.settings["state_dir"] = copy
    stack.nixied.write()
    stack.nixied.start()
    stack.send(["two@example.com"])
    stack.log.wait(recipient="two@example.com")
    stack.settle()
    assert len({event["instance"] for event in stack.log.since()}) == 2


def test_second_nixied_on_the_same_state_folder_is_refused(stack_maker):
    stack = stack_maker()
    second = stack.nixied.spawn()
    assert second.wait(10) != 0
    assert str(stack.nixied.pid) in stack.nixied.error_text()
    assert unix_answers(stack.world.milter_socket), "the first still listens"
    replies, _ = stack.send(["one@example.com"])
    assert replies["one@example.com"].code == 250
    stack.log.wait(recipient="one@example.com")


def test_socket_left_by_a_kill_is_taken_over(stack_maker):
    stack = stack_maker()
    stack.nixied.kill()
    assert stack.world.milter_socket.exists()
    stack.nixied.process = stack.nixied.spawn()
    wait_until(lambda: unix_answers(stack.world.milter_socket),
               "nixied listens again")
    status = os.stat(stack.world.milter_socket)
    assert status.st_mode & 0o777 == 0o660


def test_mail_flows_while_nixied_is_down(stack_maker):
    stack = stack_maker()
    stack.nixied.kill()
    _, taken = stack.send(["good@example.com"])
    assert taken.code == 250
    stack.nixied.start()
    assert stack.log.outcomes() == []
