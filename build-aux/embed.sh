#!/bin/sh
# embed.sh PATH FILE TYPE... - writes C with the bytes of each FILE
#
# PATH is what it is asked for by, TYPE its media type. See include/web_asset.h.
set -eu

rows=
number=0

printf '/* Made by build-aux/embed.sh: change the files it was made from. */\n'
printf '#include "web_asset.h"\n'
while [ $# -ge 3 ]; do
    printf '\nstatic const unsigned char asset_%d[] = {\n' "$number"
    od -An -v -tx1 "$2" | sed 's/\([0-9a-f][0-9a-f]\) */0x\1, /g'
    printf '};\n'
    rows="$rows    {\"$1\", \"$3\", asset_$number, sizeof asset_$number},
"
    number=$((number + 1))
    shift 3
done
printf '\nconst struct web_asset web_assets[] = {\n%s};\n' "$rows"
printf 'const size_t web_asset_count = %d;\n' "$number"
