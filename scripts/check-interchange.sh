#!/usr/bin/env bash
# Runs exported models in other people's programs (sherpa-onnx, onnxruntime, transformers.js) and holds what
# they write against Fledge: `scripts/check-interchange.sh [MODEL [MANIFEST [LM]]]`. Ends with an error where
# they differ by more than they may. Prints a table, which stays in runs/interchange.
# MODEL: a model folder. MANIFEST: 16 kHz audio with texts. LM: a language model for sherpa-onnx's graph.
# FLEDGE: the program, where it is not to be built. LIMIT: use only so many utterances.
. "$(dirname "$0")/common.sh"
cd "$ROOT"
MODEL=${1:-www/models/quick-medium}
MANIFEST=${2:-trainer/corpus/test.jsonl}
LM=${3:-www/models/lm/english.bin}
OUT=$ROOT/runs/interchange
SHERPA_VERSION=2.0.1
SHERPA_NODE_VERSION=1.13.8
ONNXRUNTIME_VERSION=1.32.0
TRANSFORMERS_JS_VERSION=4.3.2
ENVIRONMENT=$FLEDGE_CACHE/interchange

if [ -z "${FLEDGE:-}" ]; then
  need_rust
  build_fledge_for_the_cpu
  FLEDGE=$FLEDGE_BIN
fi
has node || die "node was not found: install Node.js 20 or later, then run the command again"
has cc || apt_install "compiling the C example" gcc libc6-dev

# The environment's own, so that no other tool's packages change under it.
if [ ! -f "$ENVIRONMENT/ready-$SHERPA_VERSION-$ONNXRUNTIME_VERSION" ]; then
  say "installing sherpa-onnx and onnxruntime from PyPI"
  rm -rf "$ENVIRONMENT/python" "$ENVIRONMENT"/ready-*
  mkdir -p "$ENVIRONMENT"
  python3 -m venv "$ENVIRONMENT/python" ||
    die "python3 could not make an environment: install python3 with its venv module, then run the command again"
  "$ENVIRONMENT/python/bin/pip" install -q "sherpa-onnx==$SHERPA_VERSION" "onnxruntime==$ONNXRUNTIME_VERSION" \
    numpy safetensors soundfile ||
    die "the packages could not be installed from PyPI: check the network, then run the command again"
  touch "$ENVIRONMENT/ready-$SHERPA_VERSION-$ONNXRUNTIME_VERSION"
fi
if [ ! -f "$ENVIRONMENT/node-ready-$SHERPA_NODE_VERSION-$TRANSFORMERS_JS_VERSION" ]; then
  say "installing sherpa-onnx and transformers.js from npm"
  rm -rf "$ENVIRONMENT/node_modules" "$ENVIRONMENT"/node-ready-*
  echo '{"private": true}' >"$ENVIRONMENT/package.json"
  # Without scripts: those would fetch graphics libraries.
  (cd "$ENVIRONMENT" && npm install --silent --ignore-scripts --no-package-lock --no-audit --no-fund \
    "sherpa-onnx@$SHERPA_NODE_VERSION" "@huggingface/transformers@$TRANSFORMERS_JS_VERSION" >/dev/null) ||
    die "the packages could not be installed from npm: check the network, then run the command again"
  touch "$ENVIRONMENT/node-ready-$SHERPA_NODE_VERSION-$TRANSFORMERS_JS_VERSION"
fi

rm -rf "$OUT"
mkdir -p "$OUT"
say "exporting $MODEL"
for precision in int8 f32; do
  "$FLEDGE" export --model "$MODEL" --format onnx --precision "$precision" --lm "$LM" --out "$OUT/$precision"
done
"$FLEDGE" export --model "$MODEL" --precision f32 --out "$OUT/model-f32" >/dev/null
"$FLEDGE" export --model "$MODEL" --precision f16 --out "$OUT/model-f16" >/dev/null

PATH="$ENVIRONMENT/python/bin:$PATH" NODE_PATH=$ENVIRONMENT/node_modules \
  python scripts/interchange/check.py --fledge "$FLEDGE" --model "$MODEL" --manifest "$MANIFEST" --lm "$LM" \
  --out "$OUT" --node-modules "$ENVIRONMENT/node_modules" ${LIMIT:+--limit "$LIMIT"} | tee "$OUT/table.md"
