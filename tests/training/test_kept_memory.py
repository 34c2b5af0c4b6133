"""Memory that a training frees stays with it: the system does not zero its pages at each step."""

import subprocess
import sys

import pytest

PROCESS = """
import resource, sys
from aloha_stack.training.memory import keep_freed_memory

LARGE, PAGE = 80 << 20, 4096

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(LARGE)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / (LARGE / PAGE)

if "kept" in sys.argv:
    assert keep_freed_memory()
print(*(faults() for _ in range(3)))
"""


@pytest.mark.parametrize("kept", [True, False])
def test_large_memory_is_taken_from_the_system_once(kept: bool) -> None:
    words = [sys.executable, "-c", PROCESS, *(["kept"] if kept else [])]
    told = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    first, *later = map(float, told.split())
    assert first > 0.9
    assert all((share < 0.1) == kept for share in later)
