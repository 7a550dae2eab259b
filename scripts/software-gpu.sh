# Sourced by the tests: the software adapter that the GPU parity test uses. Mesa's lavapipe, by the
# WGSL path; the test fails where no adapter answers.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
lavapipe=$(ls /usr/share/vulkan/icd.d/lvp_icd*.json 2>/dev/null | head -n 1 || true)
[ -n "$lavapipe" ] || die "no software Vulkan adapter (lavapipe) was found: install mesa-vulkan-drivers"
export VK_DRIVER_FILES=$lavapipe VK_ICD_FILENAMES=$lavapipe
export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-$FLEDGE_CACHE/xdg}
export FLEDGE_PYTHON=$PYTHON
mkdir -p "$XDG_RUNTIME_DIR" && chmod 700 "$XDG_RUNTIME_DIR"
