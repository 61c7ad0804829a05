#!/bin/sh
# How fast nixie maillog reads a log, events and classification included:
#
# usage: tests/bench/bench_maillog.sh NIXIE RULES LOG
#
# LOG is what bench_maillog has written. Beside `grep -c status=` over the same
# file, and beside a `cat` that writes as many bytes as the events have: each in
# turns on one processor, the best of five counts. Prints MiB/s of the log by
# time of the processor, the ratio to grep, and the most memory that nixie had
# resident; without and with --trust.
set -eu
[ $# -eq 3 ] || {
    echo "usage: $0 NIXIE RULES LOG" >&2
    exit 2
}
nixie=$1 rules=$2 log=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/conf" <<CONF
bounce_rules = {"$rules"}
retry_schedule = {5, 15, 30, 60, 90, 120, 240, 480, 960, 1440, 2880}
CONF
size=$(stat -c %s "$log")
cat "$log" >/dev/null

# NAME COMMAND...: seconds of processor, KiB resident; a line more in NAME
measure() {
    name=$folder/$1
    shift
    taskset -c 0 /usr/bin/time -f '%U %S %M' -o "$folder/time" "$@" |
        taskset -c 1 cat >/dev/null
    tail -n 1 "$folder/time" >>"$name"
}
# The least time, the most memory.
best() {
    awk '{ t = $1 + $2 } NR == 1 || t < best { best = t }
        $3 > most { most = $3 } END { print best, most }' "$folder/$1"
}

events=$("$nixie" -c "$folder/conf" maillog "$log" | wc -c)
for _ in 1 2 3 4 5; do
    measure grep grep -c status= "$log"
    measure cat head -c "$events" /dev/zero
    measure nixie "$nixie" -c "$folder/conf" maillog "$log"
    measure trust "$nixie" -c "$folder/conf" maillog --trust "$log"
done
grep_time=$(best grep | cut -d' ' -f1)
for name in nixie trust cat; do
    best "$name" | awk -v name="$name" -v size="$size" -v events="$events" \
        -v grep_time="$grep_time" '
        BEGIN {
            shown["nixie"] = "nixie maillog"
            shown["trust"] = "nixie maillog --trust"
            shown["cat"] = "writing its output alone"
        }
        {
            printf "%-24s %6.0f MiB to %6.0f MiB %7.1f MiB/s; grep -c status=" \
                " %6.0f MiB/s; ratio %.3f; %.1f MiB resident\n", shown[name],
                size / 1048576, events / 1048576, size / 1048576 / $1,
                size / 1048576 / grep_time, grep_time / $1, $2 / 1024
        }'
done
