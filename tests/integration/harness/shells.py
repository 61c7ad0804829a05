"""Completion as bash, zsh and fish do it: what they offer for a line."""

import os
import pathlib
import pty
import select
import shlex
import signal
import subprocess
import time

# No terminal is needed: the words are handed to the function, parted as bash
# parts them, at blanks and equals signs.
BASH = """
source {script}
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_nixie
printf '%s\\n' "${{COMPREPLY[@]}}"
"""

# Each word that is offered goes to a file as well.
ZSHRC = """
fpath=({folder} $fpath)
autoload -Uz compinit
compinit -u -D
unsetopt auto_list auto_menu
compadd() {{
    local -a offered
    builtin compadd -A offered "$@"
    print -rl -- $offered >>{out}
    builtin compadd "$@"
}}
_seen() {{ _main_complete; print -r -- '(done)' >>{out} }}
zle -C seen complete-word _seen
bindkey '^T' seen
PS1='(ready) '
"""


class Shells:
    """nixie's scripts, loaded into shells that find nixie in their PATH."""

    def __init__(self, folder, build):
        self.folder = pathlib.Path(folder)
        self.pid = self.terminal = None
        self.environment = dict(os.environ, TERM="dumb", HOME=str(folder),
                                PATH=f"{build}:{os.environ['PATH']}")
        for shell, name in (("bash", "nixie"), ("zsh", "_nixie"),
                            ("fish", "nixie.fish")):
            done = subprocess.run([f"{build}/nixie", "completion", shell],
                                  stdout=subprocess.PIPE, check=True)
            (self.folder / name).write_bytes(done.stdout)

    def _run(self, *words):
        return subprocess.run(words, env=self.environment, check=True,
                              stdin=subprocess.DEVNULL, cwd=self.folder,
                              stdout=subprocess.PIPE, timeout=20).stdout

    def bash(self, line):
        words = " ".join(shlex.quote(word) for word in
                         line.replace("=", " = ").split(" ")
                         if word != "") + (" ''" if line[-1] in " =" else "")
        told = self._run("bash", "--norc", "-c", BASH.format(
            script=self.folder / "nixie", words=words))
        return set(told.decode().split())

    def fish(self, line):
        told = self._run("fish", "--no-config", "-c",
                         f"source {self.folder}/nixie.fish; "
                         f"complete -C {shlex.quote(line)}")
        return {row.split("\t")[0] for row in told.decode().splitlines()}

    def zsh(self, line):
        """One shell for all lines: each begins by killing the last."""
        out = self.folder / "zsh.out"
        out.write_text("")
        if self.terminal is None:
            self._start_zsh(out)
        os.write(self.terminal, b"\x15" + line.encode() + b"\x14")
        self._wait(self.terminal, lambda _: "(done)" in out.read_text())
        return set(out.read_text().split()) - {"(done)"}

    def _start_zsh(self, out):
        (self.folder / ".zshrc").write_text(
            ZSHRC.format(folder=self.folder, out=out))
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(self.folder)
            os.execvpe("zsh", ["zsh", "-i"],
                       dict(self.environment, ZDOTDIR=str(self.folder)))
        self._wait(self.terminal, lambda seen: b"(ready)" in seen)

    def stop(self):
        if self.terminal is not None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self.terminal)

    @staticmethod
    def _wait(terminal, happened):
        seen = b""
        deadline = time.monotonic() + 20
        while not happened(seen):
            assert time.monotonic() < deadline, seen
            if select.select([terminal], [], [], 0.1)[0]:
                seen += os.read(terminal, 65536)
