#!/usr/bin/env bash
# `make demo CORPUS=` to its end on a few clips and an epoch of each phase, into a site of its own: the trained
# students are in its list and write something down.
. "$(dirname "$0")/common.sh"
cd "$ROOT"
folder=$(mktemp -d)
at_exit "rm -rf '$folder'"
head -n 40 trainer/corpus/train.jsonl | sed "s|\"audio_filepath\": *\"|&$ROOT/trainer/corpus/|" >"$folder/own speech.jsonl"
corpus="$folder/own speech.jsonl"

demo() {
  CORPUS="$1" PORT=8197 SERVE=no FLEDGE_SITE=$folder/site \
    SET='teach.epochs=1 distill.epochs=1 finetune.epochs=1' scripts/demo.sh
}

sed 's|\.ogg|.none|' "$corpus" >"$folder/broken.jsonl"
if demo "$folder/broken.jsonl" 2>"$folder/refused"; then
  die "a manifest of files that are not there was trained on"
fi
grep -q "fix the entries above in $folder/broken.jsonl" "$folder/refused" || die "$(tail -n 1 "$folder/refused")"

run=$ROOT/runs/demo-$(printf '%s' "$(realpath "$corpus")" | cksum | cut -d' ' -f1)
at_exit "rm -rf '$run'"
demo "$corpus"
for name in medium small tiny; do
  grep -q "\"path\": \"fresh-$name\"" "$folder/site/models/index.json" || die "$name is not in the page's list"
  "$FLEDGE_BIN" transcribe www/samples/stop-the-music.wav --model "$folder/site/models/fresh-$name" --device cpu --quiet >/dev/null ||
    die "$name cannot be used"
done
say "the demo trains on a corpus of one's own and shows the students"
