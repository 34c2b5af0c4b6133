"""Gaps and jumps are found in the commands themselves, and nothing else is taken for one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.control.stream_check import check_stream, roughness

PERIOD_S, PERIOD_NS = 0.02, 20_000_000
VELOCITY = np.full(7, 3.0)
"""0.06 rad in a period."""


def stamps(count: int) -> list[int]:
    return [n * PERIOD_NS for n in range(count)]


def course(stamps_ns: list[int]) -> list[np.ndarray]:
    """As fast as an arm moves at most."""
    return [np.full(7, 0.9 * np.sin(3.0 * stamp * 1e-9)) for stamp in stamps_ns]


@given(late=st.lists(st.floats(0.0, 0.95), min_size=3, max_size=300))
def test_a_steady_stream_has_neither_whatever_its_ticks_are_late_by(late: list[float]) -> None:
    late[1::2] = [0.0] * len(late[1::2])
    at = [n * PERIOD_NS + round(part * PERIOD_NS) for n, part in enumerate(late)]
    found = check_stream(at, course(at), PERIOD_S, VELOCITY)
    assert (found.commands, found.gaps, found.jumps) == (len(at), 0, 0)
    assert found.longest_s < 2 * PERIOD_S


@given(missing=st.lists(st.integers(1, 98), min_size=1, max_size=8, unique=True))
def test_every_missing_tick_is_a_gap_and_none_a_jump(missing: list[int]) -> None:
    at = [n * PERIOD_NS + 6_000_000 * (n % 3 == 0) for n in range(100) if n not in missing]
    found = check_stream(at, course(at), PERIOD_S, VELOCITY)
    assert (found.gaps, found.jumps) == (len(missing), 0)


def test_a_tick_that_is_late_by_a_whole_period_is_a_gap() -> None:
    at = stamps(100)
    at[50] += PERIOD_NS
    assert check_stream(at, course(at), PERIOD_S, VELOCITY).gaps == 1


def test_before_there_is_a_stream_nothing_is_found() -> None:
    for count in range(3):
        at = stamps(count)
        found = check_stream(at, course(at), PERIOD_S, VELOCITY)
        assert (found.commands, found.gaps, found.jumps) == (count, 0, 0)


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
