# Sourced: says which stage of how many begins, and for how long.
#   plan SECONDS NAME   a stage that will run, in the order of running
#   stage               begins the next one
STAGE_NAMES=()
STAGE_SECS=()
STAGE_STARTS=()

plan() {
  STAGE_SECS+=("$1")
  STAGE_NAMES+=("$2")
}

stage() {
  local now=$SECONDS begun=${#STAGE_STARTS[@]} past=0 left=0 i
  for i in "${!STAGE_SECS[@]}"; do
    if [ "$i" -lt "$begun" ]; then
      past=$((past + STAGE_SECS[i]))
    else
      left=$((left + STAGE_SECS[i]))
    fi
  done
  local own=${STAGE_SECS[begun]}
  # At this machine's pace, once it has shown one; much faster means that an earlier run built it.
  if [ "$past" -ge 120 ] && [ $((2 * now)) -ge "$past" ]; then
    left=$((left * now / past))
    own=$((own * now / past))
  fi
  STAGE_STARTS+=("$now")
  say "[$((begun + 1)) of ${#STAGE_NAMES[@]}] ${STAGE_NAMES[begun]}: about $(minutes "$own") ($now s so far, $(minutes "$left") left)"
}

minutes() {
  if [ "$1" -lt 90 ]; then echo "$1 s"; else echo "$((($1 + 30) / 60)) min"; fi
}

# What each stage took, for the tables that `plan` is given.
stage_seconds() {
  local i until
  for i in "${!STAGE_STARTS[@]}"; do
    until=${STAGE_STARTS[i + 1]:-$SECONDS}
    printf '%6d s  %s\n' $((until - STAGE_STARTS[i])) "${STAGE_NAMES[i]}"
  done
}
