"""Fixtures: one world a run, one Redis and nixied a module."""

import itertools
import os
import shutil

import pytest

pytest.register_assert_rewrite("harness.events", "harness.load",
                               "harness.nixied", "harness.stack")

from harness import sendmail  # noqa: E402
from harness.nixied import build_folder  # noqa: E402
from harness.stack import Stack, World  # noqa: E402

LONG = ("test_torture.py",)
NEEDED = ("postfix", "postqueue", "sendmail", "redis-server", "redis-cli")


def pytest_configure(config):
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if os.geteuid() != 0:
        missing.append("root (Postfix needs it)")
    if not (build_folder() / "nixied").exists():
        missing.append(f"{build_folder()}/nixied (make, or $NIXIE_BUILD)")
    if missing:
        pytest.exit("needs " + ", ".join(missing), returncode=77)


def pytest_ignore_collect(collection_path):
    """The long tests are not even told as skipped."""
    return (collection_path.name in LONG
            and not os.environ.get("NIXIE_TORTURE")) or None


@pytest.fixture(scope="session")
def world():
    """Postfix and the remote server; nixied comes and goes below them."""
    made = World()
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture(scope="module")
def stack(world):
    """Redis and nixied of a module, ended with the checks of every run."""
    made = Stack(world)
    try:
        yield made.start()
    except BaseException:
        made.stop()
        raise
    made.finish()


@pytest.fixture(scope="session")
def sendmail_missing():
    return sendmail.missing()


@pytest.fixture(params=("postfix", "sendmail"))
def mta(request, world, stack):
    """A test that asks for it runs once with each: stack speaks to it."""
    if request.param == "sendmail":
        missing = request.getfixturevalue("sendmail_missing")
        if missing:
            pytest.skip(missing)
    stack.mta = getattr(world, request.param)
    yield stack.mta
    stack.mta = stack.postfix


@pytest.fixture
def stack_maker(world):
    """Makes the Redis and nixied of one test, checked at its end.

    Not in a module that uses stack: there is one milter socket.
    """
    made = []

    def make(start=True, **options):
        stack = Stack(world, **options)
        made.append(stack)
        return stack.start() if start else stack

    try:
        yield make
    except BaseException:
        for stack in made:
            stack.stop()
        raise
    for stack in made:
        if stack.nixied.process is not None:
            stack.finish()
        stack.stop()


NUMBERS = itertools.count(1)


@pytest.fixture
def name():
    """A local part that no other test uses."""
    return f"ann{next(NUMBERS)}"
