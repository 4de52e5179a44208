#!/usr/bin/env bash
# What a library asks of a machine and shows to it.
#   symbols_test.sh <library> <header> [--kernels <kernels.def>] [--objects <kernel object>...]
set -euo pipefail

# The oldest glibc that the library must load on.
readonly newest_glibc=2.28
# Anything else would have to be installed first. The loader itself is named by thread-local storage.
readonly allowed_libraries='libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 ld-linux-x86-64.so.2'

fail() { echo "FAILED: $*" >&2; exit 1; }

library=$1 header=$2
shift 2
kernels='' objects=()
while (($#)); do
    case $1 in
        --kernels) kernels=$2; shift 2 ;;
        --objects) shift; objects=("$@"); break ;;
        *) fail "unknown option $1" ;;
    esac
done

exported=$(nm -D --defined-only "$library" | awk '{print $3}' | sort -u)
declared=$(tr '\n' ' ' < "$header" | grep -oE 'FILIGREE[A-Z_]*API [^;(]*\bfiligree_[a-z0-9_]+ *\(' |
    grep -oE 'filigree_[a-z0-9_]+ *\($' | tr -d ' (' | sort -u)
[[ -n $declared ]] || fail "no declaration found in $header"
difference=$(diff <(echo "$declared") <(echo "$exported")) ||
    fail "declared in $header (<) but not exported by $library (>), or the reverse:"$'\n'"$difference"

if [[ -n $kernels ]]; then
    for symbol in $(grep -oE '^FILIGREE_KERNEL\(filigree_[a-z0-9_]+' "$kernels" | cut -d'(' -f2); do
        grep -qx "$symbol" <<< "$exported" || fail "$kernels has $symbol, which is not exported"
    done
fi

for version in $(objdump -T "$library" | grep -oE 'GLIBC_[0-9.]+' | sort -u | cut -d_ -f2); do
    newest=$(printf '%s\n' "$version" "$newest_glibc" | sort -V | tail -1)
    [[ $newest == "$newest_glibc" ]] || fail "$library needs glibc $version:
$(objdump -T "$library" | grep "GLIBC_$version")"
done

for needed in $(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
    [[ " $allowed_libraries " == *" $needed "* ]] || fail "$library needs $needed"
done

# A weak function in a kernel's object could replace the one that baseline code calls.
for object in "${objects[@]}"; do
    weak=$(nm -C --defined-only "$object" | awk '$2 ~ /^[VWu]$/')
    [[ -z $weak ]] || fail "$object defines weak symbols:"$'\n'"$weak"
done

echo "$(wc -l <<< "$exported") symbols, as declared; glibc <= $newest_glibc"
