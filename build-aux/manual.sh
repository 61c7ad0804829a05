#!/bin/sh
# manual.sh - what the code knows, in the manual pages
#
# usage: build-aux/manual.sh [--update] [SOURCE]
#
# A page has what is made here between the lines
#     .\" begin generated NAME: make update-docs
#     .\" end generated
# Without --update a difference is shown, with exit status 1; with it the page
# is written. NAME is one of the functions below: keys, members, reasons.
set -u
LC_ALL=C
export LC_ALL

update=
if [ "${1-}" = --update ]; then
    update=yes
    shift
fi
source=${1:-$(cd "$(dirname "$0")/.." && pwd)} || exit 2
work=$(mktemp -d "${TMPDIR:-/tmp}/nixie-manual.XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM

# Text of the code as text of mdoc: the two characters that roff takes.
escape() {
    sed -e 's/\\"/"/g' -e 's/\\/\\e/g' -e 's/"/\\(dq/g'
}

# nixie.conf(5): each key, what its change takes, its default.
keys() {
    settings=$source/milter/settings.c
    {
        sed -n '/^const char \*settings_needs_restart/,/^}/p' "$settings" |
            sed -n -e 's/^ *{"\([a-z_]*\)", running->.*/restart \1/p' \
                -e 's/^ *return "\([a-z_]*\)";/restart \1/p' \
                -e 's/^ *? "\([a-z_]*\)"/restart \1/p'
        # the lists stand in variables of their own
        sed -n '/^static cfg_t \*make_keys/,/^}/p' "$settings" |
            tr '\n' ' ' | sed 's/" *"\([^,;)]\)/\1/g' |
            sed -e 's/char \([a-z_]*\)\[\] = "\([^;]*\)";/\nlist \1 \2\n/g' \
                -e 's/cfg_opt_t options\[\] = {/\nkeys\n/' \
                -e 's/CFG_/\nCFG_/g' -e 's/CFG_END/\nend\n/g' |
            grep -e '^list ' -e '^keys' -e '^CFG_' -e '^end'
    } | awk '
        function row(value) {
            print name "\t" (name in restart ? "restart" : "reload") "\t" value
        }
        $1 == "restart" { restart[$2] = 1; next }
        $1 == "list" { name = $2; sub(/^list [a-z_]* /, ""); list[name] = $0 }
        $1 == "keys" { on = 1 }
        $1 == "end" && on { exit }
        on && /^CFG_/ {
            name = $0; sub(/^[A-Z_]*\("/, "", name); sub(/".*/, "", name)
            value = $0; sub(/^[A-Z_]*\("[a-z_]*", */, "", value)
            sub(/, *CFGF.*/, "", value); sub(/^cfg_/, "", value)
            if (/^CFG_SEC/) row("a section")
            else if (/^CFG_STR_LIST/) row(list[value])
            else row(value)
        }' | escape | awk -F '\t' '
        BEGIN { print ".Bl -column \"suppression_cache_memory\" \"restart\" " \
                "\"default\" -compact" }
        # two paths are too long for a line
        { cell = length($3) > 60 ? "see below" : "Li " $3
          if ($3 == "a section") cell = $3
          print ".It Ic " $1 " Ta " $2 " Ta " cell }
        END { print ".El" }'
}

# nixie-events(7): what is in a member, in the order of the line.
members() {
    sed 's/\(.*\)EVENT_DIAGNOSTIC_MAX)/\1512)/' "$source/include/event.h" |
        sed -n -e 's/^ *TEXT(\([a-z_]*\), \([0-9]*\)).*/\1 string \2/p' \
            -e 's/^ *INTEGER(\([a-z_]*\)).*/\1 integer/p' \
            -e 's/^ *BOOLEAN(\([a-z_]*\)).*/\1 boolean/p' | awk '
        BEGIN { print ".Bl -column \"suppression_expires_at\" \"boolean\" " \
                "\"bytes\" -compact" }
        { print ".It Va " $1 " Ta " $2 " Ta " ($3 == "" ? "-" : $3) }
        END { print ".El" }'
}

# bounce-rules(5): the taxonomy.
reasons() {
    tr '\n' ' ' <"$source/milter/reason.c" |
        sed 's/ROW(/\nROW(/g; s/), *};.*/)/' |
        sed -n 's/^ROW([A-Z_]*, *"\([a-z_]*\)", *[A-Z]*, *\([A-Z]*\), *[A-Z_]*, *\([0-9]*\), *\([A-Z]*\), *"\(.*\)").*/\1\t\2\t\4\t\3\t\5/p' |
        escape | awk -F '\t' '
        BEGIN {
            whom["NONE"] = "nobody"; whom["RECIPIENT"] = "the recipient"
            whom["DOMAIN"] = "the domain"; whom["REMOTE"] = "the remote system"
            whom["NETWORK"] = "the network"; whom["MESSAGE"] = "the message"
            whom["SENDER"] = "us"
            print ".Bl -tag -width challenge_response -compact"
        }
        { print ".It Li " $1
          print $5 "; " tolower($2) ", blames " whom[$3] }
        END { print ".El" }' | fold -s -w 79 | sed 's/ $//'
}

status=0
for page in "$source"/packaging/man/*.[1-8]; do
    # a file for each section that the page asks for
    for name in $(sed -n 's/^\.\\" begin generated \([a-z]*\):.*/\1/p' "$page"); do
        "$name" >"$work/$name" || exit 2
        if [ "$(wc -l <"$work/$name")" -lt 12 ]; then
            echo "manual.sh: $name: nothing found in the sources" >&2
            exit 2
        fi
    done
    awk -v work="$work" '
        /^\.\\" end generated/ { within = 0 }
        !within { print }
        /^\.\\" begin generated / {
            name = $4; sub(/:$/, "", name); within = 1
            while ((getline line < (work "/" name)) > 0) print line
        }' "$page" >"$work/page"
    cmp -s "$page" "$work/page" && continue
    if [ -n "$update" ]; then
        cat "$work/page" >"$page"
        echo "$page"
    else
        echo "$page: make update-docs would write"
        diff "$page" "$work/page"
        status=1
    fi
done
exit $status
