#!/bin/sh
# test_reports.sh - whole mails, and whom nixie report finds in them
#
# tests/reports has mails of our own writing in the manner of many systems and
# languages: bounce-*, and none-*, which look like bounces and are none.
# "expected" is what nixie report prints of all of them; after a change that is
# meant, look at the difference and copy what is printed.
#
# NIXIE_SOURCE  the top of the sources; default: the folder above this one
# NIXIE_BUILD   where nixie is; default: NIXIE_SOURCE
set -u
LC_ALL=C
export LC_ALL

source=$(cd "${NIXIE_SOURCE:-$(dirname "$0")/..}" && pwd) || exit 99
build=${NIXIE_BUILD:-$source}
nixie=$(cd "$build" && pwd)/nixie
if [ ! -x "$nixie" ]; then
    echo "skipped: no nixie at $nixie"
    exit 77
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/nixie-reports.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 99' HUP INT TERM
# no keys: the marks of this machine are nobody's business here
echo 'trace_keys = ""' >"$work/nixie.conf"

cd "$source/tests/reports" || exit 99
"$nixie" -c "$work/nixie.conf" report \
    --rules "$source/packaging/bounce-rules.conf" -- *.eml >"$work/found" ||
    exit 1
if ! diff -u expected "$work/found"; then
    echo 'FAIL: nixie report finds something else'
    exit 1
fi
if grep '"file":"none-' expected |
    grep -Ev '"reason":"(delivered|feedback_other)"'; then
    echo 'FAIL: a mail that is no bounce is taken for one'
    exit 1
fi
