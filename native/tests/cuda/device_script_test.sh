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
echo "it builds, and knows what is missing"
