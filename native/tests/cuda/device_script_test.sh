#!/usr/bin/env bash
# bench/device.sh builds what it needs, and says so in one line where it cannot go on.
#   device_script_test.sh <repository> <work folder>
set -euo pipefail

fail() { echo "FAILED: $*" >&2; exit 1; }

# says EXIT TEXT COMMAND...: how a command ends, and what is in its last words
says() {
    local want=$1 text=$2 code=0 output
    shift 2
    output=$("$@" 2>&1) || code=$?
    [[ $code == "$want" ]] || fail "$*: exit $code, not $want:"$'\n'"$output"
    [[ $(tail -n 1 <<< "$output") == *"$text"* ]] || fail "$*: no \"$text\" in:"$'\n'"$output"
}

script=$1/bench/device.sh
out=$2
says 2 'unknown option --fast' "$script" --fast
says 2 'there is no file nowhere.smtx' "$script" nowhere.smtx
says 2 '--out needs a folder' "$script" --out
says 2 'there is no runtime in nowhere' "$script" --java nowhere
says 3 'there is nothing built in' "$script" --out "$out/nothing" --built
says 0 '' "$script" --out "$out" --build-only
for program in spmm_csr_f32_test spmm_bitmap_bf16_test device_bench; do
    [[ -x $out/$program ]] || fail "$program was not built"
done
if ! "$out/device_bench" --check 2> /dev/null; then
    says 3 'there is no GPU to measure' "$script" --out "$out" --built
    says 3 'no device to measure' "$out/device_bench" --check
    says 3 'no device to measure' "$out/device_bench" "$out/none.json"
    [[ ! -e $out/none.json ]] || fail "figures of nothing were written"
fi
if command -v python3 > /dev/null; then
    python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' "$1/bench/device_torch.py" ||
        fail "device_torch.py is no Python"
fi

# What comes after the check, with programs that stand for the real ones: a step that fails stops none of the others.
stub() { mkdir -p "$(dirname "$1")"; printf '#!/bin/sh\n%s\n' "$2" > "$1"; chmod +x "$1"; }
fake=$out/fake
stub "$fake/device_bench" '[ "$1" = --check ] || echo "figures in $1"'
stub "$fake/spmm_csr_f32_test" 'echo right'
stub "$fake/spmm_bitmap_bf16_test" 'echo right'
stub "$fake/java/bin/java" 'echo plans'
says 0 "figures in $fake/device.json" "$script" --out "$fake" --built --quick --java "$fake/java"
stub "$fake/spmm_csr_f32_test" 'echo wrong; exit 1'
says 1 'the suite of f32, against the sums in double (exit 1)' "$script" --out "$fake" --built --quick
said=$("$script" --out "$fake" --built --quick 2>&1 || true)
grep -q "^figures in $fake/device.json" <<< "$said" || fail "a suite that fails keeps figures from being taken"
echo "it builds, knows what is missing, and goes through all steps"
