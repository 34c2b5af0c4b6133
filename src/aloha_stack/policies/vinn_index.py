"""The memory of a VINN: a row for each step of its demonstrations, in files mapped into memory.

    FOLDER/index-HASH/embeddings.npy   (N, D) float16    what was seen
    FOLDER/index-HASH/joints.npy       (N, 14) float32   where the robot was
    FOLDER/index-HASH/actions.npy      (N, 14) float32   what it was told
    FOLDER/index-HASH/segments.npy     (N,) int64        the row after the last of the same stretch
    FOLDER/index-HASH/episodes.json    name, first stamp, rows and digest of each episode

config.json holds the folder's name and each file's SHA-256, so that an index is of one checkpoint
and whole, or refused. An index with more episodes is another folder: it is written before the
checkpoint names it, so that an interruption leaves the one before.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aloha_stack.policies.checkpoint import file_hash
from aloha_stack.policies.policy import PolicyError

EMBEDDINGS, JOINTS, ACTIONS = "embeddings.npy", "joints.npy", "actions.npy"
SEGMENTS, EPISODES = "segments.npy", "episodes.json"
FILES = (EMBEDDINGS, JOINTS, ACTIONS, SEGMENTS, EPISODES)
TYPES = {EMBEDDINGS: np.float16, JOINTS: np.float32, ACTIONS: np.float32, SEGMENTS: np.int64}


@dataclass(frozen=True)
class Source:
    """An episode whose steps are rows of an index."""

    name: str  # of its folder
    begins_ns: int  # the first step's time
    rows: int
    digest: str  # of joints and actions


@dataclass(frozen=True)
class Index:
    """N rows; arrays may be mapped files."""

    embeddings: np.ndarray  # (N, D) float16
    joints: np.ndarray  # (N, J) float32
    actions: np.ndarray  # (N, A) float32
    segments: np.ndarray  # (N,) int64, the row after the last one of each row's stretch
    sources: tuple[Source, ...]

    def __post_init__(self) -> None:
        """Raises PolicyError for what does not belong together."""
        rows = len(self.segments)
        counts = {len(self.embeddings), len(self.joints), len(self.actions), rows}
        if len(counts) != 1 or sum(source.rows for source in self.sources) != rows:
            raise PolicyError(f"the index's files have {sorted(counts)} rows; make it again")
        if not rows:
            raise PolicyError("the index is empty: there is no demonstration to be like")
        after = np.arange(1, rows + 1)
        if (self.segments < after).any() or self.segments.max() > rows:
            raise PolicyError(f"{SEGMENTS}: a stretch ends before its rows do; make it again")

    def __len__(self) -> int:
        return len(self.segments)

    @property
    def first(self) -> np.ndarray:
        """(episodes + 1,) the first row of each, and N."""
        return np.concatenate([[0], np.cumsum([source.rows for source in self.sources])])

    def episode_of(self, rows: np.ndarray) -> np.ndarray:
        """Numbers of the episodes that these rows are of."""
        found: np.ndarray = np.searchsorted(self.first, rows, side="right") - 1
        return found

    def chunk(self, row: int, length: int) -> np.ndarray:
        """What was told from a row on, (length, A); the last of its stretch is repeated."""
        wanted = np.minimum(np.arange(row, row + length), self.segments[row] - 1)
        told: np.ndarray = self.actions[wanted]
        return told


def digest(joints: np.ndarray, actions: np.ndarray) -> str:
    """Of an episode's numbers: the same for its copies."""
    total = hashlib.sha256()
    for array in (joints, actions):
        total.update(np.ascontiguousarray(array, np.float32).tobytes())
    return total.hexdigest()


def tensors_digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Of named arrays: names, shapes and numbers."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        total.update(f"{name}{arrays[name].shape}".encode())
        total.update(np.ascontiguousarray(arrays[name]).tobytes())
    return total.hexdigest()


def check_sources(sources: Sequence[Source]) -> None:
    """Raises PolicyError, which names them, for episodes whose frames are there twice."""
    seen: dict[str, str] = {}
    for source in sources:
        if source.digest in seen:
            raise PolicyError(
                f"{source.name} holds the very frames of {seen[source.digest]}: an episode that is "
                "in the index twice outvotes others; leave one out"
            )
        seen[source.digest] = source.name


def joined(index: Index, more: Index) -> Index:
    """The rows of both. Raises PolicyError for other sizes, and for frames that are in both."""
    check_sources([*index.sources, *more.sources])
    if index.embeddings.shape[1:] != more.embeddings.shape[1:]:
        raise PolicyError(
            f"embeddings of {more.embeddings.shape[1]} numbers, the index's have "
            f"{index.embeddings.shape[1]}: they are of another encoder"
        )
    return Index(
        np.concatenate([index.embeddings, more.embeddings]),
        np.concatenate([index.joints, more.joints]),
        np.concatenate([index.actions, more.actions]),
        np.concatenate([index.segments, more.segments + len(index)]),
        (*index.sources, *more.sources),
    )


def write(folder: Path, index: Index, encoder: str) -> dict[str, Any]:
    """Writes the index below a checkpoint's folder; what the config says of it. `encoder` is the
    hash of the weights that made its embeddings. Raises OSError."""
    new = folder / ".index.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    for name, array in _arrays(index).items():
        np.save(new / name, np.ascontiguousarray(array, TYPES[name]))
    told = [asdict(source) for source in index.sources]
    (new / EPISODES).write_text(json.dumps(told, indent=0) + "\n", encoding="utf-8")
    files = {name: file_hash(new / name) for name in FILES}
    together = hashlib.sha256("".join(files.values()).encode()).hexdigest()
    name = f"index-{together[:12]}"
    shutil.rmtree(folder / name, ignore_errors=True)
    new.rename(folder / name)
    return {"folder": name, "rows": len(index), "encoder": encoder, "files": files}


def remove_others(folder: Path, described: Mapping[str, Any]) -> None:
    """The indices that a checkpoint no longer names."""
    for old in folder.glob("index-*"):
        if old.name != described["folder"]:
            shutil.rmtree(old)


def read(folder: Path, described: Mapping[str, Any], encoder: str) -> Index:
    """The index of a checkpoint, mapped. Raises PolicyError, which names the file, for one that is
    missing, damaged, or of another encoder than the one of hash `encoder`."""
    try:
        name, files = str(described["folder"]), dict(described["files"])
        missing = [one for one in FILES if one not in files]
        theirs = described["encoder"]
    except (KeyError, TypeError, ValueError) as error:
        raise PolicyError(f"config: index: it lacks {error}; make the policy again") from error
    if missing or "/" in name or name.startswith("."):
        raise PolicyError(f"config: index: '{name}' with {', '.join(files)} is no index")
    if theirs != encoder:
        raise PolicyError(
            f"{folder / name}: its features are of another encoder than the checkpoint's; copy "
            "the whole folder again, or make it anew with `./aloha train vinn`"
        )
    inside = folder / name
    for one in FILES:
        file = inside / one
        if not file.is_file():
            raise PolicyError(f"{file}: missing; copy the whole checkpoint again")
        if file_hash(file) != files[one]:
            raise PolicyError(
                f"{file}: damaged, or of another checkpoint: its SHA-256 is not the one in "
                "config.json; copy the whole checkpoint again"
            )
    embeddings, joints, actions, segments = (
        _mapped(inside / one, TYPES[one]) for one in (EMBEDDINGS, JOINTS, ACTIONS, SEGMENTS)
    )
    sources = tuple(Source(**one) for one in json.loads((inside / EPISODES).read_text("utf-8")))
    return Index(embeddings, joints, actions, segments, sources)


def _arrays(index: Index) -> dict[str, np.ndarray]:
    return {
        EMBEDDINGS: index.embeddings,
        JOINTS: index.joints,
        ACTIONS: index.actions,
        SEGMENTS: index.segments,
    }


def _mapped(file: Path, kind: Any) -> np.ndarray:
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise PolicyError(f"{file}: damaged: {error}") from error
    if array.dtype != kind or array.ndim != (1 if file.name == SEGMENTS else 2):
        raise PolicyError(f"{file}: {array.dtype} {array.shape}; expected {np.dtype(kind)}")
    return np.asarray(array)
