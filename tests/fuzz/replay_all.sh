#!/bin/sh
# Replays the corpus of every fuzz target: what a fuzzer once found, stays
# found.
set -eu
build=${NIXIE_BUILD:-.}
source=${NIXIE_SOURCE:-$(dirname "$0")/../..}

for corpus in "$source"/tests/fuzz/corpus/*/; do
    name=$(basename "$corpus")
    "$build/tests/fuzz/replay_$name" "$corpus"
done
