#!/bin/sh
# How fast nixie maillog reads a log, events and classification included:
#
# usage: tests/bench/bench_maillog.sh NIXIE RULES LOG
#
# LOG is what bench_maillog has written. Beside `grep -c status=` over the same
# file, on one processor each; the best of three counts. Prints MiB/s, the
# ratio, and the most memory that nixie had resident; without and with --trust.
set -eu
[ $# -eq 3 ] || {
    echo "usage: $0 NIXIE RULES LOG" >&2
    exit 2
}
nixie=$1 rules=$2 log=$3
conf=$(mktemp)
trap 'rm -f "$conf"' EXIT
cat >"$conf" <<CONF
bounce_rules = {"$rules"}
retry_schedule = {5, 15, 30, 60, 90, 120, 240, 480, 960, 1440, 2880}
CONF
size=$(stat -c %s "$log")
cat "$log" >/dev/null

# Seconds of processor and KiB resident, the least of three.
measure() {
    for _ in 1 2 3; do
        /usr/bin/time -f '%U %S %M' -o "$conf.time" "$@" | cat >/dev/null
        tail -n 1 "$conf.time"
    done | awk '{ t = $1 + $2 } NR == 1 || t < best { best = t }
        $3 > most { most = $3 } END { print best, most }'
    rm -f "$conf.time"
}

grep_time=$(measure grep -c status= "$log" | cut -d' ' -f1)
for trust in "" --trust; do
    # shellcheck disable=SC2086
    measure "$nixie" -c "$conf" maillog $trust "$log" |
        awk -v size="$size" -v grep_time="$grep_time" -v trust="$trust" '{
            printf "nixie maillog %-7s %6.0f MiB %6.1f MiB/s; grep -c status= " \
                "%6.0f MiB/s; ratio %.3f; %.1f MiB resident\n", trust,
                size / 1048576, size / 1048576 / $1,
                size / 1048576 / grep_time, grep_time / $1, $2 / 1024 }'
done
