#!/usr/bin/env bash
# Takes the pictures of README.md from the built page: docs/page.png, docs/page-phone.png, docs/race.webp.
. "$(dirname "$0")/common.sh"
cd "$ROOT"
[ -f "$SITE/models/catalog.json" ] || die "the site is not built: run 'make site' first"
"$ROOT/scripts/install-test-tools.sh"
has img2webp || apt_install "the animation in README.md" webp
work=$(mktemp -d)
at_exit "rm -rf '$work'"
# A second of silence, then somebody reads.
ffmpeg -loglevel error -i www/samples/people/1462-170142-0020.mp3 -i www/samples/people/84-121123-0001.mp3 \
  -filter_complex '[0]adelay=1000[first];[first][1]concat=n=2:v=0:a=1' -ar 16000 -ac 1 "$work/microphone.wav"
node tests/browser/pictures.mjs --site "$SITE" --microphone "$work/microphone.wav" --out docs
