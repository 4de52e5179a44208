"""Times PyTorch's dense linear layer in bf16 on the products that device_bench measures: bench/device.sh runs it.

    device_torch.py <json file>

Appends one JSON object a line, as device_bench writes them. Weights are rotated over more than 160 MB, so that none is
in the second-level cache; a round is one CUDA graph; the median of the rounds counts.
"""

import json
import statistics
import sys

import torch

ROWS, COLS = 14336, 4096
SET_BYTES = 160 << 20
ROUNDS = 15


def median_ms(weights, x, y):
    """Milliseconds of one product."""

    def submit():
        for i, w in enumerate(weights):
            torch.matmul(x[i], w.t(), out=y[i])

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            submit()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        submit()
    times = []
    for _ in range(ROUNDS):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / len(weights))
    return statistics.median(times), min(times)


def main(file):
    if not torch.cuda.is_available():
        sys.exit("PyTorch sees no GPU")
    sets = SET_BYTES // (2 * ROWS * COLS) + 2
    weights = [torch.randn(ROWS, COLS, device="cuda", dtype=torch.bfloat16) for _ in range(sets)]
    with open(file, "a", encoding="utf-8") as lines:
        for n in (1, 8, 16, 64):
            x = [torch.randn(n, COLS, device="cuda", dtype=torch.bfloat16) for _ in range(sets)]
            y = [torch.empty(n, ROWS, device="cuda", dtype=torch.bfloat16) for _ in range(sets)]
            median, least = median_ms(weights, x, y)
            want = x[0].double() @ weights[0].double().t()
            error = ((y[0].double() - want).abs().max() / want.abs().max()).item()
            print(f"bf16 {ROWS} x {COLS}, dense, n {n:<3} torch-dense {1e3 * median:9.2f} us  err {error:.1e}")
            case = {"dtype": "bf16", "rows": ROWS, "cols": COLS, "sparsity": 0.0, "nnz": ROWS * COLS, "n": n,
                    "layout": "token-major"}
            result = {"name": "torch-dense", "median_ms": median, "min_ms": least, "rounds": ROUNDS,
                      "gflops": 2e-6 * ROWS * COLS * n / median, "gbps": 2e-6 * ROWS * COLS / median,
                      "max_rel_err": error, "kernel": torch.__version__}
            lines.write(json.dumps({"op": "spmm", "case": case, "results": [result]}) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: device_torch.py <json file>")
    main(sys.argv[1])
