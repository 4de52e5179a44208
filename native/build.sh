#!/bin/sh
# Builds the native libraries for the Java build, which calls this script; CMake alone works as well.
#
#   native/build.sh auto|require BUILD_DIR RESOURCE_DIR VERSION
#       builds into BUILD_DIR and lays the libraries, each with a .properties file, where the jar takes them
#       from: RESOURCE_DIR/META-INF/native/linux-x86_64. Without the tools, auto says so in one line and
#       succeeds; require fails. A compiler's error fails in both.
#   native/build.sh test BUILD_DIR
#       runs the native tests of that build, if there is one
set -eu
source=$(cd -P "$(dirname "$0")/.." && pwd)

usage() {
    echo "usage: native/build.sh auto|require BUILD_DIR RESOURCE_DIR VERSION | test BUILD_DIR" >&2
    exit 2
}

# Prints what is missing and how to get it; nothing when all is there.
missing_tool() {
    if [ "$(uname -s)-$(uname -m)" != Linux-x86_64 ]; then
        echo "natives are built for Linux x86-64 only"
    elif ! compiler_is_there; then
        echo "no C++ compiler${CXX:+ called $CXX} (install g++ or clang++, or set CXX)"
    elif ! command -v cmake >/dev/null 2>&1; then
        echo "no CMake (install cmake 3.25 or newer)"
    elif ! cmake_is_new_enough; then
        echo "CMake is older than 3.25 (install cmake 3.25 or newer)"
    elif ! command -v ninja >/dev/null 2>&1 && ! command -v make >/dev/null 2>&1; then
        echo "neither Ninja nor Make (install ninja-build or make)"
    fi
}

# CMake looks for the same names.
compiler_is_there() {
    for compiler in ${CXX:-c++ g++ clang++}; do
        if command -v "$compiler" >/dev/null 2>&1; then return 0; fi
    done
    return 1
}

cmake_is_new_enough() {
    version=$(cmake --version | sed -n 's/^cmake version \([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
    # shellcheck disable=SC2086 # two words: major and minor
    set -- $version
    [ "$1" -gt 3 ] || { [ "$1" -eq 3 ] && [ "$2" -ge 25 ]; }
}

run_tests() {
    if [ ! -f "$1/CTestTestfile.cmake" ]; then
        echo "native tests skipped: natives were not built"
        return
    fi
    ctest --test-dir "$1" --output-on-failure --no-tests=ignore
}

# Replaces a file only when its content changes, so that nothing after it is redone.
replace_if_changed() {
    if cmp -s "$1" "$2"; then rm "$1"; else mv "$1" "$2"; fi
}

package() {
    # One file at a time is replaced, and what is no longer built is removed.
    folder=$2/META-INF/native/linux-x86_64
    mkdir -p "$folder"
    for packaged in "$folder"/*.so; do
        if [ -f "$packaged" ] && [ ! -f "$1/lib/$(basename "$packaged")" ]; then
            rm -f "$packaged" "${packaged%.so}.properties"
        fi
    done
    for library in "$1"/lib/libfiligree*.so; do
        name=$(basename "$library" .so)
        cp "$library" "$folder/$name.so.new"
        replace_if_changed "$folder/$name.so.new" "$folder/$name.so"
        # A library's header has its name: libfiligree_cuda.so is declared in filigree_cuda.h.
        abi=$(sed -n 's/^#define [A-Z_]*_ABI_VERSION \([0-9]*\)$/\1/p' "$source/native/include/${name#lib}.h")
        sha256=$(sha256sum "$library" | cut -d ' ' -f 1)
        printf 'version=%s\nabi=%s\nsha256=%s\n' "$3" "$abi" "$sha256" > "$folder/$name.properties.new"
        replace_if_changed "$folder/$name.properties.new" "$folder/$name.properties"
    done
}

case ${1:-} in
    test)
        [ $# -eq 2 ] || usage
        run_tests "$2"
        exit 0 ;;
    auto|require) [ $# -eq 4 ] || usage ;;
    *)
        echo "filigree.native=${1:-}: must be auto, skip or require" >&2
        usage ;;
esac
mode=$1 build=$2 resources=$3 version=$4

missing=$(missing_tool)
if [ -n "$missing" ]; then
    echo "natives skipped: $missing"
    rm -rf "$resources/META-INF/native"
    [ "$mode" = auto ]
    exit
fi

# CMake reconfigures by itself when its own files change; this configures only what is new or lay elsewhere.
if ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$source" "$build/CMakeCache.txt" 2>/dev/null; then
    rm -rf "$build/CMakeCache.txt" "$build/CMakeFiles"
    mkdir -p "$build"
    generator=
    command -v ninja >/dev/null 2>&1 || generator="Unix Makefiles"
    cmake -S "$source" --preset release -B "$build" ${generator:+-G "$generator"} > "$build.log" 2>&1 || {
        cat "$build.log" >&2
        exit 1
    }
fi
cmake --build "$build" --parallel
package "$build" "$resources" "$version"
