#!/usr/bin/env bash
# Breaks the CUDA kernels in ways that are easy to miss, one at a time, and expects their tests to fail: a mutant that
# passes is a hole in the tests.
#   mutation_test.sh <c++ compiler> <native folder>
set -euo pipefail

fail() { echo "FAILED: $*" >&2; exit 1; }

[[ $# -eq 2 ]] || fail "usage: mutation_test.sh <c++ compiler> <native folder>"
compiler=$1 native=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R "$native/cuda" "$native/cpu" "$native/include" "$native/tests" "$work"

# compile SOURCE: to an object beside it
compile() {
    "$compiler" -std=c++17 -O1 -w -ffp-contract=off -fno-exceptions -fno-rtti -c -isystem "$work/tests/cuda/sim" \
        -I "$work" -I "$work/include" -I "$work/tests" -I "$work/tests/cuda" -x c++ "$work/$1" -o "$work/$1.o"
}

sources=(cuda/common/device.cu cuda/common/memory.cu cuda/spmm/spmm_csr_f32.cu cuda/spmm/spmm_bitmap_bf16.cu
    tests/cuda/sim/sim.cpp tests/cuda/sim/driver.cpp)
tests=(spmm_csr_f32 spmm_bitmap_bf16)
for source in "${sources[@]}" "${tests[@]/%/_test.cpp}"; do
    case $source in *_test.cpp) source=tests/cuda/$source ;; esac
    compile "$source"
done

# passes NAME: links the test of a kernel, and runs it
passes() {
    local objects=("${sources[@]/#/$work/}")
    "$compiler" "${objects[@]/%/.o}" "$work/tests/cuda/$1_test.cpp.o" -o "$work/$1"
    (timeout 120 "$work/$1" "$native/tests/cuda/fragments/m16n8k16.csv") > /dev/null 2>&1
}

# mutate NAME FROM TO: the text FROM of a kernel's file, which must be there, becomes TO
mutate() {
    local file=cuda/spmm/$1.cuh
    local text
    text=$(< "$native/$file")
    [[ $text == *"$2"* ]] || fail "$1.cuh has no longer: $2"
    printf '%s\n' "${text/"$2"/"$3"}" > "$work/$file"
    compile "cuda/spmm/$1.cu"
    if passes "$1"; then fail "the test of $1 passes with \"$3\" instead of \"$2\""; fi
    cp "$native/$file" "$work/$file"
    mutants=$((mutants + 1))
}

mutants=0
for test in "${tests[@]}"; do passes "$test" || fail "$test fails unchanged"; done

# A tail dropped, a barrier lacking, an index off, an order changed.
mutate spmm_csr_f32 'i < kAhead - 1; ++i)' 'i < kAhead - 2; ++i)'
mutate spmm_csr_f32 $'                add_entries_of_tail<kVector>(sums, entries, count, column, t.n - j);\n            }\n            __syncwarp();' $'                add_entries_of_tail<kVector>(sums, entries, count, column, t.n - j);\n            }'
mutate spmm_csr_f32 'if (v < valid) to[v] = y.x[v];' 'to[v] = y.x[v];'
mutate spmm_csr_f32 'slot = split[1] + int64_t{1}' 'slot = split[1] + int64_t{2}'
mutate spmm_csr_f32 'entry_at(int64_t{at} + kLanes + lane)' 'entry_at(int64_t{at} + kWarp + lane)'
mutate spmm_csr_f32 'int i = Square::first_row(); i < kSquare' 'int i = Square::first_row(); i < kSquare - 1'
mutate spmm_bitmap_bf16 'lane % 4 * 8 + step % 2 * 4' 'lane % 4 * 4 + step % 2 * 8'
mutate spmm_bitmap_bf16 'wait_for_copies<kStages - 2>();' 'wait_for_copies<kStages - 1>();'
mutate spmm_bitmap_bf16 $'        wait_for_copies<kStages - 2>();\n        __syncwarp();' $'        wait_for_copies<kStages - 2>();'
mutate spmm_bitmap_bf16 'if (!is_finite(sum)) sum = exact_sum' 'if (false) sum = exact_sum'
mutate spmm_bitmap_bf16 'if (tile >= held_ + kWarp) hold(tile);' ''
mutate spmm_bitmap_bf16 'lane % 4 == 1 ? 0xffffu : 0xffffffffu' '0xffffu'
mutate spmm_bitmap_bf16 'if (i < tiles) pairs[i]' 'if (i == 0) pairs[i]'
mutate spmm_bitmap_bf16 'if (kWarp + lane_ < chunks)' 'if (false)'
mutate spmm_bitmap_bf16 'if (chunks > 2 * kWarp)' 'if (false)'
mutate spmm_bitmap_bf16 'token < t.tokens ? token : t.tokens - 1' 'token'
mutate spmm_bitmap_bf16 'if (value != kAbsent)' ''
mutate spmm_bitmap_bf16 'at + 1 < left' 'at + 1 <= left'
echo "$mutants mutants were caught"
