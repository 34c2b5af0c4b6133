"""The bridge over real rclpy and real bytes: the safety contract at the wire."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from aloha_interfaces.msg import ArmStatus, SafetyState
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from aloha_stack.control.arm_modes import Mode
from aloha_stack.dynamixel.errors import NotTaken
from aloha_stack.dynamixel.units import RAD_PER_TICK
from aloha_stack.nodes._conversions import stamp_ns, target_message
from aloha_stack.robot.gripper import finger_from_joint
from aloha_stack.robot.joints import JOINTS, STATE_JOINTS
from nodes.arm_rig import INWARDS, LATCHED, Rig, call, rig, wait_for


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path) as made:
        yield made


@pytest.fixture
def active(follower: Rig) -> Rig:
    follower.start()
    return follower


def test_modes_are_those_of_the_message() -> None:
    for mode in Mode:
        assert getattr(ArmStatus, mode.name) == mode


def test_inactive_it_only_reads(follower: Rig) -> None:
    assert follower.bridge.transition("configure")
    wait_for(lambda: len(follower.operator.states) > 5)
    assert follower.operator.mode == Mode.INACTIVE
    assert not follower.servos.written_goals
    assert not follower.servos.goals()[1].any()


def test_joint_states_have_nine_joints_with_the_fingers_of_the_linkage(follower: Rig) -> None:
    follower.servos.place(np.linspace(-0.5, 0.5, 7))
    assert follower.bridge.transition("configure")
    wait_for(lambda: follower.operator.states)
    state = follower.operator.states[-1]
    assert tuple(state.name) == STATE_JOINTS
    assert len(state.position) == len(state.velocity) == len(state.effort) == 9
    np.testing.assert_allclose(state.position[:7], np.linspace(-0.5, 0.5, 7), atol=RAD_PER_TICK)
    finger = finger_from_joint(state.position[6], follower.arm.gripper.linkage)
    assert state.position[7] == pytest.approx(finger)
    assert state.position[8] == pytest.approx(-finger)
    assert abs(time.time_ns() - stamp_ns(state.header.stamp)) < 2e9


def test_activation_holds_the_arm_where_it_is(follower: Rig) -> None:
    place = np.asarray(follower.arm.start_pose) + 0.07
    follower.servos.place(place)
    follower.start()
    assert follower.servos.goals()[1].all()
    time.sleep(0.1)
    np.testing.assert_allclose(follower.servos.position, place, atol=2 * RAD_PER_TICK)
    assert follower.servos.servos[1].get("bus_watchdog") == 25


def test_what_it_says_it_executed_is_what_the_servos_received(active: Rig) -> None:
    active.follow()
    time.sleep(0.3)
    active.operator.target = None
    active.wait_mode(Mode.HOLDING, "late")
    wait_for(lambda: active.operator.executed)
    assert active.bridge.transition("deactivate")
    said = np.array([message.position for message in list(active.operator.executed)])
    assert tuple(active.operator.executed[-1].name) == JOINTS
    # The first may have gone out before they were listened to; from then on none is missing.
    heard = np.array(active.goals_on_the_wire())[-len(said) :]
    np.testing.assert_allclose(said, heard, atol=1e-9)


def test_goals_on_the_wire_keep_every_limit_whatever_is_asked(active: Rig) -> None:
    random = np.random.default_rng(3)
    active.operator.target = lambda t: random.uniform(-6, 6, 7)
    wait_for(lambda: active.operator.mode in (Mode.RAMPING, Mode.FOLLOWING))
    time.sleep(1.5)
    path, limits, period = np.array(active.goals_on_the_wire()), active.arm.limits, 0.01
    assert len(path) > 100
    assert (path <= limits.upper).all()
    assert (path >= limits.lower).all()
    # A tick of rounding at either end of each difference.
    speed = np.abs(np.diff(path, axis=0)) / period
    assert (speed <= limits.velocity + RAD_PER_TICK / period).all()
    pull = np.abs(np.diff(path, 2, axis=0)) / period**2
    assert (pull <= limits.acceleration + 2 * RAD_PER_TICK / period**2).all()
    wait_for(lambda: active.operator.status[-1].clamped_commands > 0)


def test_a_late_command_moves_nothing_and_is_counted(active: Rig) -> None:
    before = active.goals_on_the_wire()[-1]
    for _ in range(5):
        message = target_message(before + 0.3, time.time_ns() - 300_000_000)
        active.operator.commands.publish(message)
        time.sleep(0.03)
    active.wait_mode(Mode.HOLDING, "late: stamped 0.3")
    assert active.operator.status[-1].rejected_commands > 0
    np.testing.assert_array_equal(active.goals_on_the_wire()[-1], before)


@pytest.mark.parametrize(
    ("names", "values", "words"),
    [
        (JOINTS, [float("nan")] * 7, "not finite"),
        ((*JOINTS[:-1], "claw"), [0.0] * 7, "claw"),
        (JOINTS, [0.0] * 5, "5 positions"),
        (JOINTS[:5], [0.0] * 5, "missing"),
    ],
)
def test_a_malformed_command_moves_nothing_and_says_why(
    active: Rig, names: tuple[str, ...], values: list[float], words: str
) -> None:
    before = active.goals_on_the_wire()[-1]
    point = JointTrajectoryPoint(positions=values)
    message = JointTrajectory(joint_names=list(names), points=[point])
    wait_for(lambda: active.operator.commands.get_subscription_count() == 1)
    active.operator.commands.publish(message)
    active.wait_mode(Mode.HOLDING, words)
    np.testing.assert_array_equal(active.goals_on_the_wire()[-1], before)


def test_a_stream_that_stops_makes_it_hold(active: Rig) -> None:
    active.follow()
    active.operator.target = None
    active.wait_mode(Mode.HOLDING, "late")
    time.sleep(0.3)
    last = active.goals_on_the_wire()
    np.testing.assert_array_equal(last[-1], last[-5])


def test_a_trajectory_is_executed_to_its_end(active: Rig) -> None:
    end = np.asarray(active.arm.rest_pose) + 0.1 * INWARDS
    message = target_message(end, 0)
    message.points[0].time_from_start.nanosec = 500_000_000
    wait_for(lambda: active.operator.commands.get_subscription_count() == 1)
    active.operator.commands.publish(message)
    active.wait_mode(Mode.HOLDING, "end of its trajectory")
    np.testing.assert_allclose(active.servos.position, end, atol=2 * RAD_PER_TICK)


def test_no_heartbeat_means_hold_and_it_goes_on_when_there_is_one(active: Rig) -> None:
    active.follow()
    active.operator.beating = False
    active.wait_mode(Mode.HOLDING, "no heartbeat")
    active.operator.beating = True
    active.wait_mode(Mode.FOLLOWING)


def test_the_latched_e_stop_stops_it_until_the_reset(active: Rig) -> None:
    active.follow()
    active.operator.e_stopped = True
    active.wait_mode(Mode.E_STOPPED, "test")
    time.sleep(0.5)
    held = active.goals_on_the_wire()
    np.testing.assert_array_equal(held[-1], held[-10])
    assert active.servos.goals()[1].all()
    active.operator.e_stopped = False
    active.wait_mode(Mode.FOLLOWING)


def test_two_safety_nodes_are_a_hold_until_one_of_them_has_ended(active: Rig) -> None:
    active.follow()
    other = active.operator.create_publisher(SafetyState, "/safety/state", LATCHED)

    def speak() -> bool:
        other.publish(SafetyState())
        return active.operator.mode == Mode.HOLDING

    wait_for(speak)
    assert "more than one safety node speaks" in active.operator.reason
    active.wait_mode(Mode.FOLLOWING)


def test_an_arm_that_cannot_be_connected_is_told_of_once_and_not_each_time(
    follower: Rig, capfd: pytest.CaptureFixture[str]
) -> None:
    follower.unplug()
    for _ in range(5):
        assert not follower.bridge.transition("configure")
    assert capfd.readouterr().err.count("waiting for the arm") == 1


def test_its_own_e_stop_latches(active: Rig) -> None:
    active.follow()
    response = call(active.operator, "/follower_left/e_stop")
    assert response.success
    active.wait_mode(Mode.E_STOPPED, "e_stop was called")
    time.sleep(0.3)
    assert active.operator.mode == Mode.E_STOPPED


def test_torque_found_on_is_refused_until_it_is_adopted(follower: Rig) -> None:
    assert follower.bridge.transition("configure")
    follower.bridge._cycles.ask(lambda: follower.bridge.driver.bus.set_torque(True))
    assert not follower.bridge.transition("activate")
    assert follower.bridge.state == "inactive"
    assert not follower.servos.written_goals
    response = call(follower.operator, "/follower_left/adopt")
    assert response.success, response.message
    follower.wait_mode(Mode.HOLDING)
    follower.follow()


def test_deactivation_parks_at_the_rest_pose_and_takes_the_torque_off(active: Rig) -> None:
    active.follow(0.15)
    service, deactivate = "/follower_left/arm_bridge/change_state", Transition(id=4)
    assert call(active.operator, service, ChangeState, transition=deactivate).success
    assert not active.servos.goals()[1].any()
    np.testing.assert_allclose(active.servos.position, active.arm.rest_pose, atol=2 * RAD_PER_TICK)
    active.wait_mode(Mode.INACTIVE)


def test_an_arm_activated_again_stays_where_a_hand_has_put_it(active: Rig) -> None:
    assert active.bridge.transition("deactivate")
    place = np.asarray(active.arm.start_pose)
    active.servos.place(place)
    assert active.bridge.transition("activate")
    active.wait_mode(Mode.HOLDING, "waiting for commands")
    time.sleep(0.3)
    np.testing.assert_allclose(active.servos.position, place, atol=2 * RAD_PER_TICK)


def test_an_arm_in_e_stop_keeps_its_torque_at_the_end(active: Rig) -> None:
    active.follow(0.15)
    active.operator.e_stopped = True
    active.wait_mode(Mode.E_STOPPED)
    assert active.bridge.transition("deactivate")
    assert active.servos.goals()[1].all()


def test_an_arm_that_did_not_obey_on_its_way_to_rest_keeps_its_torque(follower: Rig) -> None:
    follower.servos.place(np.asarray(follower.arm.start_pose))
    follower.start()
    follower.servos.speed_rad_s = 0.0
    assert follower.bridge.transition("deactivate")
    assert follower.servos.goals()[1].all()
    follower.wait_mode(Mode.INACTIVE, "rad away from it, though it was told to go")
    assert follower.operator.status[-1].torque


def trip_watchdogs(of: Rig) -> None:
    """As after a while without packets: no goal is taken any more."""
    for servo in of.servos.servos.values():
        servo.put("bus_watchdog", -1)
        servo._cache_hot()


def test_after_a_pause_of_the_bus_the_arm_is_held_anew_and_obeys(active: Rig) -> None:
    def pause() -> None:
        time.sleep(0.6)
        trip_watchdogs(active)

    active.bridge._cycles.ask(pause)
    active.wait_mode(Mode.HOLDING, "the bus had a pause of 0.6")
    assert {servo.get("bus_watchdog") for servo in active.servos.servos.values()} == {25}
    active.follow(0.15)
    wait_for(lambda: np.max(np.abs(active.servos.position - active.arm.rest_pose)) > 0.05)


def test_after_a_pause_of_the_bus_parking_goes_on(follower: Rig) -> None:
    follower.servos.place(np.asarray(follower.arm.start_pose))
    follower.start()
    follower.bridge.controller.begin_parking()
    follower.wait_mode(Mode.PARKING)
    follower.bridge._cycles.ask(lambda: time.sleep(0.6))
    assert follower.bridge.transition("deactivate")
    assert not follower.servos.goals()[1].any()


def test_torque_goes_off_even_if_the_watchdog_cannot_be_disarmed(
    active: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(timeout_s: float) -> None:
        raise NotTaken("servo 5 did not take bus_watchdog = 0", (5,))

    monkeypatch.setattr(active.bridge.driver.bus, "set_watchdog", refuse)
    assert active.bridge.transition("deactivate")
    assert not active.servos.goals()[1].any()
    active.wait_mode(Mode.INACTIVE)


def test_a_failed_activation_leaves_a_limp_arm_limp(
    follower: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(timeout_s: float) -> None:
        if timeout_s:
            raise NotTaken("servo 5 did not take bus_watchdog = 25", (5,))

    monkeypatch.setattr(follower.bridge.driver.bus, "set_watchdog", refuse)
    assert follower.bridge.transition("configure")
    assert not follower.bridge.transition("activate")
    assert not follower.servos.goals()[1].any()


def test_torque_goes_off_by_service_only_at_rest(active: Rig) -> None:
    active.follow()
    response = call(active.operator, "/follower_left/torque", SetBool, data=False)
    assert not response.success
    assert "stop its commands first" in response.message
    active.operator.target = None
    active.wait_mode(Mode.HOLDING, "late")
    wait_for(lambda: active.bridge.controller.limiter.at_rest)
    assert call(active.operator, "/follower_left/torque", SetBool, data=False).success
    active.wait_mode(Mode.INACTIVE, "torque was switched off")
    assert not active.servos.goals()[1].any()
    active.servos.place(active.servos.position + 0.2 * INWARDS)
    assert call(active.operator, "/follower_left/torque", SetBool, data=True).success
    active.wait_mode(Mode.HOLDING)
    response = call(active.operator, "/follower_left/torque", SetBool, data=False)
    assert not response.success
    assert "falls without torque" in response.message
    assert active.servos.goals()[1].all()
    assert call(active.operator, "/follower_left/torque", SetBool, data=False).success
    assert not active.servos.goals()[1].any()


def test_a_port_that_is_lost_is_a_fault_and_nothing_starts_by_itself(tmp_path: Path) -> None:
    with rig(tmp_path) as made:
        made.start()
        made.unplug()
        made.wait_mode(Mode.FAULT, "was lost; check the USB cable")
        time.sleep(0.2)
        assert made.operator.mode == Mode.FAULT
        assert not call(made.operator, "/follower_left/e_stop").success


def test_torque_stays_on_while_the_arm_follows_a_target_that_stands_still(active: Rig) -> None:
    goal = np.asarray(active.arm.rest_pose) + 0.1 * INWARDS
    active.operator.target = lambda t: goal
    active.wait_mode(Mode.FOLLOWING)
    wait_for(lambda: active.bridge.controller.limiter.at_rest)
    response = call(active.operator, "/follower_left/torque", SetBool, data=False)
    assert not response.success
    assert "stop its commands first" in response.message
    assert active.servos.goals()[1].all()


def test_a_transition_that_raises_gives_the_port_back_and_can_be_tried_again(
    follower: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise BrokenPipeError("broken")

    assert follower.bridge.transition("configure")
    with monkeypatch.context() as patch:
        patch.setattr(follower.bridge._cycles, "ask", broken)
        assert not follower.bridge.transition("activate")
    assert follower.bridge.state == "unconfigured"
    assert not follower.bridge._cycles.alive
    follower.start()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_cycle_that_fails_is_a_fault_and_ends_the_process(
    active: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("broken")

    monkeypatch.setattr(active.bridge.controller, "next_goal", broken)
    active.wait_mode(Mode.FAULT, "ZeroDivisionError")
    wait_for(lambda: active.bridge.finished)
    assert isinstance(active.bridge.failure, ZeroDivisionError)
    assert not call(active.operator, "/follower_left/e_stop").success
    assert not call(active.operator, "/follower_left/torque", SetBool, data=False).success
    active.bridge.close()
    assert active.servos.goals()[1].all()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_job_that_fails_is_answered_and_is_a_fault(
    active: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> str:
        raise ZeroDivisionError("broken")

    monkeypatch.setattr(active.bridge._arm_services, "reboot", broken)
    response = call(active.operator, "/follower_left/reboot")
    assert not response.success
    assert "ZeroDivisionError" in response.message
    active.wait_mode(Mode.FAULT, "ZeroDivisionError")


def test_a_servo_in_hardware_error_is_named_rebooted_and_comes_back_gently(active: Rig) -> None:
    active.follow()
    active.servos.servos[6].fail(1 << 5)
    active.wait_mode(Mode.HOLDING, "servo 6 (forearm_roll) overload")
    response = call(active.operator, "/follower_left/reboot")
    assert response.success, response.message
    assert "brought back servo 6" in response.message
    active.wait_mode(Mode.FOLLOWING)
    assert active.servos.goals()[1].all()


def test_a_hardware_error_beside_a_silent_servo_is_a_hold_and_no_fault(active: Rig) -> None:
    active.servos.servos[3].silent = True  # a shadow: no cycle misses it
    active.servos.servos[8].fail(1 << 2)
    active.wait_mode(Mode.HOLDING, "servo 8")
    time.sleep(0.2)
    assert active.operator.mode == Mode.HOLDING


def test_a_hardware_error_outlasts_an_answer_that_is_missing(active: Rig) -> None:
    active.servos.servos[6].fail(1 << 5)
    active.wait_mode(Mode.HOLDING, "overload")
    active.servos.servos[6].silent = True
    time.sleep(0.2)
    assert "overload" in active.bridge.controller.reason


def test_a_silent_servo_is_named_and_no_state_is_made_up(active: Rig) -> None:
    active.follow()
    active.servos.servos[8].silent = True
    active.wait_mode(Mode.HOLDING, "servo 8 (wrist_rotate) does not answer")
    wait_for(lambda: active.operator.status[-1].read_age > 0.1)
    published = len(active.operator.states)
    time.sleep(0.2)
    assert len(active.operator.states) <= published + 1
    active.servos.servos[8].silent = False
    active.wait_mode(Mode.FOLLOWING)
    assert active.operator.status[-1].failed_reads > 0


def test_a_leader_stays_limp(tmp_path: Path) -> None:
    with rig(tmp_path, "leader_left") as made:
        made.start()
        made.servos.place(np.asarray(made.arm.start_pose))
        wait_for(lambda: made.operator.states)
        time.sleep(0.1)
        measured = made.operator.states[-1].position[:7]
        np.testing.assert_allclose(measured, made.arm.start_pose, atol=RAD_PER_TICK)
        assert not made.servos.goals()[1].any()
        assert not made.servos.written_goals
        response = call(made.operator, "/leader_left/torque", SetBool, data=True)
        assert not response.success
        assert "leader" in response.message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "parameter 'arm' must be given"),
        (["-p", "arm:=third_arm"], "has no arm 'third_arm'"),
        (["-p", "arm:=leader_left", "-p", "rate_hz:=1e9"], "rate_hz"),
        (
            [
                "-p",
                "arm:=leader_left",
                "-p",
                "backend:=interbotix",
                "-p",
                "gravity_compensation:=true",
            ],
            "not possible with backend interbotix",
        ),
    ],
)
def test_wrong_parameters_are_named_with_status_2(arguments: list[str], words: str) -> None:
    command = [sys.executable, "-m", "aloha_stack.nodes.arm_bridge", "--ros-args"]
    command += ["-p", "robot:=twin", *arguments]
    environment = os.environ | {"ALOHA_PORTS": "nowhere"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 2
    assert words in result.stderr
