"""The safety contract of one arm, cycle by cycle, without a bus."""

import numpy as np
import pytest

from aloha_stack.control.arm_controller import ArmController
from aloha_stack.control.arm_modes import Health, Mode
from aloha_stack.control.commands import Command, CommandError
from control.arms import arm

FINE = Health()


class Bench:
    """A controller with time, a heartbeat and, if wanted, a stream of targets."""

    def __init__(self, name: str = "follower_left") -> None:
        self.arm = arm(name)
        self.control = ArmController(self.arm)
        self.now_s = 100.0
        self.beating = True
        self.health = FINE
        self.target: np.ndarray | None = None
        self.path: list[np.ndarray] = []
        if not self.arm.is_leader:
            self.control.take_hold(self.arm.start_pose)
            self.control.torque = True
        self.control.active = True

    def run(self, seconds: float) -> None:
        for cycle in range(round(seconds / 0.01)):
            self.now_s += 0.01
            if self.beating:
                self.control.heartbeat(False, "", self.now_s)
            if self.target is not None and cycle % 2 == 0:
                command = Command(self.now_s, (0.0,), self.target[None])
                self.control.offer(command, self.now_s)
            goal = self.control.next_goal(self.now_s, self.now_s, self.health)
            if goal is not None:
                self.path.append(goal)

    def follow(self, offset: float) -> np.ndarray:
        self.target = self.arm.start_pose + offset
        self.run(1.5)
        return self.target

    @property
    def moved(self) -> float:
        """Between the last two goals, rad."""
        return float(np.max(np.abs(self.path[-1] - self.path[-2])))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_arm_without_commands_holds_its_place_and_says_so(bench: Bench) -> None:
    bench.run(0.1)
    np.testing.assert_array_equal(bench.path[-1], bench.arm.start_pose)
    assert (bench.control.mode, bench.control.reason) == (Mode.HOLDING, "waiting for commands")


def test_targets_are_joined_gently_then_followed(bench: Bench) -> None:
    bench.target = bench.arm.start_pose + 0.3
    bench.run(0.1)
    assert bench.control.mode == Mode.RAMPING
    bench.run(1.4)
    assert (bench.control.mode, bench.control.reason) == (Mode.FOLLOWING, "")
    np.testing.assert_allclose(bench.path[-1], bench.target, atol=1e-3)
    assert np.max(np.abs(np.diff(bench.path, axis=0))) < 0.013


def test_a_stream_that_stops_makes_the_arm_stop_and_hold(bench: Bench) -> None:
    bench.follow(0.1)
    bench.target = None
    bench.run(0.3)
    assert bench.control.mode == Mode.HOLDING
    assert "late" in bench.control.reason
    assert bench.moved == 0


def test_what_is_no_command_is_counted_and_moves_nothing(bench: Bench) -> None:
    bench.run(0.05)
    bench.control.offer(CommandError("point 0 has 6 positions"), bench.now_s)
    bench.control.offer(Command(bench.now_s - 0.5, (0.0,), np.zeros((1, 7))), bench.now_s)
    bench.run(0.05)
    assert bench.control.counters.rejected_commands == 2
    assert "late" in bench.control.reason
    assert bench.moved == 0


def test_a_target_beyond_the_limits_is_counted_and_clamped(bench: Bench) -> None:
    bench.target = np.full(7, 9.0)
    bench.run(12.0)
    assert bench.control.counters.clamped_commands > 0
    assert (bench.path[-1] <= bench.arm.limits.soft_upper + 1e-9).all()


def test_e_stop_stops_within_limits_latches_and_hears_nothing(bench: Bench) -> None:
    bench.follow(0.2)
    bench.target = bench.arm.start_pose - 0.2
    bench.run(0.3)
    assert bench.moved > 1e-3
    bench.control.e_stop("pulled the plug")
    assert (bench.control.mode, bench.control.reason) == (Mode.E_STOPPED, "pulled the plug")
    bench.control.e_stop("another cause")
    bench.run(1.0)
    assert (bench.control.mode, bench.control.reason) == (Mode.E_STOPPED, "pulled the plug")
    assert bench.moved == 0
    steps = np.diff(bench.path, axis=0) / 0.01
    assert (np.abs(np.diff(steps, axis=0)) / 0.01 <= bench.arm.limits.acceleration * 1.001).all()


def test_after_the_reset_only_fresh_commands_count_and_they_are_joined(bench: Bench) -> None:
    bench.follow(0.1)
    bench.control.heartbeat(True, "e-stop", bench.now_s)
    bench.beating = False
    bench.run(0.2)
    assert bench.control.mode == Mode.E_STOPPED
    bench.beating, bench.target = True, None
    bench.run(0.1)
    assert (bench.control.mode, bench.control.reason) == (Mode.HOLDING, "waiting for commands")
    bench.target = bench.arm.start_pose - 0.4
    bench.run(0.1)
    assert bench.control.mode == Mode.RAMPING
    assert bench.moved < 0.01  # 1 rad/s; the limits would allow three times as much


def test_an_own_e_stop_outlasts_heartbeats_that_do_not_know_of_it(bench: Bench) -> None:
    bench.control.e_stop("mine")
    bench.run(0.5)
    assert bench.control.mode == Mode.E_STOPPED
    bench.control.heartbeat(True, "mine", bench.now_s)
    bench.run(0.1)
    assert bench.control.mode == Mode.HOLDING


def test_a_safety_node_that_is_started_anew_does_not_end_the_stop(bench: Bench) -> None:
    bench.control.heartbeat(True, "button", bench.now_s)
    bench.beating = False
    bench.run(3.0)  # the safety node has died
    bench.beating = True
    bench.run(0.5)
    assert (bench.control.mode, bench.control.reason) == (Mode.E_STOPPED, "button")
    bench.control.heartbeat(True, "button", bench.now_s)  # the new one has heard of the stop
    assert bench.control.mode == Mode.E_STOPPED
    bench.run(0.1)
    assert bench.control.mode == Mode.HOLDING


def test_an_own_e_stop_during_a_reset_stays_with_its_own_cause(bench: Bench) -> None:
    bench.control.heartbeat(True, "button", bench.now_s)
    bench.control.e_stop("mine")  # the reset is on its way already
    bench.run(0.5)
    assert (bench.control.mode, bench.control.reason) == (Mode.E_STOPPED, "mine")
    bench.control.heartbeat(True, "mine", bench.now_s)  # the safety node has heard of it
    bench.run(0.1)
    assert bench.control.mode == Mode.HOLDING


def test_an_own_e_stop_that_is_called_again_during_its_reset_stays(bench: Bench) -> None:
    bench.control.e_stop("mine")
    bench.control.heartbeat(True, "mine", bench.now_s)
    bench.control.e_stop("mine")
    bench.run(0.5)
    assert bench.control.mode == Mode.E_STOPPED


def test_a_reset_ends_an_own_e_stop_beside_one_that_was_latched(bench: Bench) -> None:
    bench.control.heartbeat(True, "button", bench.now_s)
    bench.control.e_stop("mine")
    bench.control.heartbeat(True, "button", bench.now_s)
    assert bench.control.reason == "button"
    bench.run(0.1)
    assert bench.control.mode == Mode.HOLDING


def test_of_two_safety_nodes_none_lets_the_arm_move_or_resets_a_stop(bench: Bench) -> None:
    bench.follow(0.1)
    bench.beating = False
    bench.control.heartbeat(False, "", bench.now_s, "two safety nodes")
    bench.run(0.3)
    assert (bench.control.mode, bench.control.reason) == (Mode.HOLDING, "two safety nodes")
    assert bench.moved == 0
    bench.control.heartbeat(True, "button", bench.now_s, "two safety nodes")
    bench.control.heartbeat(False, "", bench.now_s, "two safety nodes")
    assert (bench.control.mode, bench.control.reason) == (Mode.E_STOPPED, "button")
    bench.control.heartbeat(True, "button", bench.now_s)  # one has ended
    bench.beating = True
    bench.run(1.5)
    assert bench.control.mode == Mode.FOLLOWING


def test_a_remark_is_told_while_it_holds_and_keeps_nothing_from_moving(bench: Bench) -> None:
    bench.health = Health(remark="held anew")
    bench.run(0.1)
    assert bench.control.reason == "waiting for commands (held anew)"
    bench.follow(0.1)
    assert (bench.control.mode, bench.control.reason) == (Mode.FOLLOWING, "")


def test_what_is_asked_for_before_activation_moves_nothing_after_it() -> None:
    bench = Bench()
    bench.control.active = False
    bench.run(0.1)
    there = bench.arm.start_pose + 0.3
    bench.control.offer(Command(bench.now_s + 0.2, (0.0, 1.0), np.array([there, there])), 100.2)
    bench.control.take_hold(bench.arm.start_pose)
    bench.control.active = True
    bench.run(2.0)
    np.testing.assert_array_equal(bench.path, np.broadcast_to(bench.arm.start_pose, (200, 7)))


def test_cycles_in_which_limits_hold_the_arm_back_are_counted(bench: Bench) -> None:
    bench.follow(0.05)
    assert bench.control.counters.strained_cycles == 0
    end = bench.arm.start_pose + 0.5
    command = Command(bench.now_s, (0.0, 0.05), np.array([bench.path[-1], end]))
    bench.target = None
    bench.control.offer(command, bench.now_s)
    bench.run(0.2)
    assert bench.control.counters.strained_cycles > 3


def test_no_heartbeat_means_hold_and_its_return_is_joined(bench: Bench) -> None:
    bench.follow(0.1)
    bench.beating = False
    bench.target = bench.arm.start_pose + 0.5
    bench.run(1.2)
    assert (bench.control.mode, bench.control.reason) == (
        Mode.HOLDING,
        "no heartbeat from safety",
    )
    assert bench.moved == 0
    bench.beating = True
    bench.run(0.05)
    assert bench.control.mode == Mode.RAMPING
    bench.run(2.0)
    assert bench.control.mode == Mode.FOLLOWING


def test_an_arm_that_never_heard_a_heartbeat_does_not_move() -> None:
    bench = Bench()
    bench.beating = False
    bench.follow(0.3)
    assert bench.control.reason == "no heartbeat from safety"
    np.testing.assert_array_equal(bench.path[-1], bench.arm.start_pose)


@pytest.mark.parametrize(
    ("health", "words"),
    [
        (Health(sick="servos 4, 5 do not answer"), "servos 4, 5 do not answer"),
        (Health(slow="the bus is slow"), "the bus is slow"),
    ],
)
def test_a_sick_bus_means_hold(bench: Bench, health: Health, words: str) -> None:
    bench.follow(0.1)
    bench.health = health
    bench.target = bench.arm.start_pose - 0.3
    bench.run(0.3)
    assert bench.control.mode == Mode.HOLDING
    assert words in bench.control.reason
    assert bench.moved == 0
    bench.health = FINE
    bench.run(3.0)
    assert bench.control.mode == Mode.FOLLOWING


def test_a_trajectory_that_ended_is_not_late(bench: Bench) -> None:
    bench.run(0.05)
    start = bench.arm.start_pose
    course = Command(bench.now_s, (0.0, 1.0), np.stack([start, start + 0.2]))
    bench.control.offer(course, bench.now_s)
    bench.run(3.0)
    assert (bench.control.mode, bench.control.reason) == (
        Mode.HOLDING,
        "at the end of its trajectory",
    )
    np.testing.assert_allclose(bench.path[-1], start + 0.2, atol=1e-4)


def test_a_trajectory_does_not_go_on_by_itself_after_a_hold(bench: Bench) -> None:
    bench.run(0.05)
    start = bench.arm.start_pose
    bench.control.offer(Command(None, (2.0,), (start + 0.5)[None]), bench.now_s)
    bench.run(0.5)
    bench.beating = False
    bench.run(1.0)
    bench.beating = True
    bench.run(0.5)
    assert (bench.control.mode, bench.control.reason) == (Mode.HOLDING, "waiting for commands")


def test_parking_stops_goes_to_the_rest_pose_and_needs_no_heartbeat(bench: Bench) -> None:
    bench.follow(0.2)
    bench.control.begin_parking()
    bench.beating = False
    assert not bench.control.parked
    bench.run(8.0)
    assert bench.control.parked
    assert bench.control.at_rest_pose
    np.testing.assert_allclose(bench.path[-1], bench.arm.rest_pose, atol=1e-4)


def test_parking_from_the_far_end_takes_no_more_than_8_s() -> None:
    bench = Bench()
    bench.control.take_hold(
        np.where(bench.arm.rest_pose > 0, -1.0, 1.0) * np.array([3.1, 1.2, 1.7, 3.1, 1.8, 3.1, 0.6])
    )
    bench.control.begin_parking()
    bench.run(8.0)
    assert bench.control.at_rest_pose


def test_parking_survives_a_clock_that_is_set_back(bench: Bench) -> None:
    bench.follow(0.2)
    bench.control.begin_parking()
    bench.run(0.5)
    bench.now_s = 1.0
    bench.run(8.0)
    assert bench.control.at_rest_pose


def test_parking_is_not_over_because_the_clock_jumps_ahead(bench: Bench) -> None:
    bench.follow(0.2)
    bench.control.begin_parking()
    bench.run(0.5)
    bench.now_s += 30.0
    bench.run(0.05)
    assert not bench.control.parked
    bench.run(8.0)
    assert bench.control.at_rest_pose
    np.testing.assert_allclose(bench.path[-1], bench.arm.rest_pose, atol=0.01)


def test_parking_that_does_not_arrive_is_given_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = bench.arm.start_pose
    monkeypatch.setattr(bench.control.limiter, "step", lambda *_: place)  # never gets anywhere
    bench.control.begin_parking()
    bench.run(11.0)
    assert not bench.control.parked
    bench.run(1.5)
    assert bench.control.parked
    assert not bench.control.at_rest_pose


def test_parking_waits_for_a_sick_arm_but_not_for_ever(bench: Bench) -> None:
    bench.follow(0.2)
    bench.control.begin_parking()
    bench.run(0.5)
    bench.health = Health(sick="servo 2 overload")
    bench.run(1.0)
    assert (bench.control.mode, bench.moved) == (Mode.PARKING, 0)
    assert bench.control.reason.endswith("waits on its way to the rest pose: servo 2 overload")
    bench.health = FINE
    bench.run(0.5)
    assert bench.moved > 0
    bench.health = Health(sick="servo 2 overload")
    bench.run(2.5)
    assert not bench.control.parked
    bench.run(0.6)
    assert bench.control.parked
    assert not bench.control.at_rest_pose


def test_a_slow_bus_does_not_keep_an_arm_from_parking(bench: Bench) -> None:
    bench.follow(0.2)
    bench.health = Health(slow="the bus is slow")
    bench.control.begin_parking()
    bench.run(8.0)
    assert bench.control.at_rest_pose


def test_an_arm_that_is_taken_up_again_after_parking_stays_then_follows(bench: Bench) -> None:
    bench.control.begin_parking()
    bench.run(8.0)
    assert bench.control.at_rest_pose
    bench.control.active = bench.control.torque = False
    bench.run(0.1)
    bench.control.take_hold(bench.arm.start_pose)  # moved by hand meanwhile
    bench.control.active = bench.control.torque = True
    bench.path.clear()
    bench.run(1.0)
    assert bench.control.mode == Mode.HOLDING
    assert not bench.control.at_rest_pose
    np.testing.assert_array_equal(bench.path[-1], bench.arm.start_pose)
    bench.follow(0.1)
    assert bench.control.mode == Mode.FOLLOWING


def test_an_arm_in_e_stop_is_not_parked(bench: Bench) -> None:
    bench.control.e_stop("stop")
    bench.run(0.5)
    bench.control.begin_parking()
    bench.run(0.5)
    assert bench.control.parked
    assert not bench.control.at_rest_pose
    assert bench.moved == 0


def test_an_e_stop_ends_the_parking_where_it_is(bench: Bench) -> None:
    bench.control.begin_parking()
    bench.run(0.7)
    assert bench.moved > 0
    bench.control.e_stop("stop")
    bench.run(1.0)
    assert bench.control.mode == Mode.E_STOPPED
    assert bench.control.parked
    assert not bench.control.at_rest_pose
    assert bench.moved == 0


def test_a_carried_leader_lets_go_of_its_weight_by_its_own_e_stop_alone() -> None:
    bench = Bench("leader_left")
    bench.control.torque = True  # carried by its servos
    bench.run(0.1)
    assert not bench.control.e_stopped
    bench.control.e_stop("leader_left: e_stop was called")
    bench.run(0.1)  # while the safety node says that nothing is stopped
    assert bench.control.e_stopped


def test_a_leader_is_never_driven() -> None:
    bench = Bench("leader_left")
    bench.target = np.zeros(7)
    bench.run(0.2)
    assert bench.path == []
    assert bench.control.mode == Mode.BACK_DRIVEN
    bench.control.heartbeat(True, "stop", bench.now_s)
    bench.beating = False
    bench.run(0.1)
    assert bench.control.mode == Mode.BACK_DRIVEN


def test_a_leader_that_was_stopped_itself_says_so_until_the_reset() -> None:
    bench = Bench("leader_left")
    bench.run(0.2)
    bench.control.e_stop("leader_left: e_stop was called")
    assert bench.control.mode == Mode.E_STOPPED
    assert bench.control.e_stopped  # which is what takes the currents from a leader that is carried
    bench.run(0.2)  # the safety node has not heard of it yet
    assert bench.control.mode == Mode.E_STOPPED
    assert bench.control.e_stopped
    bench.control.heartbeat(True, "leader_left: e_stop was called", bench.now_s)
    assert bench.control.mode == Mode.E_STOPPED
    bench.run(0.1)
    assert bench.control.mode == Mode.BACK_DRIVEN
    assert not bench.control.e_stopped
    assert bench.path == []


def test_an_inactive_bridge_acknowledges_an_e_stop_and_writes_nothing() -> None:
    control = ArmController(arm())
    assert control.next_goal(1.0, 1.0, FINE) is None
    assert control.mode == Mode.INACTIVE
    control.heartbeat(True, "stop", 1.0)
    assert control.next_goal(1.0, 1.0, FINE) is None
    assert control.mode == Mode.E_STOPPED


def test_a_fault_is_shown_until_it_is_cleared(bench: Bench) -> None:
    bench.control.fault = "port lost"
    bench.run(0.05)
    assert (bench.control.mode, bench.control.reason) == (Mode.FAULT, "port lost")
    assert bench.path == []
    bench.control.e_stop("stop")
    assert bench.control.mode == Mode.FAULT


def test_while_time_stands_still_the_mode_goes_on(bench: Bench) -> None:
    bench.run(0.1)
    bench.control.heartbeat(True, "stop", bench.now_s)
    bench.control.react(bench.now_s)
    assert bench.control.mode == Mode.E_STOPPED
    bench.control.heartbeat(False, "", bench.now_s)
    assert (bench.control.mode, bench.control.reason) == (Mode.HOLDING, "waiting for commands")
    bench.control.react(bench.now_s + 9.0)
    assert bench.control.reason == "no heartbeat from safety"


def test_a_trajectory_does_not_outlive_an_e_stop_however_short(bench: Bench) -> None:
    bench.run(0.05)
    bench.control.offer(Command(None, (2.0,), bench.arm.start_pose[None] + 0.5), bench.now_s)
    bench.run(0.5)
    bench.control.heartbeat(True, "stop", bench.now_s)
    bench.control.heartbeat(False, "", bench.now_s)
    bench.run(0.5)
    assert (bench.control.mode, bench.control.reason) == (Mode.HOLDING, "waiting for commands")
    assert bench.moved == 0


def test_a_stream_that_takes_over_from_a_trajectory_is_joined(bench: Bench) -> None:
    bench.run(0.05)
    start = bench.arm.start_pose
    bench.control.offer(Command(None, (0.5,), (start + 0.2)[None]), bench.now_s)
    bench.run(2.0)
    bench.target = start - 0.3
    bench.run(0.1)
    assert bench.control.mode == Mode.RAMPING
    assert bench.moved < 0.01  # 1 rad/s; the limits would allow three times as much


def swing(time_s: np.ndarray, amplitude_rad: float = 0.4, rate_hz: float = 0.6) -> np.ndarray:
    """How far a joint is swung out at `time_s`: starts and goes at rest, up to 1.5 rad/s."""
    phase = 2 * np.pi * rate_hz * time_s
    return amplitude_rad * (1 - np.cos(phase))


def test_a_trajectory_replaced_piece_by_piece_is_followed_at_full_speed_without_a_seam():
    bench = Bench()
    bench.run(0.1)
    start = bench.arm.start_pose
    begin_s = bench.now_s + 0.05
    bench.path.clear()
    for piece in range(16):
        times = 0.25 * piece + np.arange(0.0, 1.0, 0.05)
        offsets = swing(times)
        joints = np.tile(start, (len(times), 1))
        joints[:, 0] += offsets
        speed = np.zeros_like(joints)
        speed[:, 0] = np.gradient(offsets, times, edge_order=2)
        relative = tuple(float(t) for t in times - times[0])
        bench.control.offer(Command(begin_s + times[0], relative, joints, speed), bench.now_s)
        bench.run(0.25)
    waist = np.array(bench.path)[:, 0] - start[0]
    expected = swing(np.clip(np.arange(len(waist)) * 0.01 + 0.01 - 0.05, 0.0, None))
    assert np.max(np.abs(waist - expected)) < 0.02
    assert bench.control.mode == Mode.FOLLOWING


def test_a_trajectory_that_begins_elsewhere_is_joined_gently():
    bench = Bench()
    bench.run(0.1)
    far = bench.arm.start_pose + np.eye(7)[0] * 0.5
    bench.control.offer(
        Command(bench.now_s, (0.0, 1.0), np.stack([far, far]), np.zeros((2, 7))), bench.now_s
    )
    bench.path.clear()
    bench.run(0.3)
    steps = np.diff(np.array(bench.path)[:, 0]) / 0.01
    assert bench.control.mode == Mode.RAMPING
    assert np.max(np.abs(steps)) < 0.8
