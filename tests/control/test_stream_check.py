"""Gaps and jumps are found in the commands themselves, and nothing else is taken for one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.control.stream_check import check_stream, roughness

PERIOD_S, PERIOD_NS = 0.02, 20_000_000
VELOCITY = np.full(7, 3.0)
"""0.06 rad in a period."""


def stamps(count: int, jitter_ns: int = 0) -> list[int]:
    return [n * PERIOD_NS + jitter_ns * (n % 3 - 1) for n in range(count)]


def course(stamps_ns: list[int]) -> list[np.ndarray]:
    """As fast as an arm moves at most."""
    return [np.full(7, 0.9 * np.sin(3.0 * stamp * 1e-9)) for stamp in stamps_ns]


@given(jitter_ns=st.integers(0, 4_900_000), count=st.integers(0, 300))
def test_a_steady_stream_has_neither_whatever_its_ticks_are_late_by(
    jitter_ns: int, count: int
) -> None:
    at = stamps(count, jitter_ns)
    found = check_stream(at, course(at), PERIOD_S, VELOCITY)
    assert (found.commands, found.gaps, found.jumps) == (count, 0, 0)
    assert found.off < 0.2


@given(missing=st.lists(st.integers(1, 98), min_size=1, max_size=8, unique=True))
def test_every_missing_tick_is_a_gap_and_none_a_jump(missing: list[int]) -> None:
    at = [stamp for n, stamp in enumerate(stamps(100, 2_000_000)) if n not in missing]
    found = check_stream(at, course(at), PERIOD_S, VELOCITY)
    assert (found.gaps, found.jumps) == (len(missing), 0)


@pytest.mark.parametrize("joint", range(7))
def test_a_step_that_the_arm_cannot_follow_is_a_jump(joint: int) -> None:
    at = stamps(100)
    path = course(at)
    for target in path[50:]:
        target[joint] += 0.07
    found = check_stream(at, path, PERIOD_S, VELOCITY)
    assert found.gaps == 0
    assert 1 <= found.jumps <= 2  # off its course, and off the new one with the next
    assert found.off > 1


def test_a_stream_as_rough_as_its_chunks_does_not_jump() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (100, 7))
    at = stamps(100)
    assert check_stream(at, list(noise), PERIOD_S, VELOCITY).jumps > 20
    rough = roughness([noise[:60], noise[58:], noise[:1]], 7)
    assert check_stream(at, list(noise), PERIOD_S, VELOCITY, rough).jumps == 0
    assert check_stream(at, list(2 * noise), PERIOD_S, VELOCITY, rough).jumps > 0
