#!/usr/bin/env bash
# Uses the built site in headless Chromium as a visitor would, with and without WebGPU.
. "$(dirname "$0")/common.sh"
export FLEDGE_BIN FLEDGE_SITE=$SITE
export FLEDGE_SCREENSHOTS=${FLEDGE_SCREENSHOTS:-$FLEDGE_CACHE/screenshots}
mkdir -p "$FLEDGE_SCREENSHOTS"
cd "$ROOT"
node --test --test-concurrency=1 tests/browser/*.test.mjs
