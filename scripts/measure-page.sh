#!/usr/bin/env bash
# Measures the built page as a visitor meets it: bytes, requests and seconds to the first word on three
# lines, the second visit, layout shift, long tasks, and the memory that an hour of audio takes. Writes
# runs/measure-page. Times mean something only on a machine that does nothing else.
#   scripts/measure-page.sh [PARTS]   default: visits,second,live,long
# SECS: length of the long recordings (default 3600).
. "$(dirname "$0")/common.sh"
cd "$ROOT"
SECS=${SECS:-3600}
OUT=$ROOT/runs/measure-page
[ -f "$SITE/models/catalog.json" ] || die "the site is not built: run 'make site' first"
[ -x "$FLEDGE_BIN" ] || build_fledge
"$ROOT/scripts/install-test-tools.sh"
export FLEDGE_BIN

say "making recordings of $SECS s from the sample clips"
rm -rf "$OUT"
mkdir -p "$OUT/recordings"
encode() { ffmpeg -loglevel error -y "$@"; }
printf "file '%s'\n" "$ROOT"/www/samples/people/*.mp3 >"$OUT/clips.txt"
encode -f concat -safe 0 -i "$OUT/clips.txt" -ar 16000 -ac 1 "$OUT/once.wav"
# repeated FILE SECONDS RESULT [OPTION...]
repeated() { encode -stream_loop -1 -i "$1" -t "$2" "${@:4}" "$3"; }
repeated "$OUT/once.wav" 120 "$OUT/recordings/spoken.wav"
case ${1:-long} in *long*)
  repeated "$OUT/once.wav" "$SECS" "$OUT/recordings/long-16khz.wav"
  repeated "$OUT/once.wav" "$SECS" "$OUT/recordings/long-48khz-stereo.wav" -ar 48000 -ac 2
  # Encoded once: what follows is copied.
  encode -i "$OUT/once.wav" -ar 44100 -b:a 64k "$OUT/once.mp3"
  encode -i "$OUT/once.wav" -ar 44100 -ac 2 -b:a 96k "$OUT/once.m4a"
  repeated "$OUT/once.mp3" "$SECS" "$OUT/recordings/long.mp3" -c copy
  repeated "$OUT/once.m4a" "$SECS" "$OUT/recordings/long.m4a" -c copy
  ;;
esac

say "measuring, $(nproc) cores of $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), revision $(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
node tests/browser/measure-page.mjs --site "$SITE" --recordings "$OUT/recordings" --out "$OUT/table.json" ${1:+--only "$1"} | tee "$OUT/table.md"
say "the modules, gzip -9"
for module in "$SITE"/*_bg.wasm; do
  printf '%9d bytes  %s\n' "$(gzip -9 -c "$module" | wc -c)" "$(basename "$module")"
done | tee "$OUT/sizes.txt"
rm -r "$OUT/recordings"
