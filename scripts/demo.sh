#!/usr/bin/env bash
# Builds the site and serves the shipped students as soon as the CPU engine stands, trains the
# quick family beside them, then builds what takes longest: the GPU halves of page and trainer.
# PORT: where to serve. CORPUS: a NeMo-style manifest of your own speech instead of the starter's.
. "$(dirname "$0")/common.sh"
cd "$ROOT"
PORT=${PORT:-8080}
CORPUS=${CORPUS:-}
RUN=$ROOT/runs/demo

if (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; then
  die "port $PORT is in use: stop what listens there, or choose another with 'make demo PORT=8081'"
fi
[ -z "$CORPUS" ] || [ -f "$CORPUS" ] || die "CORPUS=$CORPUS is not a file: give the path of a JSONL manifest (README, \"Your own speech\")"

need_rust
fetch_crates
# Whoever has built the whole binary keeps using it; the CPU half alone is there in a third of the time.
if [ -e "$FULL_BUILD" ]; then
  build_fledge
else
  build_fledge_for_the_cpu
fi

recipe=(recipes/quick.toml)
if [ -n "$CORPUS" ]; then
  RUN=$ROOT/runs/demo-$(printf '%s' "$(realpath "$CORPUS")" | cksum | cut -d' ' -f1)
  recipe+=(--set "name=own" --set "data.train=$CORPUS" --set "data.dev=" --set "data.test={}")
  "$FLEDGE_BIN" check "$CORPUS" >/dev/null || die "fix the entries above in $CORPUS, then run the command again"
fi

# The students of the run, copied into the served site and listed before the shipped ones.
publish_students() {
  local folder name entries=() separator='' entry
  for folder in "$RUN"/models/*/; do
    name=$(basename "$folder")
    [ "$name" != teacher ] && [ -d "$folder" ] || continue
    rm -rf "$SITE/models/fresh-$name"
    cp -r "$folder" "$SITE/models/fresh-$name"
    entries+=("{\"path\": \"fresh-$name\", \"group\": \"Trained just now on this machine\"}")
  done
  [ ${#entries[@]} -gt 0 ] || die "the run in $RUN ended without students"
  # One entry a line.
  mapfile -O ${#entries[@]} -t entries < <(grep -o '{"path".*}' "$ROOT/www/models/index.json")
  {
    printf '{"models": ['
    for entry in "${entries[@]}"; do
      printf '%s\n  %s' "$separator" "$entry"
      separator=,
    done
    printf '\n]}\n'
  } >"$SITE/models/index.json.new"
  mv "$SITE/models/index.json.new" "$SITE/models/index.json"
}

if [ -e "$FULL_SITE" ]; then
  "$ROOT/scripts/build-site.sh"
else
  "$ROOT/scripts/build-site.sh" --cpu-only
fi
# A copy: the binary is built anew below while this one serves.
cp "$FLEDGE_BIN" "$FLEDGE_CACHE/fledge-serving"
"$FLEDGE_CACHE/fledge-serving" serve "$SITE" --port "$PORT" &
server=$!
trap 'kill $server 2>/dev/null' EXIT
sleep 1
kill -0 $server 2>/dev/null || die "the site could not be served on port $PORT"
say "the shipped students are at http://127.0.0.1:$PORT after $SECONDS s - training yours now"

"$FLEDGE_BIN" run "${recipe[@]}" --run "$RUN"
publish_students
say "reload http://127.0.0.1:$PORT - the fresh students stand first, after $SECONDS s"

if [ ! -e "$FULL_SITE" ]; then
  "$ROOT/scripts/build-site.sh"
  publish_students
  say "the page has its WebGPU engine now, after $SECONDS s"
fi
if [ ! -e "$FULL_BUILD" ]; then
  build_fledge
fi
say "done after $SECONDS s; Ctrl-C stops the server at http://127.0.0.1:$PORT"
wait $server
