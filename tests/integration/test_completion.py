"""What nixie says of itself: --help, and what shells complete from it."""

import re
import shutil
import subprocess

import pytest

from harness.nixied import build_folder
from harness.shells import Shells


def told(*words, program="nixie"):
    done = subprocess.run([build_folder() / program, *words],
                          stdout=subprocess.PIPE, check=True)
    return done.stdout.decode()


COMMANDS = re.findall(r"^  ([a-z][a-z -]*?)(?= [A-Z[]|  )", told("--help"),
                      re.MULTILINE)
GROUPS = {name.split()[0] for name in COMMANDS if " " in name}
FIRST = {name.split()[0] for name in COMMANDS} | {"help"}


def options(*command):
    """Those that help tells: letters and names, those with a value apart."""
    rows = re.findall(r"^  (?:(-\w), |    )(--[a-z-]+)( [A-Z]+)?",
                      told("help", *command) if command else told("--help"),
                      re.MULTILINE)
    return {word for row in rows for word in row[:2] if word}


@pytest.fixture(scope="module", params=("bash", "zsh", "fish"))
def offers(request, tmp_path_factory):
    if shutil.which(request.param) is None:
        pytest.skip(f"no {request.param} here")
    shells = Shells(tmp_path_factory.mktemp("shell"), build_folder())
    yield getattr(shells, request.param)
    shells.stop()


def test_help_fits_on_a_terminal():
    texts = [told("--help"), told("--help", program="nixied")]
    texts += [told("help", *name.split()) for name in COMMANDS]
    texts += [told("help", group) for group in GROUPS]
    for text in texts:
        assert [line for line in text.splitlines() if len(line) > 80] == []
    assert len(COMMANDS) >= 28


def test_help_is_the_same_however_it_is_asked_for():
    for name in COMMANDS:
        assert told(*name.split(), "--help") == told("help", *name.split())
        assert told(*name.split(), "-h") == told("-h", *name.split())
    for group in GROUPS:
        assert told(group, "--help") == told("help", group)


def test_an_unknown_shell_is_told_the_others():
    done = subprocess.run([build_folder() / "nixie", "completion", "csh"],
                          capture_output=True, check=False)
    assert done.returncode == 2
    assert b"bash, zsh, fish" in done.stderr


def test_each_command_is_offered(offers):
    assert offers("nixie ") >= FIRST
    assert offers("nixie help ") >= FIRST - {"help"}
    assert offers("nixie trace-k") == {"trace-key"}
    for group in sorted(GROUPS):
        verbs = {name.split()[1] for name in COMMANDS
                 if name.startswith(group + " ")}
        assert offers(f"nixie {group} ") == verbs
        assert offers(f"nixie help {group} ") == verbs


def test_each_option_is_offered(offers):
    for name in ["", *COMMANDS]:
        line = " ".join(["nixie", *name.split(), ""])
        found = offers(line + "-")
        wanted = options(*name.split())
        long = {word for word in wanted if word.startswith("--")}
        assert {word.rstrip("=") for word in found
                if word.startswith("--")} == long, name
        letters = {word[:2] for word in found if not word.startswith("--")}
        assert letters == wanted - long, name


@pytest.mark.parametrize("line, words", (
    ("nixie suppress add --reason us", {"user_unknown", "user_moved"}),
    ("nixie suppress add --observe -r mailb", {"mailbox_full"}),
    ("nixie suppress release --origin po", {"policy", "postmark"}),
    ("nixie suppress import --preset s", {"sparkpost", "ses", "sendgrid"}),
    ("nixie --json suppress export --format ", {"csv", "jsonl"}),
    ("nixie tail -t recep", {"reception"}),
    ("nixie tail --origin ma", {"maillog"}),
    ("nixie stats --by ", {"type", "hour", "reason", "domain"}),
    ("nixie completion ", {"bash", "zsh", "fish"}),
))
def test_words_that_are_known_are_offered(offers, line, words):
    assert offers(line) == words


def test_types_are_offered_behind_a_comma(offers):
    found = {word.rpartition(",")[2] for word in offers("nixie tail -t bounce,ex")}
    assert found == {"expiration"}


def test_own_words_are_not_guessed(offers):
    for line in ("nixie suppress add --note ", "nixie why ",
                 "nixie suppress del --scope no-such-sc"):
        assert offers(line) == set(), line


def test_scopes_are_those_of_the_configuration(offers, tmp_path):
    path = tmp_path / "nixie.conf"
    path.write_text('scope "marketing" { senders = {"@news.example.org"} }\n'
                    'scope "office" { listeners = {"OFFICE"} }\n')
    line = f"nixie -c {path} suppress add --scope "
    assert offers(line) == {"marketing", "office"}
    assert offers(line + "m") == {"marketing"}


def test_files_are_offered(offers, tmp_path):
    (tmp_path / "addresses.csv").write_text("")
    (tmp_path / "folder").mkdir()
    found = offers(f"nixie suppress import {tmp_path}/a")
    assert any(word.endswith("addresses.csv") for word in found)
    found = offers(f"nixie check --postfix {tmp_path}/")
    assert any("folder" in word for word in found)
    assert not any("addresses" in word for word in found)


def test_words_offered_are_taken_by_the_program(tmp_path):
    """The few lists that completion has of its own."""
    log = tmp_path / "events.jsonl"
    log.write_text("")
    for origin in ("session", "report", "maillog", "redis", "command",
                   "policy"):
        told("tail", "--origin", origin, "--no-follow", log)
    complaint = subprocess.run(
        [build_folder() / "nixie", "stats", "--by", "nonsense"],
        capture_output=True, check=False).stderr.decode()
    for word in ("type", "hour", "reason", "domain"):
        assert word in complaint
