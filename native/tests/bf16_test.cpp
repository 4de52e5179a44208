/*
 * bfloat16: conversions against the definition of rounding, sums of pairs against exact arithmetic, and,
 * where this program is compiled for the instruction, the vector forms against the scalar ones.
 */
#include "cpu/common/bf16.h"
#include "testing.h"

#include <cinttypes>
#include <cmath>

using namespace filigree_test;
using namespace filigree;

namespace {

constexpr uint32_t kSpecial[] = {0,      0x8000, 1,      0x8001, 0x7f,   0x80,   0x8080,
                                 0x100,  0x1f80, 0x1fff, 0x2000, 0x3f80, 0xbf80, 0x5f80,
                                 0x7f7f, 0xff7f, 0x7f80, 0xff80, 0x7fc0, 0x7fa0, 0xffc1};

void check_conversions() {
    for (uint32_t bits = 0; bits <= 0xffff; ++bits) {
        const float value = bf16_to_float(static_cast<uint16_t>(bits));
        CHECK(bits_of(value) == bits << 16);
        CHECK(bf16_from_float(value) == (std::isnan(value) ? bits | 0x40 : bits));
        if (std::isnan(value) || (bits & 0x7fff) == 0x7f80) continue;
        /* Below, at and above the middle between this one and the next. */
        CHECK(bf16_from_float(float_of(bits << 16 | 0x7fff)) == bits);
        CHECK(bf16_from_float(float_of(bits << 16 | 0x8000)) == bits + (bits & 1));
        CHECK(bf16_from_float(float_of(bits << 16 | 0x8001)) == bits + 1);
    }
    CHECK(bf16_from_float(float_of(0x7f800001)) == 0x7fc0);
}

struct Sample {
    uint32_t a, b;
    float sum;
};

uint32_t near_exponent(Random &random, uint32_t exponent) {
    return static_cast<uint32_t>(random.next() & 0x807f) | (exponent & 0xff) << 7;
}

/* Pairs and a sum: of every size, or such that the result is near the smallest normal. */
Sample draw(Random &random) {
    if (random.chance(0.5))
        return {static_cast<uint32_t>(random.next()), static_cast<uint32_t>(random.next()),
                float_of(static_cast<uint32_t>(random.next()))};
    const auto exponent = static_cast<uint32_t>(random.between(20, 200));
    const uint32_t lowest = exponent > 97 ? 0 : 97 - exponent;
    const auto any = [&] { return lowest + static_cast<uint32_t>(random.between(0, 39)); };
    const auto fraction =
        static_cast<uint32_t>(random.chance(0.5) ? random.between(0, 7) : random.between(0, 0x7fffff));
    return {near_exponent(random, exponent) | near_exponent(random, exponent) << 16,
            near_exponent(random, any()) | near_exponent(random, any()) << 16,
            float_of(static_cast<uint32_t>(random.next() & 0x80000000) |
                     static_cast<uint32_t>(random.between(0, 3)) << 23 | fraction)};
}

/* One product, added with 113 bits (exact where the result is near the smallest normal) and rounded once
 * to 24. */
float exact_step(float a, float b, float sum) {
    const auto flushed = [](float x) { return std::fabs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x; };
    const float x = flushed(a), y = flushed(b), s = flushed(sum), fused = std::fma(x, y, s);
    const __float128 exact = static_cast<__float128>(x) * y + s;
    const __float128 size = exact < 0 ? -exact : exact;
    if (!std::isfinite(fused) || exact == 0 || size > static_cast<__float128>(0x1p-126)) return fused;
    const auto scaled = static_cast<float>(exact * static_cast<__float128>(0x1p120));
    return std::fabs(scaled) < 0x1p-6f ? std::copysign(0.0f, exact < 0 ? -1.0f : 1.0f)
                                       : std::ldexp(scaled, -120);
}

void check_sum(uint32_t a, uint32_t b, float sum) {
    const float first = exact_step(float_of(a & 0xffff0000), float_of(b & 0xffff0000), sum);
    const float wanted = exact_step(float_of(a << 16), float_of(b << 16), first);
    const float got = multiply_add(a, b, sum);
    if (!same_bits(got, wanted))
        fail("%08" PRIx32 " * %08" PRIx32 " + %a = %a, not %a", a, b, sum, wanted, got);
}

#ifdef __AVX512BF16__

void check_instruction(const Sample *samples) {
    uint32_t a[16], b[16];
    float sum[16], out[16];
    for (int i = 0; i < 16; ++i) a[i] = samples[i].a, b[i] = samples[i].b, sum[i] = samples[i].sum;
    _mm512_storeu_ps(out, dot_pairs(_mm512_loadu_si512(a), _mm512_loadu_si512(b), _mm512_loadu_ps(sum)));
    for (int i = 0; i < 16; ++i) {
        const float wanted = multiply_add(a[i], b[i], sum[i]);
        if (!same_bits(out[i], wanted))
            fail("vdpbf16ps: %08" PRIx32 " * %08" PRIx32 " + %a = %a, not %a", a[i], b[i], sum[i], wanted,
                 out[i]);
    }
    uint16_t halves[16];
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(halves), bf16_from_float(_mm512_loadu_ps(sum)));
    _mm512_storeu_ps(out, bf16_to_float(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(halves))));
    for (int i = 0; i < 16; ++i) {
        CHECK(halves[i] == bf16_from_float(sum[i]));
        CHECK(bits_of(out[i]) == uint32_t{halves[i]} << 16);
    }
}

#endif

} // namespace

int main() {
    check_conversions();
    for (const uint32_t a : kSpecial)
        for (const uint32_t b : kSpecial)
            for (const uint32_t c : kSpecial)
                for (const uint32_t d : kSpecial) {
                    check_sum(a | b << 16, c | d << 16, 1.0f);
                    check_sum(a | b << 16, b | d << 16, bf16_to_float(static_cast<uint16_t>(c)));
                }
    Random random(1116);
    for (int i = 0; i < 1 << 16; ++i) {
        Sample samples[16];
        for (Sample &sample : samples) {
            sample = draw(random);
            check_sum(sample.a, sample.b, sample.sum);
        }
#ifdef __AVX512BF16__
        check_instruction(samples);
#endif
    }
    return 0;
}
