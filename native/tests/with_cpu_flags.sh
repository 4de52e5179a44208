#!/usr/bin/env bash
# with_cpu_flags.sh <flag>... -- <command>: runs the command where /proc/cpuinfo has all flags, else exits 77.
set -euo pipefail

available=" $(grep -m1 '^flags' /proc/cpuinfo | cut -d: -f2) "
while [[ $1 != -- ]]; do
    [[ $available == *" $1 "* ]] || { echo "SKIPPED: this processor has no $1"; exit 77; }
    shift
done
shift
exec "$@"
