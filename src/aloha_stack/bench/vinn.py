"""One question to a VINN's memory of 100,000 steps: neighbours, weights, chunk; no encoder.

Beside it one pass over the index's memory (its greatest 64-bit number) in turns with it: nothing
that compares with every step can be quicker. Steps are of made-up episodes that drift as real ones
do; what is asked for is near one of them. The neighbours are compared with those of plain double
precision.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aloha_stack.arguments import count
from aloha_stack.bench.options import bench_parser
from aloha_stack.bench.report import FAILED, NO_TORCH, Bar, Report, Row, at_fault, busy, machine
from aloha_stack.progress import Progress

if TYPE_CHECKING:
    from aloha_stack.policies.vinn_index import Index

EXAMPLE = """examples:
  ./aloha bench vinn
  ./aloha bench vinn --rows 1000000 --json vinn.json
"""
ROWS, DIMS, EPISODE = 100_000, 512, 400
NEIGHBOURS, JOINT_WEIGHT, CHUNK = 10, 1.0, 100
WARM_UP = 3
QUICK = Bar("ratio", "<=", 1.5)
IN_TIME = Bar("value", "<=", 20.0)
SAME = Bar("value", ">=", 1.0)


def main(argv: Sequence[str]) -> int:
    """Carries out the command; the exit status tells whether all bars hold."""
    options = _parser().parse_args(list(argv))
    try:
        import torch
    except ImportError:
        return at_fault("vinn", NO_TORCH)
    torch.set_num_threads(1)
    progress, found = Progress(), machine()
    if warning := busy(found):
        progress.say(warning)
    progress.show("making the memory")
    with tempfile.TemporaryDirectory(prefix="aloha_bench_") as folder:
        rows = _rows(Path(folder), options.rows, options.dims, options.rounds)
    progress.clear()
    report = Report("vinn", rows, found | {"threads": 1})
    print(report.table())
    if options.json is not None:
        report.write(options.json)
    return report.status if all(row.value for row in rows) else FAILED


def _rows(folder: Path, count: int, dims: int, rounds: int) -> list[Row]:
    from aloha_stack.policies.vinn import neighbour_weights
    from aloha_stack.policies.vinn_index import Index, Source
    from aloha_stack.policies.vinn_search import find, search_of

    noise = np.random.default_rng(0)
    np.save(folder / "embeddings.npy", drift(noise, count, dims, 1.0).astype(np.float16))
    mapped = np.asarray(np.load(folder / "embeddings.npy", mmap_mode="r"))
    joints = drift(noise, count, 14, 0.5)
    ends = np.minimum((np.arange(count) // EPISODE + 1) * EPISODE, count)
    parts = [min(EPISODE, count - first) for first in range(0, count, EPISODE)]
    sources = tuple(Source(f"episode_{n}", n, rows, "") for n, rows in enumerate(parts))
    index = Index(mapped, joints, joints, ends, sources)
    search = search_of(mapped)
    faiss_on_one_core()
    asked = [
        (
            mapped[row].astype(np.float32) + noise.normal(0, 0.2 / dims**0.5, dims),
            joints[row] + noise.normal(0, 0.01, 14),
        )
        for row in noise.integers(0, count, rounds + WARM_UP)
    ]
    asked = [(e.astype(np.float32), j.astype(np.float32)) for e, j in asked]
    memory = mapped.reshape(-1).view(np.uint64)
    passes, questions, same = [], [], []
    for number, (embedding, state) in enumerate(asked):
        passes.append(_took_ms(memory.max))
        began = time.perf_counter()
        near = find(index, search, embedding, state, JOINT_WEIGHT, NEIGHBOURS)
        weights = neighbour_weights(near.total)
        np.einsum("k,kta->ta", weights, [index.chunk(int(row), CHUNK) for row in near.rows])
        questions.append(1e3 * (time.perf_counter() - began))
        if number < WARM_UP:
            same.append(np.isin(near.rows, exact(index, embedding, state)).mean())
    took, passed = (statistics.median(one[WARM_UP:]) for one in (questions, passes))
    size = f"{count:,} steps x {dims}, float16 ({mapped.nbytes / 1e6:.0f} MB)"
    return [
        Row(f"a question, {size}", took, "ms", "a pass over that memory", passed, QUICK),
        Row("a question, in itself", took, "ms", bar=IN_TIME),
        Row("neighbours as in double precision, share", float(np.mean(same)), "", bar=SAME),
    ]


def drift(noise: np.random.Generator, count: int, dims: int, length: float) -> np.ndarray:
    """(count, dims) float32: episodes of EPISODE steps that wander; root mean square `length`."""
    made = np.empty((count, dims), np.float32)
    for first in range(0, count, EPISODE):
        rows = min(EPISODE, count - first)
        steps = noise.standard_normal((rows, dims), np.float32) * (0.05 / dims**0.5)
        made[first : first + rows] = steps.cumsum(axis=0)
        made[first : first + rows] += noise.standard_normal(dims, np.float32) / dims**0.5
    made *= length
    return made


def exact(index: "Index", embedding: np.ndarray, state: np.ndarray) -> np.ndarray:
    """The nearest rows by plain double precision."""
    query = embedding.astype(np.float16).astype(np.float64)
    total = np.empty(len(index))
    for first in range(0, len(index), 10_000):
        part = slice(first, first + 10_000)
        seen = np.linalg.norm(index.embeddings[part].astype(np.float64) - query, axis=1)
        at = np.linalg.norm(index.joints[part].astype(np.float64) - state, axis=1)
        total[part] = seen + JOINT_WEIGHT * at
    found: np.ndarray = np.argsort(total, kind="stable")[:NEIGHBOURS]
    return found


def faiss_on_one_core() -> None:
    """As torch is."""
    import faiss

    faiss.omp_set_num_threads(1)


def _took_ms(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - began)


def _parser() -> argparse.ArgumentParser:
    parser = bench_parser("vinn", (__doc__ or "").split("\n\n")[0], EXAMPLE)
    parser.add_argument("--rows", type=count, default=ROWS, metavar="N", help="(%(default)s)")
    parser.add_argument("--dims", type=count, default=DIMS, metavar="N", help="(%(default)s)")
    parser.add_argument("--rounds", type=count, default=30, metavar="N", help="(%(default)s)")
    return parser
