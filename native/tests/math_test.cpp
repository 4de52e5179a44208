// Compares the elementwise functions of cpu/common/math.h with the golden file that Java wrote, bit for bit:
// the scalar versions always, the AVX-512 ones where they are compiled in and the CPU has them.
//
//   math_test activation-golden.csv
//
// A row is an input, then one output a function, as the hexadecimal bits of floats; a NaN stands for any NaN.
// The last row, "sweep", has a hash of each function over four million inputs, for differences too rare for
// the rows.
#include <array>
#include <cinttypes>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "../cpu/common/math.h"

namespace {

constexpr int kFunctions = 9;
constexpr const char* kHeader = "x,exp,sigmoid,tanh,erf,relu,relu-squared,gelu-tanh,gelu-erf,silu";

using Hashes = std::array<std::uint64_t, kFunctions>;

struct Row {
    float x;
    std::array<float, kFunctions> y;
};

std::uint32_t bits(float x) {
    std::uint32_t b;
    std::memcpy(&b, &x, sizeof b);
    return b;
}

float from_bits(std::uint32_t b) {
    float x;
    std::memcpy(&x, &b, sizeof x);
    return x;
}

bool same(float a, float b) {
    return bits(a) == bits(b) || (std::isnan(a) && std::isnan(b));
}

// The functions in the order of the golden file; T is float or __m512.
template <typename T>
T call(int function, T x) {
    switch (function) {
        case 0:
            return filigree::exp(x);
        case 1:
            return filigree::sigmoid(x);
        case 2:
            return filigree::tanh(x);
        case 3:
            return filigree::erf(x);
        case 4:
            return filigree::activate(filigree::kActivationRelu, x);
        case 5:
            return filigree::activate(filigree::kActivationReluSquared, x);
        case 6:
            return filigree::activate(filigree::kActivationGeluTanh, x);
        case 7:
            return filigree::activate(filigree::kActivationGeluErf, x);
        case 8:
            return filigree::activate(filigree::kActivationSilu, x);
        default:
            return filigree::activate(filigree::kActivationNone, x);
    }
}

int failures = 0;

void check(const char* version, int function, float x, float actual, float expected) {
    if (!same(actual, expected) && ++failures <= 20) {
        std::printf("%s function %d at %a (%08" PRIx32 "): %a (%08" PRIx32 "), expected %a (%08" PRIx32 ")\n",
                    version, function, x, bits(x), actual, bits(actual), expected, bits(expected));
    }
}

bool read_golden(const char* path, std::vector<Row>& rows, Hashes& hashes) {
    std::ifstream in(path);
    std::string line;
    if (!std::getline(in, line) || line != kHeader) {
        std::printf("%s: cannot be read, or its first line is not %s\n", path, kHeader);
        return false;
    }
    while (std::getline(in, line)) {
        std::istringstream cells(line);
        std::string first;
        std::getline(cells, first, ',');
        Hashes values;
        for (std::uint64_t& value : values) {
            std::string cell;
            if (!std::getline(cells, cell, ',')) {
                std::printf("%s: short row: %s\n", path, line.c_str());
                return false;
            }
            value = std::strtoull(cell.c_str(), nullptr, 16);
        }
        if (first == "sweep") {
            hashes = values;
            return rows.size() > 300;
        }
        Row row{from_bits(static_cast<std::uint32_t>(std::strtoul(first.c_str(), nullptr, 16))), {}};
        for (int f = 0; f < kFunctions; ++f) {
            row.y[f] = from_bits(static_cast<std::uint32_t>(values[f]));
        }
        rows.push_back(row);
    }
    std::printf("%s: no sweep row\n", path);
    return false;
}

// The inputs of the sweep: all bit patterns by a stride, NaN included, then three ranges where the functions
// bend.
template <typename F>
void sweep(F&& visit) {
    for (std::uint32_t i = 0; i < 1u << 20; ++i) {
        visit(from_bits(i * 4093u));
    }
    for (int i = -(1 << 19); i < 1 << 19; ++i) {
        visit(static_cast<float>(i) * 0x1.7p-13f);
        visit(static_cast<float>(i) * 0x1.1p-16f);
        visit(static_cast<float>(i) * 0x1.5p-20f);
    }
}

// FNV-1a over whole results; every NaN counts as 0x7fc00000.
std::uint64_t hash(int function) {
    std::uint64_t h = 0xcbf29ce484222325u;
    sweep([&](float x) {
        const float y = call(function, x);
        h = (h ^ (std::isnan(y) ? 0x7fc00000u : bits(y))) * 0x100000001b3u;
    });
    return h;
}

#if defined(__AVX512F__)

constexpr int kLanes = 16;

void check16(const char* version, int function, const float* x, const float* expected) {
    float y[kLanes];
    _mm512_storeu_ps(y, call(function, _mm512_loadu_ps(x)));
    for (int lane = 0; lane < kLanes; ++lane) {
        check(version, function, x[lane], y[lane], expected[lane]);
    }
}

void avx512_against_golden(const std::vector<Row>& rows) {
    for (int f = 0; f < kFunctions; ++f) {
        // A window that slides by one: every input meets every lane.
        for (std::size_t first = 0; first < rows.size(); ++first) {
            float x[kLanes];
            float expected[kLanes];
            for (int lane = 0; lane < kLanes; ++lane) {
                const Row& row = rows[(first + lane) % rows.size()];
                x[lane] = row.x;
                expected[lane] = row.y[f];
            }
            check16("avx512", f, x, expected);
        }
    }
}

void avx512_against_scalar() {
    for (int f = 0; f <= kFunctions; ++f) {
        float x[kLanes];
        float expected[kLanes];
        int lane = 0;
        sweep([&](float value) {
            x[lane] = value;
            expected[lane] = call(f, value);
            if (++lane == kLanes) {
                check16("avx512 against scalar", f, x, expected);
                lane = 0;
            }
        });
    }
}

// Softmax's shorter exp, where it may be used: of a vector, and of four.
void nonpositive_exp_against_scalar() {
    constexpr int kFour = 4 * kLanes;
    float x[kFour];
    int lane = 0;
    sweep([&](float value) {
        if (value > 0.0f) return;
        x[lane] = value;
        if (++lane < kFour) return;
        __m512 y[4];
        for (int i = 0; i < 4; ++i) y[i] = _mm512_loadu_ps(x + i * kLanes);
        filigree::exp_nonpositive(y[0], y[1], y[2], y[3]);
        float one[kFour];
        float four[kFour];
        for (int i = 0; i < 4; ++i) {
            _mm512_storeu_ps(one + i * kLanes, filigree::exp_nonpositive(_mm512_loadu_ps(x + i * kLanes)));
            _mm512_storeu_ps(four + i * kLanes, y[i]);
        }
        for (lane = kFour - 1; lane >= 0; --lane) {
            const float expected = filigree::exp(x[lane]);
            check("exp_nonpositive", 0, x[lane], one[lane], expected);
            check("exp_nonpositive of four", 0, x[lane], four[lane], expected);
        }
        lane = 0;
    });
}

#endif

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::printf("usage: math_test activation-golden.csv\n");
        return 2;
    }
    std::vector<Row> rows;
    Hashes hashes{};
    if (!read_golden(argv[1], rows, hashes)) {
        return 1;
    }
    for (const Row& row : rows) {
        for (int f = 0; f < kFunctions; ++f) {
            check("scalar", f, row.x, call(f, row.x), row.y[f]);
        }
        check("scalar", kFunctions, row.x, call(kFunctions, row.x), row.x);
    }
    for (int f = 0; f < kFunctions; ++f) {
        if (hash(f) != hashes[f]) {
            ++failures;
            std::printf("scalar function %d: the sweep has another hash\n", f);
        }
    }
    std::printf("math_test: scalar, %zu golden inputs and a sweep, %d functions\n", rows.size(), kFunctions);
#if defined(__AVX512F__)
    if (__builtin_cpu_supports("avx512f")) {
        avx512_against_golden(rows);
        avx512_against_scalar();
        nonpositive_exp_against_scalar();
        std::printf("math_test: avx512, golden inputs in every lane and the sweep\n");
    } else {
        std::printf("math_test: avx512 compiled in, but not on this CPU\n");
    }
#else
    std::printf("math_test: avx512 not compiled in\n");
#endif
    if (failures != 0) {
        std::printf("math_test: %d mismatches\n", failures);
        return 1;
    }
    return 0;
}
