#!/bin/sh
# test_docs.sh - the manual pages and samples say what the code does
#
# Each configuration key, event member, type of event, subcommand and option
# that the code knows is documented, and nothing else is. The tables are read
# from the sources as text; a table that cannot be found is a failure.
#
# NIXIE_SOURCE  the top of the sources; default: the folder above this one
# NIXIE_BUILD   where nixied and nixie are; default: NIXIE_SOURCE. What needs a
#               program is left out where there is none.
#
# Exit status 77: mandoc is missing.
set -u
LC_ALL=C
export LC_ALL

source=${NIXIE_SOURCE:-$(cd "$(dirname "$0")/.." && pwd)} || exit 99
build=${NIXIE_BUILD:-$source}
man=$source/packaging/man
failures=0
work=$(mktemp -d "${TMPDIR:-/tmp}/nixie-docs.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 99' HUP INT TERM

fail() {
    printf 'FAIL: %s\n' "$*"
    failures=$((failures + 1))
}

# same TITLE WANTED FOUND: the files hold the same lines, and some.
same() {
    sort -u "$2" >"$work/wanted"
    sort -u "$3" >"$work/found"
    [ -s "$work/wanted" ] || fail "$1: nothing found in the sources"
    comm -23 "$work/wanted" "$work/found" >"$work/missing"
    comm -13 "$work/wanted" "$work/found" >"$work/surplus"
    while read -r name; do
        fail "$1: $name is missing"
    done <"$work/missing"
    while read -r name; do
        fail "$1: the code knows no $name"
    done <"$work/surplus"
}

# holds TITLE WANTED FOUND: each line of WANTED is in FOUND.
holds() {
    sort -u "$3" >"$work/found"
    sort -u "$2" | comm -23 - "$work/found" >"$work/missing"
    [ -s "$2" ] || fail "$1: nothing found in the sources"
    while read -r name; do
        fail "$1: $name is missing"
    done <"$work/missing"
}

# items PAGE SECTION...: the names in .It lines of these sections, a line each.
items() {
    page=$1
    shift
    for section in "$@"; do
        awk -v section="$section" '
            /^\.S[hs] / { on = substr($0, 5) == section }
            on && /^\.It (Ic|Cm) / { sub(/^\.It (Ic|Cm) /, ""); print }
        ' "$man/$page" | sed 's/ [A-Z][a-z] .*//' | tr -s ' ,' '\n'
    done
}

# long_options PAGE: the names behind "Fl -", a line each.
long_options() {
    grep -v '^\.B[ld] ' "$man/$1" | tr ' ' '\n' |
        sed -n 's/^-\([a-z][a-z-]*\)$/\1/p' | grep ..
}

command -v mandoc >/dev/null || exit 77

# --- the pages are good mdoc ------------------------------------------------

# mandoc looks for what .Xr names among the installed pages only, so that our
# own are looked for here.
for page in nixied.8 nixie.1 nixie.conf.5 nixie-events.7 nixie-metrics.7 \
    nixie-redis.7 bounce-rules.5; do
    [ -f "$man/$page" ] || fail "$page is missing"
    mandoc -T lint "$man/$page" 2>/dev/null |
        grep -v 'referenced manual not found: Xr ' >"$work/lint"
    while read -r line; do
        fail "$line"
    done <"$work/lint"
    mandoc -T ascii -O width=78 "$man/$page" | col -bx |
        awk 'length > 80' >"$work/long"
    while read -r line; do
        fail "$page: over 80 columns: $line"
    done <"$work/long"
    sed -n 's/^\.Xr \(nixie[^ ]*\) \([0-9]\).*/\1.\2/p' "$man/$page" \
        >"$work/references"
    while read -r reference; do
        [ -f "$man/$reference" ] || fail "$page: .Xr to $reference, which is" \
            "no page"
    done <"$work/references"
done

# --- what is made from the code ---------------------------------------------

"$source/build-aux/manual.sh" "$source" >"$work/output" 2>&1 ||
    fail "$(cat "$work/output")"

# --- configuration keys -----------------------------------------------------

sed -n 's/^ *CFG_[A-Z_]*("\([a-z_]*\)".*/\1/p' "$source/milter/settings.c" \
    >"$work/keys"
{
    items nixie.conf.5 'Who and where' 'The event log' 'Redis' 'The answer' \
        'Scopes' 'Mailboxes' 'Verdict and policy' 'The delivery log' \
        'Delay notices' 'Metrics' |
        grep -vx -e off -e interval -e group -e flat -e ecs -e accept \
            -e tempfail -e seen -e all -e none -e sendmail |
        grep '^[a-z][a-z_]*$'
    grep -qx '\.Ic fold_tags' "$man/nixie.conf.5" && echo fold_tags
} >"$work/documented"
same 'nixie.conf(5)' "$work/keys" "$work/documented"

# The entries of the sample, a line each, those of a section too.
sed -n -e 's/^#\{0,1\}\([a-z_]* = .*\)/\1/p' \
    -e 's/^#\{0,1\}\([a-z][a-z]*\)\( "[^"]*"\)\{0,1\} { \(.*\) }$/\1\n\3/p' \
    "$source/packaging/nixie.conf" |
    sed 's/\([^,]\) \([a-z_]* = \)/\1\n\2/g' >"$work/entries"
sed 's/ = .*//' "$work/entries" >"$work/sampled"
same 'packaging/nixie.conf' "$work/keys" "$work/sampled"

# Each default in the sample is the one in the code. A list of one is the same
# with and without its braces.
code=$(tr '\n' ' ' <"$source/milter/settings.c" | sed 's/" *"\([^,;)]\)/\1/g')
{
    sed -n -e 's/^ *CFG_STR("\([a-z_]*\)", "\(.*\)", CFGF.*/\1 = "\2"/p' \
        -e 's/^ *CFG_INT("\([a-z_]*\)", \(.*\), CFGF_NONE.*/\1 = \2/p' \
        -e 's/^ *CFG_BOOL("\([a-z_]*\)", cfg_\(.*\), CFGF.*/\1 = \2/p' \
        -e 's/^ *CFG_STR_LIST("\([a-z_]*\)", none, CFGF.*/\1 = {}/p' \
        "$source/milter/settings.c" |
        grep -v -e '^fold_tags ' -e '^senders ' # of a scope one must be given
    printf '%s\n' "$code" |
        sed 's/CFG_STR("refusal", *\("[^"]*"\)/\nrefusal = \1\n/' |
        grep '^refusal = '
    printf '%s\n' "$code" |
        sed 's/char \([a-z_]*\)\[\] = "\([^;]*\)";/\n\1 = \2\n/g' |
        sed -n '/^[a-z_]* = {.*}$/s/\\//gp'
} | sed 's/ = {\("[^",]*"\)}$/ = \1/' >"$work/defaults"
for key in refusal exempt bounce_rules retry_schedule maillog percent; do
    grep -q "^$key = " "$work/defaults" ||
        fail "settings.c: no default of $key"
done
sed 's/ = {\("[^",]*"\)}$/ = \1/' "$work/entries" >"$work/sampled"
holds 'packaging/nixie.conf, defaults' "$work/defaults" "$work/sampled"

# What a change takes, and the default, is told of each key where it is
# described as in the table of all keys.
sed -n 's/^\.It Ic \([a-z_]*\) Ta \([a-z]*\) Ta .*/\1 \2/p' \
    "$man/nixie.conf.5" >"$work/changes"
awk '/^\.It Ic / { if (/ Ta /) { known[$3] = 1 } else if ($3 in known) key = $3 }
    /^(Restart|Reload)[.;]/ && !(key in told) {
        told[key] = 1
        print key, tolower(substr($0, 1, index($0 ";", ";") - 1))
    }' "$man/nixie.conf.5" | tr -d '.' >"$work/documented"
same 'nixie.conf(5), reload or restart' "$work/changes" "$work/documented"
awk '/^#/ { text = text $0 } /^$/ { text = "" }
    /^#[a-z_]+( "[^"]*")? [={] / {
        key = substr($1, 2)
        change = text ~ /\(restart\)/ ? "restart" : "?"
        print key, (text ~ /\(reload\)/ ? "reload" : change)
    }' "$source/packaging/nixie.conf" >"$work/sampled"
same 'packaging/nixie.conf, reload or restart' "$work/changes" "$work/sampled"
sed -n -e 's/^\.It Ic \([a-z_]*\) Ta [a-z]* Ta Li \(.*[^,]\)$/\1 \2/p' \
    "$man/nixie.conf.5" >"$work/defaults"
awk '/^\.It Ic / { if (/ Ta /) { known[$3] = 1 } else if ($3 in known) key = $3 }
    wants { sub(/^\.[A-Z][a-z] /, ""); sub(/ [,.;]$/, ""); print key, $0 }
    { wants = /^Default$/ }
    /^Default .*\.$/ { sub(/^Default /, ""); sub(/\.$/, ""); print key, $0 }
    ' "$man/nixie.conf.5" >"$work/documented"
sort "$work/documented" >"$work/found"
sort "$work/defaults" | join -j 1 -o 0 - "$work/found" | sort -u |
    while read -r key; do
        grep "^$key " "$work/defaults"
    done >"$work/wanted_defaults"
holds 'nixie.conf(5), defaults' "$work/wanted_defaults" "$work/documented"

# Each reason that has a policy of its own is told, and no other but those
# that could have one.
tr ',' '\n' <"$source/milter/policy.c" |
    sed -n 's/^ *\[REASON_\([A-Z_]*\)\] = &.*/\1/p' | tr 'A-Z' 'a-z' \
    >"$work/reasons"
printf '%s\n' routing_loop address_empty >>"$work/reasons"
awk '/^\.S[hs] / { on = $0 == ".Ss Verdict and policy" } on' \
    "$man/nixie.conf.5" | sed -n 's/^\.Li \([a-z_]*\)\( ,\)\{0,1\}$/\1/p' \
    >"$work/documented"
same 'nixie.conf(5), reasons' "$work/reasons" "$work/documented"

# --- events -----------------------------------------------------------------

# The members that every line has are written by event_json.c.
{
    sed -n 's/^ *\(TEXT\|INTEGER\|BOOLEAN\)(\([a-z_]*\)[,)].*/\2/p' \
        "$source/include/event.h"
    printf '%s\n' schema seq timestamp event_id type
} >"$work/members"
items nixie-events.7 'Members of every line' 'Members of an outcome' \
    'Members of records about the log and the store' | grep '^[a-z]' |
    grep -vx -e reject -e tempfail >"$work/documented"
same 'nixie-events(7), members' "$work/members" "$work/documented"

sed -n 's/^ *\[EVENT_[A-Z_]*\] = {"\([a-z_]*\)",.*/\1/p' \
    "$source/milter/event.c" >"$work/types"
items nixie-events.7 'Types' | grep '^[a-z]' >"$work/documented"
same 'nixie-events(7), types' "$work/types" "$work/documented"

# The schema has members and types of other versions too.
schema=$source/packaging/event.schema.json
sed -n 's/^    "\([a-z_]*\)": {.*/\1/p' "$schema" >"$work/documented"
holds 'event.schema.json, members' "$work/members" "$work/documented"
sed -n 's/^    "type": {"enum": \[\([^]]*\)\].*/\1/p' "$schema" |
    tr -d '" ' | tr ',' '\n' >"$work/documented"
holds 'event.schema.json, types' "$work/types" "$work/documented"

# --- nixie(1) ---------------------------------------------------------------

# The table of subcommands, in nixie.c. Long options and letters.
table=$source/milter/nixie.c
sed -n 's/^ *{\{0,1\}\.name = "\([a-z -]*\)",.*/\1/p' "$table" \
    >"$work/commands"
awk '/^\.It Nm Cm / {
    sub(/^\.It Nm Cm /, "")
    sub(/ (Oo|Op|Ar|Fl|Oc) .*/, "")
    print
}' "$man/nixie.1" >"$work/documented"
same 'nixie(1), subcommands' "$work/commands" "$work/documented"

# "--name" of { "name", 'n', ... }, also where a line breaks behind the brace,
# and the options that all commands have.
tr '\n' ' ' <"$table" | sed 's/\\ */ /g; s/{ */\n{/g' |
    sed -n "s/^{\"\([a-z-]*\)\", *\(0\|'[a-zA-Z]'\|required_argument\|no_argument\),.*/\1/p" \
        >"$work/options"
sed -n "s/^ *{\"\([a-z-]*\)\", *\(0\|'[a-zA-Z]'\),.*/\1/p" \
    "$source/milter/command.c" >>"$work/options"
long_options nixie.1 >"$work/documented"
same 'nixie(1), options' "$work/options" "$work/documented"

tr '\n' ' ' <"$table" | sed 's/{ */\n{/g' |
    sed -n "s/^{\"[a-z-]*\", '\([a-zA-Z]\)',.*/\1/p" >"$work/letters"
grep -v '^\.B[ld] ' "$man/nixie.1" | tr ' ' '\n' | awk '
    was_fl && /^[a-zA-Z]+$/ { print }
    { was_fl = $0 == "Fl" || $0 ~ /\nFl$/ || $0 ~ /^\.?Fl$/ }' |
    sed 's/./&\n/g' | grep . >"$work/documented"
same 'nixie(1), letters' "$work/letters" "$work/documented"

# --- nixied(8) --------------------------------------------------------------

sed -n "s/^ *{\"\([a-z-]*\)\", *\(0\|'[a-zA-Z]'\),.*/\1/p" \
    "$source/milter/nixied.c" >"$work/options"
long_options nixied.8 >"$work/documented"
same 'nixied(8), options' "$work/options" "$work/documented"

# --- nixie-redis(7) ---------------------------------------------------------

# The kinds of keys, each in the heading of an item.
{
    sed -n 's/^ *\[STORE_[A-Z]*\] = {*"\([a-z]*\):*"[,}].*/\1/p' \
        "$source/milter/store_key.c"
    echo unclassified
} >"$work/kinds"
sed -n -e 's/^\.It Li nixie:\([a-z][a-z]*\).*/\1/p' \
    -e 's/^\.It Li nixie:{ Ns Ar NN Ns Li }:\([a-z]*\).*/\1/p' \
    "$man/nixie-redis.7" >"$work/documented"
same 'nixie-redis(7), keys' "$work/kinds" "$work/documented"

# --- metrics ----------------------------------------------------------------

# The section of the page is held against the table by tests/test_metrics; here
# what examples and the dashboard ask for. Of a histogram its parts are asked.
sed -n 's/^    {"\(nixie_[a-z_]*\)",.*/\1/p' "$source/milter/metrics.c" \
    >"$work/metrics"
for file in packaging/man/nixie-metrics.7 packaging/grafana/nixie.json; do
    tr -c 'a-z_' '\n' <"$source/$file" | grep '^nixie_.' |
        sed 's/_seconds_\(bucket\|sum\|count\)$/_seconds/' >"$work/asked"
    holds "$file, metrics" "$work/asked" "$work/metrics"
done
if command -v jq >/dev/null; then
    jq -e '.panels | length > 10' "$source/packaging/grafana/nixie.json" \
        >"$work/output" 2>&1 || fail "grafana/nixie.json: $(cat "$work/output")"
fi

# --- the sample configuration loads -----------------------------------------

# As shipped, and with every default in place of its comment. The host need not
# have the user nixie.
if [ -x "$build/nixied" ]; then
    sed 's/^#\([a-z]\)/\1/' "$source/packaging/nixie.conf" >"$work/all.conf"
    for file in "$source/packaging/nixie.conf" "$work/all.conf"; do
        "$build/nixied" -n -c "$file" >"$work/output" 2>&1 ||
            grep -q ': the file is good, but nixied would not start here: ' \
                "$work/output" ||
            fail "$file does not load: $(cat "$work/output")"
    done
else
    echo "SKIP: no nixied in $build: the sample configuration is not loaded"
fi

# --- help and page agree ----------------------------------------------------

if [ -x "$build/nixie" ]; then
    "$build/nixie" --help | sed -n 's/^  \([a-z][a-z -]*[a-z]\) .*/\1/p' |
        sed 's/  .*//' >"$work/helped"
    holds 'nixie --help' "$work/commands" "$work/helped"
fi

if [ "$failures" -gt 0 ]; then
    printf '%s failures\n' "$failures"
    exit 1
fi
echo 'documentation agrees with the code'
