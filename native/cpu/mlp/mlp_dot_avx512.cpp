/*
 * out[t][p] = factor * activation(W[list[p]] . x[t] + bias): listed rows of W (rows x cols, f32 or bf16), up to 16
 * tokens of x in f32. filigree.h has the operands and the order of sums.
 *
 * For each block of 16 positions, R rows at a time, T tokens at a time:
 *   R * T sums of 16 lanes; for each line (64 bytes) of the rows: R loads, T loads of x, R * T multiply-adds
 *   each sum halves to a float
 * then the epilogue for 16 positions in the lanes of a vector, token by token.
 *
 * One token reads 64 bytes a multiply-add, so memory bounds it: what counts is that loads never wait. Rows are
 * listed ahead of their use, so the lines that follow are asked for across the end of a row, where a hardware
 * prefetcher, which does not know the list, would start anew.
 *
 * Where tokens need few of the rows that they list together, a block is a list of jobs instead, one for each row and
 * token that need each other, row by row, so that memory is still read in the order of the list:
 *   R jobs at a time: R loads of rows, R loads of x, R multiply-adds a line
 */
#ifndef __AVX512F__
#error "this file must be compiled for AVX-512"
#endif

#include "cpu/mlp/rows_avx512.h"

namespace filigree {
namespace {

constexpr int64_t kBlock = FILIGREE_MLP_BLOCK;
/* Lines of a row that are asked for ahead of their use: where all rows are read, 8 and 32 are a tenth slower. */
constexpr int64_t kLinesAhead = 16;
/* A job costs as much as two of the pairs of a block whose rows all meet all tokens. */
constexpr int64_t kPairsPerJob = 2;
/* Jobs whose sums are in registers: with as many rows, and tokens, every address stays in a register, too. */
constexpr int kJobs = 4;

/* l[c] += l[c + 8], then + 4, + 2, + 1 */
FILIGREE_INLINE float halve(__m512 l) {
    const __m256 eight =
        _mm256_add_ps(_mm512_castps512_ps256(l), _mm512_extractf32x8_ps(l, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

/* Calls add with each line of R rows, those that follow being asked for; towards the end, those of the next rows. */
template <int R, class Add>
FILIGREE_INLINE void each_line(const char *const (&rows)[R], const char *const (&next)[R], int64_t lines, Add add) {
    const auto each = [&](int64_t line, const char *const(&ask)[R], int64_t at) __attribute__((always_inline)) {
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) prefetch(ask[r] + at * kLineBytes);
        __m512i w[R];
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) w[r] = load_line(rows[r] + line * kLineBytes);
        add(line, w);
    };
    const int64_t turn = lines > kLinesAhead ? lines - kLinesAhead : 0;
    int64_t line = 0;
    for (; line < turn; ++line) each(line, rows, line + kLinesAhead);
    for (; line < lines; ++line) each(line, next, line - turn);
}

/* sums[t][r] = rows[r] . x[t] for R rows and T tokens. */
template <class D, int R, int T>
FILIGREE_INLINE void dot(const char *const (&rows)[R], const char *const (&next)[R], int64_t lines, const float *x,
                         int64_t stride, float *sums) {
    __m512 l[R][T];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
        for (int t = 0; t < T; ++t) l[r][t] = _mm512_setzero_ps();

    const auto add = [&](int64_t line, const __m512i(&w)[R]) __attribute__((always_inline)) {
#pragma GCC unroll 2
        for (int i = 0; i < D::kParts; ++i)
#pragma GCC unroll 16
            for (int t = 0; t < T; ++t) {
                const __m512 v = _mm512_load_ps(x + t * stride + line * kColumns<D> + i * kLanes);
#pragma GCC unroll 16
                for (int r = 0; r < R; ++r) l[r][t] = _mm512_fmadd_ps(D::part(w[r], i), v, l[r][t]);
            }
    };
    each_line(rows, next, lines, add);
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t)
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) sums[t * kBlock + r] = halve(l[r][t]);
}

/* Rows of a block of positions, R at a time; those past the end are the last one again. */
template <class D, int R, int T>
__attribute__((noinline)) void dot_block(const DotCall &call, int64_t first, int64_t count, int64_t token,
                                         float *sums) {
    const int64_t lines = call.w->stride / kColumns<D>;
    const char *rows[R], *next[R];
    for (int r = 0; r < R; ++r) next[r] = row_of<D>(call.w, call.list, first + smaller(r, count - 1));
    for (int64_t p = 0; p < count; p += R) {
        for (int r = 0; r < R; ++r) {
            rows[r] = next[r];
            next[r] = row_of<D>(call.w, call.list, smaller(first + p + R + r, call.count - 1));
        }
        dot<D, R, T>(rows, next, lines, call.x + token * call.w->stride, call.w->stride,
                     sums + token * kBlock + p);
    }
}

/* A row and a token that need each other, by their places in a block and in x. */
struct Job {
    uint8_t position;
    uint8_t token;
};

/* sums[token][position] = rows[r] . x[token] for as many jobs as registers hold. */
template <class D>
FILIGREE_INLINE void dot_jobs(const char *const (&rows)[kJobs], const char *const (&next)[kJobs], int64_t lines,
                              const Job (&jobs)[kJobs], const float *x, int64_t stride, float *sums) {
    const float *x_of[kJobs];
    __m512 l[kJobs];
#pragma GCC unroll 16
    for (int r = 0; r < kJobs; ++r) x_of[r] = x + jobs[r].token * stride, l[r] = _mm512_setzero_ps();
    each_line(rows, next, lines, [&](int64_t line, const __m512i(&w)[kJobs]) __attribute__((always_inline)) {
#pragma GCC unroll 2
        for (int i = 0; i < D::kParts; ++i)
#pragma GCC unroll 16
            for (int r = 0; r < kJobs; ++r) {
                const __m512 v = _mm512_load_ps(x_of[r] + line * kColumns<D> + i * kLanes);
                l[r] = _mm512_fmadd_ps(D::part(w[r], i), v, l[r]);
            }
    });
#pragma GCC unroll 16
    for (int r = 0; r < kJobs; ++r) sums[jobs[r].token * kBlock + jobs[r].position] = halve(l[r]);
}

/* The jobs of a block, several at a time; those past the end are the last one again. */
template <class D>
__attribute__((noinline)) void dot_block_jobs(const DotCall &call, int64_t first, int64_t count, const Job *jobs,
                                              int64_t job_count, float *sums) {
    const int64_t stride = call.w->stride, lines = stride / kColumns<D>;
    for (int64_t j = 0; j < job_count; j += kJobs) {
        const char *rows[kJobs], *next[kJobs];
        Job here[kJobs];
        for (int r = 0; r < kJobs; ++r) {
            const int64_t after = j + kJobs + r;
            here[r] = jobs[smaller(j + r, job_count - 1)];
            rows[r] = row_of<D>(call.w, call.list, first + here[r].position);
            const int64_t p = after < job_count ? jobs[after].position : count + after - job_count;
            next[r] = row_of<D>(call.w, call.list, smaller(first + p, call.count - 1));
        }
        dot_jobs<D>(rows, next, lines, here, call.x, stride, sums);
    }
}

/* Row by row, its tokens; returns how many. */
int64_t list_jobs(const DotCall &call, int64_t first, int64_t count, Job *jobs) {
    int64_t job_count = 0;
    for (int64_t p = 0; p < count; ++p)
        for (uint32_t mask = call.masks[first + p] & ((uint32_t{1} << call.tokens) - 1); mask != 0; mask &= mask - 1)
            jobs[job_count++] = {static_cast<uint8_t>(p), static_cast<uint8_t>(__builtin_ctz(mask))};
    return job_count;
}

/* The epilogue of an item, its positions in the lanes. */
void finish_item(const DotCall &call, int64_t item, const float *sums) {
    const int64_t first = item * kBlock, count = smaller(kBlock, call.count - first);
    alignas(64) float bias[kBlock];
    if (call.epilogue.bias != nullptr)
        for (int64_t p = 0; p < kBlock; ++p) {
            const int64_t position = first + smaller(p, count - 1);
            bias[p] = call.epilogue.bias[call.list != nullptr ? call.list[position] : position];
        }
    __m256i masks = _mm256_set1_epi16(-1);
    if (call.masks != nullptr) masks = _mm256_maskz_loadu_epi16(first_lanes(count), call.masks + first);
    for (int64_t t = 0; t < call.tokens; ++t) {
        const __m512 y = finish(call.epilogue, _mm512_load_ps(sums + t * kBlock), _mm512_load_ps(bias),
                                call.epilogue.factors + t * call.epilogue.factor_stride + first, 0xffff);
        const __mmask16 counts = _mm256_test_epi16_mask(masks, _mm256_set1_epi16(static_cast<int16_t>(1 << t)));
        _mm512_store_ps(call.out + t * call.out_stride + first, _mm512_maskz_mov_ps(counts, y));
    }
}

/*
 * All rows for one token: memory is read from its first byte to its last, which goes faster in four parts at a time
 * than in one. Returns where the items begin that are left: they are no multiple of four, or not whole.
 */
template <class D> int64_t dot_all_rows(const DotCall &call) {
    constexpr int64_t kStreams = 4;
    const int64_t apart = (smaller(call.end, call.count / kBlock) - call.begin) / kStreams;
    const int64_t lines = call.w->stride / kColumns<D>;
    for (int64_t item = call.begin; item < call.begin + apart; ++item) {
        alignas(64) float sums[kStreams][kBlock];
        for (int64_t p = 0; p < kBlock; ++p) {
            const char *rows[kStreams], *next[kStreams];
            for (int64_t s = 0; s < kStreams; ++s) {
                const int64_t position = (item + s * apart) * kBlock + p;
                rows[s] = row_of<D>(call.w, nullptr, position);
                next[s] = row_of<D>(call.w, nullptr, smaller(position + 1, call.count - 1));
            }
            float of_rows[kStreams];
            dot<D, kStreams, 1>(rows, next, lines, call.x, call.w->stride, of_rows);
            for (int64_t s = 0; s < kStreams; ++s) sums[s][p] = of_rows[s];
        }
        for (int64_t s = 0; s < kStreams; ++s) finish_item(call, item + s * apart, sums[s]);
    }
    return call.begin + apart * kStreams;
}

template <class D> void dot_rows(const DotCall &call) {
    alignas(64) float sums[FILIGREE_MLP_TOKENS * kBlock] = {};
    Job jobs[FILIGREE_MLP_TOKENS * kBlock];
    const bool all = call.list == nullptr && call.masks == nullptr && call.tokens == 1;
    for (int64_t item = all ? dot_all_rows<D>(call) : call.begin; item < call.end; ++item) {
        const int64_t first = item * kBlock, count = smaller(kBlock, call.count - first);
        const int64_t job_count = call.masks != nullptr ? list_jobs(call, first, count, jobs) : count * call.tokens;
        if (job_count * kPairsPerJob < count * call.tokens) {
            dot_block_jobs<D>(call, first, count, jobs, job_count, sums);
            finish_item(call, item, sums);
            continue;
        }
        /* As many tokens at a time as leave registers: the rows of a block stay in the cache meanwhile. */
        int64_t token = 0;
        for (; call.tokens - token >= 8; token += 8) dot_block<D, 2, 8>(call, first, count, token, sums);
        for (; call.tokens - token >= 4; token += 4) dot_block<D, 4, 4>(call, first, count, token, sums);
        for (; call.tokens - token >= 2; token += 2) dot_block<D, 8, 2>(call, first, count, token, sums);
        for (; call.tokens - token >= 1; token += 1) dot_block<D, 8, 1>(call, first, count, token, sums);
        finish_item(call, item, sums);
    }
}

} // namespace

void mlp_dot_f32_avx512(const DotCall &call) { dot_rows<F32>(call); }

void mlp_dot_bf16_avx512(const DotCall &call) { dot_rows<Bf16>(call); }

} // namespace filigree
