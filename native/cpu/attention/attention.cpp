/* The exported attention functions: check the arguments and the processor, then enter the kernel. */
#include "cpu/attention/attention.h"

#include "cpu/common/features.h"

namespace filigree {
namespace {

/* What can be told from the headers alone. The tables behind them are the packer's word. */
bool is_sane(const filigree_attention_mask &m) {
    if (m.magic != FILIGREE_ATTENTION_MAGIC) return false;
    if (m.queries < 1 || m.keys < 1 || m.mask_heads < 1 || m.tile_count < 1 || m.used_count < 0) return false;
    if (m.block_rows < 1 || m.block_cols < FILIGREE_ATTENTION_LANES) return false;
    if (m.tile_rows < 1 || m.tile_rows > FILIGREE_ATTENTION_TILE_ROWS) return false;
    if (m.unit_keys < FILIGREE_ATTENTION_LANES || m.unit_keys % FILIGREE_ATTENTION_LANES != 0) return false;
    if (m.block_cols % m.unit_keys != 0) return false;
    return m.step_units >= 1 && m.step_units * m.unit_keys <= FILIGREE_ATTENTION_STEP_KEYS;
}

bool is_sane(const filigree_attention_shape &s, const filigree_attention_mask &m) {
    if (s.batch < 1 || s.heads < 1 || s.kv_heads < 1 || s.heads % s.kv_heads != 0) return false;
    if (s.dim < 8 || s.dim > 256 || s.dim % 8 != 0) return false;
    if (m.mask_heads != 1 && m.mask_heads != s.heads) return false;
    if (s.out_dtype != FILIGREE_DTYPE_F32 && s.out_dtype != FILIGREE_DTYPE_BF16) return false;
    return s.first_pair >= 0 && s.pair_count >= 0 && s.first_pair + s.pair_count <= s.batch * s.kv_heads;
}

bool is_aligned(const void *pointer) { return reinterpret_cast<uintptr_t>(pointer) % 64 == 0; }

template <class T> int32_t check(const BlockCall<T> &call) {
    if (call.mask == nullptr || call.shape == nullptr) return FILIGREE_INVALID_ARGUMENT;
    const filigree_attention_mask &m = *call.mask;
    const filigree_attention_shape &s = *call.shape;
    if (!is_sane(m) || !is_sane(s, m)) return FILIGREE_INVALID_ARGUMENT;
    const int64_t packing = s.pair_count * m.used_count;
    const int64_t items = packing + s.pair_count * (s.heads / s.kv_heads) * m.tile_count;
    if (call.begin < 0 || call.end < call.begin || call.end > items) return FILIGREE_INVALID_ARGUMENT;
    if (call.begin < packing && call.end > packing) return FILIGREE_INVALID_ARGUMENT;
    if (call.begin == call.end) return FILIGREE_OK;
    if (call.packed == nullptr || call.scratch == nullptr) return FILIGREE_INVALID_ARGUMENT;
    if (!is_aligned(call.packed) || !is_aligned(call.scratch)) return FILIGREE_INVALID_ARGUMENT;
    if (call.begin < packing)
        return call.k != nullptr && call.v != nullptr ? FILIGREE_OK : FILIGREE_INVALID_ARGUMENT;
    if (call.q == nullptr || (call.out == nullptr && call.state == nullptr)) return FILIGREE_INVALID_ARGUMENT;
    return FILIGREE_OK;
}

bool is_sane(const filigree_paged_shape &s) {
    if (s.sequences < 1 || s.heads < 1 || s.kv_heads < 1 || s.heads % s.kv_heads != 0) return false;
    if (s.dim < 8 || s.dim > 256 || s.dim % 8 != 0) return false;
    if (s.page_rows < 1 || s.page_table_stride < 0 || s.block_keys < 1) return false;
    return s.list_heads == 0 || s.list_heads == 1 || s.list_heads == s.kv_heads;
}

template <class T> int32_t check(const PagedCall<T> &call) {
    if (call.shape == nullptr || !is_sane(*call.shape)) return FILIGREE_INVALID_ARGUMENT;
    const filigree_paged_shape &s = *call.shape;
    const int64_t pairs = s.sequences * s.kv_heads;
    const int64_t splits = reinterpret_cast<const int64_t *>(reinterpret_cast<const char *>(&s) +
                                                             s.split_starts)[pairs];
    if (call.begin < 0 || call.end < call.begin || call.end > splits + pairs) return FILIGREE_INVALID_ARGUMENT;
    if (call.begin < splits && call.end > splits) return FILIGREE_INVALID_ARGUMENT;
    if (call.begin == call.end) return FILIGREE_OK;
    if (call.scratch == nullptr || !is_aligned(call.scratch)) return FILIGREE_INVALID_ARGUMENT;
    if (splits > 0 && call.partials == nullptr) return FILIGREE_INVALID_ARGUMENT;
    if (call.begin >= splits) return call.out != nullptr ? FILIGREE_OK : FILIGREE_INVALID_ARGUMENT;
    const bool has_inputs = call.q != nullptr && call.keys != nullptr && call.values != nullptr;
    return has_inputs ? FILIGREE_OK : FILIGREE_INVALID_ARGUMENT;
}

/* Checks, then enters the kernel, where there is one and the processor has what it needs. */
template <class Call> int32_t run(const Call &call, void (*kernel)(const Call &), uint64_t features) {
    if (kernel == nullptr || !supports(features)) return FILIGREE_UNSUPPORTED_ISA;
    const int32_t status = check(call);
    if (status == FILIGREE_OK && call.begin < call.end) kernel(call);
    return status;
}

constexpr uint64_t kAvx512 = FILIGREE_AVX2_FMA | FILIGREE_AVX512;

#if FILIGREE_HAVE_AVX512
constexpr auto block_f32 = attention_block_f32_avx512;
constexpr auto paged_f32 = attention_paged_f32_avx512;
constexpr auto paged_bf16 = attention_paged_bf16_avx512;
#else
constexpr void (*block_f32)(const BlockCall<float> &) = nullptr;
constexpr void (*paged_f32)(const PagedCall<float> &) = nullptr;
constexpr void (*paged_bf16)(const PagedCall<uint16_t> &) = nullptr;
#endif

#if FILIGREE_HAVE_AVX512_BF16
constexpr auto block_bf16 = attention_block_bf16_avx512;
#else
constexpr void (*block_bf16)(const BlockCall<uint16_t> &) = nullptr;
#endif

#if FILIGREE_HAVE_AMX
constexpr auto block_bf16_amx = attention_block_bf16_amx;
#else
constexpr void (*block_bf16_amx)(const BlockCall<uint16_t> &) = nullptr;
#endif

} // namespace
} // namespace filigree

int32_t filigree_attention_paged_f32_avx512(const filigree_paged_shape *shape, const float *q, const float *keys,
                                            const float *values, float *out, float *lse, float *partials,
                                            int64_t begin, int64_t end, void *scratch) {
    return filigree::run(filigree::PagedCall<float>{shape, q, keys, values, out, lse, partials, begin, end,
                                                    static_cast<float *>(scratch)},
                         filigree::paged_f32, filigree::kAvx512);
}

int32_t filigree_attention_paged_bf16_avx512(const filigree_paged_shape *shape, const float *q,
                                             const uint16_t *keys, const uint16_t *values, float *out, float *lse,
                                             float *partials, int64_t begin, int64_t end, void *scratch) {
    return filigree::run(filigree::PagedCall<uint16_t>{shape, q, keys, values, out, lse, partials, begin, end,
                                                       static_cast<float *>(scratch)},
                         filigree::paged_bf16, filigree::kAvx512);
}

int32_t filigree_attention_block_f32_avx512(const filigree_attention_mask *mask,
                                            const filigree_attention_shape *shape, const float *q,
                                            const float *k, const float *v, float *out, float *lse,
                                            float *state, float *packed, int64_t begin, int64_t end,
                                            void *scratch) {
    return filigree::run(filigree::BlockCall<float>{mask, shape, q, k, v, out, lse, state, packed, begin, end,
                                                    static_cast<float *>(scratch)},
                         filigree::block_f32, filigree::kAvx512);
}

int32_t filigree_attention_block_bf16_avx512(const filigree_attention_mask *mask,
                                             const filigree_attention_shape *shape, const uint16_t *q,
                                             const uint16_t *k, const uint16_t *v, void *out, float *lse,
                                             float *state, void *packed, int64_t begin, int64_t end,
                                             void *scratch) {
    return filigree::run(filigree::BlockCall<uint16_t>{mask, shape, q, k, v, out, lse, state,
                                                       static_cast<float *>(packed), begin, end,
                                                       static_cast<float *>(scratch)},
                         filigree::block_bf16, filigree::kAvx512 | FILIGREE_AVX512_BF16);
}

int32_t filigree_attention_block_bf16_amx(const filigree_attention_mask *mask, const filigree_attention_shape *shape,
                                          const uint16_t *q, const uint16_t *k, const uint16_t *v, void *out,
                                          float *lse, float *state, void *packed, int64_t begin, int64_t end,
                                          void *scratch) {
    if (!filigree::may_use_amx()) return FILIGREE_UNSUPPORTED_ISA;
    return filigree::run(filigree::BlockCall<uint16_t>{mask, shape, q, k, v, out, lse, state,
                                                       static_cast<float *>(packed), begin, end,
                                                       static_cast<float *>(scratch)},
                         filigree::block_bf16_amx,
                         filigree::kAvx512 | FILIGREE_AVX512_BF16 | FILIGREE_AMX_BF16);
}
