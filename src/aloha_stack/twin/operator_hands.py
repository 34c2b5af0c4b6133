"""The operator's hands: key poses of the grippers become motions of the two leaders."""

from dataclasses import dataclass

import numpy as np

from aloha_stack.robot.description import Robot
from aloha_stack.robot.gripper import joint_from_finger
from aloha_stack.twin.kinematics import ArmKinematics, Pose
from aloha_stack.twin.operator_manner import Draws, Performance
from aloha_stack.twin.operator_motion import Motion
from aloha_stack.twin.world import World

TICK_S = 0.02


@dataclass(frozen=True)
class Key:
    """At `tick` (20 ms) the gripper is at `pose`, its fingers at `finger_m`; `care` from 0 to 1
    says how little a hand strays from there; with more care it comes nearer to the same place."""

    tick: float
    pose: Pose
    finger_m: float
    care: float = 0.0


class Hands:
    """Turns key poses of grippers into motions of leaders, which are to look just like them."""

    def __init__(self, world: World, robot: Robot) -> None:
        self._robot = robot
        self._arms: dict[str, ArmKinematics] = {}
        for side in ("left", "right"):
            leader, follower = robot.arm(f"leader_{side}"), robot.arm(f"follower_{side}")
            lower = np.maximum(leader.limits.soft_lower, follower.limits.soft_lower)
            upper = np.minimum(leader.limits.soft_upper, follower.limits.soft_upper)
            self._arms[side] = ArmKinematics(world.model, side, lower, upper)

    def pose_of(self, side: str, joints: np.ndarray) -> Pose:
        """Where the follower's gripper is for joint angles (6,) rad."""
        return self._arms[side].forward(joints)

    def leader_gripper(self, side: str, finger_m: float) -> float:
        """Angle (rad) of the leader's gripper that asks the follower for this finger position."""
        leader = self._robot.arm(f"leader_{side}").gripper
        follower = self._robot.arm(f"follower_{side}").gripper
        angle = float(joint_from_finger(finger_m, follower.linkage))
        opening = float(np.clip(follower.normalise_joint(angle), 0.0, 1.0))
        return leader.unnormalise_joint(opening)

    def perform(self, side: str, start: np.ndarray, keys: list[Key], draws: Draws) -> Performance:
        """From `start` (7,) rad at time 0 through the keys, as differently as `draws` has it. A
        hand without keys rests.

        Raises UnreachableError if a key cannot be reached.
        """
        poses, guess = [np.asarray(start)], np.asarray(start)[:6]
        times = [0.0, *(key.tick * TICK_S * draws.pace for key in keys)]
        before, astray = np.full(4, np.nan), np.zeros(3)
        for key in keys:
            here = np.append(key.pose.position, key.care)
            if not np.array_equal(here, before):  # else the hand stays where it is
                before, astray = here, (1.0 - key.care) * draws.place()
            place = key.pose.position + astray
            guess = self._arms[side].inverse(Pose(place, key.pose.rotation), guess)
            poses.append(np.append(guess, self.leader_gripper(side, key.finger_m)))
        motion = Motion(np.array(times), np.array(poses))
        # A hand that begins and ends at rest does not tremble there.
        care = np.array([1.0, *(key.care for key in keys)])
        care[-1] = 1.0
        return Performance(motion, draws.tremor(motion.times_s, care))
