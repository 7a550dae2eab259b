#!/usr/bin/env bash
# Makes the package that puts Fledge on another site, from the built one: `npm pack` and any static
# server take the folder as it is.
#   scripts/package.sh [FOLDER]     default: dist/package
. "$(dirname "$0")/common.sh"
cd "$ROOT"
[ -f "$SITE/models/catalog.json" ] || die "the site is not built: run 'make site' first"
OUT=${1:-$ROOT/dist/package}
rm -rf "$OUT"
mkdir -p "$OUT/models"
for name in audio-file audio-file-all engine-cpu engine-webgpu; do
  # A site that was built for the CPU only has no GPU engine.
  [ ! -f "$SITE/$name.js" ] || cp "$SITE/$name.js" "$SITE/${name}_bg.wasm" "$OUT/"
done
cp "$SITE"/fledge*.js "$SITE"/{fledge.d.ts,worker.js,recorder.js} LICENSE-MIT LICENSE-APACHE "$OUT/"
cp -r "$SITE/examples" "$OUT/"
# The first family, with its language models.
family=$(sed -n 's/.*"group": "\([^"]*\)".*/\1/p' "$SITE/models/index.json" | head -n 1)
grep -o '{"path".*}' "$SITE/models/index.json" | grep -F "\"group\": \"$family\"" >"$OUT/models/entries"
while read -r entry; do
  path=$(sed 's/.*"path": "\([^"]*\)".*/\1/' <<<"$entry")
  cp -r "$SITE/models/$path" "$OUT/models/"
done <"$OUT/models/entries"
[ ! -d "$SITE/models/lm" ] || cp -r "$SITE/models/lm" "$OUT/models/"
{
  echo '{"models": ['
  paste -sd, "$OUT/models/entries"
  echo ']}'
} >"$OUT/models/index.json"
rm "$OUT/models/entries"
"$ROOT/scripts/write-catalog.sh" "$OUT"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
cat >"$OUT/package.json" <<EOF
{
  "name": "fledge-speech",
  "version": "$version",
  "description": "Small English speech recognisers that run in the browser",
  "license": "(MIT OR Apache-2.0) AND CC-BY-SA-4.0",
  "type": "module",
  "exports": {
    ".": { "types": "./fledge.d.ts", "default": "./fledge.js" },
    "./fledge-mic.js": "./fledge-mic.js",
    "./fledge-speech.js": "./fledge-speech.js",
    "./*": "./*"
  },
  "types": "./fledge.d.ts",
  "sideEffects": ["./fledge-mic.js"]
}
EOF
size() { gzip -9 -c "$@" | wc -c | awk '{ printf "%.0f kB", $1 / 1000 }'; }
{
  cat www/package-readme.md
  echo
  echo '| file | compressed |'
  echo '| --- | ---: |'
  echo "| fledge.js with its parts, worker.js, recorder.js | $(size "$OUT"/{fledge,fledge-audio,fledge-live,fledge-results,fledge-worker,worker,recorder}.js) |"
  echo "| engine-cpu | $(size "$OUT"/engine-cpu{.js,_bg.wasm}) |"
  [ ! -f "$OUT/engine-webgpu.js" ] || echo "| engine-webgpu, instead of it on request | $(size "$OUT"/engine-webgpu{.js,_bg.wasm}) |"
  echo "| audio-file, with the first file | $(size "$OUT"/audio-file{.js,_bg.wasm}) |"
  echo "| audio-file-all, with the first one that it does not know (MP4, AAC, Opus, WebM, AIFF, CAF) | $(size "$OUT"/audio-file-all{.js,_bg.wasm}) |"
  for model in "$OUT"/models/*/model-q8.safetensors; do
    echo "| $(basename "$(dirname "$model")") | $(size "$model") |"
  done
  [ ! -f "$OUT/models/lm/english.bin" ] || echo "| their language model, shared | $(size "$OUT/models/lm/english.bin") |"
  [ ! -f "$OUT/models/lm/english-large.bin" ] || echo "| the large one, instead of it on request | $(size "$OUT/models/lm/english-large.bin") |"
} >"$OUT/README.md"
say "the package is in $OUT: $(du -sh "$OUT" | cut -f1)"
