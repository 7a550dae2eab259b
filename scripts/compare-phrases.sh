#!/usr/bin/env bash
# Hears the 35 command words and the digits with Fledge, PocketSphinx 5 and sherpa-onnx, as lists and as open
# recognition: `scripts/compare-phrases.sh [CORPUS [MODEL...]]`. Prints a table a list (scripts/compare/phrases.py
# says what is in it), which stays in runs/compare-phrases.md. Needs sox.
# CORPUS: the folder of manifests that README.md lists the sources of. MODEL: model folders.
# FLEDGE: the program, where it is not to be built.
. "$(dirname "$0")/common.sh"
cd "$ROOT"
CORPUS=${1:-../shared/corpus/manifests}
[ $# = 0 ] || shift
[ $# != 0 ] || set -- www/models/english-medium www/models/english-small www/models/english-tiny
POCKETSPHINX_VERSION=5.0.4
SHERPA_VERSION=2.0.1
ENVIRONMENT=$FLEDGE_CACHE/compare

if [ -z "${FLEDGE:-}" ]; then
  need_rust
  build_fledge_for_the_cpu
  FLEDGE=$FLEDGE_BIN
fi
has sox || apt_install "decoding audio for other programs" sox libsox-fmt-mp3

# The environment's own, so that no other tool's packages change under it.
if [ ! -f "$ENVIRONMENT/ready-$POCKETSPHINX_VERSION-$SHERPA_VERSION" ]; then
  say "installing PocketSphinx and sherpa-onnx from PyPI"
  rm -rf "$ENVIRONMENT"
  mkdir -p "$ENVIRONMENT"
  python3 -m venv "$ENVIRONMENT/python" ||
    die "python3 could not make an environment: install python3 with its venv module, then run the command again"
  "$ENVIRONMENT/python/bin/pip" install -q "pocketsphinx==$POCKETSPHINX_VERSION" "sherpa-onnx==$SHERPA_VERSION" numpy ||
    die "the packages could not be installed from PyPI: check the network, then run the command again"
  touch "$ENVIRONMENT/ready-$POCKETSPHINX_VERSION-$SHERPA_VERSION"
fi

mkdir -p runs
"$ENVIRONMENT/python/bin/python" scripts/compare/phrases.py --fledge "$FLEDGE" --reject "$CORPUS/libri-test.jsonl" \
  --list recipes/phrases/speech-commands.txt "$CORPUS/commands-test.jsonl" "$CORPUS/commands-dev.jsonl" \
  --list recipes/phrases/digits.txt "$CORPUS/fsdd-speaker-test.jsonl" "$CORPUS/fsdd-train.jsonl" \
  "$@" | tee runs/compare-phrases.md
