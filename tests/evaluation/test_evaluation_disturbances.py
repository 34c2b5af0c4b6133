"""Disturbances are those of the seed, within what is documented, each as it is among all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.evaluation.disturbances import (
    DELAY_S,
    KINDS,
    LIGHT_SHARE,
    MOVED_M,
    MOVED_S,
    NOISE_LEVELS,
    PERTURBATIONS,
    PUSH_N,
    PUSH_S,
    PUSHES,
    SHOVE_N,
    SHOVES,
    WITHIN_S,
    Disturbances,
)

GREY = np.full((60, 80, 3), 120, np.uint8)


@given(st.integers(0, 2**32 - 1))
def test_pushes_and_light_stay_within_their_bounds(seed: int) -> None:
    disturbances = Disturbances(KINDS, seed)
    assert len(disturbances.pushes) == 2 * PUSHES
    for push in disturbances.pushes:
        assert PUSH_N[0] <= np.linalg.norm(push.force) <= PUSH_N[1]
        assert 0 <= push.begin_s <= WITHIN_S
        assert PUSH_S[0] <= push.end_s - push.begin_s <= PUSH_S[1]
    assert abs(disturbances.light - 1) <= LIGHT_SHARE
    assert disturbances.delay_s == DELAY_S == 0.06


@given(st.integers(0, 2**32 - 1))
def test_arms_are_shoved_and_the_goal_moves_once(seed: int) -> None:
    perturbed = Disturbances(PERTURBATIONS, seed)
    assert len(perturbed.pushes) == 2 * SHOVES
    for push in perturbed.pushes:
        assert SHOVE_N[0] <= np.linalg.norm(push.force) <= SHOVE_N[1]
        assert push.end_s <= perturbed.over_s
    assert MOVED_S[0] < perturbed.over_s
    moved = perturbed.goal_shift(MOVED_S[1])
    assert 0 < np.abs(moved).max() <= MOVED_M
    assert not perturbed.goal_shift(MOVED_S[0] - 0.01).any()
    assert np.array_equal(perturbed.goal_shift(100.0), moved)
    assert not Disturbances(KINDS, seed).goal_shift(100.0).any()


def test_a_force_lasts_as_long_as_its_push() -> None:
    disturbances = Disturbances(("push",), 7)
    push = disturbances.pushes[0]
    for time_s, pushed in (
        (push.begin_s - 1e-6, False),
        (push.begin_s, True),
        ((push.begin_s + push.end_s) / 2, True),
        (push.end_s, False),
    ):
        others = [
            other.force
            for other in disturbances.pushes[1:]
            if other.follower == push.follower and other.begin_s <= time_s < other.end_s
        ]
        expected = np.sum([np.zeros(3), *others, *([push.force] if pushed else [])], axis=0)
        np.testing.assert_allclose(disturbances.forces(time_s)[push.follower], expected)


def test_undisturbed_nothing_happens() -> None:
    calm = Disturbances((), 7)
    assert calm.delay_s == calm.over_s == 0
    assert calm.picture(GREY) is GREY
    assert not any(force.any() for t in range(8) for force in calm.forces(t).values())


def test_noise_is_that_strong_and_never_the_same() -> None:
    noisy = Disturbances(("noise",), 7)
    first, second = (noisy.picture(GREY).astype(float) for _ in range(2))
    assert np.std(first) == pytest.approx(NOISE_LEVELS, rel=0.03)
    assert np.mean(first) == pytest.approx(120, abs=0.5)
    assert np.std(first - second) == pytest.approx(NOISE_LEVELS * 2**0.5, rel=0.03)


def test_light_changes_every_picture_alike_and_stays_within_a_byte() -> None:
    lit = Disturbances(("light",), 3)
    assert np.unique(lit.picture(GREY)).tolist() == [round(120 * lit.light)]
    white = np.full((2, 2, 3), 255, np.uint8)
    bright = next(d for d in (Disturbances(("light",), n) for n in range(50)) if d.light > 1.1)
    assert bright.picture(white).max() == 255


def test_each_alone_is_as_among_all_and_comes_again_with_its_seed() -> None:
    everything, again = Disturbances(KINDS, 5), Disturbances(KINDS, 5)
    assert Disturbances(("light",), 5).light == everything.light
    alone = Disturbances(("push",), 5).pushes
    for one, other in zip(alone, everything.pushes, strict=True):
        assert (one.follower, one.begin_s, one.end_s) == (
            other.follower,
            other.begin_s,
            other.end_s,
        )
    assert (everything.picture(GREY) == again.picture(GREY)).all()
    assert (Disturbances(KINDS, 6).picture(GREY) != again.picture(GREY)).any()


def test_an_unknown_kind_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no disturbance wind; there is push, delay"):
        Disturbances(("wind",), 0)
