#!/usr/bin/env bash
# Checks the graphics card of this machine: whether it trains as the CPU does, and how fast. Needs a
# fledge built with graphics support and this clone's recipes and starter corpus; no network and no
# Rust. Prints one Markdown table, kept as gpu-check.md in the folder of --out with gpu-check.json
# beside it; the exit code is 0 if everything passed. At most 8 minutes.
#
#   scripts/gpu-check.sh [--fledge PROGRAM] [--out DIR] [--small] [OPTION OF fledge bench gpu]...
#
# --small: sizes for an adapter that is emulated on the CPU, which is accepted then.
. "$(dirname "$0")/common.sh"

fledge=$FLEDGE_BIN
out=$ROOT/runs/gpu-check
small=()
options=()
while [ $# -gt 0 ]; do
  case $1 in
    --fledge | --out)
      [ $# -ge 2 ] || die "$1 needs a value"
      if [ "$1" = --fledge ]; then fledge=$2; else out=$2; fi
      shift 2
      ;;
    --small)
      small=(--recipe "$ROOT/recipes/smallest.toml" --batch-seconds 2,4 --utterance-seconds 1
        --repeats 1 --parity-steps 3 --allow-software-adapter
        # It is about what is computed; how long that takes is the machine's.
        --budget-seconds 4800)
      shift
      ;;
    *)
      options+=("$1")
      shift
      ;;
  esac
done
[ -x "$fledge" ] || die "there is no program $fledge: build it with 'cargo build --release -p trainer', or name one with --fledge"
if [ ${#small[@]} -eq 0 ]; then
  # The recipe's own batches of 12 s are for two cores; a graphics card waits for launches then.
  small=(--recipe "$ROOT/recipes/quick.toml" --set data.batch_seconds=160
    --pytorch "$ROOT/trainer/benches/pytorch/teacher_step.py")
fi
# In containers NVIDIA's driver lies where the Vulkan loader does not look.
container_driver=/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json
if [ -z "${VK_DRIVER_FILES:-}" ] && [ -e "$container_driver" ]; then
  export VK_DRIVER_FILES=$container_driver
fi
mkdir -p "$out"

{
  revision=$(git -C "$ROOT" rev-parse --short HEAD 2>/dev/null || true)
  printf '%s, %s, revision %s, %s\n\n' "$("$fledge" --version)" "$(date -u +%F)" "${revision:-unknown}" \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)"
  "$fledge" bench gpu "${small[@]}" --out "$out" "${options[@]}"
} | tee "$out/gpu-check.md"
