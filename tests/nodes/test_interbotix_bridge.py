"""The arm's bridge with Interbotix' driver in place of a port of its own."""

import sys

import numpy as np
import pytest

from aloha_stack.control.arm_modes import Mode
from aloha_stack.dynamixel.units import RAD_PER_TICK, ZERO_TICKS
from aloha_stack.nodes.arm_bridge import ArmBridge
from aloha_stack.twin.virtual_bench import BenchArm
from nodes.arm_rig import call, rig, ros, wait_for, with_parameters
from nodes.interbotix_messages import make_importable


@pytest.fixture(scope="module", autouse=True)
def messages():
    make_importable()


def written(servos: BenchArm) -> dict[int, set[int]]:
    """All goals on the wire so far, ticks, by ID."""
    goals: dict[int, set[int]] = {}
    for _, servo_id, ticks in servos.written_goals.copy():
        goals.setdefault(servo_id, set()).add(ticks)
    return goals


def test_an_arm_is_driven_lost_with_its_driver_and_taken_over_again(tmp_path):
    from nodes.interbotix_standin import XsSdk

    with rig(tmp_path, backend="interbotix", xs_namespace="/driver") as live:
        arm, operator = live.servos.arm, live.operator
        driver = XsSdk(arm, "/driver")
        try:
            live.start()
            live.follow()
            wait_for(lambda: len(operator.executed) > 50)
            operator.target = None
            live.wait_mode(Mode.HOLDING)

            # What is said to be written is on the wire, to the tick, and nothing beside it.
            for message in operator.executed[-30:-3]:
                ticks = np.round(np.asarray(message.position) / RAD_PER_TICK) + ZERO_TICKS
                for servo, tick in zip(arm.addressed, ticks.astype(int).tolist(), strict=True):
                    wait_for(lambda s=servo.id, t=tick: t in written(live.servos).get(s, ()))
            assert set(written(live.servos)) == {servo.id for servo in arm.addressed}
            assert not live.servos.violations
            stamps = [(s.header.stamp.sec, s.header.stamp.nanosec) for s in operator.states]
            assert len(set(stamps)) == len(stamps)

            # An overload lets one joint go, until the operator has the servo restarted.
            held = live.servos.position.copy()
            live.servos.servos[4].fail(0x20)
            driver.reboot_s = 0.6  # longer than the watchdog's time
            live.wait_mode(Mode.HOLDING, "servo 4 (elbow) overload")
            answer = call(operator, "/follower_left/reboot")
            assert answer.success, answer.message
            live.wait_mode(Mode.HOLDING, "waiting for commands")
            assert all(servo.torque for servo in live.servos.servos.values())
            assert np.allclose(live.servos.position, held, atol=RAD_PER_TICK)

            driver.die()
            live.wait_mode(Mode.FAULT, "driver is gone")
            driver = XsSdk(arm, "/driver")
            live.wait_mode(Mode.FAULT, "is there again")
            answer = call(operator, "/follower_left/adopt")
            assert answer.success, answer.message
            live.wait_mode(Mode.HOLDING)
            assert np.allclose(live.servos.position, held, atol=RAD_PER_TICK)
            live.follow()
        finally:
            driver.die()


def test_a_bridge_without_the_package_says_what_is_missing(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("interbotix_xs_msgs")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "interbotix_xs_msgs", None)
    given = {"robot": "twin", "arm": "follower_left", "backend": "interbotix"}
    with ros(), pytest.raises(ValueError, match=r"interbotix_xs_msgs.*not installed"):
        ArmBridge(namespace="follower_left", parameter_overrides=with_parameters(**given))
