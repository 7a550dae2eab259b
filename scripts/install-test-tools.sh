#!/usr/bin/env bash
# Installs what only the tests need, each only if absent: a software Vulkan adapter, a browser and
# its driver, Node.js, Python's safetensors.
. "$(dirname "$0")/common.sh"

[ -n "$(ls /usr/share/vulkan/icd.d/lvp_icd*.json 2>/dev/null)" ] && ldconfig -p | grep -q libvulkan.so.1 ||
  apt_install "the GPU parity test (software Vulkan)" mesa-vulkan-drivers libvulkan1
has chromium || apt_install "the browser tests" chromium
has node && has npm || apt_install "the browser tests" nodejs npm

# Python reads our files as the outside world would.
VENV=$FLEDGE_CACHE/python
if [ ! -x "$VENV/bin/python" ]; then
  has python3 || apt_install "the test that Python reads our model files" python3 python3-venv
  python3 -m venv "$VENV" || {
    apt_install "the test that Python reads our model files" python3-venv
    python3 -m venv "$VENV"
  }
fi
"$VENV/bin/python" -c 'import safetensors, numpy' 2>/dev/null || {
  say "installing safetensors and numpy from PyPI"
  "$VENV/bin/python" -m pip install -q safetensors==0.8.0 numpy ||
    die "safetensors could not be installed from PyPI: check the network, then run the command again"
}

BROWSER_TOOLS=$FLEDGE_CACHE/browser-tools
if [ ! -d "$BROWSER_TOOLS/node_modules/playwright-core" ]; then
  say "installing playwright-core from npm"
  mkdir -p "$BROWSER_TOOLS"
  (cd "$BROWSER_TOOLS" && npm install --silent --no-save --no-package-lock playwright-core@1.65.1 >/dev/null) ||
    die "playwright-core could not be installed from npm: check the network, then run the command again"
fi
ln -sfn "$BROWSER_TOOLS/node_modules" "$ROOT/tests/browser/node_modules"
