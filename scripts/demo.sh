#!/usr/bin/env bash
# Builds everything, serves the shipped students at once, trains the quick family beside them.
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
build_fledge

recipe=(recipes/quick.toml)
if [ -n "$CORPUS" ]; then
  RUN=$ROOT/runs/demo-$(printf '%s' "$(realpath "$CORPUS")" | cksum | cut -d' ' -f1)
  recipe+=(--set "name=own" --set "data.train=$CORPUS" --set "data.dev=" --set "data.test={}")
  "$FLEDGE_BIN" check "$CORPUS" >/dev/null || die "fix the entries above in $CORPUS, then run the command again"
fi

"$ROOT/scripts/build-site.sh"

# write_index FOLDER...: the page's list of students, in this order; FOLDER[=GROUP].
write_index() {
  local separator='' entry
  {
    printf '{"models": ['
    for entry in "$@"; do
      printf '%s\n  {"path": "%s", "group": "%s"}' "$separator" "${entry%%=*}" "${entry#*=}"
      separator=,
    done
    printf '\n]}\n'
  } >"$SITE/models/index.json.new"
  mv "$SITE/models/index.json.new" "$SITE/models/index.json"
}

"$FLEDGE_BIN" serve "$SITE" --port "$PORT" &
server=$!
trap 'kill $server 2>/dev/null' EXIT
sleep 1
kill -0 $server 2>/dev/null || die "the site could not be served on port $PORT"
say "the shipped students are at http://127.0.0.1:$PORT - training the quick family now"

"$FLEDGE_BIN" run "${recipe[@]}" --run "$RUN"

entries=()
for folder in "$RUN"/models/*/; do
  name=$(basename "$folder")
  [ "$name" != teacher ] || continue
  rm -rf "$SITE/models/fresh-$name"
  cp -r "$folder" "$SITE/models/fresh-$name"
  entries+=("fresh-$name=Trained just now on this machine")
done
[ ${#entries[@]} -gt 0 ] || die "the run in $RUN ended without students"
for folder in "$ROOT"/www/models/*/; do
  entries+=("$(basename "$folder")=Shipped with Fledge")
done
write_index "${entries[@]}"
say "done: reload http://127.0.0.1:$PORT - the fresh students stand first. Ctrl-C stops the server."
wait $server
