#include "bench/peers.h"

#include <cstddef>
#include <cstring>
#include <dlfcn.h>
#include <initializer_list>
#include <vector>

namespace filigree_bench {

namespace {

constexpr size_t kWorkspaceBytes = size_t{64} << 20;
constexpr int kProposals = 16;
constexpr int kTrials = 10;

/* cudaDataType_t, cublasComputeType_t and what else the libraries number. */
constexpr int kRealF32 = 0, kRealBf16 = 14, kComputeF32 = 68;
constexpr int kTransA = 3, kTranspose = 1, kMaxWorkspace = 1;
constexpr int kIndex32 = 2, kBaseZero = 0, kRowMajor = 2, kNotTransposed = 0;

void *open_library(std::initializer_list<const char *> names, std::string *reason) {
    for (const char *name : names)
        if (void *const library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
    const char *const error = dlerror();
    *reason = error == nullptr ? "not found" : error;
    return nullptr;
}

/* A function of an open library; what is missing is told once all were looked up. */
template <class F> void look_up(void *library, const char *name, F *&function, std::string *missing) {
    function = reinterpret_cast<F *>(dlsym(library, name));
    if (function == nullptr) *missing = std::string("the library lacks ") + name;
}

struct Workspace {
    void *data = nullptr;
    explicit Workspace(size_t bytes) {
        if (bytes > 0) cudaMalloc(&data, bytes);
    }
    ~Workspace() { cudaFree(data); }
    Workspace(const Workspace &) = delete;
    Workspace &operator=(const Workspace &) = delete;
};

/* ---- cuBLASLt --------------------------------------------------------------------------------------------- */

struct Algorithm {
    uint64_t data[8];
};

struct Proposal {
    Algorithm algorithm;
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
};
static_assert(sizeof(Proposal) == 96, "cublasLtMatmulHeuristicResult_t");

struct Lt {
    int (*create)(void **);
    int (*desc_create)(void **, int, int);
    int (*desc_set)(void *, int, const void *, size_t);
    int (*layout_create)(void **, int, uint64_t, uint64_t, int64_t);
    int (*preference_create)(void **);
    int (*preference_set)(void *, int, const void *, size_t);
    int (*propose)(void *, void *, void *, void *, void *, void *, void *, int, Proposal *, int *);
    int (*matmul)(void *, void *, const void *, const void *, void *, const void *, void *, const void *, const void *,
                  void *, void *, void *, const Algorithm *, void *, size_t, cudaStream_t);
};

class CublasDense : public Peer {
public:
    CublasDense() : workspace_(kWorkspaceBytes) {}

    bool prepare(const Lt &lt, int64_t rows, int64_t cols, int64_t n, const void *a, const void *x, void *y,
                 cudaStream_t stream, std::string *reason) {
        lt_ = lt;
        *reason = "cublasLt refuses the problem";
        /* In its columns: Y^T = A X^T, where A lies transposed. */
        const int transposed = kTranspose;
        void *preference = nullptr;
        if (lt.create(&handle_) != 0 || lt.desc_create(&desc_, kComputeF32, kRealF32) != 0 ||
            lt.desc_set(desc_, kTransA, &transposed, sizeof transposed) != 0 ||
            lt.layout_create(&a_, kRealBf16, cols, rows, cols) != 0 ||
            lt.layout_create(&x_, kRealBf16, cols, n, cols) != 0 || lt.layout_create(&y_, kRealBf16, rows, n, rows) != 0 ||
            lt.preference_create(&preference) != 0 ||
            lt.preference_set(preference, kMaxWorkspace, &kWorkspaceBytes, sizeof kWorkspaceBytes) != 0)
            return false;
        std::vector<Proposal> proposals(kProposals);
        int found = 0;
        if (lt.propose(handle_, desc_, a_, x_, y_, y_, preference, kProposals, proposals.data(), &found) != 0) return false;
        float best = -1;
        for (int i = 0; i < found; ++i) {
            algorithm_ = proposals[i].algorithm;
            const float millis = measure(stream, kTrials, [&] { return run(a, x, y, stream); });
            if (millis > 0 && (best < 0 || millis < best)) best = millis, chosen_ = i;
        }
        if (best < 0) return false;
        algorithm_ = proposals[chosen_].algorithm;
        description_ = "algorithm " + std::to_string(chosen_ + 1) + " of " + std::to_string(found);
        reason->clear();
        return true;
    }

    bool run(const void *a, const void *x, void *y, cudaStream_t stream) override {
        const float one = 1, zero = 0;
        return lt_.matmul(handle_, desc_, &one, a, a_, x, x_, &zero, y, y_, y, y_, &algorithm_, workspace_.data,
                          kWorkspaceBytes, stream) == 0;
    }

    std::string description() const override { return description_; }

private:
    Lt lt_{};
    Workspace workspace_;
    void *handle_ = nullptr, *desc_ = nullptr, *a_ = nullptr, *x_ = nullptr, *y_ = nullptr;
    Algorithm algorithm_{};
    int chosen_ = 0;
    std::string description_;
};

/* ---- cuSPARSE --------------------------------------------------------------------------------------------- */

struct Sparse {
    int (*create)(void **);
    int (*set_stream)(void *, cudaStream_t);
    int (*create_csr)(void **, int64_t, int64_t, int64_t, const void *, const void *, const void *, int, int, int, int);
    int (*create_dense)(void **, int64_t, int64_t, int64_t, const void *, int, int);
    int (*set_values)(void *, const void *);
    int (*buffer_size)(void *, int, int, const void *, void *, void *, const void *, void *, int, int, size_t *);
    int (*preprocess)(void *, int, int, const void *, void *, void *, const void *, void *, int, int, void *);
    int (*spmm)(void *, int, int, const void *, void *, void *, const void *, void *, int, int, void *);
};

class CusparseCsr : public Peer {
public:
    bool prepare(const Sparse &api, const CsrOnDevice &a, int64_t n, const float *b, float *c, cudaStream_t stream,
                 std::string *reason) {
        api_ = api;
        *reason = "cusparse refuses the problem";
        if (api.create(&handle_) != 0 || api.set_stream(handle_, stream) != 0 ||
            api.create_csr(&a_, a.rows, a.cols, a.nnz, a.offsets, a.columns, a.values, kIndex32, kIndex32, kBaseZero,
                           kRealF32) != 0 ||
            api.create_dense(&b_, a.cols, n, n, b, kRealF32, kRowMajor) != 0 ||
            api.create_dense(&c_, a.rows, n, n, c, kRealF32, kRowMajor) != 0)
            return false;
        struct Candidate {
            int algorithm;
            const char *name;
        };
        float best = -1;
        int best_algorithm = 0;
        for (const Candidate &candidate : {Candidate{0, "default"}, {4, "CSR_ALG1"}, {6, "CSR_ALG2"}, {12, "CSR_ALG3"}}) {
            algorithm_ = candidate.algorithm;
            if (!begin(stream)) continue;
            const float millis = measure(stream, kTrials, [&] { return run(a.values, b, c, stream); });
            if (millis > 0 && (best < 0 || millis < best))
                best = millis, best_algorithm = candidate.algorithm, description_ = candidate.name;
        }
        algorithm_ = best_algorithm;
        if (best <= 0 || !begin(stream)) return false;
        reason->clear();
        return true;
    }

    /* Operands change by their addresses alone: the pattern, and what was prepared for it, is the same in every set. */
    bool run(const void *, const void *b, void *c, cudaStream_t) override {
        const float one = 1, zero = 0;
        return api_.set_values(b_, b) == 0 && api_.set_values(c_, c) == 0 &&
               api_.spmm(handle_, kNotTransposed, kNotTransposed, &one, a_, b_, &zero, c_, kRealF32, algorithm_,
                         workspace_->data) == 0;
    }

    std::string description() const override { return description_; }

private:
    bool begin(cudaStream_t stream) {
        const float one = 1, zero = 0;
        size_t bytes = 0;
        if (api_.buffer_size(handle_, kNotTransposed, kNotTransposed, &one, a_, b_, &zero, c_, kRealF32, algorithm_,
                             &bytes) != 0)
            return false;
        cudaStreamSynchronize(stream);
        workspace_ = std::make_unique<Workspace>(bytes);
        return api_.preprocess(handle_, kNotTransposed, kNotTransposed, &one, a_, b_, &zero, c_, kRealF32, algorithm_,
                               workspace_->data) == 0 &&
               cudaStreamSynchronize(stream) == cudaSuccess;
    }

    Sparse api_{};
    std::unique_ptr<Workspace> workspace_;
    void *handle_ = nullptr, *a_ = nullptr, *b_ = nullptr, *c_ = nullptr;
    int algorithm_ = 0;
    std::string description_;
};

} // namespace

std::unique_ptr<Peer> open_cublas_dense(int64_t rows, int64_t cols, int64_t n, const void *a, const void *x, void *y,
                                        cudaStream_t stream, std::string *reason) {
    void *const library = open_library({"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"}, reason);
    if (library == nullptr) return nullptr;
    Lt lt{};
    std::string missing;
    look_up(library, "cublasLtCreate", lt.create, &missing);
    look_up(library, "cublasLtMatmulDescCreate", lt.desc_create, &missing);
    look_up(library, "cublasLtMatmulDescSetAttribute", lt.desc_set, &missing);
    look_up(library, "cublasLtMatrixLayoutCreate", lt.layout_create, &missing);
    look_up(library, "cublasLtMatmulPreferenceCreate", lt.preference_create, &missing);
    look_up(library, "cublasLtMatmulPreferenceSetAttribute", lt.preference_set, &missing);
    look_up(library, "cublasLtMatmulAlgoGetHeuristic", lt.propose, &missing);
    look_up(library, "cublasLtMatmul", lt.matmul, &missing);
    if (!missing.empty()) {
        *reason = missing;
        return nullptr;
    }
    auto peer = std::make_unique<CublasDense>();
    if (!peer->prepare(lt, rows, cols, n, a, x, y, stream, reason)) return nullptr;
    return peer;
}

std::unique_ptr<Peer> open_cusparse(const CsrOnDevice &a, int64_t n, const float *b, float *c, cudaStream_t stream,
                                    std::string *reason) {
    void *const library = open_library({"libcusparse.so.12", "libcusparse.so.13", "libcusparse.so"}, reason);
    if (library == nullptr) return nullptr;
    Sparse api{};
    std::string missing;
    look_up(library, "cusparseCreate", api.create, &missing);
    look_up(library, "cusparseSetStream", api.set_stream, &missing);
    look_up(library, "cusparseCreateCsr", api.create_csr, &missing);
    look_up(library, "cusparseCreateDnMat", api.create_dense, &missing);
    look_up(library, "cusparseDnMatSetValues", api.set_values, &missing);
    look_up(library, "cusparseSpMM_bufferSize", api.buffer_size, &missing);
    look_up(library, "cusparseSpMM_preprocess", api.preprocess, &missing);
    look_up(library, "cusparseSpMM", api.spmm, &missing);
    if (!missing.empty()) {
        *reason = missing;
        return nullptr;
    }
    auto peer = std::make_unique<CusparseCsr>();
    if (!peer->prepare(api, a, n, b, c, stream, reason)) return nullptr;
    return peer;
}

} // namespace filigree_bench
