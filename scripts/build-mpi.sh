#!/usr/bin/env bash
# Builds the library between fledge and the installed MPI, beside the program. `make mpi`.
. "$(dirname "$0")/common.sh"

[ -x "$FLEDGE_BIN" ] || {
  need_rust
  fetch_crates
  build_fledge_for_the_cpu
}
has "${MPICC:-mpicc}" || apt_install "training with several processes" openmpi-bin libopenmpi-dev
"$FLEDGE_BIN" mpi build --mpicc "${MPICC:-mpicc}"
