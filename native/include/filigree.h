/*
 * Filigree's C ABI: all that the Java bindings read, and all that libfiligree.so exports.
 *
 * Kernels are pure functions over a range [begin, end) of a plan's work items: no threads, no allocation, no
 * globals. Pointers are never retained. Unless a parameter says otherwise, none may be null and none may overlap
 * an output. Every function that can fail returns a status, 0 for success.
 */
#ifndef FILIGREE_H
#define FILIGREE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FILIGREE_API __attribute__((visibility("default")))
#else
#define FILIGREE_API
#endif

/* Raised whenever a struct, a status or a function's contract changes. The loader refuses any other number. */
#define FILIGREE_ABI_VERSION 5

/* ---- status ---------------------------------------------------------------------------------------------- */

enum {
    FILIGREE_OK = 0,
    FILIGREE_INVALID_ARGUMENT = 1, /* a size, a range or a packed header is impossible */
    FILIGREE_UNSUPPORTED_ISA = 2,  /* the processor or the operating system lacks the kernel's instructions */
    FILIGREE_SYSTEM_ERROR = 3      /* the operating system refused */
};

/* A static, never null, English text. */
FILIGREE_API const char *filigree_status_text(int32_t status);

FILIGREE_API int32_t filigree_abi_version(void);

/* ---- processor ------------------------------------------------------------------------------------------- */

/* Bits of filigree_features. */
enum {
    FILIGREE_AVX2_FMA = 1,
    FILIGREE_AVX512 = 2, /* F, BW, DQ, VL: what every avx512 kernel may assume */
    FILIGREE_AVX512_VBMI2 = 4,
    FILIGREE_AVX512_BF16 = 8,
    FILIGREE_AMX_BF16 = 16, /* AMX-TILE and AMX-BF16 */
    FILIGREE_AMX_INT8 = 32
};

typedef struct filigree_features {
    int32_t cpuid;          /* what the processor has */
    int32_t usable;         /* the part of it whose register state the operating system saves (XCR0) */
    int32_t amx_permission; /* 1: this process may use AMX tiles; 0: not asked yet; negative: -errno */
} filigree_features;

FILIGREE_API int32_t filigree_get_features(filigree_features *out);

/*
 * Asks the operating system for the AMX tile state, without which the amx kernels answer FILIGREE_UNSUPPORTED_ISA.
 * Idempotent. FILIGREE_SYSTEM_ERROR when it is refused.
 */
FILIGREE_API int32_t filigree_request_amx(void);

/* ---- kernel table ---------------------------------------------------------------------------------------- */

typedef struct filigree_kernel_info {
    const char *id;        /* "spmm_csr_f32_avx512": the symbol less its prefix */
    const char *operation; /* "spmm" */
    const char *dtype;     /* "f32" */
    const char *isa;       /* "avx512" */
    const char *tile;      /* rows x columns held in registers, "1x64" */
    int32_t required;      /* bits of filigree_features.usable that it needs */
} filigree_kernel_info;

FILIGREE_API int32_t filigree_kernel_count(void);

/* Describes kernel 0 <= index < filigree_kernel_count(); FILIGREE_INVALID_ARGUMENT otherwise. */
FILIGREE_API int32_t filigree_get_kernel_info(int32_t index, filigree_kernel_info *out);

/* ---- memory ---------------------------------------------------------------------------------------------- */

/*
 * Gives zeroed memory on pages of its own, huge ones as far as the system grants them; it takes room as it is written.
 * Null where there is none, or bytes is not positive. Not from the heap: advice given to a part of that would stay with
 * whoever gets the part next.
 */
FILIGREE_API void *filigree_allocate_pages(int64_t bytes);

/* Gives such memory back, whole: what filigree_allocate_pages returned for as many bytes. */
FILIGREE_API int32_t filigree_free_pages(void *address, int64_t bytes);

/* ---- spmm ------------------------------------------------------------------------------------------------ */

/* Types of elements. */
enum { FILIGREE_DTYPE_F32 = 0, FILIGREE_DTYPE_BF16 = 1 };

enum { FILIGREE_FEATURE_MAJOR = 0, FILIGREE_TOKEN_MAJOR = 1 };

enum {
    FILIGREE_ACTIVATION_NONE = 0,
    FILIGREE_ACTIVATION_RELU = 1,
    FILIGREE_ACTIVATION_RELU_SQUARED = 2,
    FILIGREE_ACTIVATION_GELU_TANH = 3,
    FILIGREE_ACTIVATION_GELU_ERF = 4,
    FILIGREE_ACTIVATION_SILU = 5
};

/*
 * Columns of B (or tokens) that one work item covers: 64, and in the last panel up to 112, since three more vectors
 * cost far less than a panel of their own; with a fourth, B's rows would no longer lie in a first-level cache. So there
 * are (n - 48) / 64 panels, rounded up, or one for 0 < n <= 48. A tile row and an accumulator row hold the panel's
 * width rounded up to 16 floats.
 */
#define FILIGREE_SPMM_PANEL 64
#define FILIGREE_SPMM_WIDEST_PANEL 112

/* Values of filigree_spmm_packed.tiled. */
enum {
    FILIGREE_SPMM_NO_TILE = 0,
    FILIGREE_SPMM_TILE = 1,
    FILIGREE_SPMM_TILE_OR_IN_PLACE = 2 /* scratch has room for the tile, for kernels that do better with it */
};

/* Rows whose entries may lie in turns: chains enough to hide a multiply-add's latency in narrow panels. */
#define FILIGREE_SPMM_INTERLEAVED 8

/*
 * The header of a packed sparse matrix A (rows x cols, f32); offsets are bytes from the header's own address, and
 * every table starts at a multiple of 64. The same bytes feed the Java and the native kernels.
 *
 * Virtual rows. A row longer than the plan's limit is cut into segments of consecutive nonzeros. A virtual row is
 * a whole row or one segment; virtual rows are numbered in row order. targets[v] is the row that v computes, or
 * ~slot when v is a segment whose sum goes to partial slot `slot`; the segments of a row have consecutive slots
 * in column order.
 *
 * Passes. A kernel takes the virtual rows of a call in passes of at most pass_rows, whose accumulators are in scratch
 * at a time. Where group is 1, passes may end with any row: sums do not depend on it. Else they end at multiples of
 * pass_rows and with the call.
 *
 * Groups. Virtual rows come in groups of `group`, which is 1 or FILIGREE_SPMM_INTERLEAVED. In the second case the
 * entries of a group lie in turns: entry i belongs to its member i % group, and member m of group g is virtual row
 * places[g * group + m]. Rows that are alike in length share a group, but no group reaches beyond its pass: places are
 * a permutation of the rows of a pass, in the last one with row numbers from virtual_rows on, of rows that are not
 * there. A member that has fewer entries than others of its group is padded with entries of value 0 in column
 * block_depth, where a kernel keeps a row of zeros behind its tile. Work items and passes begin with a group; columns
 * have 16 bits.
 *
 * Blocks. Columns of A are cut into block_count blocks of block_depth. Block by block, group by group, and for each
 * row in ascending column order lie the nonzeros: those of block k and group g are entries
 * group_starts[k * (groups + 1) + g] up to group_starts[k * (groups + 1) + g + 1] of columns and values; their columns
 * count from the start of the block.
 *
 * Work items. Item p * chunk_count + i covers panel p, that is columns [64 p, 64 p + 64) of C, or [64 p, n) where p is
 * the last, and the virtual rows chunk_starts[i] up to chunk_starts[i + 1]; where rows come in groups, those that these
 * places name, which are not the others of their pass. After all those, and only when every one is done, come the items
 * that combine: item panels * chunk_count + p * split_count + j adds up the slots of split row j for panel p, in slot
 * order, and writes the row.
 *
 * Order of sums. acc = +0; acc = fma(a, b, acc) over the virtual row's entries in column order. A split row is
 * ((s0 + s1) + s2) + ... Then y = alpha * acc; if beta != 0, y = fma(beta, c, y); if there is a bias,
 * y = y + bias[row]; c = activation(y). With beta = 0, c is not read.
 */
typedef struct filigree_spmm_packed {
    int64_t magic; /* FILIGREE_SPMM_MAGIC */
    int64_t bytes; /* of the whole packed matrix, its 64 readable bytes at the end included */
    int64_t rows;
    int64_t cols;
    int64_t nnz;
    int64_t virtual_rows;
    int64_t block_depth;
    int64_t block_count;   /* 0 when cols is 0 */
    int64_t tiled;         /* FILIGREE_SPMM_TILE: a panel of a block of B is copied to scratch before use. Else B may
                              be read in place (feature-major and block_count <= 1 then) */
    int64_t group;         /* 1, or FILIGREE_SPMM_INTERLEAVED; then B is tiled, and block_depth at most 65535 */
    int64_t pass_rows;     /* virtual rows whose accumulators are in scratch at a time, a multiple of group */
    int64_t chunk_count;
    int64_t split_count;   /* split rows */
    int64_t partial_count; /* slots: segments of split rows */
    int64_t scratch_bytes; /* that a kernel call needs, 64-byte aligned: the tile, unless there is none; pass_rows
                              accumulators, both of 112 floats a row; two blocks of 64 x 64 floats to transpose or
                              finish in; with no tile, 32 rows of 64 floats to gather B in and two more for their
                              entries */
    int32_t layout;        /* FILIGREE_FEATURE_MAJOR: B is cols x n, C is rows x n.
                              FILIGREE_TOKEN_MAJOR: B is n x cols, C is n x rows */
    int32_t activation;
    int64_t bias;         /* float[rows], or offset 0: none */
    int64_t chunk_starts; /* int64[chunk_count + 1] */
    int64_t targets;      /* int32[virtual_rows] */
    int64_t splits;       /* int32[2 * split_count + 2]: row, first slot; ends in (rows, partial_count) */
    int64_t group_starts; /* int64[block_count * (groups + 1)], groups = virtual_rows / group, rounded up */
    int64_t places;       /* int32[groups * group], or offset 0 when group is 1 */
    int64_t columns;      /* int32[nnz] when group is 1, else uint16[entries] */
    int64_t values;       /* float[entries] */
    int64_t order;        /* int32[virtual_rows]: all of them, the longest first, for kernels whose threads take rows
                             side by side; or offset 0: none */
} filigree_spmm_packed;

#define FILIGREE_SPMM_MAGIC 0x316d6d7073676c66LL /* "flgspmm1" in little-endian memory */

/*
 * C = activation(alpha * A * B + beta * C + bias) over work items [begin, end), which must not cross from the
 * first kind of item to the combining kind.
 *
 * b         f32, row-major, b_stride floats from row to row; its shape follows from the layout
 * c         f32, row-major, c_stride floats from row to row
 * n         columns of B and C, or tokens
 * partials  float[partial_count][n rounded up to 64], shared by all calls of one run; may be null when
 *           partial_count is 0
 * scratch   scratch_bytes of this call alone, 64-byte aligned
 */
FILIGREE_API int32_t filigree_spmm_csr_f32_avx512(const filigree_spmm_packed *a, const float *b, int64_t b_stride,
                                                  float *c, int64_t c_stride, int64_t n, float alpha, float beta,
                                                  float *partials, int64_t begin, int64_t end, void *scratch);

/* ---- gemm ------------------------------------------------------------------------------------------------ */

/* Columns of B (or tokens) that one work item covers. */
#define FILIGREE_GEMM_PANEL 64

/* Rows of A whose values are interleaved. */
#define FILIGREE_GEMM_MICRO_ROWS 6

/*
 * The header of a packed dense matrix A (rows x cols, f32); offsets are bytes from the header's own address,
 * and every table starts at a multiple of 64. The same bytes feed the Java and the native kernels.
 *
 * Values. Columns of A are cut into block_count blocks of block_depth, of which the last may be shorter.
 * Block by block, group of 6 rows by group of 6 rows, column by column lie the 6 values of the group's rows,
 * with zeros for rows beyond the last: row 6 g + i, column k of the block that begins at column f and has
 * depth d is values[f * (rows rounded up to 6) + 6 g * d + 6 k + i].
 *
 * Work items. Item p * chunk_count + i covers panel p, that is columns [64 p, min(n, 64 p + 64)) of C, and
 * rows [chunk_rows i, min(rows, chunk_rows (i + 1))).
 *
 * Order of sums. acc = +0; acc = fma(a, b, acc) over all columns of A in order; then as for spmm.
 */
typedef struct filigree_gemm_packed {
    int64_t magic; /* FILIGREE_GEMM_MAGIC */
    int64_t bytes; /* of the whole packed matrix, its 64 readable bytes at the end included */
    int64_t rows;
    int64_t cols;
    int64_t block_depth;
    int64_t block_count;   /* 0 when cols is 0 */
    int64_t pass_rows;     /* rows whose accumulators are in scratch at a time, a multiple of 6 */
    int64_t chunk_rows;    /* a multiple of 6 */
    int64_t chunk_count;   /* rows / chunk_rows, rounded up */
    int64_t scratch_bytes; /* that a kernel call needs, 64-byte aligned: a panel of a block of B, pass_rows
                              accumulators, and what the Java kernels transpose in */
    int32_t layout;        /* as of filigree_spmm_packed */
    int32_t activation;
    int64_t bias;   /* float[rows], or offset 0: none */
    int64_t values; /* float[cols * (rows rounded up to 6)] */
} filigree_gemm_packed;

#define FILIGREE_GEMM_MAGIC 0x316d6d6567676c66LL /* "flggemm1" in little-endian memory */

/*
 * C = activation(alpha * A * B + beta * C + bias) over work items [begin, end); operands and scratch as for
 * filigree_spmm_csr_f32_avx512.
 */
FILIGREE_API int32_t filigree_gemm_packed_f32_avx512(const filigree_gemm_packed *a, const float *b,
                                                     int64_t b_stride, float *c, int64_t c_stride, int64_t n,
                                                     float alpha, float beta, int64_t begin, int64_t end,
                                                     void *scratch);

/* ---- nm -------------------------------------------------------------------------------------------------- */

/* Columns of B (or tokens) that one work item covers. */
#define FILIGREE_NM_PANEL 64

/*
 * The header of a packed N:M matrix A (rows x cols, f32 or bf16): of every m consecutive elements of a row, n are
 * stored. Offsets are bytes from the header's own address (those of scratch areas, from the scratch's), and every table
 * starts at a multiple of 64. The same bytes feed the Java and the native kernels.
 *
 * Groups. Rows come in groups of 16, numbered from 0; the last is padded with rows of zeros. A row has `slots` entries
 * in a block, n for each m columns; cols is padded to a multiple of `unit`, and an entry past the end is +0. unit is m,
 * or 2 m for bf16 with an odd n, so that the entries of a block are pairs.
 *
 * Blocks. Columns are cut into block_count blocks of block_depth, a multiple of unit. Block by block, group by group
 * lie the values, float[slots][16], and the indices. With vector = 1 each row has indices of its own; otherwise
 * `vector` consecutive rows share them, so a group has 16, 2 (vector = 8) or 1 streams of indices, and of vector > 16,
 * as many groups share a run of them. A run is uint[slots][streams] in fields of index_bits, the least significant bit
 * first, and ends at a byte; all runs of a block follow each other. Entry (slot, stream) lies in column
 * first_columns[slot * streams + stream] + index of its block; index_bits is 0 where n = m, and then all indices are.
 *
 * Slots are in ascending columns. Of bf16, each two are in the opposite order: slot 2 p is the later of a pair. The
 * values of a pair are one word, uint32[slots / 2][16], with slot 2 p in its upper half and slot 2 p + 1 in its lower:
 * in a row without gaps they lie as their columns do.
 *
 * Work items. Item p * chunk_count + i covers panel p, that is columns [64 p, min(n, 64 p + 64)) of C, and the groups
 * [i * chunk_groups, min(group_count, (i + 1) * chunk_groups)).
 *
 * Order of sums. acc = +0; acc = fma(a, b, acc) over the row's slots in order, where b of an entry past the end is +0.
 * Of bf16, a denormal a, b or acc counts as a zero of its sign, before and after each fma: two of them are vdpbf16ps.
 * Then y = alpha * acc; if beta != 0, y = fma(beta, c, y); if there is a bias, y = y + bias[row]; c = activation(y),
 * of bf16 rounded to nearest even. With beta = 0, c is not read.
 */
typedef struct filigree_nm_packed {
    int64_t magic; /* FILIGREE_NM_MAGIC */
    int64_t bytes; /* of the whole packed matrix, its 64 readable bytes at the end included */
    int64_t rows;
    int64_t cols;
    int32_t n;
    int32_t m;      /* n <= m <= 64 */
    int32_t vector; /* 1, 8, 16, 32 or 64 */
    int32_t index_bits;
    int64_t block_depth;
    int64_t block_count; /* 0 when cols is 0 */
    int64_t group_count;
    int64_t pass_groups; /* groups whose sums are in scratch at a time, of a whole panel */
    int64_t chunk_groups;
    int64_t chunk_count;
    int64_t scratch_bytes; /* that a kernel call needs, 64-byte aligned; it begins with a block of a panel of B,
                              float[D][64]; D is block_depth rounded up to 16, of bf16 at least 32 */
    int64_t sums;          /* in scratch: float[16 * pass_groups][64] */
    int64_t columns;       /* in scratch: int32[slots of the first block][streams], rounded up to 16; of bf16
                              int32[slots of the first block][16] */
    int64_t old_values;    /* in scratch, for the Java kernels */
    int64_t stage;         /* in scratch, for the Java kernels */
    int64_t work;          /* in scratch, of bf16 alone: 128 * (slots of the first block + 32) bytes */
    int32_t dtype;         /* of A, B and C: FILIGREE_DTYPE_F32 or FILIGREE_DTYPE_BF16 */
    int32_t unit;
    int32_t layout;        /* FILIGREE_FEATURE_MAJOR: B is cols x n, C is rows x n.
                              FILIGREE_TOKEN_MAJOR: B is n x cols, C is n x rows */
    int32_t activation;
    int64_t bias;          /* float[16 * group_count], or offset 0: none */
    int64_t first_columns; /* int32[slots of the first block][streams], rounded up to 16 */
    int64_t indices;
    int64_t values;
} filigree_nm_packed;

#define FILIGREE_NM_MAGIC 0x3170736d6e676c66LL /* "flgnmsp1" in little-endian memory */

/*
 * C = activation(alpha * A * B + beta * C + bias) over work items [begin, end).
 *
 * b         f32, row-major, b_stride floats from row to row; its shape follows from the layout
 * c         f32, row-major, c_stride floats from row to row
 * n         columns of B and C, or tokens
 * scratch   scratch_bytes of this call alone, 64-byte aligned
 */
FILIGREE_API int32_t filigree_nm_packed_f32_avx512(const filigree_nm_packed *a, const float *b, int64_t b_stride,
                                                   float *c, int64_t c_stride, int64_t n, float alpha, float beta,
                                                   int64_t begin, int64_t end, void *scratch);

/* The same of bf16: b and c are bf16, and their strides count bf16. */
FILIGREE_API int32_t filigree_nm_packed_bf16_avx512(const filigree_nm_packed *a, const uint16_t *b, int64_t b_stride,
                                                    uint16_t *c, int64_t c_stride, int64_t n, float alpha,
                                                    float beta, int64_t begin, int64_t end, void *scratch);

/*
 * The same with AMX tiles, of a matrix whose groups of rows share their positions: vector >= 16 or n = m; another is an
 * invalid argument. The order of sums is its own, and depends on n: up to 32 slots at a time make two sums, one of each
 * half of the words, in order, which are added to each other, and then to acc.
 */
FILIGREE_API int32_t filigree_nm_packed_bf16_amx(const filigree_nm_packed *a, const uint16_t *b, int64_t b_stride,
                                                 uint16_t *c, int64_t c_stride, int64_t n, float alpha, float beta,
                                                 int64_t begin, int64_t end, void *scratch);

/* ---- attention ------------------------------------------------------------------------------------------- */

enum {
    FILIGREE_ATTENTION_LANES = 16,      /* columns of a panel */
    FILIGREE_ATTENTION_TILE_ROWS = 64,  /* the most query rows of a tile */
    FILIGREE_ATTENTION_STEP_KEYS = 128, /* the most keys whose scores are normalised together */
    FILIGREE_ATTENTION_ROW_GROUP = 4,   /* rows of a tile are padded to a multiple of it */
    FILIGREE_ATTENTION_ROW_STRIDE = 144 /* floats from row to row of queries and scores in scratch */
};

/*
 * The header of a packed block mask over the score matrix of queries x keys; offsets are bytes from the header's own
 * address, and every table starts at a multiple of 64.
 *
 * Tiles. Tile t of a head is the query rows tile_starts[t] up to tile_starts[t + 1], at most tile_rows; a tile never
 * crosses a multiple of block_rows.
 *
 * Units. Unit u is the keys u * unit_keys up to (u + 1) * unit_keys, or to the last key. unit_keys is a multiple of
 * 16 up to 128 that divides block_cols. The units of tile t of head h are the entries list_starts[h * tile_count + t]
 * up to list_starts[h * tile_count + t + 1] of units[], in ascending order; h is 0 when mask_heads is 1.
 *
 * patterns[entry] is -1 when every score of the unit counts, else the index of an element mask: score (i, j) counts
 * when bit j % 16 of words[pattern][i % block_rows][j % block_cols / 16] is set.
 *
 * order[h * tile_count + r] is the tile of head h with the r-th longest list. used[] are the units in any list.
 */
typedef struct filigree_attention_mask {
    int64_t magic; /* FILIGREE_ATTENTION_MAGIC */
    int64_t bytes; /* of the whole packed mask, its 64 readable bytes at the end included */
    int64_t queries;
    int64_t keys;
    int64_t mask_heads; /* heads with lists of their own; 1: all heads share them */
    int64_t block_rows;
    int64_t block_cols;
    int64_t tile_rows;
    int64_t unit_keys;
    int64_t step_units; /* units of a step */
    int64_t tile_count; /* of a head */
    int64_t used_count;
    int64_t tile_starts; /* int32[tile_count + 1] */
    int64_t order;       /* int32[mask_heads * tile_count] */
    int64_t list_starts; /* int64[mask_heads * tile_count + 1] */
    int64_t units;       /* int32[] */
    int64_t patterns;    /* int32[] */
    int64_t words;       /* uint16[][block_rows][block_cols / 16] */
    int64_t used;        /* int32[used_count] */
} filigree_attention_mask;

#define FILIGREE_ATTENTION_MAGIC 0x316e747461676c66LL /* "flgattn1" in little-endian memory */

/* Strides of an operand (batch, head, row, dim), in elements; the elements of a row are consecutive. */
typedef struct filigree_attention_strides {
    int64_t batch;
    int64_t head;
    int64_t row;
} filigree_attention_strides;

/* The shape of a call. Offsets are bytes from its own address. */
typedef struct filigree_attention_shape {
    int64_t batch;
    int64_t heads;
    int64_t kv_heads;   /* divides heads: query head h uses key head h / (heads / kv_heads) */
    int64_t dim;        /* a multiple of 8, 8 to 256 */
    int64_t first_pair; /* pair p is key head p % kv_heads of batch entry p / kv_heads */
    int64_t pair_count; /* this call's pairs: first_pair and those that follow */
    filigree_attention_strides q;
    filigree_attention_strides k;
    filigree_attention_strides v;
    filigree_attention_strides out;
    int64_t key_lengths; /* int32[batch]: keys that count, 0 to keys; offset 0: all */
    int64_t slopes;      /* float[heads]; offset 0: none */
    float scale;
    float soft_cap; /* 0: none */
    int64_t out_dtype; /* of a bf16 kernel's output; an f32 kernel's is f32 */
} filigree_attention_shape;

/*
 * out = softmax(scale * q k^T) v over work items [begin, end), which must not cross from the first kind of item to
 * the second.
 *
 * Packing items. Item p * used_count + i packs unit used[i] of the p-th pair of the call: the keys at float
 * p * (K + V) + unit * unit_keys * dim of `packed`, in panels of 16 keys, [unit_keys / 16][dim][16]; the values at
 * p * (K + V) + K + unit * unit_keys * D, in panels of 16 head dimensions, [D / 16][unit_keys][16]; D is dim rounded
 * up to 16, units the number of units that cover the keys, K = units * unit_keys * dim, V = units * unit_keys * D.
 * Keys from the key length on, and head dimensions from dim on, are zeros.
 *
 * Tile items, only when all packing items are done. With G = heads / kv_heads, item
 * pair_count * used_count + (p * tile_count + r) * G + g is the tile with the r-th longest list of the g-th query head
 * of the p-th pair: heads that share keys follow each other, and pairs one another.
 *
 * Order of sums, for each query row i of a tile, the same in every kernel:
 *   q'  = scale * q
 *   s_j = fma(q'[d], k_j[d], s_j) from +0 over d in ascending order
 *   with a cap:    s_j = cap * tanh(s_j * (1 / cap))
 *   with a slope:  s_j = fma(slope, (float)(j - (i + keys - queries)), s_j)
 *   a score that does not count is -inf
 * The units of the list that begin below the key length are taken in steps of step_units; m = -inf, l[16] = +0 and
 * acc[dim] = +0 at first, or as the state has them. In each step
 *   m'    = the largest of m and the s_j (s > m ? s : m: a NaN does not count), +0 when that is a zero
 *   alpha = 1 if m' == m or m == -inf, else exp(m - m');  ref = 0 if m' == -inf, else m'
 *   p_j   = exp(s_j - ref)
 *   l[c]  = l[c] * alpha, then + p_j over the step's keys j with j % 16 == c in list order
 *   acc   = acc * alpha unless alpha == 1, then fma(p_j, v_j, acc) over the step's keys in list order, those that do
 *           not count included
 *   m     = m'
 * At the end L = l added by halves: l[c] += l[c + 8], then + 4, + 2, + 1. out = acc * (1 / L) and
 * lse = m + log(L) (in double, see log_sum_exp); if L is 0, out = acc * 0 and lse = -inf. With a state, m, l and acc
 * are left in the state instead, and neither out nor lse is written.
 *
 * lse      float[batch][heads][queries], or null
 * state    float[batch][heads][queries][dim + 17]: acc, l, m; or null
 * packed   pair_count * (K + V) floats, 64-byte aligned, shared by all calls of one run
 * scratch  of this call alone, 64-byte aligned: with R = tile_rows rounded up to 4, max(unit_keys * dim,
 *          R * ((dim / 128 rounded up, + 1) * 144 + D + 32) + 2 * (R rounded up to 16)) floats
 */
FILIGREE_API int32_t filigree_attention_block_f32_avx512(const filigree_attention_mask *mask,
                                                         const filigree_attention_shape *shape, const float *q,
                                                         const float *k, const float *v, float *out, float *lse,
                                                         float *state, float *packed, int64_t begin, int64_t end,
                                                         void *scratch);

/*
 * The same of bf16: q, k and v are bf16, out is bf16 or f32, and strides count their elements. Products are those of
 * vdpbf16ps, x = x + odd (a b), then + even (a b), each fused, denormal operands and sums zeros of their sign, so that
 * weights are rounded to bf16, too. What differs:
 *
 * Packing. The keys of a unit are panels [unit_keys / 16][dim / 2][16] of pairs: element 2 d of a key in the lower half
 * of a word, element 2 d + 1 in the upper. Its values are panels [D / 16][unit_keys / 2][16] of pairs: key 2 j in the
 * lower half, key 2 j + 1 in the upper. They begin at word p * (K + V) / 2 + unit * unit_keys * dim / 2 and
 * p * (K + V) / 2 + K / 2 + unit * unit_keys * D / 2.
 *
 * Order of sums:
 *   s_j   = the products of the pairs of q and k_j from +0 in ascending order; then s_j = s_j * scale
 *   p_j   = exp(s_j - ref), rounded to bf16: to nearest, ties to even
 *   l[c]  = l[c] * alpha, then + p_j + p_(j - 1), in this order, over the pairs of the step's keys that are the c-th, the
 *           c + 16-th, ... of the step; as vdpbf16ps by 1, and a pair that is missing to a multiple of 16 is +0
 *   acc   = acc * alpha unless alpha == 1, then the products of the pairs of p and v over the step's keys in list order
 * l is a sum of rounded weights, so that the weights of a row still add up to one: besides its own rounding, out differs
 * from exact attention by 2^-8 / (1 - 2^-8) of the weighted magnitudes of v - out at most, and lse by as much of 1.
 *
 * packed   pair_count * (K + V) / 2 words, 64-byte aligned
 */
FILIGREE_API int32_t filigree_attention_block_bf16_avx512(const filigree_attention_mask *mask,
                                                          const filigree_attention_shape *shape, const uint16_t *q,
                                                          const uint16_t *k, const uint16_t *v, void *out, float *lse,
                                                          float *state, void *packed, int64_t begin, int64_t end,
                                                          void *scratch);

/*
 * The same with AMX tiles. Scores, and the sums of acc, are added in another order: up to 32 elements at a time make two
 * sums, one of each half of the words, in order, which are added to each other, and then to s_j or acc.
 */
FILIGREE_API int32_t filigree_attention_block_bf16_amx(const filigree_attention_mask *mask,
                                                       const filigree_attention_shape *shape, const uint16_t *q,
                                                       const uint16_t *k, const uint16_t *v, void *out, float *lse,
                                                       float *state, void *packed, int64_t begin, int64_t end,
                                                       void *scratch);

/* ---- mlp ------------------------------------------------------------------------------------------------- */

enum {
    FILIGREE_MLP_BLOCK = 16,   /* positions of a list that an item of mlp_dot covers */
    FILIGREE_MLP_STRIP = 64,   /* columns that an item of mlp_axpy covers */
    FILIGREE_MLP_TOKENS = 16,  /* the most tokens of a call */
    FILIGREE_MLP_SUMS = 16384, /* floats of mlp_axpy's scratch */
    FILIGREE_MLP_ROW_STEP = 32 /* a row's stride is a multiple of as many elements */
};

/*
 * The header of a matrix W (rows x cols) whose rows are used or skipped as a whole; offsets are bytes from the header's
 * own address. A file of such a matrix is these bytes. Row r is the `stride` elements from values + r * stride on;
 * those from cols on are +0.
 */
typedef struct filigree_row_matrix {
    int64_t magic; /* FILIGREE_ROW_MATRIX_MAGIC */
    int64_t bytes; /* of the whole matrix, its 64 readable bytes at the end included */
    int64_t rows;
    int64_t cols;
    int64_t stride; /* a multiple of FILIGREE_MLP_ROW_STEP */
    int64_t dtype;
    int64_t values; /* a multiple of 64 */
} filigree_row_matrix;

#define FILIGREE_ROW_MATRIX_MAGIC 0x31776f72676c66LL /* "flgrow1" in little-endian memory */

/*
 * Products with listed rows of W. Position p counts for token t when bit t of masks[p] is set. Both functions finish a
 * sum alike: y = sum; if there is a bias, y = y + bias; y = activation(y); if there are factors, y = factor * y.
 *
 * out[t][p] = finish(W[list[p]] . x[t]) where position p counts for token t, else +0, over items [begin, end): item i
 * is positions [16 i, min(count, 16 i + 16)). Of out, whole blocks of 16 are written; past count, it is undefined.
 *
 * Order of sums: l[16] = +0; in f32, l[c] = fma(w[16 k + c], x[16 k + c], l[c]) for k = 0, 1, ...; in bf16, whose
 * values widen to f32, l[c] = fma(w[32 k + 2 c], x[32 k + 2 c], l[c]), then l[c] = fma(w[32 k + 2 c + 1],
 * x[32 k + 2 c + 1], l[c]). In the end l[c] += l[c + 8], then + 4, + 2, + 1: the sum is l[0].
 *
 * list        rows of W; null: position p is row p
 * masks       uint16[count]; null: every position counts for every token
 * x           float[tokens][stride of W], 64-byte aligned, zeros from cols on; with bf16, each 32 columns are the 16
 *             even ones, then the 16 odd ones
 * bias        an element for each row of W; null: none
 * factors     float[tokens][factor_stride], indexed like the output, and may be the output; null: none
 * out         float[tokens][out_stride], 64-byte aligned, out_stride a multiple of 16
 */
FILIGREE_API int32_t filigree_mlp_dot_f32_avx512(const filigree_row_matrix *w, const int32_t *list,
                                                 const uint16_t *masks, int64_t count, const float *x, int64_t tokens,
                                                 const float *bias, const float *factors, int64_t factor_stride,
                                                 int32_t activation, float *out, int64_t out_stride, int64_t begin,
                                                 int64_t end);
FILIGREE_API int32_t filigree_mlp_dot_bf16_avx512(const filigree_row_matrix *w, const int32_t *list,
                                                  const uint16_t *masks, int64_t count, const float *x, int64_t tokens,
                                                  const float *bias, const float *factors, int64_t factor_stride,
                                                  int32_t activation, float *out, int64_t out_stride, int64_t begin,
                                                  int64_t end);

/*
 * out[t][c] = finish(sum over p of coefficients[t][p] * W[list[p]][c]) over items [begin, end): item i is columns
 * [64 i, min(cols, 64 i + 64)). A row whose position does not count is never met.
 *
 * Order of sums: +0, then fma(coefficient, w, sum) over the positions that count, in their order.
 *
 * list          rows of W; null: position p is row p
 * masks         as for filigree_mlp_dot
 * coefficients  float[tokens][coefficient_stride]
 * bias          an element for each column; null: none
 * factors       as for filigree_mlp_dot
 * out           float[tokens][out_stride], of any alignment
 * scratch       float[FILIGREE_MLP_SUMS] of this call alone, 64-byte aligned
 */
FILIGREE_API int32_t filigree_mlp_axpy_f32_avx512(const filigree_row_matrix *w, const int32_t *list,
                                                  const uint16_t *masks, int64_t count, const float *coefficients,
                                                  int64_t coefficient_stride, int64_t tokens, const float *bias,
                                                  const float *factors, int64_t factor_stride, int32_t activation,
                                                  float *out, int64_t out_stride, int64_t begin, int64_t end,
                                                  void *scratch);
FILIGREE_API int32_t filigree_mlp_axpy_bf16_avx512(const filigree_row_matrix *w, const int32_t *list,
                                                   const uint16_t *masks, int64_t count, const float *coefficients,
                                                   int64_t coefficient_stride, int64_t tokens, const float *bias,
                                                   const float *factors, int64_t factor_stride, int32_t activation,
                                                   float *out, int64_t out_stride, int64_t begin, int64_t end,
                                                   void *scratch);
/* ---- attention over a paged cache ------------------------------------------------------------------------ */

/* Selected keys that one work item covers. */
#define FILIGREE_PAGED_SPLIT_KEYS 1024

/*
 * One query of each sequence over selected keys of a paged cache; offsets are bytes from the header's own address.
 *
 * Cache. The key of token t of sequence b for key head h is the row of dim elements at element
 * page * cache.batch + h * cache.head + (t % page_rows) * cache.row of the keys, where page is
 * page_table[b * page_table_stride + t / page_rows]; its value is there in the values.
 *
 * Selection. Pair p is key head p % kv_heads of sequence p / kv_heads. Its selected keys, selected[p] of them, are the
 * tokens below lengths[b] of the blocks of block_keys tokens that list l names, in ascending order:
 * lists[list_starts[l]] up to lists[list_starts[l + 1]], where l is the sequence when list_heads is 1, else p. With
 * list_heads 0 they are all tokens below lengths[b].
 *
 * Splits. Those of pair p are numbered split_starts[p] up to split_starts[p + 1], each of FILIGREE_PAGED_SPLIT_KEYS
 * consecutive selected keys, the last of what is left; a pair without keys has none.
 */
typedef struct filigree_paged_shape {
    int64_t sequences;
    int64_t heads;
    int64_t kv_heads; /* divides heads: query head h uses key head h / (heads / kv_heads) */
    int64_t dim;      /* a multiple of 8, 8 to 256 */
    int64_t page_rows;
    int64_t page_table_stride;
    int64_t block_keys;
    int64_t list_heads;                 /* 0, 1 or kv_heads */
    filigree_attention_strides q;       /* sequence, head; row is not used */
    filigree_attention_strides out;     /* sequence, head; row is not used */
    filigree_attention_strides cache;   /* page, head, row; in elements */
    int64_t page_table;                 /* int32[sequences][page_table_stride] */
    int64_t lengths;                    /* int32[sequences] */
    int64_t list_starts;                /* int64[sequences * list_heads + 1] */
    int64_t lists;                      /* int32[] */
    int64_t selected;                   /* int64[sequences * kv_heads] */
    int64_t split_starts;               /* int64[sequences * kv_heads + 1] */
    int64_t slopes;                     /* float[heads]; offset 0: none */
    float scale;
    float soft_cap; /* 0: none */
} filigree_paged_shape;

/*
 * out = softmax(scale * q k^T) v over work items [begin, end), which must not cross from the first kind of item to the
 * second.
 *
 * Item i below S = split_starts[last] is split i: the state of its keys, row by row for the G = heads / kv_heads query
 * heads of its pair, goes to partials[i]. Item S + p, only when all splits are done, combines those of pair p.
 *
 * Order of sums. Elements of the cache are widened to f32, exactly. A score's dot product is, with q' = scale * q,
 *   t[c] = fma(q'[d], k[d], t[c]) from +0 over d with d % 16 == c in ascending order, c = 0..15
 *   s    = t added by halves: t[c] += t[c + 8], then + 4, + 2, + 1
 * The rest of a split is what filigree_attention_block_f32_avx512 does with one list, a state of its own and steps of
 * FILIGREE_ATTENTION_STEP_KEYS keys, where the n-th key of a step counts as key n for l, and the slope's factor is the
 * key's token less that of the last token of the sequence. Then
 *   m   = the largest m of the splits, in order (s > m ? s : m, from -inf)
 *   a_s = 1 if m_s == m, else exp(m_s - m)
 *   l[c] = fma(l_s[c], a_s, l[c]) and acc[d] = fma(acc_s[d], a_s, acc[d]) from +0, split by split in order
 * and the end is that of a block: L, out and lse.
 *
 * q, out    f32
 * keys      f32 or bf16, as the function says; like values, in any address that is aligned to its elements
 * lse       float[sequences][heads], or null
 * partials  float[S][G][dim + 17]; may be null when S is 0
 * scratch   of this call alone, 64-byte aligned: with R = G rounded up to 4 and D = dim rounded up to 16,
 *           R * ((dim / 128 rounded up, + 1) * 144 + D + 32) + 2 * (R rounded up to 16) floats, and what the Java kernels
 *           stage in: 48 * D + R * 256 more
 */
FILIGREE_API int32_t filigree_attention_paged_f32_avx512(const filigree_paged_shape *shape, const float *q,
                                                         const float *keys, const float *values, float *out,
                                                         float *lse, float *partials, int64_t begin, int64_t end,
                                                         void *scratch);

FILIGREE_API int32_t filigree_attention_paged_bf16_avx512(const filigree_paged_shape *shape, const float *q,
                                                          const uint16_t *keys, const uint16_t *values, float *out,
                                                          float *lse, float *partials, int64_t begin, int64_t end,
                                                          void *scratch);

#ifdef __cplusplus
}
#endif

#endif
