"""The nearest rows of an index, exactly: in numpy for small ones, by faiss for large ones.

faiss compares float16 rows where they lie in the mapped file, at about the speed at which the
memory can be read, with sums in float32; nothing is copied. Both give squared distances to what is
stored; what is asked for is rounded as what is stored was, so that a stored row finds itself at 0.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from aloha_stack.policies.policy import PolicyError
from aloha_stack.policies.vinn_index import Index

SMALL_BYTES = 16 << 20
"""Embeddings (float16) up to this size are compared by numpy, as float32 in memory."""
FIRST = 64
"""Candidates that are looked at first; more, until the nearest are certain."""
MORE = 8


@dataclass(frozen=True)
class Neighbours:
    """The nearest rows, the nearest first: (k,) each; total = visual + joint weight * joints."""

    rows: np.ndarray
    total: np.ndarray
    visual: np.ndarray
    joints: np.ndarray


class Search(Protocol):
    """Rows by their embeddings alone."""

    def nearest(self, embedding: np.ndarray, count: int) -> np.ndarray:
        """The `count` nearest rows to (D,) float32; the nearest first, but for rounding."""


class NumpySearch:
    """One product with all rows; those that could be among the nearest are compared exactly."""

    def __init__(self, embeddings: np.ndarray) -> None:
        self._rows = embeddings.astype(np.float32)
        self._squares = np.einsum("nd,nd->n", self._rows, self._rows)
        self._most = float(self._squares.max(initial=0.0))

    def nearest(self, embedding: np.ndarray, count: int) -> np.ndarray:
        """As Search says."""
        if count >= len(self._rows):
            return np.arange(len(self._rows))
        rough = self._squares - 2 * (self._rows @ embedding)
        error = 1e-6 * len(embedding) ** 0.5 * (self._most + float(embedding @ embedding))
        limit = np.partition(rough, count - 1)[count - 1] + 2 * error
        rows = np.flatnonzero(rough <= limit)
        square = np.square(self._rows[rows] - embedding).sum(axis=1)
        found: np.ndarray = rows[np.argsort(square, kind="stable")[:count]]
        return found


class FaissSearch:
    """faiss' float16 quantiser, which looks at mapped rows."""

    def __init__(self, embeddings: np.ndarray) -> None:
        """Raises PolicyError without faiss."""
        try:
            import faiss
        except ImportError as error:
            raise PolicyError(
                "an index of this size needs faiss: ./aloha python -m pip install faiss-cpu"
            ) from error
        self._kept = np.ascontiguousarray(embeddings)  # a mapped file stays one
        dims = self._kept.shape[1]
        self._index = faiss.IndexScalarQuantizer(
            dims, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_L2
        )
        _look_at(self._index, faiss, self._kept)

    def nearest(self, embedding: np.ndarray, count: int) -> np.ndarray:
        """As Search says."""
        _, rows = self._index.search(embedding[None], min(count, len(self._kept)))
        found: np.ndarray = rows[0]
        return found


def _look_at(index: Any, faiss: Any, rows: np.ndarray) -> None:
    """Lets a quantiser of float16 take these rows for its codes, which they are bit for bit."""
    flat = rows.view(np.uint8).reshape(-1)
    codes, pointer = index.codes, faiss.swig_ptr(flat)
    codes.is_owned = False
    codes.view_data = codes.c_ptr = pointer
    codes.view_size = codes.c_size = flat.size
    index.ntotal = len(rows)


def search_of(embeddings: np.ndarray) -> Search:
    """What suits an index of this size."""
    if embeddings.nbytes <= SMALL_BYTES:
        return NumpySearch(embeddings)
    return FaissSearch(embeddings)


def rounded(embedding: np.ndarray) -> np.ndarray:
    """(D,) float32, as it would be stored."""
    return embedding.astype(np.float16).astype(np.float32)


def find(
    index: Index,
    search: Search,
    embedding: np.ndarray,
    joints: np.ndarray,
    joint_weight: float,
    count: int,
    apart: bool = False,
) -> Neighbours:
    """The `count` nearest rows to (D,) and (J,) by visual + joint_weight * joints, exactly; with
    `apart` at most one of each episode.

    No row that was not looked at is nearer than the last that was by its embedding alone: once that
    is as far as the last neighbour by both, none can be missing.
    """
    query = rounded(embedding)
    if not len(query):
        joint = np.linalg.norm(index.joints - joints, axis=1).astype(np.float64)
        rows = np.argsort(joint, kind="stable")
        return _first(index, rows, np.zeros(len(rows)), joint[rows], joint_weight, count, apart)
    looked = max(FIRST, 2 * count)
    while True:
        rows = search.nearest(query, looked)
        visual = np.linalg.norm(index.embeddings[rows].astype(np.float64) - query, axis=1)
        joint = np.linalg.norm(index.joints[rows].astype(np.float64) - joints, axis=1)
        found = _first(index, rows, visual, joint, joint_weight, count, apart)
        if looked >= len(index) or (
            len(found.rows) == count and found.total[-1] <= (1 - 1e-5) * visual.max()
        ):
            return found
        looked *= MORE


def _first(
    index: Index,
    rows: np.ndarray,
    visual: np.ndarray,
    joint: np.ndarray,
    joint_weight: float,
    count: int,
    apart: bool,
) -> Neighbours:
    total = visual + joint_weight * joint
    order = np.lexsort((rows, total))
    if apart:
        _, firsts = np.unique(index.episode_of(rows[order]), return_index=True)
        order = order[np.sort(firsts)]
    order = order[:count]
    return Neighbours(rows[order], total[order], visual[order], joint[order])
