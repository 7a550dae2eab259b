#!/usr/bin/env bash
# Installs what only the tests need, each only if absent: a software Vulkan adapter, browsers and the
# driver of one, Node.js, both kinds of MPI, voices, Python's safetensors.
. "$(dirname "$0")/common.sh"

[ -n "$(ls /usr/share/vulkan/icd.d/lvp_icd*.json 2>/dev/null)" ] && ldconfig -p | grep -q libvulkan.so.1 ||
  apt_install "the GPU parity test (software Vulkan)" mesa-vulkan-drivers libvulkan1
has espeak-ng || apt_install "the test of adaptation" espeak-ng
has chromium || apt_install "the browser tests" chromium
has node && has npm || apt_install "the browser tests" nodejs npm
has ffmpeg || apt_install "the browser tests" ffmpeg
# Their tests are passed over where a system has no such packages.
has firefox-esr || has firefox || (apt_install "the page's test in Firefox" firefox-esr) || true
has WebKitWebDriver && has xvfb-run ||
  (apt_install "the page's test in WebKit" webkit2gtk-driver xvfb xauth) || true

for mpi in openmpi mpich; do
  case $mpi in openmpi) packages="openmpi-bin libopenmpi-dev" ;; *) packages="mpich libmpich-dev" ;; esac
  # shellcheck disable=SC2086
  has "mpirun.$mpi" && has "mpicc.$mpi" || apt_install "the tests of several processes" $packages
done

# Python reads our files as the outside world would.
if [ ! -x "$PYTHON" ]; then
  has python3 || apt_install "the test that Python reads our model files" python3 python3-venv
  python3 -m venv "$FLEDGE_CACHE/python" || {
    apt_install "the test that Python reads our model files" python3-venv
    python3 -m venv "$FLEDGE_CACHE/python"
  }
fi
need_python "safetensors, numpy" safetensors==0.8.0 numpy

need_node playwright-core 1.65.1
need_node axe-core 4.14.1
ln -sfn "$BROWSER_TOOLS/node_modules" "$ROOT/tests/browser/node_modules"
