"""Reads a pickled dictionary of numpy arrays without being able to run anything else.

dataset_stats.pkl of tonyzhaozh/act is such a file. An ordinary `pickle.load` calls whatever a file
names; here only the handful of names that arrays and numbers are made of can be called.
"""

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from aloha_stack.policies.policy import PolicyError

LARGEST = 64 * 1024 * 1024
"""Bytes; statistics take some hundred kB."""


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """{name: array} of numbers. Raises PolicyError for everything else that a pickle can be."""
    if not file.is_file():
        raise PolicyError(f"{file}: missing")
    if file.stat().st_size > LARGEST:
        raise PolicyError(f"{file}: {file.stat().st_size} bytes are too many for statistics")
    try:
        found = _NumbersOnly(io.BytesIO(file.read_bytes())).load()
    except _Forbidden as error:
        raise PolicyError(f"{file}: refused: {error}") from error
    except (
        *(pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError),
        *(AttributeError, MemoryError, OverflowError, UnicodeError),
    ) as error:
        raise PolicyError(f"{file}: truncated or damaged: {error}") from error
    if not isinstance(found, dict):
        raise PolicyError(f"{file}: expected a dictionary, found {type(found).__name__}")
    arrays = {}
    for name, value in found.items():
        if not isinstance(value, np.ndarray | np.generic | int | float):
            raise PolicyError(f"{file}: {name!r} is {type(value).__name__} and no array")
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise PolicyError(f"{file}: {name!r} holds {array.dtype} and no numbers")
        arrays[str(name)] = array
    return arrays


class _Forbidden(pickle.UnpicklingError):
    pass


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """What `_codecs.encode` is called for: the bytes of an array in a pickle of protocol 2."""
    if encoding != "latin1":
        raise _Forbidden(f"bytes in {encoding!r}")
    return text.encode("latin1")


def _callables() -> dict[tuple[str, str], Callable[..., Any]]:
    """Under the names of numpy 1 and 2; numpy itself says which functions they are."""
    names: dict[tuple[str, str], Callable[..., Any]] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _encode,
    }
    array, number = np.zeros(1), np.float64(0)
    for core in ("numpy.core", "numpy._core"):
        names[f"{core}.multiarray", "_reconstruct"] = array.__reduce__()[0]  # type: ignore[assignment]
        names[f"{core}.multiarray", "scalar"] = number.__reduce__()[0]  # type: ignore[assignment]
        names[f"{core}.numeric", "_frombuffer"] = array.__reduce_ex__(5)[0]  # type: ignore[assignment]
    return names


class _NumbersOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = _callables()
        if (module, name) not in known:
            raise _Forbidden(f"it names {module}.{name}, which no array needs; it could run code")
        return known[module, name]
