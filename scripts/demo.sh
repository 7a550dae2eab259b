#!/usr/bin/env bash
# Transcribes a clip as soon as `fledge` stands, serves the shipped students as soon as the page's CPU
# engine does, trains the quick family, then builds what takes longest: the GPU halves of page and
# trainer.
# PORT: where to serve. CORPUS: a NeMo-style manifest of your own speech instead of the starter's.
# PHRASES: a list of phrases or a grammar; the shipped English students are adapted to it instead of
# training a family. RECORDINGS: with it, a folder of your own recordings (`fledge adapt --record`).
# SERVE=no: end when all is built instead of serving on, to time a first run.
# SET: overrides of the recipe that trains a family, such as SET='teach.epochs=4 distill.epochs=4'.
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/stages.sh"
cd "$ROOT"
PORT=${PORT:-8080}
CORPUS=${CORPUS:-}
PHRASES=${PHRASES:-}
RECORDINGS=${RECORDINGS:-}
MINUTES=${MINUTES:-10}
RUN=$ROOT/runs/demo

if (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; then
  die "port $PORT is in use: stop what listens there, or choose another with 'make demo PORT=8081'"
fi
[ -z "$CORPUS" ] || [ -f "$CORPUS" ] || die "CORPUS=$CORPUS is not a file: give the path of a JSONL manifest (README, \"Your own speech\")"

[ -z "$PHRASES" ] || [ -f "$PHRASES" ] || die "PHRASES=$PHRASES is not a file: give the path of a list of phrases (README, \"Your own words\")"
[ -z "$PHRASES" ] || [ -z "$CORPUS" ] || die "PHRASES and CORPUS are two demos: give one of them"

# Seconds on two idle cores, from empty caches where nothing is built yet: `stage_seconds` at the end of
#   FLEDGE_CACHE=$(mktemp -d) SERVE=no make demo
if [ -e "$FULL_BUILD" ]; then
  plan 20 "fledge"
else
  plan 345 "fledge for the CPU, and beside it the page's tools and modules"
fi
if [ -e "$FULL_SITE" ]; then
  plan 20 "the page"
else
  plan 170 "the page with the shipped students"
fi
if [ -n "$PHRASES" ]; then
  plan $((MINUTES * 60)) "adapting two students to $(basename "$PHRASES")"
else
  plan 220 "training a teacher and three students"
fi
graphics=0
[ -e "$FULL_SITE" ] || graphics=$((graphics + 295))
[ -e "$FULL_BUILD" ] || graphics=$((graphics + 426))
[ $graphics = 0 ] || plan $graphics "the graphics halves of page and fledge"

need_rust
fetch_crates
stage
if [ ! -e "$FULL_SITE" ]; then
  # In front, because it may ask for a password.
  (. "$ROOT/scripts/wasm-toolchain.sh")
  beside "$FLEDGE_CACHE/web-tools.log" "$ROOT/scripts/install-web-tools.sh"
  web_tools=$BESIDE
  beside "$FLEDGE_CACHE/web-modules.log" "$ROOT/scripts/build-modules.sh" --cpu-only
  web_modules=$BESIDE
fi
# Whoever has built the whole binary keeps using it; the CPU half alone is there in a third of the time.
if [ -e "$FULL_BUILD" ]; then
  build_fledge
else
  build_fledge_for_the_cpu
fi
transcribe=(transcribe www/samples/turn-on-the-kitchen-light.wav --model www/models/quick-medium)
say "fledge transcribes after $SECONDS s: $FLEDGE_BIN ${transcribe[*]}"
"$FLEDGE_BIN" "${transcribe[@]}" --device cpu --quiet

recipe=(recipes/quick.toml)
if [ -n "$CORPUS" ]; then
  RUN=$ROOT/runs/demo-$(printf '%s' "$(realpath "$CORPUS")" | cksum | cut -d' ' -f1)
  recipe+=(--set "name=own" --set "data.train=$CORPUS" --set "data.dev=" --set "data.test={}")
  "$FLEDGE_BIN" check "$CORPUS" >/dev/null || die "fix the entries above in $CORPUS, then run the command again"
fi

for override in ${SET:-}; do
  recipe+=(--set "$override")
done

family='"group": "Trained just now on this machine"'
if [ -n "$PHRASES" ]; then
  has espeak-ng || has flite || apt_install "voices that speak the phrases" espeak-ng flite
  # Thresholds that were stored in the list change nothing.
  asked=$(grep -vE '^(#|//)@' "$PHRASES"; printf '%s\n' "$MINUTES" "$RECORDINGS")
  RUN=$ROOT/runs/adapt-$(printf '%s' "$asked" | cksum | cut -d' ' -f1)
  family='"group": "Adapted to your phrases", "lm": "lm/english.bin", "large_lm": "lm/english-large.bin"'
fi

# The students of the run, copied into the served site as a family of their own, behind the shipped ones.
publish_students() {
  local folder name entries=() fresh=() separator='' entry
  for folder in "$RUN"/models/*/; do
    name=$(basename "$folder")
    [ "$name" != teacher ] && [ -d "$folder" ] || continue
    rm -rf "$SITE/models/fresh-$name"
    cp -r "$folder" "$SITE/models/fresh-$name"
    fresh+=("{\"path\": \"fresh-$name\", $family}")
  done
  [ ${#fresh[@]} -gt 0 ] || die "the run in $RUN ended without students"
  # One entry a line.
  mapfile -t entries < <(grep -o '{"path".*}' "$ROOT/www/models/index.json")
  entries+=("${fresh[@]}")
  {
    printf '{"models": ['
    for entry in "${entries[@]}"; do
      printf '%s\n  %s' "$separator" "$entry"
      separator=,
    done
    printf '\n]}\n'
  } >"$SITE/models/index.json.new"
  mv "$SITE/models/index.json.new" "$SITE/models/index.json"
  "$ROOT/scripts/write-catalog.sh"
}

stage
if [ -e "$FULL_SITE" ]; then
  "$ROOT/scripts/build-site.sh"
else
  wait "$web_tools" || die "the page's tools could not be installed: $(tail -n 1 "$FLEDGE_CACHE/web-tools.log")"
  wait "$web_modules" || die "the page's modules did not compile: see $FLEDGE_CACHE/web-modules.log"
  "$ROOT/scripts/build-site.sh" --cpu-only
fi
# A copy: the binary is built anew below while this one serves.
cp "$FLEDGE_BIN" "$FLEDGE_CACHE/fledge-serving"
"$FLEDGE_CACHE/fledge-serving" serve "$SITE" --port "$PORT" &
server=$!
at_exit "kill $server 2>/dev/null"
sleep 1
kill -0 $server 2>/dev/null || die "the site could not be served on port $PORT"
say "the shipped students are at http://127.0.0.1:$PORT after $SECONDS s - training yours now"

stage
if [ -n "$PHRASES" ]; then
  "$FLEDGE_BIN" adapt --phrases "$PHRASES" --from www/models/english-small,english-tiny \
    --run "$RUN" --minutes "$MINUTES" ${RECORDINGS:+--recordings "$RECORDINGS"}
else
  "$FLEDGE_BIN" run "${recipe[@]}" --run "$RUN"
fi
publish_students
say "reload http://127.0.0.1:$PORT - the fresh students are a family of their own, under Settings, after $SECONDS s"

[ $graphics = 0 ] || stage
if [ ! -e "$FULL_BUILD" ]; then
  beside "$FLEDGE_CACHE/fledge.log" build_fledge
  fledge=$BESIDE
fi
if [ ! -e "$FULL_SITE" ]; then
  "$ROOT/scripts/build-site.sh"
  publish_students
  say "the page has its WebGPU engine now, after $SECONDS s"
fi
[ -z "${fledge:-}" ] || wait "$fledge" ||
  die "fledge did not compile with its graphics half: see $FLEDGE_CACHE/fledge.log"
stage_seconds >&2
[ "${SERVE:-}" != no ] || { say "done after $SECONDS s" && exit; }
say "done after $SECONDS s; Ctrl-C stops the server at http://127.0.0.1:$PORT"
wait $server
