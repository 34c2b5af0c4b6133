"""A trajectory that is replaced mid-way: position and velocity go on, with no stop at the seam."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloha_stack.control.commands import Command, CommandStream
from aloha_stack.control.seams import Seams
from control.motion import (
    LIMITS,
    PERIOD_S,
    Arrival,
    Course,
    Run,
    assert_within_limits,
    delay_of,
    piece,
    run,
    slope,
    targets,
)

SEAM_S = 1.2


def path(time_s: float) -> float:
    """Swings out by 0.8 rad and back, up to 1.5 rad/s; at the seam it comes back at 1.48 rad/s."""
    return 0.4 * (1 - float(np.cos(2 * np.pi * 0.6 * time_s)))


def later(offset_rad: float = 0.0, pace: float = 1.0) -> Course:
    """The same path from the seam on: beside it, faster, slower or backwards."""
    return lambda t: path(SEAM_S + pace * (t - SEAM_S)) + offset_rad


def replaced_by(command: Command, arrives_s: float = SEAM_S, duration_s: float = 2.4) -> Run:
    first = Arrival(0.0, piece(path, 0.0, length_s=3.5))
    return run([first, Arrival(arrives_s, command)], duration_s)


def speeds_after_the_seam(made: Run, seconds: float = 0.15) -> np.ndarray:
    first = round(SEAM_S / PERIOD_S)
    return made.velocity()[first : first + round(seconds / PERIOD_S)]


@pytest.mark.parametrize("velocities", [True, False])
@pytest.mark.parametrize(
    ("command", "arrives_s"),
    [
        ({"start_s": SEAM_S}, SEAM_S),
        ({"start_s": SEAM_S}, SEAM_S + 0.08),
        ({"start_s": SEAM_S + 0.2}, SEAM_S),
        ({"start_s": SEAM_S, "first": 1}, SEAM_S),
        ({"start_s": SEAM_S, "step_s": 0.02}, SEAM_S),
    ],
    ids=["now", "begun 80 ms ago", "in 0.2 s", "no point at its start", "dense"],
)
def test_the_same_path_once_more_leaves_no_trace(
    command: dict, arrives_s: float, velocities: bool
) -> None:
    made = replaced_by(piece(path, **command, velocities=velocities), arrives_s)
    delay_s, off = delay_of(made, path)
    assert abs(delay_s) < 0.0015
    assert off < 0.0006
    assert_within_limits(made)


@pytest.mark.parametrize("velocities", [True, False])
@pytest.mark.parametrize(
    ("course", "pace"),
    [
        (later(offset_rad=0.015), 1.0),
        (later(offset_rad=0.05), 1.0),
        (later(offset_rad=-0.3), 1.0),
        (later(offset_rad=0.3), 1.0),
        (later(pace=0.6), 0.6),
        (later(pace=1.3), 1.3),
        (later(offset_rad=0.1, pace=0.6), 0.6),
    ],
    ids=["a little off", "off", "far off", "far off behind", "slower", "faster", "off and slower"],
)
def test_another_path_is_joined_without_a_stop(
    course: Course, pace: float, velocities: bool
) -> None:
    """The speed goes from the old path's to the new one's, plus 0.5 rad/s to get across."""
    made = replaced_by(piece(course, SEAM_S, velocities=velocities))
    assert_within_limits(made)
    speeds = np.abs(speeds_after_the_seam(made))
    assert speeds.min() > min(1.0, pace) * abs(slope(path, SEAM_S + 0.15)) - 0.55
    assert speeds.max() < max(1.0, pace) * 1.5 + 0.55
    off = [abs(goal - course(t)) for t, goal in zip(made.times_s, made.goals[:, 0], strict=True)]
    assert off[-1] < 0.3 - 0.9 * 0.3 or off[-1] < 0.002


def test_a_path_that_goes_back_turns_round_gently() -> None:
    made = replaced_by(piece(later(pace=-1.0), SEAM_S), duration_s=3.0)
    assert_within_limits(made)
    change = np.abs(np.diff(speeds_after_the_seam(made, 1.0))) / PERIOD_S
    assert change.max() < 0.8 * LIMITS.acceleration[0]
    assert abs(made.goals[-1, 0] - later(pace=-1.0)(made.times_s[-1])) < 0.002


@pytest.mark.parametrize("rate_hz", [4, 20, 50])
def test_chunks_many_times_a_second_are_followed_like_one_path(rate_hz: int) -> None:
    chunks = [
        Arrival(t, piece(path, t, length_s=1.0, step_s=0.02, velocities=False))
        for t in np.arange(0.0, 3.0, 1 / rate_hz).tolist()
    ]
    made = run(chunks, 3.0)
    delay_s, off = delay_of(made, path)
    assert abs(delay_s) < 0.0015
    assert off < 0.0015
    assert_within_limits(made)


def test_chunks_that_contradict_each_other_are_followed_in_their_middle() -> None:
    """As of a policy that is not sure: each 20 mrad off, one way or the other."""
    random = np.random.default_rng(1)
    chunks = []
    for t in np.arange(0.0, 3.0, 0.05).tolist():
        off = float(random.normal(0, 0.02))
        beside = lambda t, off=off: path(t) + off  # noqa: E731
        chunks.append(Arrival(t, piece(beside, t, length_s=1.0, step_s=0.02)))
    made = run(chunks, 3.0)
    delay_s, off = delay_of(made, path)
    assert abs(delay_s) < 0.01
    assert off < 0.02
    assert_within_limits(made)


def test_a_distance_is_made_good_however_often_the_path_is_replaced() -> None:
    beside = lambda t: path(t) + 0.4  # noqa: E731
    chunks = [Arrival(0.0, piece(path, 0.0))]
    chunks += [
        Arrival(t, piece(beside, t, length_s=1.0)) for t in np.arange(0.5, 3.5, 0.04).tolist()
    ]
    made = run(chunks, 3.5)
    assert abs(made.goals[-1, 0] - beside(made.times_s[-1])) < 0.003
    assert_within_limits(made)


def test_streams_and_trajectories_take_over_from_each_other_at_speed() -> None:
    stream = [arrival for arrival in targets(path, 1.4) if arrival.time_s >= SEAM_S]
    over = run([Arrival(0.0, piece(path, 0.0)), *stream], 1.4)
    back = run(
        [*(a for a in targets(path, SEAM_S)), Arrival(SEAM_S, piece(path, SEAM_S))],
        1.6,
    )
    for made in (over, back):
        assert_within_limits(made)
        assert np.abs(speeds_after_the_seam(made)).min() > 0.8
        off = np.array([path(t) for t in made.times_s]) - made.goals[:, 0]
        assert np.abs(off[-10:]).max() < 0.04  # a tick of it is the stream's


def test_what_was_to_come_is_replaced_too() -> None:
    stream = CommandStream()
    for start_s, height in ((0.0, 0.2), (5.0, 2.0), (1.0, 0.4)):
        flat = np.full((2, 7), height)
        stream.offer(Command(start_s, (0.0, 9.0), flat), 0.0, np.full(7, 0.2))
    values = [wanted.position[0] for t in (0.9, 3.0, 6.0) if (wanted := stream.wanted(t))]
    np.testing.assert_allclose(values, [0.2, 0.4, 0.4])


def test_a_trajectory_whose_points_are_all_past_ends_at_its_last() -> None:
    stream = CommandStream(0.1)
    stream.offer(piece(path, 0.0), 0.0, np.zeros(7))
    stream.offer(Command(0.92, (0.02, 0.05), np.full((2, 7), 0.7)), 1.0, np.zeros(7))
    wanted = stream.wanted(5.0)
    assert wanted is not None
    assert wanted.ended
    np.testing.assert_array_equal(wanted.position, np.full(7, 0.7))


starts = st.floats(-0.09, 0.5)
offsets = st.floats(-0.6, 0.6)


@settings(max_examples=40, deadline=None)
@given(
    script=st.lists(
        st.tuples(
            st.floats(0.01, 0.4), starts, offsets, st.floats(-1.5, 1.8), st.booleans(),
            st.sampled_from([0.02, 0.05, 0.3]), st.integers(0, 2),
        ),
        min_size=1,
        max_size=8,
    )
)  # fmt: skip
def test_whatever_replaces_what_position_and_velocity_go_on_within_the_limits(
    script: list,
) -> None:
    arrivals, time_s = [Arrival(0.0, piece(path, 0.0, length_s=3.0))], 0.0
    for wait_s, start_s, offset, pace, velocities, step_s, first in script:
        time_s += wait_s
        course = lambda t, o=offset, p=pace, now=time_s: path(now + p * (t - now)) + o  # noqa: E731
        command = piece(course, time_s + start_s, step_s=step_s, first=first, velocities=velocities)
        arrivals.append(Arrival(time_s, command))
    assert_within_limits(run(arrivals, time_s + 0.5))


@settings(max_examples=40, deadline=None)
@given(
    seams=st.lists(
        st.tuples(st.floats(0, 2), st.floats(-2, 2), st.floats(-3, 3)), min_size=1, max_size=6
    )
)
def test_seams_begin_with_what_was_there_and_fade(seams: list[tuple[float, float, float]]) -> None:
    made = Seams()
    distance = speed = 0.0
    for _, away, faster in seams:
        made.add(1.0, np.full(7, away), np.full(7, faster))
        distance += away if abs(away) > 0.02 else 0.0
        speed += faster if abs(faster) > 1.0 else 0.0
    now = made.at(1.0)
    if now is None:
        assert distance == speed == 0
        return
    np.testing.assert_allclose(now[0], distance, atol=1e-9)
    np.testing.assert_allclose(now[1], speed, atol=1e-9)
    for t in np.arange(1.001, 3.0, 0.05):
        here, before, after = made.at(t), made.at(t - 1e-5), made.at(t + 1e-5)
        if here is not None and before is not None and after is not None:
            np.testing.assert_allclose(here[1], (after[0] - before[0]) / 2e-5, atol=1e-3)
            np.testing.assert_allclose(here[2], (after[1] - before[1]) / 2e-5, atol=1e-2)
    assert made.at(1.0 + 6 * 1.875 * 2 / 0.5) is None
    made.drop(99.0, 99.0)
    assert made.at(1.0) is None
