"""What servos and buses do to an arm: what its operator reads, what it does, how it comes back."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from std_srvs.srv import SetBool

from aloha_stack.control.arm_modes import Mode
from aloha_stack.dynamixel.errors import NotTaken
from aloha_stack.dynamixel.units import RAD_PER_TICK
from aloha_stack.robot.joints import JOINTS
from aloha_stack.twin.servo import BOOT_S
from nodes.arm_rig import Rig, call, rig, wait_for, was_let_go

SAG = np.array([0.0, 0.03, 0.02, 0.0, 0.01, 0.0, 0.0])
"""How far the weight of an arm pulls it off its goals, rad."""


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path) as made:
        yield made


@pytest.fixture
def active(follower: Rig) -> Rig:
    follower.start()
    return follower


def others(*joints: str) -> np.ndarray:
    """Mask (7,) of all joints but these."""
    return np.array([joint not in joints for joint in JOINTS])


def let_it_sag(made: Rig) -> np.ndarray:
    """From now on what is measured is off what was told; returns the goals on the wire."""
    before = made.goals_on_the_wire()[-1]
    made.servos.speed_rad_s = 0.0
    made.servos.place(before + SAG)
    return before


# -- servos that restart ----------------------------------------------------------------------


def test_a_servo_that_restarted_stops_the_arm_until_it_is_brought_back(active: Rig) -> None:
    active.follow()
    active.inject("servo_reboot", 4)
    active.wait_mode(Mode.HOLDING, "servo 4 (elbow) does not answer")
    active.wait_mode(Mode.HOLDING, "servo 4 (elbow) has lost its torque")
    assert "call /follower_left/reboot" in active.operator.reason
    heard = len(active.operator.status)
    time.sleep(0.5)
    modes = {status.mode for status in active.operator.status[heard:]}
    assert modes == {Mode.HOLDING}  # commands come all the time: they do not count
    assert "brought back servo 4 (elbow)" in active.call("reboot")
    active.wait_mode(Mode.FOLLOWING)
    assert all(servo.torque for servo in active.servos.servos.values())


def test_a_restart_that_no_reading_missed_is_seen_by_the_lost_torque(active: Rig) -> None:
    active.follow()
    servo = active.servos.servos[6]
    servo.put("torque_enable", 0)
    servo._cache_hot()
    active.wait_mode(Mode.HOLDING, "servo 6 (forearm_roll) has lost its torque")


def test_joints_that_hold_keep_their_goals_while_another_is_brought_back(active: Rig) -> None:
    active.follow()
    active.operator.target = None
    active.wait_mode(Mode.HOLDING, "late")
    wait_for(lambda: active.bridge.controller.limiter.at_rest)
    before = let_it_sag(active)
    active.inject("servo_reboot", 9)
    active.wait_mode(Mode.HOLDING, "lost its torque")
    place = active.servos.position.copy()
    active.call("reboot")
    active.servos.written_goals.clear()
    active.wait_mode(Mode.HOLDING, "waiting for commands")
    wait_for(lambda: len(active.goals_on_the_wire()) > 5)
    for goals in active.goals_on_the_wire():
        np.testing.assert_allclose(goals[others("gripper")], before[others("gripper")], atol=1e-9)
        assert goals[-1] == pytest.approx(place[-1], abs=RAD_PER_TICK)


def test_after_a_brown_out_the_arm_is_held_where_it_has_sunk_to(active: Rig) -> None:
    active.follow()
    active.inject("brown_out", duration_s=0.1)
    active.wait_mode(Mode.HOLDING, "no servo answers")
    active.wait_mode(Mode.HOLDING, "have lost their torque")
    assert not active.servos.goals()[1].any()
    place = active.servos.position + 0.1
    active.servos.place(place)
    active.operator.target = None
    active.call("reboot")
    active.servos.written_goals.clear()
    active.wait_mode(Mode.HOLDING, "waiting for commands")
    wait_for(lambda: len(active.goals_on_the_wire()) > 5)
    for goals in [*active.goals_on_the_wire(), active.servos.position]:
        np.testing.assert_allclose(goals, place, atol=RAD_PER_TICK)
    assert {servo.get("bus_watchdog") for servo in active.servos.servos.values()} == {25}
    gains = active.arm.addressed[0].registers["position_p_gain"]
    assert active.servos.servos[1].get("position_p_gain") == gains


@pytest.mark.parametrize("servo_id", [1, 3])
def test_what_a_servo_forgot_while_nobody_held_the_arm_is_written_before_it_gets_torque(
    follower: Rig, servo_id: int
) -> None:
    assert follower.bridge.transition("configure")
    follower.inject("servo_reboot", servo_id)
    wait_for(lambda: follower.bridge.driver.health.unsure)
    time.sleep(BOOT_S + 0.1)
    follower.servos.servos[servo_id].put("position_p_gain", 1)
    assert follower.bridge.transition("activate")
    gain = next(s for s in follower.arm.servos if s.id == servo_id).registers["position_p_gain"]
    assert follower.servos.servos[servo_id].get("position_p_gain") == gain


def test_what_was_so_before_it_was_held_does_not_stop_an_arm(follower: Rig) -> None:
    assert follower.bridge.transition("configure")
    wait_for(lambda: follower.bridge.driver.health.limp)  # and rightly so
    heard = len(follower.operator.status)
    assert follower.bridge.transition("activate")
    follower.follow()
    time.sleep(0.3)
    reasons = {status.reason for status in follower.operator.status[heard:]}
    assert not any("torque" in reason for reason in reasons), reasons


def test_torque_is_not_given_to_a_servo_that_restarted_but_by_reboot(active: Rig) -> None:
    active.inject("servo_reboot", 4)
    active.wait_mode(Mode.HOLDING, "lost its torque")
    response = call(active.operator, "/follower_left/torque", SetBool, data=True)
    assert not response.success
    assert "call /follower_left/reboot" in response.message
    assert not active.servos.servos[4].torque


def test_reboot_without_need_moves_nothing_and_says_so(active: Rig) -> None:
    active.follow()
    assert "no servo is in hardware error" in active.call("reboot")
    assert active.operator.mode == Mode.FOLLOWING


def test_a_servo_that_is_still_hot_says_how_hot_and_is_not_rebooted(active: Rig) -> None:
    servo = active.servos.servos[6]
    servo.put("present_temperature", 82)
    servo.fail(1 << 2)
    active.wait_mode(Mode.HOLDING, "servo 6 (forearm_roll) overheating (82 degrees C; let it cool")
    response = call(active.operator, "/follower_left/reboot")
    assert not response.success
    assert "still at 82 degrees C, its limit is 80; wait until it is well below" in response.message
    servo.put("present_temperature", 50)
    assert "brought back servo 6" in active.call("reboot")
    active.wait_mode(Mode.HOLDING, "waiting for commands")


# -- servos that cannot be heard, and shadows -------------------------------------------------


@pytest.mark.parametrize(("servo", "name"), [(3, "shoulder shadow"), (8, "wrist_rotate")])
def test_a_silent_servo_is_named_shadow_or_not_and_the_arm_goes_on_when_it_answers(
    active: Rig, servo: int, name: str
) -> None:
    active.follow()
    active.inject("dead_servo", servo, duration_s=0.4)
    active.wait_mode(Mode.HOLDING, f"servo {servo} ({name}) does not answer")
    active.wait_mode(Mode.FOLLOWING)


def test_a_shadow_in_hardware_error_stops_the_arm(active: Rig) -> None:
    active.follow()
    active.servos.servos[5].fail(1 << 5)
    active.wait_mode(Mode.HOLDING, "servo 5 (elbow shadow) overload")


def test_two_servos_of_one_id_are_damage_and_not_silence(active: Rig) -> None:
    active.follow()
    active.inject("duplicate_id", 6, duration_s=0.5)
    active.wait_mode(Mode.HOLDING, "the answers of servo 6 (forearm_roll) are damaged")
    assert "two servos with this ID" in active.operator.reason
    active.wait_mode(Mode.FOLLOWING)


def test_a_lost_reply_is_told_within_two_cycles_and_disturbs_nothing(active: Rig) -> None:
    active.follow()
    failed = active.operator.status[-1].failed_reads
    heard = len(active.operator.status)
    cycles = active.bridge.controller.counters.cycles
    active.inject("lost_reply", 7)
    wait_for(lambda: active.operator.status[-1].failed_reads > failed)
    told = next(s for s in active.operator.status[heard:] if s.failed_reads > failed)
    assert told.cycles - cycles <= 5  # of which two to be told, and some to be injected
    assert told.mode == Mode.FOLLOWING


# -- watchdogs --------------------------------------------------------------------------------


def test_one_tripped_watchdog_is_found_and_the_arm_is_held_anew_without_a_sag(active: Rig) -> None:
    active.follow()
    active.operator.target = None
    active.wait_mode(Mode.HOLDING, "late")
    wait_for(lambda: active.bridge.controller.limiter.at_rest)
    before = let_it_sag(active)
    active.servos.written_goals.clear()
    active.servos.servos[7].put("bus_watchdog", -1)
    active.servos.servos[7]._cache_hot()
    active.wait_mode(Mode.HOLDING, "the Bus Watchdog of servo 7 (wrist_angle) has tripped; held")
    assert active.servos.servos[7].get("bus_watchdog") == 25
    firm = others("wrist_angle")
    for goals in active.goals_on_the_wire():
        np.testing.assert_allclose(goals[firm], before[firm], atol=1e-9)
    wrist = JOINTS.index("wrist_angle")
    assert goals[wrist] == pytest.approx(before[wrist] + SAG[wrist], abs=RAD_PER_TICK)


# -- the port, and the bus --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["follower_left", "leader_left"])
def test_a_port_that_is_back_waits_for_the_operator_and_is_adopted(
    tmp_path: Path, name: str
) -> None:
    with rig(tmp_path, name) as made:
        made.start()
        made.inject("unplugged", duration_s=0.7)
        made.wait_mode(Mode.FAULT, "was lost; check the USB cable")
        made.wait_mode(
            Mode.FAULT,
            f"The port is there again: see that nothing leans on the arm, then call /{name}/adopt",
        )
        time.sleep(0.3)
        assert made.operator.mode == Mode.FAULT  # nothing starts by itself
        wait_for(lambda: was_let_go(made.port))  # whoever looks after the arm may use it
        assert "was taken over as it was found" in made.call("adopt")
        if made.arm.is_leader:
            made.wait_mode(Mode.BACK_DRIVEN)
            assert not made.servos.goals()[1].any()
        else:
            made.wait_mode(Mode.HOLDING, "waiting for commands")
            assert {s.get("bus_watchdog") for s in made.servos.servos.values()} == {25}
            made.follow()
        states = len(made.operator.states)
        wait_for(lambda: len(made.operator.states) > states)


def test_adoption_after_a_lost_port_moves_no_joint(active: Rig) -> None:
    active.follow()
    active.operator.target = None
    active.inject("unplugged", duration_s=0.7)
    active.wait_mode(Mode.FAULT, "is there again")
    place = active.servos.position.copy()
    active.servos.written_goals.clear()
    active.call("adopt")
    active.wait_mode(Mode.HOLDING, "waiting for commands")
    for goals in active.goals_on_the_wire():
        np.testing.assert_allclose(goals, place, atol=RAD_PER_TICK)


def test_an_arm_in_this_bridges_hands_cannot_be_adopted(active: Rig) -> None:
    active.follow()
    response = call(active.operator, "/follower_left/adopt")
    assert not response.success
    assert "in the hands of this bridge already" in response.message
    assert active.operator.mode == Mode.FOLLOWING


def test_a_slow_bus_is_named_and_the_arm_goes_on_when_it_is_quick_again(active: Rig) -> None:
    active.follow()
    active.inject("slow_bus", duration_s=1.0)
    active.wait_mode(Mode.HOLDING, "the bus is slow: a cycle takes")
    assert "10 are allowed; check the adapter's latency timer" in active.operator.reason
    active.wait_mode(Mode.FOLLOWING)


# -- parking ----------------------------------------------------------------------------------


@pytest.fixture
def parking(follower: Rig) -> Iterator[Rig]:
    """On its way to the rest pose."""
    follower.servos.place(np.asarray(follower.arm.start_pose))
    follower.start()
    thread = threading.Thread(target=follower.bridge.transition, args=("deactivate",))
    thread.start()
    follower.wait_mode(Mode.PARKING)
    yield follower
    thread.join()


def test_a_sick_arm_stops_on_its_way_to_rest_and_keeps_its_torque(parking: Rig) -> None:
    parking.servos.servos[6].fail(1 << 5)
    parking.wait_mode(Mode.PARKING, "waits on its way to the rest pose: hardware error: servo 6")
    wait_for(lambda: parking.bridge.controller.limiter.at_rest)
    place = parking.goals_on_the_wire()[-1]
    parking.wait_mode(Mode.INACTIVE, "servo 6 (forearm_roll) overload")
    np.testing.assert_array_equal(parking.goals_on_the_wire()[-1], place)
    assert parking.servos.servos[2].torque
    assert parking.operator.status[-1].torque


def test_parking_goes_on_after_a_reboot_in_its_midst(parking: Rig) -> None:
    parking.servos.servos[6].fail(1 << 5)
    parking.wait_mode(Mode.PARKING, "waits on its way")
    parking.call("reboot")
    parking.wait_mode(Mode.PARKING, "on its way to the rest pose")
    parking.wait_mode(Mode.INACTIVE)
    assert not parking.operator.reason
    np.testing.assert_allclose(
        parking.servos.position, parking.arm.rest_pose, atol=2 * RAD_PER_TICK
    )
    assert not parking.servos.goals()[1].any()


def test_nobody_takes_over_an_arm_that_is_parking(parking: Rig) -> None:
    response = call(parking.operator, "/follower_left/adopt")
    assert not response.success
    assert "is deactivating and was not taken over" in response.message
    assert parking.operator.mode == Mode.PARKING
    parking.wait_mode(Mode.INACTIVE)
    assert not parking.servos.goals()[1].any()


def test_an_arm_that_cannot_be_held_anew_gets_no_goals(
    active: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    active.follow()

    def refuse(on: bool) -> None:
        raise NotTaken("servo 5 did not take torque_enable = 1", (5,))

    with monkeypatch.context() as patch:
        patch.setattr(active.bridge.driver.bus, "set_torque", refuse)
        active.bridge._cycles.ask(lambda: time.sleep(0.6))
        active.wait_mode(Mode.HOLDING, "cannot be held anew: servo 5 did not take")
        goals = active.servos.goals()[0]
        time.sleep(0.2)
        np.testing.assert_allclose(active.servos.goals()[0], goals, atol=RAD_PER_TICK)
    active.wait_mode(Mode.FOLLOWING)
