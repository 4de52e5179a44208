#!/usr/bin/env bash
# Builds, tests and measures the CUDA kernels on a machine that has a GPU and nvcc, and needs no JVM and no CMake.
#
#   bench/device.sh [--out DIR] [--build-only] [--built] [--quick] [--java DIR] [file.smtx...]
#   bench/device.sh --pack DIR
#
# In order: builds for the machines that the library is built for; runs the suite against the sums in double; measures
# the device's ceilings, then SpMM beside cuBLASLt and cuSPARSE, where they are; runs compute-sanitizer's memcheck and
# racecheck on small cases, and PyTorch on the same products, where they are installed. Writes DIR/device.json (default:
# build/device) and prints a table. Files are patterns to multiply with, too.
#
# --build-only stops after the build; --built takes what was built in DIR as it is, on another machine perhaps; --quick
# leaves the sanitizers out. --pack DIR lays down a Java runtime of some 60 MB with the library, from a machine that has
# a JDK and has built the project; --java DIR takes it, and runs plans on the device: verify, and bench.
#
# It takes eight minutes at most, the build included: what does not fit is left out, and said so. A step that fails does
# not keep the others from running. Exit 1: something was wrong; exit 3: there is no GPU, or no driver, or no nvcc.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly SECONDS_IN_ALL=470
out=build/device build_only='' built='' quick='' java='' pack='' files=()

refuse() { echo "device.sh: $*" >&2; exit 2; }
missing() { echo "device.sh: $*" >&2; exit 3; }
step() { printf '\n=== %s (%d s)\n' "$*" "$SECONDS"; }

while (($#)); do
    case $1 in
        --out|--java|--pack)
            [[ $# -ge 2 ]] || refuse "$1 needs a folder"
            printf -v "${1#--}" '%s' "$2"
            shift ;;
        --build-only) build_only=yes ;;
        --built) built=yes ;;
        --quick) quick=yes ;;
        -*) refuse "unknown option $1 (see the head of this file)" ;;
        *) [[ -f $1 ]] || refuse "there is no file $1"; files+=("$1") ;;
    esac
    shift
done

# A Java runtime, as small as the commands allow, and the jars beside it.
pack() {
    local jlink jar
    jlink=$(command -v "${JAVA_HOME:-}/bin/jlink" || command -v jlink || true)
    [[ -n $jlink ]] || missing "there is no jlink (set JAVA_HOME to a JDK 25)"
    [[ -f bench/target/filigree-bench.jar ]] || missing "the project is not built (run mvn -DskipTests package)"
    [[ ! -e $pack ]] || refuse "$pack is there already"
    "$jlink" --output "$pack" --strip-debug --no-header-files --no-man-pages --compress zip-9 \
        --add-modules java.base,java.logging,java.management,jdk.incubator.vector,jdk.jfr,jdk.management,jdk.unsupported
    mkdir "$pack/jars"
    for jar in bench/target/filigree-bench.jar bench/target/lib/*.jar; do
        # What reads models and draws reports is not needed here, and larger than all else.
        case $jar in *langchain4j*|*onnxruntime*|*xchart*|*commons-math*|*protobuf*) ;; *) cp "$jar" "$pack/jars" ;; esac
    done
    du -sh "$pack"
}

find_nvcc() {
    for nvcc in "${CUDACXX:-}" "$(command -v nvcc || true)" "${CUDA_HOME:-}/bin/nvcc" /usr/local/cuda/bin/nvcc; do
        if [[ -n $nvcc && -x $nvcc ]]; then echo "$nvcc"; return; fi
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

# Objects are built again when a source or a header is newer.
build() {
    local nvcc=$1 running=() source object job program
    for source in "${kernels[@]}" "${programs[@]}" "${shared[@]}"; do
        object=$out/$(basename "$source").o
        if [[ $object -nt $source && -z $(find native \( -name '*.h' -o -name '*.cuh' \) -newer "$object" -print -quit) ]]
        then continue; fi
        "$nvcc" -std=c++17 -O3 -lineinfo --fmad=false "${architectures[@]}" -Xcompiler -ffp-contract=off,-fPIC \
            -I native -I native/include -I native/tests -c "$source" -o "$object" &
        running+=($!)
    done
    for job in "${running[@]}"; do wait "$job" || { echo "device.sh: the build failed" >&2; exit 1; }; done
    local objects=("${kernels[@]##*/}")
    objects=("${objects[@]/#/$out/}")
    for program in "${programs[@]}"; do
        program=$(basename "$program" .cpp)
        local extra=()
        [[ $program == device_bench ]] && extra=("$out/peers.cpp.o")
        "$nvcc" "${objects[@]/%/.o}" "$out/$program.cpp.o" "${extra[@]}" -ldl -lpthread -o "$out/$program"
    done
}

# The folders of the peers' libraries, which come with PyTorch or CuPy as often as with the toolkit, before what is
# looked through anyway. Only the program that measures gets to see them: PyTorch brings its own.
peer_folders() {
    local library found folders=''
    while read -r library; do
        found=$(dirname "$library")
        [[ :$folders: == *:$found:* ]] || folders=$folders$found:
    done < <(timeout 30 find / -xdev -not -path '/proc/*' -not -path '*/stubs/*' \
        \( -name 'libcublasLt.so.*' -o -name 'libcusparse.so.*' -o -name 'libnvJitLink.so.*' \) 2> /dev/null)
    echo "$folders${LD_LIBRARY_PATH:-}"
}

failed=()
# attempt SECONDS WHAT COMMAND...: a step that may fail, or run out of its time or of what is left of all
attempt() {
    local limit=$1 what=$2 left=$((SECONDS_IN_ALL - SECONDS)) code=0
    shift 2
    if ((left < 10)); then
        step "$what: left out, there is no time left"
        return
    fi
    step "$what"
    timeout $((left < limit ? left : limit)) "$@" || code=$?
    if ((code == 124)); then echo "stopped after its time"; fi
    if ((code != 0)); then failed+=("$what (exit $code)"); fi
}

if [[ -n $pack ]]; then
    pack
    exit
fi
[[ -z $java || -x $java/bin/java ]] || refuse "there is no runtime in $java (make it with --pack)"

mkdir -p "$out"
nvcc=$(find_nvcc)
if [[ -n $built || -z $nvcc ]]; then
    if [[ ! -x $out/device_bench ]]; then
        [[ -n $nvcc ]] || missing "there is nothing built in $out, and no nvcc (install a CUDA toolkit, or set CUDACXX)"
        missing "there is nothing built in $out"
    fi
    step "taking what was built in $out"
else
    step "building with $("$nvcc" --version | sed -n 's/.*release \([0-9.]*\).*/nvcc \1/p')"
    build "$nvcc"
fi
[[ -z $build_only ]] || exit 0

# The program knows best: a driver may be there and its tools not.
"$out/device_bench" --check || missing "there is no GPU to measure"
! command -v nvidia-smi > /dev/null || nvidia-smi -L || true

attempt 60 "the suite of f32, against the sums in double" "$out/spmm_csr_f32_test" 400
attempt 60 "the suite of bf16, against the sums in double" "$out/spmm_bitmap_bf16_test" "$fragments" 300
peers=$(peer_folders)
attempt 240 "ceilings, then SpMM and its peers" env "LD_LIBRARY_PATH=$peers" "$out/device_bench" "$out/device.json" "${files[@]}"
if [[ -z $quick ]] && command -v compute-sanitizer > /dev/null; then
    for tool in racecheck memcheck; do
        sanitize=(compute-sanitizer --tool "$tool" --error-exitcode 1)
        attempt 60 "compute-sanitizer $tool, bf16" "${sanitize[@]}" "$out/spmm_bitmap_bf16_test" "$fragments" 12
        attempt 60 "compute-sanitizer $tool, f32" "${sanitize[@]}" "$out/spmm_csr_f32_test" 12
    done
elif [[ -z $quick ]]; then
    step "compute-sanitizer is not installed: left out"
fi
if [[ -n $java ]]; then
    filigree=("$java/bin/java" --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED
        -XX:+UseParallelGC -cp "$java/jars/*" dev.filigree.bench.Main)
    attempt 20 "java: what is here" "${filigree[@]}" info
    attempt 90 "java: plans against the sums in double" "${filigree[@]}" verify --op spmm --backend cuda --cases 300 --seed 1
    for n in 1 16; do
        attempt 60 "java: plan.run, bf16, n $n" "${filigree[@]}" bench spmm --rows 14336 --cols 4096 --sparsity 0.9 --n $n \
            --dtype bf16 --layout token-major --rounds 9 --backend cuda
    done
fi
if command -v python3 > /dev/null && python3 -c 'import torch' 2> /dev/null; then
    attempt 60 "PyTorch, dense" python3 bench/device_torch.py "$out/device.json"
else
    step "PyTorch is not installed: left out"
fi

if ((${#failed[@]} > 0)); then
    step "done, but these failed:"
    printf '  %s\n' "${failed[@]}"
    exit 1
fi
step "done: figures in $out/device.json"
