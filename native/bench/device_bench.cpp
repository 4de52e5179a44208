/*
 * Times SpMM on this machine's CUDA device beside cuBLASLt and cuSPARSE, without a JVM: bench/device.sh builds and runs
 * it.
 *
 *   device_bench <json file> [--case TEXT] [file.smtx...]      of the cases, those whose names contain TEXT
 *   device_bench --check                       exit 3, with the reason, where there is no device
 *
 * Contenders of a case take turns, round by round. In a round each runs once on every one of its operand sets, which
 * together exceed 160 MB, so that none is in the second-level cache; the runs of a round are captured in a CUDA graph
 * where they can be, so that no one waits for its submissions. Every contender's result is compared with the sums in
 * double. Matrices named on the command line are patterns, as in DLMC; their values are drawn.
 */
#include "bench/peers.h"
#include "cuda/bitmap_cases.h"
#include "cuda/on_device.h"
#include "spmm_cases.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <optional>
#include <sstream>

using namespace filigree_bench;
using namespace filigree_test;

namespace {

/* More than three times the second-level cache of the largest device. */
constexpr int64_t kSetBytes = int64_t{160} << 20;
constexpr int64_t kMostSets = 64;
constexpr int kRounds = 15;
constexpr int kWarmUps = 3;
constexpr int kCheckedRows = 64;

struct Result {
    std::string name, kernel, error;
    double median_ms = 0, min_ms = 0, max_rel_err = 0;
};

struct Contender {
    std::string name, kernel;
    std::function<bool(int64_t set)> submit;
    std::function<double()> error; /* of what the last run of set 0 wrote */
    std::string refusal;           /* why it does not take part */
    cudaGraphExec_t graph = nullptr;
    std::vector<double> millis{};
};

/* Operands of one kind, one for each set, in one allocation; each is 256-byte aligned. */
class Sets {
public:
    Sets(int64_t bytes, int64_t count) : bytes_((bytes + 255) / 256 * 256) {
        CUDA_CHECK(cudaMalloc(&data_, static_cast<size_t>(bytes_ * count)));
        CUDA_CHECK(cudaMemset(data_, 0, static_cast<size_t>(bytes_ * count)));
    }
    ~Sets() { cudaFree(data_); }
    Sets(const Sets &) = delete;
    Sets &operator=(const Sets &) = delete;

    template <class T> T *at(int64_t set) const { return reinterpret_cast<T *>(static_cast<char *>(data_) + set * bytes_); }
    void fill(const void *from, size_t bytes, int64_t count) {
        for (int64_t set = 0; set < count; ++set)
            CUDA_CHECK(cudaMemcpy(at<char>(set), from, bytes, cudaMemcpyHostToDevice));
    }

private:
    int64_t bytes_;
    void *data_ = nullptr;
};

template <class T> std::vector<T> download(const T *from, int64_t count) {
    std::vector<T> to(static_cast<size_t>(count));
    CUDA_CHECK(cudaMemcpy(to.data(), from, to.size() * sizeof(T), cudaMemcpyDeviceToHost));
    return to;
}

bool submit_all(const Contender &c, int64_t sets) {
    for (int64_t set = 0; set < sets; ++set)
        if (!c.submit(set)) return false;
    return true;
}

/* One round of a contender as a graph, or null where something in it cannot be captured. */
cudaGraphExec_t capture(const Contender &c, int64_t sets, cudaStream_t stream) {
    cudaGraph_t graph = nullptr;
    if (cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) != cudaSuccess) return nullptr;
    const bool good = submit_all(c, sets);
    const bool ended = cudaStreamEndCapture(stream, &graph) == cudaSuccess;
    cudaGraphExec_t executable = nullptr;
    if (good && ended && cudaGraphInstantiate(&executable, graph, 0) != cudaSuccess) executable = nullptr;
    if (graph != nullptr) cudaGraphDestroy(graph);
    cudaGetLastError();
    return executable;
}

std::vector<Result> race(std::vector<Contender> &contenders, int64_t sets, cudaStream_t stream) {
    cudaEvent_t start, end;
    CUDA_CHECK(cudaEventCreate(&start));
    CUDA_CHECK(cudaEventCreate(&end));
    for (Contender &c : contenders) {
        if (!c.refusal.empty()) continue;
        if (!submit_all(c, sets) || cudaStreamSynchronize(stream) != cudaSuccess) {
            c.refusal = std::string("a run failed: ") + cudaGetErrorString(cudaGetLastError());
            continue;
        }
        c.graph = capture(c, sets, stream);
    }
    for (int round = -kWarmUps; round < kRounds; ++round) {
        for (Contender &c : contenders) {
            if (!c.refusal.empty()) continue;
            CUDA_CHECK(cudaEventRecord(start, stream));
            if (c.graph != nullptr) {
                CUDA_CHECK(cudaGraphLaunch(c.graph, stream));
            } else if (!submit_all(c, sets)) {
                fail("%s fails now and then", c.name.c_str());
            }
            CUDA_CHECK(cudaEventRecord(end, stream));
            CUDA_CHECK(cudaEventSynchronize(end));
            float millis = 0;
            CUDA_CHECK(cudaEventElapsedTime(&millis, start, end));
            if (round >= 0) c.millis.push_back(millis / static_cast<double>(sets));
        }
    }
    std::vector<Result> results;
    for (Contender &c : contenders) {
        Result r;
        r.name = c.name, r.kernel = c.kernel, r.error = c.refusal;
        if (c.refusal.empty()) {
            std::sort(c.millis.begin(), c.millis.end());
            r.median_ms = c.millis[c.millis.size() / 2], r.min_ms = c.millis.front();
            r.max_rel_err = c.error();
            if (c.graph != nullptr) cudaGraphExecDestroy(c.graph);
        }
        results.push_back(r);
    }
    cudaEventDestroy(start), cudaEventDestroy(end);
    return results;
}

/* ---- what is reported ------------------------------------------------------------------------------------- */

class Output {
public:
    Output(const char *file, std::string part) : json_(std::fopen(file, "w")), part_(std::move(part)) {
        if (json_ == nullptr) fail("%s cannot be written", file);
    }
    ~Output() { std::fclose(json_); }

    /* Whether a case of this name is asked for. */
    bool wants(const std::string &what) const { return what.find(part_) != std::string::npos; }

    /* flops and bytes are those of one run's useful work. */
    void print(const std::string &what, const std::string &json_case, const std::vector<Result> &results, double flops,
               double bytes, double copy_gbps) {
        double best_peer = 0;
        for (const Result &r : results)
            if (r.error.empty() && r.name.rfind("filigree", 0) != 0 && (best_peer == 0 || r.median_ms < best_peer))
                best_peer = r.median_ms;
        std::fprintf(json_, "{\"op\": \"spmm\", \"case\": %s, \"results\": [", json_case.c_str());
        const char *comma = "";
        for (const Result &r : results) {
            if (!r.error.empty()) {
                std::fprintf(json_, "%s{\"name\": \"%s\", \"error\": \"%s\"}", comma, r.name.c_str(), escape(r.error).c_str());
                std::printf("%-44s %-14s %s\n", what.c_str(), r.name.c_str(), r.error.c_str());
            } else {
                const double gflops = flops / r.median_ms * 1e-6, gbps = bytes / r.median_ms * 1e-6;
                std::fprintf(json_,
                             "%s{\"name\": \"%s\", \"median_ms\": %.6f, \"min_ms\": %.6f, \"rounds\": %d, \"gflops\": %.1f, "
                             "\"gbps\": %.1f, \"max_rel_err\": %.3g, \"kernel\": \"%s\"}",
                             comma, r.name.c_str(), r.median_ms, r.min_ms, kRounds, gflops, gbps, r.max_rel_err,
                             r.kernel.c_str());
                std::printf("%-44s %-14s %9.2f us %8.0f GFLOP/s %6.2f of copy", what.c_str(), r.name.c_str(),
                            1e3 * r.median_ms, gflops, copy_gbps > 0 ? gbps / copy_gbps : 0.0);
                if (best_peer > 0 && r.name.rfind("filigree", 0) == 0) std::printf("  %5.2f x peer", best_peer / r.median_ms);
                std::printf("  err %.1e  %s\n", r.max_rel_err, r.kernel.c_str());
                worst_ = std::max(worst_, r.name.rfind("filigree", 0) == 0 ? r.max_rel_err : 0.0);
            }
            comma = ", ";
        }
        std::fprintf(json_, "]}\n");
        std::fflush(json_), std::fflush(stdout);
    }

    void line(const std::string &json) { std::fprintf(json_, "%s\n", json.c_str()); }
    double worst() const { return worst_; }

private:
    static std::string escape(const std::string &text) {
        std::string out;
        for (const char c : text) out += c == '"' || c == '\\' ? '\'' : c < ' ' ? ' ' : c;
        return out;
    }

    std::FILE *json_;
    std::string part_;
    double worst_ = 0;
};

/* The largest error over the largest magnitude; a NaN is one. */
class Errors {
public:
    void add(double got, double want) {
        const double error = std::fabs(got - want);
        worst_ = error <= worst_ ? worst_ : error;
        norm_ = std::max(norm_, std::fabs(want));
    }
    double relative() const { return norm_ == 0 ? worst_ : worst_ / norm_; }

private:
    double worst_ = 0, norm_ = 0;
};

int64_t sets_of(int64_t bytes) { return std::clamp<int64_t>(kSetBytes / std::max<int64_t>(bytes, 1) + 1, 2, kMostSets); }

/* ---- bf16, token-major, few tokens ------------------------------------------------------------------------ */

/* A matrix that several products take: it is large, and packing it takes a while. */
struct Weights {
    Sparse m;
    std::vector<uint16_t> dense;
    PackedBitmap packed;

    Weights(int64_t rows, int64_t cols, double sparsity) {
        Random random(static_cast<uint64_t>(1000 * sparsity));
        m.rows = rows, m.cols = cols;
        m.values.resize(static_cast<size_t>(rows * cols)), m.stored.resize(m.values.size()), dense.resize(m.values.size());
        for (size_t i = 0; i < dense.size(); ++i) {
            m.stored[i] = !random.chance(sparsity);
            m.values[i] = to_bf16(static_cast<float>(2 * random.uniform() - 1));
            dense[i] = m.stored[i] ? m.values[i] : uint16_t{0};
        }
        packed = pack_bitmap(m, FILIGREE_TOKEN_MAJOR, FILIGREE_ACTIVATION_NONE, {});
    }
};

void bench_bf16(const std::string &what, const Weights &weights, double sparsity, int64_t n, Output &output, double copy_gbps, cudaStream_t stream) {
    const int64_t rows = weights.m.rows, cols = weights.m.cols;
    Random random(static_cast<uint64_t>(n));
    std::vector<uint16_t> x(static_cast<size_t>(n * cols));
    for (uint16_t &v : x) v = to_bf16(static_cast<float>(2 * random.uniform() - 1));
    const auto &dense = weights.dense;

    /* Each contender rotates its own matrix; operands are as many as the one with the smallest needs. */
    const filigree_cuda_bitmap_packed &header = weights.packed.header;
    const int64_t sparse_sets = sets_of(header.bytes), dense_sets = sets_of(2 * rows * cols);
    const int64_t most = std::max(sparse_sets, dense_sets);
    Sets a(header.bytes, sparse_sets), w(2 * rows * cols, dense_sets), b(2 * n * cols, most), c(2 * n * rows, most);
    a.fill(weights.packed.bytes.data(), weights.packed.bytes.size(), sparse_sets);
    w.fill(dense.data(), 2 * dense.size(), dense_sets);
    b.fill(x.data(), 2 * x.size(), most);

    const auto error = [&] {
        const std::vector<uint16_t> y = download(c.at<uint16_t>(0), n * rows);
        Errors errors;
        for (int64_t i = 0; i < kCheckedRows; ++i) {
            const int64_t r = i * rows / kCheckedRows;
            for (int64_t j = 0; j < n; ++j) {
                double sum = 0;
                for (int64_t k = 0; k < cols; ++k) sum += double{from_bf16(dense[r * cols + k])} * from_bf16(x[j * cols + k]);
                errors.add(from_bf16(y[j * rows + r]), sum);
            }
        }
        return errors.relative();
    };
    std::string reason;
    const std::unique_ptr<Peer> peer =
        open_cublas_dense(rows, cols, n, w.at<void>(0), b.at<void>(0), c.at<void>(0), stream, &reason);
    std::vector<Contender> contenders{
        {"filigree/cuda", "spmm_bitmap_bf16_cuda",
         [&](int64_t set) {
             return filigree_cuda_spmm_bitmap_bf16(&header, a.at<void>(set % sparse_sets), b.at<uint16_t>(set), cols,
                                                   c.at<uint16_t>(set), rows, n, 1, 0, stream) == FILIGREE_CUDA_OK;
         },
         error, ""},
        {"cublas-dense", peer ? peer->description() : "",
         [&](int64_t set) { return peer->run(w.at<void>(set % dense_sets), b.at<void>(set), c.at<void>(set), stream); }, error,
         peer ? "" : reason}};
    const std::vector<Result> results = race(contenders, most, stream);
    char json[256];
    std::snprintf(json, sizeof json,
                  "{\"dtype\": \"bf16\", \"rows\": %lld, \"cols\": %lld, \"sparsity\": %.4f, \"nnz\": %lld, \"n\": %lld, "
                  "\"layout\": \"token-major\", \"packed_bytes\": %lld}",
                  (long long)rows, (long long)cols, sparsity, (long long)header.nnz, (long long)n,
                  (long long)header.bytes);
    output.print(what, json, results, 2.0 * static_cast<double>(header.nnz * n),
                 static_cast<double>(header.bytes + 2 * n * (rows + cols)), copy_gbps);
}

void bench_weights(int64_t rows, int64_t cols, Output &output, double copy_gbps, cudaStream_t stream) {
    struct Case {
        double sparsity;
        int64_t n;
        std::string what;
    };
    std::vector<Case> cases;
    std::map<double, std::future<Weights>> weights; /* packed side by side: that takes longer than all else here */
    for (const double sparsity : {0.5, 0.7, 0.8, 0.9}) {
        for (const int64_t n : {1, 8, 16, 64}) {
            char what[96];
            std::snprintf(what, sizeof what, "bf16 %lld x %lld, %.0f %%, n %lld", (long long)rows, (long long)cols,
                          100 * sparsity, (long long)n);
            if (!output.wants(what)) continue;
            cases.push_back({sparsity, n, what});
            if (weights.count(sparsity) == 0)
                weights[sparsity] = std::async(std::launch::async, [=] { return Weights(rows, cols, sparsity); });
        }
    }
    std::optional<Weights> packed;
    for (const Case &c : cases) {
        if (weights[c.sparsity].valid()) packed.emplace(weights[c.sparsity].get());
        bench_bf16(c.what, *packed, c.sparsity, c.n, output, copy_gbps, stream);
    }
}

/* ---- f32, feature-major ----------------------------------------------------------------------------------- */

void bench_f32(const std::string &name, const Csr &m, int64_t n, Output &output, double copy_gbps, cudaStream_t stream) {
    const std::string what = "f32 " + name + ", n " + std::to_string(n);
    if (!output.wants(what)) return;
    Random random(static_cast<uint64_t>(m.nnz() + n));
    PackOptions options;
    options.ordered = true;
    options.block_depth = std::max<int64_t>(1, m.cols);
    /* As SpmmPacker.packForDevice does. */
    int64_t longest = 0;
    for (int64_t r = 0; r < m.rows; ++r) longest = std::max(longest, m.offsets[r + 1] - m.offsets[r]);
    options.row_limit = longest <= 160 ? 160 : std::max<int64_t>(64, m.nnz() / 1365);
    Packer packer(m, options, random);
    const Packed packed = packer.take();
    std::vector<float> b_host(static_cast<size_t>(m.cols * n));
    for (float &v : b_host) v = static_cast<float>(2 * random.uniform() - 1);
    const std::vector<int32_t> offsets(m.offsets.begin(), m.offsets.end());

    /* Operands change from set to set, the matrix does not: cuSPARSE has prepared for one. */
    const int64_t sets = sets_of(4 * n * (m.rows + m.cols));
    Sets a(packed.header.bytes, 1), b(4 * n * m.cols, sets), c(4 * n * m.rows, sets);
    Sets starts(4 * (m.rows + 1), 1), columns(4 * m.nnz() + 4, 1), values(4 * m.nnz() + 4, 1);
    a.fill(packed.bytes.data(), packed.bytes.size(), 1);
    b.fill(b_host.data(), 4 * b_host.size(), sets);
    starts.fill(offsets.data(), 4 * offsets.size(), 1);
    columns.fill(m.columns.data(), 4 * m.columns.size(), 1);
    values.fill(m.values.data(), 4 * m.values.size(), 1);

    const auto error = [&] {
        const std::vector<float> y = download(c.at<float>(0), n * m.rows);
        Errors errors;
        for (int64_t i = 0; i < kCheckedRows; ++i) {
            const int64_t r = i * m.rows / kCheckedRows;
            for (int64_t j = 0; j < n; ++j) {
                double sum = 0;
                for (int64_t p = m.offsets[r]; p < m.offsets[r + 1]; ++p)
                    sum += double{m.values[p]} * b_host[m.columns[p] * n + j];
                errors.add(y[r * n + j], sum);
            }
        }
        return errors.relative();
    };
    std::string reason;
    const CsrOnDevice csr{m.rows, m.cols, m.nnz(), starts.at<int32_t>(0), columns.at<int32_t>(0), values.at<float>(0)};
    const std::unique_ptr<Peer> peer = open_cusparse(csr, n, b.at<float>(0), c.at<float>(0), stream, &reason);
    std::vector<Contender> contenders{
        {"filigree/cuda", "spmm_csr_f32_cuda",
         [&](int64_t set) {
             return filigree_cuda_spmm_csr_f32(&packed.header, a.at<void>(0), b.at<float>(set), n, c.at<float>(set), n, n,
                                               1, 0, stream) == FILIGREE_CUDA_OK;
         },
         error, ""},
        {"cusparse", peer ? peer->description() : "",
         [&](int64_t set) { return peer->run(nullptr, b.at<void>(set), c.at<void>(set), stream); }, error,
         peer ? "" : reason}};
    const std::vector<Result> results = race(contenders, sets, stream);
    char json[400];
    std::snprintf(json, sizeof json,
                  "{\"dtype\": \"f32\", \"matrix\": \"%s\", \"rows\": %lld, \"cols\": %lld, \"sparsity\": %.4f, \"nnz\": "
                  "%lld, \"n\": %lld, \"layout\": \"feature-major\", \"packed_bytes\": %lld}",
                  name.c_str(), (long long)m.rows, (long long)m.cols,
                  1 - static_cast<double>(m.nnz()) / static_cast<double>(m.rows * m.cols), (long long)m.nnz(), (long long)n,
                  (long long)packed.header.bytes);
    output.print(what, json, results, 2.0 * static_cast<double>(m.nnz() * n),
                 static_cast<double>(8 * m.nnz() + 4 * n * (m.rows + m.cols)), copy_gbps);
}

Csr random_matrix(int64_t rows, int64_t cols, double sparsity) {
    Random random(static_cast<uint64_t>(rows * cols) + static_cast<uint64_t>(1000 * sparsity));
    Csr m;
    m.rows = rows, m.cols = cols;
    for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < cols; ++c) {
            if (random.chance(sparsity)) continue;
            m.columns.push_back(static_cast<int32_t>(c));
            m.values.push_back(static_cast<float>(2 * random.uniform() - 1));
        }
        m.offsets.push_back(m.nnz());
    }
    return m;
}

/* "rows, cols, nnz", then the offsets of the rows, then the columns. */
bool read_smtx(const char *file, Csr *m) {
    std::ifstream in(file);
    std::string head;
    int64_t nnz = 0;
    long long rows = 0, cols = 0, count = 0;
    if (!std::getline(in, head) || std::sscanf(head.c_str(), "%lld , %lld , %lld", &rows, &cols, &count) != 3) return false;
    nnz = count, m->rows = rows, m->cols = cols;
    if (rows < 1 || cols < 1 || nnz < 0 || nnz > rows * cols) return false;
    m->offsets.assign(static_cast<size_t>(rows) + 1, 0);
    for (int64_t &offset : m->offsets)
        if (!(in >> offset)) return false;
    Random random(static_cast<uint64_t>(nnz));
    for (int64_t i = 0; i < nnz; ++i) {
        int64_t column = -1;
        if (!(in >> column) || column < 0 || column >= cols) return false;
        m->columns.push_back(static_cast<int32_t>(column));
        m->values.push_back(static_cast<float>(2 * random.uniform() - 1));
    }
    for (int64_t r = 0; r < rows; ++r)
        if (m->offsets[r] > m->offsets[r + 1]) return false;
    return m->offsets.front() == 0 && m->offsets.back() == nnz;
}

/* ---- ceilings --------------------------------------------------------------------------------------------- */

double copy_bandwidth(cudaStream_t stream) {
    constexpr int64_t kBytes = int64_t{1} << 30;
    Sets from(kBytes, 1), to(kBytes, 1);
    const float millis = measure(stream, 20, [&] {
        return cudaMemcpyAsync(to.at<void>(0), from.at<void>(0), kBytes, cudaMemcpyDeviceToDevice, stream) == cudaSuccess;
    });
    return millis > 0 ? 2.0 * kBytes / millis * 1e-6 : 0;
}

double matmul_tflops(cudaStream_t stream, std::string *reason) {
    constexpr int64_t kSide = 8192;
    Sets a(2 * kSide * kSide, 1), x(2 * kSide * kSide, 1), y(2 * kSide * kSide, 1);
    const std::unique_ptr<Peer> peer =
        open_cublas_dense(kSide, kSide, kSide, a.at<void>(0), x.at<void>(0), y.at<void>(0), stream, reason);
    if (!peer) return 0;
    const float millis =
        measure(stream, 20, [&] { return peer->run(a.at<void>(0), x.at<void>(0), y.at<void>(0), stream); });
    return millis > 0 ? 2.0 * kSide * kSide * kSide / millis * 1e-9 : 0;
}

/* Microseconds that the host takes to submit a product that is over at once, and until it is over: medians. */
void submission(cudaStream_t stream, double *submitted, double *done) {
    constexpr int kTimes = 300;
    Random random(1);
    Sparse m;
    m.rows = 16, m.cols = 64;
    for (int i = 0; i < 16 * 64; ++i) m.values.push_back(to_bf16(random.value())), m.stored.push_back(i % 3 == 0);
    const PackedBitmap packed = pack_bitmap(m, FILIGREE_TOKEN_MAJOR, FILIGREE_ACTIVATION_NONE, {});
    Sets a(packed.header.bytes, 1), x(2 * 64, 1), y(2 * 16, 1);
    a.fill(packed.bytes.data(), packed.bytes.size(), 1);
    std::vector<double> first, second;
    using Clock = std::chrono::steady_clock;
    const auto since = [](Clock::time_point start) { return std::chrono::duration<double, std::micro>(Clock::now() - start).count(); };
    for (int i = 0; i < kTimes; ++i) {
        const auto start = Clock::now();
        CHECK(filigree_cuda_spmm_bitmap_bf16(&packed.header, a.at<void>(0), x.at<uint16_t>(0), 64, y.at<uint16_t>(0), 16, 1, 1,
                                             0, stream) == FILIGREE_CUDA_OK);
        first.push_back(since(start));
        CUDA_CHECK(cudaStreamSynchronize(stream));
        second.push_back(since(start));
    }
    std::sort(first.begin(), first.end()), std::sort(second.begin(), second.end());
    *submitted = first[kTimes / 2], *done = second[kTimes / 2];
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 2) fail("usage: device_bench <json file> [--case TEXT] [file.smtx...]");
    int32_t count = 0;
    const int32_t status = filigree_cuda_device_count(&count);
    if (status != FILIGREE_CUDA_OK) {
        std::fprintf(stderr, "no device to measure: %s\n", filigree_cuda_status_text(status));
        return 3;
    }
    if (std::strcmp(argv[1], "--check") == 0) return 0;
    std::vector<std::pair<std::string, Csr>> files;
    std::string part;
    for (int i = 2; i < argc; ++i) {
        if (std::strcmp(argv[i], "--case") == 0 && i + 1 < argc) {
            part = argv[++i];
            continue;
        }
        Csr m;
        if (!read_smtx(argv[i], &m)) fail("%s is no .smtx file", argv[i]);
        const std::string path = argv[i];
        files.emplace_back(path.substr(path.rfind('/') + 1), std::move(m));
    }
    Output output(argv[1], part);
    filigree_cuda_device device{};
    CHECK(filigree_cuda_get_device(0, &device) == FILIGREE_CUDA_OK);
    int32_t runtime = 0, driver = 0;
    CHECK(filigree_cuda_versions(&runtime, &driver) == FILIGREE_CUDA_OK);
    cudaStream_t stream;
    CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));

    const double copy_gbps = copy_bandwidth(stream);
    std::string reason;
    const double tflops = matmul_tflops(stream, &reason);
    std::printf("%s, sm_%d, %d multiprocessors, CUDA %d, driver %d\n", device.name, device.capability,
                device.multiprocessors, runtime, driver);
    double submitted = 0, done = 0;
    submission(stream, &submitted, &done);
    std::printf("copies %.0f GB/s, bf16 matmul %.0f TFLOP/s %s\n", copy_gbps, tflops, reason.c_str());
    std::printf("a product is submitted in %.1f us, and a tiny one over after %.1f us\n\n", submitted, done);
    char line[512];
    std::snprintf(line, sizeof line,
                  "{\"op\": \"ceilings\", \"device\": \"%s\", \"capability\": %d, \"runtime\": %d, \"driver\": %d, "
                  "\"copy_gbps\": %.1f, \"bf16_matmul_tflops\": %.1f, \"submit_us\": %.2f, \"tiny_us\": %.2f}",
                  device.name, device.capability, runtime, driver, copy_gbps, tflops, submitted, done);
    output.line(line);

    bench_weights(14336, 4096, output, copy_gbps, stream);
    const int64_t shapes[][2] = {{512, 512}, {2048, 512}, {512, 2048}, {4096, 4096}};
    for (const auto &shape : shapes) {
        for (const double sparsity : {0.7, 0.9, 0.98}) {
            const Csr m = random_matrix(shape[0], shape[1], sparsity);
            char name[96];
            std::snprintf(name, sizeof name, "%lld x %lld, %.0f %%", (long long)shape[0], (long long)shape[1],
                          100 * sparsity);
            for (const int64_t n : {128, 256}) bench_f32(name, m, n, output, copy_gbps, stream);
        }
    }
    for (const auto &[name, m] : files)
        for (const int64_t n : {128, 256}) bench_f32(name, m, n, output, copy_gbps, stream);
    CUDA_CHECK(cudaStreamDestroy(stream));
    if (output.worst() > 0.01) {
        std::printf("\nWRONG: a result is off by %.3g of the largest\n", output.worst());
        return 1;
    }
    return 0;
}
