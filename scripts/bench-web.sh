#!/usr/bin/env bash
# Times every shipped student and three untrained sizes on one thread: native, WebAssembly, and
# onnxruntime with the same weights beside both. Writes runs/bench-web. `make bench-web`.
# REPEATS: timed runs of each. WEBGPU=1: the GPU engine too (minutes on a software adapter).
. "$(dirname "$0")/common.sh"
cd "$ROOT"
REPEATS=${REPEATS:-30}
OUT=$ROOT/runs/bench-web
ORT_VERSION=1.23.2
ORT_WEB_VERSION=1.30.0

need_rust
fetch_crates
build_fledge
"$ROOT/scripts/build-site.sh"
"$ROOT/scripts/install-test-tools.sh"
need_python "onnx, onnxruntime" onnx "onnxruntime==$ORT_VERSION"
need_node onnxruntime-web "$ORT_WEB_VERSION"

rm -rf "$OUT"
mkdir -p "$OUT/onnx"
"$FLEDGE_BIN" bench untrained recipes/browser-sizes.toml --out "$OUT/models"
# The same networks once more, with weights that are multiplied as integers.
"$FLEDGE_BIN" bench untrained recipes/browser-sizes.toml --out "$OUT/int8" --precision int8
for folder in "$OUT"/int8/*/; do mv "$folder" "$OUT/models/$(basename "$folder")-int8"; done
manifests=(www/models/*/manifest.json "$OUT"/models/*/manifest.json)
folders=("${manifests[@]%manifest.json}")
for folder in "${folders[@]}"; do
  # The same network as its f32 twin.
  [[ $folder != "$OUT"/models/*-int8/ ]] || continue
  "$PYTHON" trainer/benches/onnx/export_onnx.py "$folder" "$OUT/onnx/$(basename "$folder").onnx"
done

say "the exported graph against our own network"
clip=www/samples/turn-on-the-kitchen-light.wav
"$FLEDGE_BIN" transcribe "$clip" --model "$OUT/models/1M" --device cpu --quiet --expand-int8 \
  --log-probs "$OUT/log-probs.json" --features "$OUT/features.json" >/dev/null
frames=$("$PYTHON" -c 'import json, sys; print(len(json.load(open(sys.argv[1]))))' "$OUT/features.json")
"$PYTHON" trainer/benches/onnx/export_onnx.py "$OUT/models/1M" "$OUT/checked.onnx" --frames "$frames"
"$PYTHON" trainer/benches/onnx/time_onnx.py "$OUT/checked.onnx" \
  --features "$OUT/features.json" --log-probs "$OUT/log-probs.json"

say "native"
for folder in "${folders[@]}"; do
  "$FLEDGE_BIN" bench inference "$folder" --repeats "$REPEATS" --json >"$OUT/line.json"
  "$PYTHON" -c 'import json, sys; print(json.dumps({**json.load(open(sys.argv[1])), "model": sys.argv[2]}))' \
    "$OUT/line.json" "$(basename "$folder")" >>"$OUT/native.jsonl"
done
"$PYTHON" trainer/benches/onnx/time_onnx.py "$OUT"/onnx/*.onnx --repeats "$REPEATS" >"$OUT/onnx.jsonl"

say "in headless Chromium"
node tests/browser/bench.mjs --site "$SITE" $(printf -- '--models %s ' "$OUT"/models/*/) \
  --onnx "$OUT/onnx" --ort "$BROWSER_TOOLS/node_modules/onnxruntime-web/dist" --repeats "$REPEATS" ${WEBGPU:+--webgpu} >"$OUT/browser.jsonl"

node scripts/bench-table.mjs "$OUT" | tee "$OUT/table.md"
say "the modules, gzip -9"
for module in "$SITE"/*_bg.wasm; do
  printf '%9d bytes  %s\n' "$(gzip -9 -c "$module" | wc -c)" "$(basename "$module")"
done | tee "$OUT/sizes.txt"
