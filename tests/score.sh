#!/bin/sh
# score.sh - what nixie makes of the development corpus, in figures
#
# The corpus stands beside the sources and is no part of them: replies, each
# with its reason and type, and whole mails, each with its recipients. The
# shipped rules are used, not the installed ones.
#
# NIXIE_SOURCE  the top of the sources; default: the folder above this one
# NIXIE_BUILD   where nixie is; default: NIXIE_SOURCE
# NIXIE_CORPUS  the corpus; default: ../shared/corpus beside NIXIE_SOURCE
#
# Exit status: 0 also where there is no corpus; 1 if nixie or score.py failed.
set -u
LC_ALL=C
export LC_ALL

source=$(cd "${NIXIE_SOURCE:-$(dirname "$0")/..}" && pwd) || exit 99
build=${NIXIE_BUILD:-$source}
corpus=${NIXIE_CORPUS:-$source/../shared/corpus}
rules=$source/packaging/bounce-rules.conf

if [ ! -r "$corpus/score.py" ] || [ ! -r "$corpus/replies.jsonl" ]; then
    echo "score: no corpus at $corpus: nothing to score"
    exit 0
fi
if ! command -v python3 >/dev/null; then
    echo "score: no python3: nothing to score"
    exit 0
fi
nixie=$(cd "$build" && pwd)/nixie
if [ ! -x "$nixie" ]; then
    echo "score: no nixie at $nixie: make it first" >&2
    exit 1
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/nixie-score.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 99' HUP INT TERM

# ran STATUS WHAT: status 1 of nixie says that an input was no reply or report.
ran() {
    if [ "$1" -gt 1 ]; then
        echo "score: $2 failed with status $1" >&2
        exit 1
    fi
}

# help_has SUBCOMMAND TEXT: whether there is help on it, with that text.
help_has() {
    "$nixie" help "$1" 2>/dev/null | grep -q -e "$2"
}

echo "== replies"
"$nixie" classify --rules "$rules" "$corpus/replies.jsonl" >"$work/replies"
ran $? "nixie classify"
python3 "$corpus/score.py" replies "$corpus/replies.jsonl" "$work/replies" ||
    exit 1

echo "== mails"
if ! help_has report report; then
    echo "score: nixie has no subcommand report: mails are left out"
    exit 0
fi
if help_has report --rules; then
    set -- --rules "$rules"
else
    set --
fi
cd "$corpus" || exit 1
python3 - >"$work/files" <<'END' || exit 1
import json
names = dict.fromkeys(json.loads(line)["file"] for line in open("expected.jsonl"))
print("\0".join(names), end="")
END
xargs -0 "$nixie" report "$@" -- <"$work/files" >"$work/mails"
status=$?
# 123: xargs says that one of its calls gave 1 to 125
[ "$status" -ne 123 ] || status=1
ran "$status" "nixie report"
python3 score.py mails expected.jsonl "$work/mails"
