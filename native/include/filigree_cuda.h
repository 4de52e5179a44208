/*
 * The C ABI of libfiligree_cuda.so. The library loads on a machine without a driver and says so when asked;
 * only where filigree_cuda_device_count finds a device is there anything else to do with it.
 *
 * Every function that can fail returns a status, 0 for success.
 */
#ifndef FILIGREE_CUDA_H
#define FILIGREE_CUDA_H

#include "filigree.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FILIGREE_CUDA_API __attribute__((visibility("default")))
#else
#define FILIGREE_CUDA_API
#endif

/* Raised whenever a struct, a status or a function's contract changes. The loader refuses any other number.
 */
#define FILIGREE_CUDA_ABI_VERSION 3

enum {
    FILIGREE_CUDA_OK = 0,
    FILIGREE_CUDA_INVALID_ARGUMENT = 1, /* a size, a range or an index is impossible */
    FILIGREE_CUDA_NO_DRIVER = 2,        /* no NVIDIA driver is installed, or it does not load */
    FILIGREE_CUDA_OLD_DRIVER = 3,       /* the driver is older than the CUDA release of this library */
    FILIGREE_CUDA_NO_DEVICE = 4,        /* the driver sees no device, or none is visible to this process */
    FILIGREE_CUDA_OLD_DEVICE = 5, /* the device is older than every one that the kernels are built for */
    FILIGREE_CUDA_ERROR = 1000    /* this plus a cudaError_t */
};

/* The least compute capability, ten times major plus minor, that the kernels are built for. */
#define FILIGREE_CUDA_LEAST_CAPABILITY 80

FILIGREE_CUDA_API int32_t filigree_cuda_abi_version(void);

/* A static, never null, English text. */
FILIGREE_CUDA_API const char *filigree_cuda_status_text(int32_t status);

/* CUDA releases as 1000 * major + 10 * minor: the one the library was built with and the newest one that the
 * driver knows, 0 without a driver. */
FILIGREE_CUDA_API int32_t filigree_cuda_versions(int32_t *runtime, int32_t *driver);

/* Counts the devices that this process sees. Without any, *count is 0 and the status says why. */
FILIGREE_CUDA_API int32_t filigree_cuda_device_count(int32_t *count);

typedef struct filigree_cuda_device {
    char name[256];       /* ends in a zero byte */
    int64_t memory_bytes; /* of the whole device */
    int64_t l2_bytes;
    int32_t capability; /* ten times major plus minor: 90 */
    int32_t multiprocessors;
} filigree_cuda_device;

/* Describes device 0 <= index < count, numbered as the CUDA runtime does. It makes no context on the device.
 * FILIGREE_CUDA_OLD_DEVICE, with *out filled, where no kernel runs. */
FILIGREE_CUDA_API int32_t filigree_cuda_get_device(int32_t index, filigree_cuda_device *out);

/*
 * Kernels. A launcher checks its arguments, submits all of its work to a stream (a CUstream or cudaStream_t) of the
 * current device and returns without waiting, so that it can be captured into a CUDA graph. What it needs beside its
 * arguments it allocates and frees in the order of the stream. Pointers are the device's unless a parameter says
 * otherwise; dense operands are aligned to their elements, and 16-byte aligned rows are read faster.
 */

/*
 * C = activation(alpha * A * B + beta * C + bias) in f32, with the order of sums that filigree.h writes down: the same
 * bits on every device, at every launch, and for every n.
 *
 * header    the header of a, in host memory; group and block_count are at most 1, and it has an order
 * a         the packed matrix
 * b         row-major, b_stride floats from row to row: cols x n, or n x cols when token-major
 * c         row-major, c_stride floats from row to row: rows x n, or n x rows when token-major
 */
FILIGREE_CUDA_API int32_t filigree_cuda_spmm_csr_f32(const filigree_spmm_packed *header, const void *a, const float *b,
                                                     int64_t b_stride, float *c, int64_t c_stride, int64_t n,
                                                     float alpha, float beta, void *stream);

/*
 * The header of a packed sparse matrix A (rows x cols, bf16) for products with few columns; offsets are bytes from the
 * header's own address, and every table starts at a multiple of 64.
 *
 * Tiles. A is cut into strips of 16 rows and each of these into tile_count tiles of 64 columns, padded with zeros that
 * are not stored. Tile t of strip s begins 16 * tile_starts[s * tile_count + t] bytes after `tiles`; the next begins
 * where it ends. A tile is what the lanes of a warp hold of operand A in four mma.m16n8k16; the multiplications take
 * columns in an order in which a lane needs two runs of 8 that follow each other:
 *
 *   uint16 masks[32]    one a lane. Bit 4 * j + r of lane 4 * i + q is set where register r of the j-th multiplication has
 *                       an element that is stored. The register stands for row 8 * (r % 2) + i and two columns, from
 *                       32 * (j / 2) + 8 * q + 4 * (j % 2) + 2 * (r / 2) on.
 *   uint16 ends[8]      how many pairs lanes 0 to 4 * i + 3 have
 *   uint16 pairs[][2]   for each bit that is set, lane by lane, bit by bit, the two elements in bf16 in the order of their
 *                       columns; 0x8000 stands for one that is not stored, and a stored zero is 0
 *   zeros up to a multiple of 16 bytes
 */
typedef struct filigree_cuda_bitmap_packed {
    int64_t magic; /* FILIGREE_CUDA_BITMAP_MAGIC */
    int64_t bytes; /* of the whole packed matrix, its 64 readable bytes at the end included */
    int64_t rows;
    int64_t cols;
    int64_t nnz;
    int64_t strip_count;
    int64_t tile_count;  /* of a strip */
    int32_t layout;      /* as of filigree_spmm_packed */
    int32_t activation;  /* likewise */
    int64_t bias;        /* float[rows], or offset 0: none */
    int64_t tile_starts; /* uint32[strip_count * tile_count + 1] */
    int64_t tiles;
    int64_t tile_bytes;  /* what the largest tile takes */
} filigree_cuda_bitmap_packed;

#define FILIGREE_CUDA_BITMAP_MAGIC 0x3170616d62676c66LL /* "flgbmap1" in little-endian memory */

/*
 * C = activation(alpha * A * B + beta * C + bias), A, B and C in bf16, sums in f32, rounded to nearest even at the end.
 * The order of sums is the tensor cores' and this kernel's: the same bits at every launch on one device. An element
 * that is not stored never meets its operand, were it an infinity.
 *
 * header    the header of a, in host memory
 * a         the packed matrix
 * b         row-major, b_stride elements from row to row: cols x n, or n x cols when token-major
 * c         row-major, c_stride elements from row to row: rows x n, or n x rows when token-major
 */
FILIGREE_CUDA_API int32_t filigree_cuda_spmm_bitmap_bf16(const filigree_cuda_bitmap_packed *header, const void *a,
                                                         const uint16_t *b, int64_t b_stride, uint16_t *c,
                                                         int64_t c_stride, int64_t n, float alpha, float beta,
                                                         void *stream);

#ifdef __cplusplus
}
#endif

#endif
