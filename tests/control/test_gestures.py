"""The gestures: only a real hold of all handles, after they were open, ends an episode."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.control.gestures import Engagement, HeldClosed, HoldSettings
from aloha_stack.control.teleop import TeleopStage

HANDLES = ("leader_left", "leader_right")
STEP_S = 0.05


def ends(course: list[tuple[float | None, ...]], hold_s: float = 2.0) -> list[float]:
    """When, by the looks at each step of `course`, the gesture was there, and its beginning."""
    hold = HeldClosed(HANDLES, HoldSettings(hold_s=hold_s))
    looks = [
        hold.look(step * STEP_S, dict(zip(HANDLES, openings, strict=True)))
        for step, openings in enumerate(course)
    ]
    return [began for began in looks if began is not None]


OPEN, CLOSED = (1.0, 0.9), (0.02, -0.03)


def test_handles_held_closed_after_they_were_open_end_it_and_tell_since_when() -> None:
    course = [OPEN] * 10 + [CLOSED] * 40
    assert ends(course) == []
    (began,) = ends([*course, CLOSED])
    assert began == pytest.approx(10 * STEP_S)


def test_handles_that_were_never_open_end_nothing() -> None:
    assert ends([CLOSED] * 200) == []
    assert ends([(1.0, 0.0)] * 10 + [CLOSED] * 200) == []


def test_one_handle_is_not_enough() -> None:
    assert ends([OPEN] * 10 + [(0.0, 0.9)] * 200) == []


def test_a_handle_that_lets_go_in_between_begins_anew() -> None:
    assert ends([OPEN] * 10 + ([CLOSED] * 30 + [(0.3, 0.0)]) * 5) == []


def test_noise_about_the_threshold_does_not_break_the_hold() -> None:
    noise = np.random.default_rng(3).uniform(-0.03, 0.03, (60, 2)) + 0.1
    course = [OPEN] * 10 + [CLOSED] + [(float(left), float(right)) for left, right in noise]
    assert ends(course)


def test_a_handle_that_is_nearly_closed_is_not_closed() -> None:
    assert ends([OPEN] * 10 + [(0.15, 0.15)] * 200) == []


@pytest.mark.parametrize("gap", [None, float("nan")])
def test_a_missing_sample_begins_the_hold_anew(gap: float | None) -> None:
    assert ends([OPEN] * 10 + ([CLOSED] * 30 + [(0.0, gap)]) * 5) == []


def test_a_hold_that_was_not_watched_is_none() -> None:
    hold = HeldClosed(HANDLES)
    hold.look(0.0, dict.fromkeys(HANDLES, 1.0))
    hold.look(0.1, dict.fromkeys(HANDLES, 0.0))
    assert hold.look(9.0, dict.fromkeys(HANDLES, 0.0)) is None
    assert hold.look(5.0, dict.fromkeys(HANDLES, 0.0)) is None  # time went back
    assert hold.look(5.1, {}) is None


@given(
    st.lists(
        st.tuples(*[st.one_of(st.none(), st.floats(0.0, 1.0))] * 2),
        max_size=80,
    )
)
def test_it_ends_only_what_was_held_by_all_for_the_whole_time(
    course: list[tuple[float | None, ...]],
) -> None:
    settings = HoldSettings(hold_s=0.2)
    for began in ends(course, settings.hold_s):
        first = round(began / STEP_S)
        for openings in course[first : first + 4]:
            assert all(o is not None and o <= settings.released for o in openings)
        for handle in range(2):
            assert any((course[k][handle] or 0.0) >= settings.opened for k in range(first))


W, M, E, S = (
    *(TeleopStage.WAITING, TeleopStage.MATCHING),
    *(TeleopStage.ENGAGED, TeleopStage.STOPPED),
)


@pytest.mark.parametrize(
    ("stages", "begins"),
    [
        ([W, M, E, E, E], [2]),
        ([E, E], []),  # it was engaged before anybody looked
        ([M, E, S, E], [1]),  # a dropout
        ([M, E, W, M, E], [1, 4]),
        ([S, E, M, E], [3]),
    ],
)
def test_engaging_is_noticed_once_and_a_dropout_is_no_engaging(
    stages: list[TeleopStage], begins: list[int]
) -> None:
    engagement = Engagement()
    seen = [engagement.saw(stage) for stage in stages]
    assert [index for index, begun in enumerate(seen) if begun] == begins
