#!/usr/bin/env bash
# What the assembler says of the kernels: compiles each source once more for each architecture, and fails when a kernel
# spills registers, keeps a stack frame, or gets a message that the assembler calls "info" and that costs speed (it
# serialises wgmma, or ignores setmaxnreg).
#   ptxas_test.sh <nvcc> <include folder> <source>...
set -euo pipefail

fail() { echo "FAILED: $*" >&2; exit 1; }

[[ $# -ge 3 ]] || fail "usage: ptxas_test.sh <nvcc> <include folder> <source>..."
nvcc=$1 include=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

kernels=0
for source in "$@"; do
    for architecture in sm_80 sm_90a; do
        report=$("$nvcc" -std=c++17 -arch="$architecture" -cubin --fmad=false -I "$include" -I "$include/include" \
            -Xptxas -v,--warn-on-spills,--warn-on-local-memory-usage "$source" -o "$work/kernel.cubin" 2>&1) ||
            fail "$source does not compile for $architecture:"$'\n'"$report"
        if grep -E 'warning|C75(08|1[0-9])|[1-9][0-9]* bytes (stack frame|spill)' <<< "$report"; then
            fail "$source for $architecture: see above"
        fi
        found=$(grep -c 'Compiling entry function' <<< "$report" || true)
        [[ $found -gt 0 ]] || fail "$source has no kernel"
        kernels=$((kernels + found))
        awk -v target="$architecture" -v name="$(basename "$source")" '
            /Used [0-9]+ registers/ { for (i = 1; i < NF; i++) if ($i == "Used" && $(i + 1) > most) most = $(i + 1) }
            END { print name " for " target ": at most " most " registers, nothing spilled" }' <<< "$report"
    done
done
echo "$kernels kernels"
