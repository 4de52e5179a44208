#!/usr/bin/env bash
# Builds, tests and measures the CUDA kernels on a machine that has a GPU and nvcc, and needs no JVM and no CMake.
#
#   bench/device.sh [--out DIR] [--build-only] [--quick] [file.smtx...]
#
# In order: builds for the machines that the library is built for; runs the suite against the sums in double; runs
# compute-sanitizer's memcheck and racecheck on small cases, where it is installed; measures the device's ceilings, then
# SpMM beside cuBLASLt and cuSPARSE, where they are. Writes DIR/device.json (default: build/device) and prints a table.
# --build-only stops after the build, --quick leaves the sanitizers out. Files are patterns to multiply with, too.
# It takes about five minutes. Exit 1: something was wrong; exit 3: there is no GPU, or no driver, or no nvcc.
set -euo pipefail
cd "$(dirname "$0")/.."

out=build/device build_only='' quick='' files=()
while (($#)); do
    case $1 in
        --out) [[ $# -ge 2 ]] || { echo "device.sh: --out needs a folder" >&2; exit 2; }; out=$2; shift ;;
        --build-only) build_only=yes ;;
        --quick) quick=yes ;;
        -*) echo "device.sh: unknown option $1 (see the head of this file)" >&2; exit 2 ;;
        *) [[ -f $1 ]] || { echo "device.sh: there is no file $1" >&2; exit 2; }; files+=("$1") ;;
    esac
    shift
done

step() { printf '\n=== %s (%d s)\n' "$*" "$SECONDS"; }
missing() { echo "device.sh: $*" >&2; exit 3; }

find_nvcc() {
    for nvcc in "${CUDACXX:-}" "$(command -v nvcc || true)" "${CUDA_HOME:-}/bin/nvcc" /usr/local/cuda/bin/nvcc; do
        if [[ -n $nvcc && -x $nvcc ]]; then echo "$nvcc"; return; fi
    done
}

# Objects are built again when a source or a header is newer.
build() {
    local nvcc=$1 sources=("${kernels[@]}" "${programs[@]}" "${shared[@]}") running=() source object
    local newest
    newest=$(find native -name '*.h' -o -name '*.cuh' | xargs ls -t | head -n 1)
    for source in "${sources[@]}"; do
        object=$out/$(basename "$source").o
        if [[ $object -nt $source && $object -nt $newest ]]; then continue; fi
        "$nvcc" -std=c++17 -O3 -lineinfo --fmad=false "${architectures[@]}" -Xcompiler -ffp-contract=off,-fPIC \
            -I native -I native/include -I native/tests -c "$source" -o "$object" &
        running+=($!)
    done
    for job in "${running[@]}"; do wait "$job" || { echo "device.sh: the build failed" >&2; exit 1; }; done
    local objects=("${kernels[@]##*/}") program
    objects=("${objects[@]/#/$out/}")
    for program in "${programs[@]}"; do
        program=$(basename "$program" .cpp)
        local extra=()
        [[ $program == device_bench ]] && extra=("$out/peers.cpp.o")
        "$nvcc" "${objects[@]/%/.o}" "$out/$program.cpp.o" "${extra[@]}" -ldl -o "$out/$program"
    done
}

kernels=(native/cuda/common/device.cu native/cuda/common/memory.cu native/cuda/spmm/spmm_csr_f32.cu
    native/cuda/spmm/spmm_bitmap_bf16.cu)
programs=(native/tests/cuda/spmm_csr_f32_test.cpp native/tests/cuda/spmm_bitmap_bf16_test.cpp
    native/bench/device_bench.cpp)
shared=(native/bench/peers.cpp)
architectures=(-gencode arch=compute_80,code=sm_80 -gencode arch=compute_90a,code=sm_90a
    -gencode arch=compute_80,code=compute_80)
fragments=native/tests/cuda/fragments/m16n8k16.csv

mkdir -p "$out"
nvcc=$(find_nvcc)
if [[ -n $nvcc ]]; then
    step "building with $("$nvcc" --version | sed -n 's/.*release \([0-9.]*\).*/nvcc \1/p')"
    build "$nvcc"
elif [[ -x $out/device_bench ]]; then
    step "there is no nvcc: taking what was built in $out"
else
    missing "there is no nvcc (install a CUDA toolkit, or set CUDACXX), and nothing was built in $out before"
fi
[[ -z $build_only ]] || exit 0

command -v nvidia-smi > /dev/null || missing "there is no GPU to measure: nvidia-smi is not installed"
nvidia-smi -L || missing "there is no GPU to measure: nvidia-smi sees none"

step "the suite, against the sums in double"
"$out/spmm_csr_f32_test" 400
"$out/spmm_bitmap_bf16_test" "$fragments" 300

if [[ -z $quick ]] && command -v compute-sanitizer > /dev/null; then
    for tool in memcheck racecheck; do
        step "compute-sanitizer $tool"
        compute-sanitizer --tool "$tool" --error-exitcode 1 "$out/spmm_csr_f32_test" 12
        compute-sanitizer --tool "$tool" --error-exitcode 1 "$out/spmm_bitmap_bf16_test" "$fragments" 12
    done
elif [[ -z $quick ]]; then
    step "compute-sanitizer is not installed: left out"
fi

# Peers come with PyTorch or CuPy as often as with the toolkit.
for library in libcublasLt.so libcusparse.so libnvJitLink.so; do
    found=$(find / -xdev -name "$library*" -not -path '/proc/*' 2> /dev/null | head -n 1 || true)
    [[ -z $found ]] || export LD_LIBRARY_PATH=$(dirname "$found"):${LD_LIBRARY_PATH:-}
done

step "ceilings, then SpMM and its peers"
"$out/device_bench" "$out/device.json" "${files[@]}"
step "done: figures in $out/device.json"
