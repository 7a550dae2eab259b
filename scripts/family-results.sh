#!/usr/bin/env bash
# Error rates of every model folder on every test manifest, greedy and with a language model, as a
# table in Markdown: what RESULTS.md holds for a family.
#   scripts/family-results.sh LM MANIFEST... -- MODEL_FOLDER...
# LIMIT: utterances of each manifest. SETTINGS: a prefix of model folders whose tuned beam search is
# taken instead of a folder's own, such as www/models/english- for the folder small.
. "$(dirname "$0")/common.sh"
usage="usage: scripts/family-results.sh LM MANIFEST... -- MODEL_FOLDER..."
lm=${1:?$usage}
shift
manifests=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  manifests+=("$1")
  shift
done
shift || die "$usage"
[ ${#manifests[@]} -gt 0 ] && [ $# -gt 0 ] || die "$usage"

echo "| manifest | model | parameters | weights | greedy WER % | beam WER % | real-time factor |"
echo "| --- | --- | ---: | --- | ---: | ---: | ---: |"
for manifest in "${manifests[@]}"; do
  for model in "$@"; do
    settings=()
    if [ -n "${SETTINGS:-}" ]; then
      mapfile -t settings < <(node -e '
        const { beam } = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
        for (const [name, value] of Object.entries(beam)) console.log(`--${name.replaceAll("_", "-")}=${value}`);' \
        "$SETTINGS$(basename "$model")/config.json")
    fi
    found=$("$FLEDGE_BIN" evaluate --model "$model" --manifest "$manifest" --decoder beam --lm "$lm" \
      --device cpu ${settings[@]+"${settings[@]}"} ${LIMIT:+--limit "$LIMIT"} --quiet --json) ||
      die "$model could not be measured on $manifest: see the message above"
    node -e '
      const [manifest, model, json] = process.argv.slice(1);
      const found = JSON.parse(json);
      const percent = (value) => (100 * value).toFixed(1);
      const rate = (part) =>
        `${percent(part.wer)} (${percent(part.wer_low)} to ${percent(part.wer_high)})`;
      const cells = [manifest, model, found.parameters.toLocaleString("en"), found.precision,
        rate(found.greedy), rate(found), found.real_time_factor.toFixed(4)];
      console.log(`| ${cells.join(" | ")} |`);' \
      "$(basename "$manifest" .jsonl)" "$(basename "$model")" "$found"
  done
done
