"""What is accepted as a command, and what a stream of them wants at a given instant."""

import re

import numpy as np
import pytest

from aloha_stack.control.commands import Command, CommandError, CommandStream, check_command
from aloha_stack.robot.joints import JOINTS

HERE = np.zeros(7)


def target(value: float, stamp_s: float | None) -> Command:
    return Command(stamp_s, (0.0,), np.full((1, 7), value))


def trajectory(stamp_s: float | None, *points: tuple[float, float]) -> Command:
    times = tuple(t for t, _ in points)
    return Command(stamp_s, times, np.array([np.full(7, x) for _, x in points]))


def at(stream: CommandStream, now_s: float) -> float:
    wanted = stream.wanted(now_s)
    assert wanted is not None
    return float(wanted.position[0])


# -- checking -------------------------------------------------------------------------------


def test_names_may_come_in_any_order() -> None:
    shuffled = list(reversed(JOINTS))
    command = check_command(shuffled, [[6, 5, 4, 3, 2, 1, 0]], [[]], [0.0], 1.0)
    np.testing.assert_array_equal(command.positions, [[0, 1, 2, 3, 4, 5, 6]])
    assert command.is_target
    assert command.velocities is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"names": (*JOINTS[:-1], "hand")}, r"missing \['gripper'\], unknown \['hand'\]"),
        ({"names": JOINTS[:-1]}, "missing"),
        ({"names": (*JOINTS, "waist")}, "stand there once"),
        ({"positions": [[0.0] * 6]}, "point 0 has 6 positions; expected 7"),
        ({"positions": [[0.0] * 6 + [float("nan")]]}, "positions contain a number that is not"),
        ({"positions": [[0.0] * 6 + [float("inf")]]}, "not finite"),
        ({"velocities": [[float("-inf")] * 7]}, "velocities contain"),
        ({"velocities": [[0.0] * 3]}, "point 0 has 3 velocities"),
        ({"positions": [], "velocities": [], "times_s": []}, "no points"),
        ({"times_s": [-1.0]}, "must not be negative"),
        (
            {"positions": [[0.0] * 7] * 2, "velocities": [[], []], "times_s": [1.0, 1.0]},
            "must increase",
        ),
        (
            {"positions": [[0.0] * 7] * 2, "velocities": [[], []], "times_s": [0.5, 0.5009]},
            r"by 0\.001 s at least; the smallest step is 0\.0009 s",
        ),
        (
            {
                "positions": [[0.0] * 7] * 2001,
                "velocities": [[]] * 2001,
                "times_s": [0.01 * k for k in range(2001)],
            },
            "more than 2000 points; send it in pieces",
        ),
    ],
)
def test_a_malformed_command_is_refused_in_words(change: dict, words: str) -> None:
    good = {
        "names": JOINTS,
        "positions": [[0.0] * 7],
        "velocities": [[]],
        "times_s": [0.0],
        "stamp_s": 1.0,
    }
    check_command(**good)
    with pytest.raises(CommandError, match=words):
        check_command(**(good | change))


def test_points_a_millisecond_apart_and_2000_of_them_are_taken() -> None:
    times = [1_000_000 * k * 1e-9 for k in range(2000)]
    command = check_command(JOINTS, [[0.0] * 7] * 2000, [[]] * 2000, times, None)
    assert len(command.times_s) == 2000


# -- single targets -------------------------------------------------------------------------


def test_targets_at_50_hz_become_a_line_one_tick_behind() -> None:
    stream = CommandStream()
    for k in range(1, 6):
        stream.offer(target(0.1 * k, 10 + 0.02 * k), 10 + 0.02 * k, HERE)
    assert at(stream, 10.10) == pytest.approx(0.4)
    assert at(stream, 10.11) == pytest.approx(0.45)
    assert at(stream, 10.12) == pytest.approx(0.5)
    wanted = stream.wanted(10.11)
    assert wanted is not None
    np.testing.assert_allclose(wanted.velocity, 5.0)


def test_a_target_that_comes_10_ms_late_leaves_no_gap() -> None:
    stream = CommandStream()
    for k in range(1, 6):
        stream.offer(target(0.1 * k, 10 + 0.02 * k), 10 + 0.02 * k + 0.009, HERE)
    assert at(stream, 10.11) == pytest.approx(0.45)


def test_while_a_target_is_awaited_the_way_goes_on_for_one_period() -> None:
    stream = CommandStream()
    for k in range(1, 6):
        stream.offer(target(0.1 * k, 10 + 0.02 * k), 10 + 0.02 * k, HERE)
    assert at(stream, 10.13) == pytest.approx(0.55)
    for now_s in (10.14, 10.16, 10.19):
        assert at(stream, now_s) == pytest.approx(0.6)
    wanted = stream.wanted(10.15)
    assert wanted is not None
    np.testing.assert_array_equal(wanted.velocity, 0.0)


def test_targets_shortly_after_each_other_are_not_run_ahead_of() -> None:
    """A millisecond apart and 0.1 rad apart: that is 100 rad/s, and no reason to go on so."""
    stream = CommandStream()
    stream.offer(target(0.0, 10.0), 10.0, HERE)
    stream.offer(target(0.1, 10.001), 10.001, HERE)
    assert at(stream, 10.05) == pytest.approx(0.2)


def test_a_stream_that_stops_is_late_after_its_limit() -> None:
    stream = CommandStream(0.1)
    stream.offer(target(0.1, 10.0), 10.0, HERE)
    assert at(stream, 10.09) == pytest.approx(0.1)
    assert stream.wanted(10.11) is None
    assert "late" in stream.silence(10.11)


@pytest.mark.parametrize("stamped", [True, False])
def test_a_stream_may_go_on_after_a_gap(stamped: bool) -> None:
    stream = CommandStream(0.1)
    stream.offer(target(0.1, 10.0 if stamped else None), 10.0, HERE)
    assert stream.wanted(10.5) is None
    stream.offer(target(0.2, 10.5 if stamped else None), 10.5, HERE)
    assert at(stream, 10.52) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("stamp_s", "words"), [(9.8, "late: stamped 0.200 s ago"), (10.2, "in the future")]
)
def test_a_target_from_another_time_is_refused(stamp_s: float, words: str) -> None:
    stream = CommandStream(0.1)
    with pytest.raises(CommandError, match=words):
        stream.offer(target(0.1, stamp_s), 10.0, HERE)
    assert stream.wanted(10.0) is None


def test_a_target_that_is_not_newer_is_refused() -> None:
    stream = CommandStream()
    stream.offer(target(0.1, 10.0), 10.0, HERE)
    for stamp in (10.0, 9.99):
        with pytest.raises(CommandError, match="not newer"):
            stream.offer(target(0.5, stamp), 10.01, HERE)
    assert at(stream, 10.02) == pytest.approx(0.1)


def test_a_refused_command_changes_nothing() -> None:
    stream = CommandStream()
    stream.offer(target(0.1, 10.0), 10.0, HERE)
    with pytest.raises(CommandError):
        stream.offer(target(9.0, 9.0), 10.01, HERE)
    assert at(stream, 10.02) == pytest.approx(0.1)


# -- trajectories ---------------------------------------------------------------------------


def test_a_trajectory_goes_through_its_points_and_stays_at_its_end() -> None:
    stream = CommandStream(0.1)
    stream.offer(trajectory(10.0, (0.0, 0.1), (0.5, 0.4), (1.0, 0.3)), 10.0, HERE)
    assert at(stream, 10.0) == pytest.approx(0.1)
    assert at(stream, 10.5) == pytest.approx(0.4)
    assert at(stream, 11.0) == pytest.approx(0.3)
    wanted = stream.wanted(99.0)
    assert wanted is not None
    assert wanted.ended
    assert not stream.silence(99.0)
    np.testing.assert_array_equal(wanted.velocity, np.zeros(7))


def test_the_velocity_wanted_is_the_slope_of_the_positions() -> None:
    stream = CommandStream()
    stream.offer(trajectory(0.0, (0.0, 0.0), (0.5, 0.4), (1.0, 0.3), (1.2, 0.9)), 0.0, HERE)
    for now_s in np.linspace(0.01, 1.19, 40):
        wanted = stream.wanted(now_s)
        assert wanted is not None
        slope = (at(stream, now_s + 1e-6) - at(stream, now_s - 1e-6)) / 2e-6
        assert wanted.velocity[0] == pytest.approx(slope, abs=1e-3)


def test_given_velocities_are_kept() -> None:
    command = check_command(
        JOINTS, [[0.0] * 7, [1.0] * 7], [[0.5] * 7, [2.0] * 7], [0.0, 1.0], None
    )
    stream = CommandStream()
    stream.offer(command, 3.0, HERE)
    wanted = stream.wanted(3.0)
    assert wanted is not None
    np.testing.assert_allclose(wanted.velocity, 0.5)


def test_one_point_with_a_time_is_a_move_from_here() -> None:
    stream = CommandStream()
    stream.offer(trajectory(None, (2.0, 1.0)), 5.0, np.full(7, 0.4))
    assert at(stream, 5.0) == pytest.approx(0.4)
    assert at(stream, 6.0) == pytest.approx(0.7)
    assert at(stream, 7.0) == pytest.approx(1.0)


def test_a_trajectory_stamped_in_the_future_waits_for_its_start() -> None:
    stream = CommandStream()
    stream.offer(trajectory(12.0, (0.0, 0.1), (1.0, 0.5)), 10.0, HERE)
    assert at(stream, 11.0) == pytest.approx(0.1)
    assert at(stream, 12.5) == pytest.approx(0.3)


def test_a_late_trajectory_is_refused() -> None:
    with pytest.raises(CommandError, match="late"):
        CommandStream(0.1).offer(trajectory(9.0, (0.0, 0.1), (1.0, 0.5)), 10.0, HERE)


def test_a_new_command_takes_over_where_the_motion_is() -> None:
    stream = CommandStream()
    stream.offer(trajectory(0.0, (0.0, 0.0), (1.0, 1.0)), 0.0, HERE)
    assert not stream.offer(target(0.6, 0.5), 0.5, HERE)
    assert at(stream, 0.5) == pytest.approx(0.5)
    assert not stream.offer(trajectory(0.52, (0.0, 0.3), (1.0, 1.0)), 0.52, HERE)
    assert at(stream, 0.52) == pytest.approx(0.5, abs=0.001)
    assert at(stream, 2.0) == pytest.approx(1.0)


def test_it_tells_whether_a_command_begins_something_new() -> None:
    stream = CommandStream(0.1)
    assert stream.offer(target(0.1, 10.0), 10.0, HERE)
    assert not stream.offer(target(0.2, 10.02), 10.02, HERE)
    assert stream.offer(target(0.3, 10.5), 10.5, HERE)


@pytest.mark.parametrize("start_s", [10.0, 1.7e9 + 0.123456789])
@pytest.mark.parametrize("times_s", [(0.0, 0.1, 0.101), (0.1, 0.5, 0.501), (0.0005, 0.05, 0.051)])
@pytest.mark.parametrize("late_s", [0.0, 0.0004, 0.0499999, 0.05])
def test_short_steps_are_gone_through_at_any_time_of_the_clock(
    start_s: float, times_s: tuple[float, ...], late_s: float
) -> None:
    rows = [[0.1] * 7, [0.2] * 7, [0.21] * 7]
    stream = CommandStream()
    command = check_command(JOINTS, rows, [[]] * 3, times_s, start_s)
    stream.offer(command, start_s + late_s, HERE)
    for after_s in np.linspace(late_s, times_s[-1] + 1e-3, 1500):
        wanted = stream.wanted(start_s + float(after_s))
        assert wanted is not None
        for motion in (wanted.position, wanted.velocity, wanted.acceleration):
            assert np.isfinite(motion).all()
        # No more than 0.2 rad in a millisecond are asked for.
        assert np.abs(wanted.velocity).max() < 400
    assert wanted.position[0] == 0.21


def test_clear_forgets_everything() -> None:
    stream = CommandStream()
    stream.offer(trajectory(0.0, (0.0, 0.0), (1.0, 1.0)), 0.0, HERE)
    stream.clear()
    assert stream.wanted(0.5) is None
    assert stream.silence(0.5) == "waiting for commands"


@pytest.mark.parametrize(
    ("position", "velocity", "words"),
    [(1e308, 0.0, "positions contain 1e+308"), (0.0, -1e308, "velocities contain 1e+308")],
)
def test_absurd_numbers_are_refused(position: float, velocity: float, words: str) -> None:
    with pytest.raises(CommandError, match=re.escape(words)):
        check_command(JOINTS, [[position] * 7] * 2, [[velocity] * 7] * 2, [0.0, 5.0], None)


def test_a_trajectory_for_a_far_future_is_refused() -> None:
    stream = CommandStream()
    later = Command(111.0, (0.0, 1.0), np.zeros((2, 7)))
    with pytest.raises(CommandError, match=r"11\.000 s in the future"):
        stream.offer(later, 100.0, np.zeros(7))
    stream.offer(later, 102.0, np.zeros(7))
