"""Settings that change what is done, each with a nixied of its own."""

import signal

from harness.postfix import Postfix
from harness.wait import wait_until


def test_observe_mode_refuses_nobody(stack_maker):
    stack = stack_maker(mode="observe")
    stack.suppress("ann@example.com")
    mark = stack.log.mark()
    replies, taken = stack.send(["ann@example.com", "good@example.com"])
    assert [reply.code for reply in replies.values()] == [250, 250]
    assert taken.code == 250
    stack.log.wait(mark, count=2, type="reception")
    event = stack.log.wait(mark, type="would_suppress")
    assert event.has({"recipient": "ann@example.com", "action": "observe"})
    assert stack.log.since(mark, type="suppressed") == []


def test_refusal_text_and_exemptions_are_settings(stack_maker):
    stack = stack_maker(refusal="554 5.1.1 No mail for %r, please: %R%s 100%%",
                        exempt=["help@", "@free.test"])
    stack.suppress("ann@example.com")
    stack.suppress("help@example.com")
    stack.suppress("postmaster@example.com")
    stack.suppress("ann@free.test")
    replies, _ = stack.send(["ann@example.com", "help@example.com",
                             "ann@free.test", "postmaster@example.com"])
    assert [reply.code for reply in replies.values()] == [554, 250, 250, 554]
    assert str(replies["ann@example.com"]) == (
        "554 5.1.1 No mail for ann@example.com, please: listed 100%")


def test_key_prefix_separates_two_installations(stack_maker):
    stack = stack_maker(key_prefix="other:")
    stack.suppress("ann@example.com")
    stack.redis.cli("SET", "other:suppress:bob@example.com", "")
    replies, _ = stack.send(["ann@example.com", "bob@example.com"])
    assert [reply.code for reply in replies.values()] == [250, 550]
    stack.settle()
    assert [key for key in stack.redis.keys("nixie:*")] == [
        b"nixie:suppress:ann@example.com"]
    assert stack.redis.keys("other:{*}:recipient:*") != []


def test_reload_changes_the_mode_and_an_error_keeps_the_old(stack_maker):
    stack = stack_maker()
    stack.suppress("ann@example.com")

    def code():
        replies, _ = stack.send(["ann@example.com"])
        return replies["ann@example.com"].code

    assert code() == 550
    stack.nixied.settings["mode"] = "observe"
    stack.nixied.write()
    stack.nixied.send(signal.SIGUSR2)
    wait_until(lambda: code() == 250, "observe mode after SIGUSR2", 5)
    stack.nixied.write('mode = "perhaps"\n')
    size = stack.nixied.errors.stat().st_size
    stack.nixied.send(signal.SIGUSR2)
    wait_until(lambda: stack.nixied.errors.stat().st_size > size,
               "nixied says what is wrong", 5)
    assert f"{stack.nixied.config}:1" in stack.nixied.error_text()
    assert code() == 250
    stack.nixied.write()


def test_configuration_errors_name_file_and_line(stack_maker):
    stack = stack_maker(start=False)
    nixied = stack.nixied
    assert nixied.check_configuration()[0] == 0
    rows = (
        ("node = \"x\"\nno_such_key = 1\n", ":2"),
        ("\n\nmode = \"perhaps\"\n", ":3"),
        ("redis_timeout_ms = 0\n", "redis_timeout_ms"),
        ("user = \"root\"\n", "root"),
        ("milter_socket_mode = \"0666\"\n", "everybody"),
        ("milter_socket = \"inet:8895@0.0.0.0\"\n", "allow_remote_mta"),
        ("refusal = \"250 2.0.0 fine\"\n", "refusal"),
        ("client_event_rate = 100001\n", "0: no limit"),
        ("delay_notice_after = 3\ndelay_notice_folder = \"/nonexistent\"\n",
         "delay.en.txt"),
    )
    for text, told in rows:
        nixied.write(text)
        status, printed = nixied.check_configuration()
        assert status != 0, f"{text!r} was taken"
        assert told in printed, f"{text!r}: {printed}"
        assert str(nixied.config) in printed or ":" not in told, printed


def test_what_hinders_a_start_is_told_before_it(stack_maker):
    stack = stack_maker(start=False)
    nixied = stack.nixied
    password = nixied.root / "password"
    password.write_text("secret\n")
    password.chmod(0o640)  # root's: not for nixied's user
    for name, value, told in (
            ("redis_password_file", password, "may not read it: chgrp "),
            ("state_dir", "/", "may not write in the folder /"),
            ("user", "no-such-user", "useradd")):
        before = nixied.settings.get(name)
        nixied.settings[name] = value
        nixied.write()
        status, printed = nixied.check_configuration()
        assert status == 1
        assert (f"{nixied.config}: the file is good, but nixied would not "
                f"start here: {name}") in printed and told in printed, printed
        assert nixied.spawn().wait(20) == 1
        assert told in nixied.error_text()
        del nixied.settings[name]
        if before is not None:
            nixied.settings[name] = before
    nixied.write()
    assert nixied.check_configuration() == (0, f"{nixied.config}: good\n")


def test_bounces_that_pass_nixied_never_stick_in_the_queue(
        world, stack_maker):
    """internal_mail_filter_classes = bounce, and the sender is suppressed."""
    postfix = Postfix(world.root / "postfixb", world.remote.port,
                      world.milter_socket,
                      extra="internal_mail_filter_classes = bounce\n")
    stack = stack_maker(postfix=postfix)
    postfix.start()
    try:
        stack.suppress("ann@b.test")
        mark = stack.log.mark()
        _, taken = stack.send(["reject@example.com"], "ann@b.test")
        assert taken.code == 250
        event = stack.log.wait(mark, type="would_suppress")
        assert event.has({"recipient": "ann@b.test", "sender": "",
                          "action": "exempt"})
        stack.remote.wait_for("ann@b.test")
        postfix.wait_empty()
    finally:
        postfix.stop()
