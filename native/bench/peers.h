/*
 * cuBLASLt and cuSPARSE, where the machine has them: opened at run time, declared here as far as they are used, so that
 * nothing has to be installed to build this.
 */
#ifndef FILIGREE_BENCH_PEERS_H
#define FILIGREE_BENCH_PEERS_H

#include <cstdint>
#include <cuda_runtime.h>
#include <memory>
#include <string>

namespace filigree_bench {

/* A product that was prepared for given operands; run() submits it. */
class Peer {
public:
    virtual ~Peer() = default;
    /* Whether it was submitted. */
    virtual bool run(const void *a, const void *x, void *y, cudaStream_t stream) = 0;
    virtual std::string description() const = 0;
};

/*
 * Dense Y = X A^T in bf16 with sums in f32: A is rows x cols, X is n x cols, Y is n x rows. Of the algorithms that the
 * library proposes the fastest on these operands. Null, with the reason, where it cannot.
 */
std::unique_ptr<Peer> open_cublas_dense(int64_t rows, int64_t cols, int64_t n, const void *a, const void *x, void *y,
                                        cudaStream_t stream, std::string *reason);

struct CsrOnDevice {
    int64_t rows, cols, nnz;
    const int32_t *offsets, *columns;
    const float *values;
};

/* Sparse C = A B in f32, B and C row-major; the fastest of the library's CSR algorithms on these operands. */
std::unique_ptr<Peer> open_cusparse(const CsrOnDevice &a, int64_t n, const float *b, float *c, cudaStream_t stream,
                                    std::string *reason);

/* Milliseconds that a submission takes, on average over some. */
template <class Submit> float measure(cudaStream_t stream, int times, Submit submit) {
    cudaEvent_t start, end;
    cudaEventCreate(&start), cudaEventCreate(&end);
    bool good = submit();
    cudaEventRecord(start, stream);
    for (int i = 0; i < times && good; ++i) good = submit();
    cudaEventRecord(end, stream);
    float millis = -1;
    if (cudaEventSynchronize(end) == cudaSuccess && good) cudaEventElapsedTime(&millis, start, end);
    cudaEventDestroy(start), cudaEventDestroy(end);
    return good && cudaGetLastError() == cudaSuccess ? millis / static_cast<float>(times) : -1;
}

} // namespace filigree_bench

#endif
