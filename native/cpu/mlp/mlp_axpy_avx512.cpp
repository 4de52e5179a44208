/*
 * out[t][c] = factor * activation(sum over p of coefficients[t][p] * W[list[p]][c] + bias): listed rows of W (rows x
 * cols, f32 or bf16), each with a coefficient a token. filigree.h has the operands and the order of sums.
 *
 * For each block of columns, whose sums for all tokens take 64 KiB:
 *   eight rows of the list at a time, token by token: sums += coefficient * row, vector by vector
 *   then the epilogue
 * A column is a chain of its own, so any cut between columns gives the same bits.
 *
 * Eight rows a pass over the sums: their load and store then cost a quarter of a vector operation a row, and eight
 * streams are read at a time. Sums pass through the second-level cache, which costs less than to begin rows anew for
 * every block. The lines that follow are asked for shortly before their use, those of the next rows at the end of
 * these: further ahead they would leave the first-level cache unused.
 */
#ifndef __AVX512F__
#error "this file must be compiled for AVX-512"
#endif

#include "cpu/mlp/rows_avx512.h"

namespace filigree {
namespace {

/* Rows that are added to the sums in one pass. */
constexpr int64_t kRows = 8;
/* Lines of a row that are asked for ahead of their use; 12 and 32 are slower. */
constexpr int64_t kLinesAhead = 24;

/* A block of columns of the call. */
struct Block {
    const AxpyCall *call;
    int64_t first;  /* column */
    int64_t lines;  /* of a row, the last perhaps past the last column */
    int64_t stride; /* floats from the sums of a token to those of the next: lines as f32 */
};

template <class D> const char *row_at(const Block &b, int64_t p) {
    return row_of<D>(b.call->w, b.call->list, smaller(p, b.call->count - 1)) +
           b.first / kColumns<D> * kLineBytes;
}

/* Rows that a token adds, with their coefficients; next[r] is read after rows[r]. */
struct Pass {
    const char *rows[kRows];
    const char *next[kRows];
    float coefficients[kRows];
    bool asks; /* for lines ahead */
};

/* sums[line] += coefficients[r] * rows[r][line] for R rows from `first` on, one after the other */
template <class D, int R> FILIGREE_INLINE void add_rows(const Pass &pass, int64_t first, int64_t lines, float *sums) {
    const char *const *rows = pass.rows + first, *const *next = pass.next + first;
    __m512 c[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) c[r] = _mm512_set1_ps(pass.coefficients[first + r]);
    /* A line of every row; before each is read, line `at` of the same of `ask`, if there are any, is asked for. */
    const auto add = [&](int64_t line, const char *const *ask, int64_t at) __attribute__((always_inline)) {
        float *to = sums + line * kColumns<D>;
        __m512 sum[D::kParts];
#pragma GCC unroll 2
        for (int64_t i = 0; i < D::kParts; ++i) sum[i] = _mm512_load_ps(to + i * kLanes);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            if (ask != nullptr) prefetch(ask[r] + at * kLineBytes);
            const __m512i w = load_line(rows[r] + line * kLineBytes);
#pragma GCC unroll 2
            for (int64_t i = 0; i < D::kParts; ++i) sum[i] = _mm512_fmadd_ps(c[r], D::part(w, i), sum[i]);
        }
#pragma GCC unroll 2
        for (int64_t i = 0; i < D::kParts; ++i) _mm512_store_ps(to + i * kLanes, sum[i]);
    };
    int64_t line = 0;
    if (pass.asks) {
        const int64_t turn = lines > kLinesAhead ? lines - kLinesAhead : 0;
        for (; line < turn; ++line) add(line, rows, line + kLinesAhead);
        for (; line < lines; ++line) add(line, next, line - turn);
    }
    for (; line < lines; ++line) add(line, nullptr, 0);
}

/* Positions [p, p + count) for one token, as far as they count. Who needs a row first asks for its lines. */
template <class D>
void add_group(const Block &b, const char *const *rows, const char *const *next, int64_t p, int64_t count,
               int64_t token, float *sums) {
    const AxpyCall &call = *b.call;
    const float *coefficients = call.coefficients + token * call.coefficient_stride + p;
    Pass pass;
    pass.asks = false;
    int64_t listed = 0;
    for (int64_t r = 0; r < count; ++r) {
        const uint32_t mask = call.masks != nullptr ? call.masks[p + r] : 0xffff;
        if ((mask >> token & 1) == 0) continue;
        pass.rows[listed] = rows[r];
        pass.next[listed] = next[r];
        pass.coefficients[listed++] = coefficients[r];
        pass.asks = pass.asks || (mask & ((uint32_t{1} << token) - 1)) == 0;
    }
    int64_t done = 0;
    for (; listed - done >= 8; done += 8) add_rows<D, 8>(pass, done, b.lines, sums);
    for (; listed - done >= 4; done += 4) add_rows<D, 4>(pass, done, b.lines, sums);
    for (; listed - done >= 2; done += 2) add_rows<D, 2>(pass, done, b.lines, sums);
    for (; listed - done >= 1; done += 1) add_rows<D, 1>(pass, done, b.lines, sums);
}

/* Sums of bf16 lie as the parts of lines do: even columns, then odd ones. */
template <class D> FILIGREE_INLINE __m512 columns(const float *sums, int64_t i) {
    if constexpr (D::kParts == 1) return _mm512_load_ps(sums + i);
    const float *line = sums + i / kColumns<D> * kColumns<D>;
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i from = i % kColumns<D> == 0 ? low : _mm512_add_epi32(low, _mm512_set1_epi32(8));
    return _mm512_permutex2var_ps(_mm512_load_ps(line), from, _mm512_load_ps(line + kLanes));
}

template <class D> void finish_block(const Block &b, const float *sums) {
    const AxpyCall &call = *b.call;
    const Epilogue &e = call.epilogue;
    const int64_t width = smaller(b.lines * kColumns<D>, call.w->cols - b.first);
    for (int64_t t = 0; t < call.tokens; ++t, sums += b.stride) {
        for (int64_t i = 0; i < width; i += kLanes) {
            const __mmask16 lanes = first_lanes(smaller(kLanes, width - i));
            const __m512 bias =
                e.bias != nullptr ? _mm512_maskz_loadu_ps(lanes, e.bias + b.first + i) : _mm512_setzero_ps();
            const float *factors = e.factors + t * e.factor_stride + b.first + i;
            _mm512_mask_storeu_ps(call.out + t * call.out_stride + b.first + i, lanes,
                                  finish(e, columns<D>(sums, i), bias, factors, lanes));
        }
    }
}

template <class D> void axpy_rows(const AxpyCall &call) {
    const int64_t begin = call.begin * FILIGREE_MLP_STRIP;
    const int64_t end = smaller(call.end * FILIGREE_MLP_STRIP, call.w->stride);
    const int64_t most = FILIGREE_MLP_SUMS / call.tokens / FILIGREE_MLP_STRIP * FILIGREE_MLP_STRIP;
    for (int64_t first = begin; first < end; first += most) {
        const int64_t width = smaller(most, end - first);
        const Block b{&call, first, width / kColumns<D>, width};
        for (int64_t i = 0; i < call.tokens * width; i += kLanes)
            _mm512_store_ps(call.sums + i, _mm512_setzero_ps());
        for (int64_t p = 0; p < call.count; p += kRows) {
            const char *rows[kRows], *next[kRows];
            for (int64_t r = 0; r < kRows; ++r) {
                rows[r] = row_at<D>(b, p + r);
                next[r] = row_at<D>(b, p + kRows + r);
            }
            const int64_t count = smaller(kRows, call.count - p);
            for (int64_t t = 0; t < call.tokens; ++t)
                add_group<D>(b, rows, next, p, count, t, call.sums + t * width);
        }
        finish_block<D>(b, call.sums);
    }
}

} // namespace

void mlp_axpy_f32_avx512(const AxpyCall &call) { axpy_rows<F32>(call); }

void mlp_axpy_bf16_avx512(const AxpyCall &call) { axpy_rows<Bf16>(call); }

} // namespace filigree
