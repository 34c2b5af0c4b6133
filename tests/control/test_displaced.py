"""An arm at rest that is not where it is held."""

import numpy as np

from aloha_stack.control.displaced import FAR_RAD, LASTS_S, Displaced
from aloha_stack.robot.joints import JOINTS

HELD = np.zeros(len(JOINTS))
ELBOW, GRIPPER = JOINTS.index("elbow"), JOINTS.index("gripper")


def off(joint: int, angle: float = FAR_RAD + 0.1) -> np.ndarray:
    return HELD + angle * np.eye(len(JOINTS))[joint]


def look(displaced: Displaced, position: np.ndarray, began_s: float, seconds: float) -> int:
    """How often the arm is to be held anew meanwhile."""
    times = began_s + np.arange(0, seconds, 0.01)
    return sum(displaced.look(HELD, position, now_s) for now_s in times)


def test_it_is_held_anew_once_and_the_joint_is_named() -> None:
    displaced = Displaced()
    assert look(displaced, off(ELBOW), 10.0, LASTS_S) == 0
    assert displaced.words == ""
    assert look(displaced, off(ELBOW), 10.0 + LASTS_S, 0.1) == 1
    assert "elbow is 0.45 rad away from where it is held" in displaced.words


def test_a_load_that_pulls_it_off_again_does_not_make_it_creep() -> None:
    displaced = Displaced()
    assert look(displaced, off(ELBOW), 10.0, 1.0) == 1
    assert look(displaced, off(ELBOW, 0.2), 11.0, 1.0) == 0  # as it stands after it was held anew
    assert displaced.words == ""
    assert look(displaced, off(ELBOW), 12.0, 10.0) == 0
    assert displaced.words


def test_after_it_was_moved_it_is_another_hold() -> None:
    displaced = Displaced()
    assert look(displaced, off(ELBOW), 10.0, 1.0) == 1
    displaced.moved()
    assert displaced.words == ""
    assert look(displaced, off(ELBOW), 11.0, 1.0) == 1


def test_weight_delays_and_a_gripper_on_an_object_are_no_displacement() -> None:
    displaced = Displaced()
    assert look(displaced, off(ELBOW, FAR_RAD - 0.01), 10.0, 2.0) == 0
    assert look(displaced, off(ELBOW), 12.0, LASTS_S - 0.1) == 0
    assert look(displaced, off(GRIPPER, 1.0), 13.0, 2.0) == 0
    assert displaced.words == ""
