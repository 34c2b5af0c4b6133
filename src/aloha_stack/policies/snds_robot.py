"""What SNDS takes from a robot's file: limits of what may be commanded, and kinematics."""

import numpy as np

from aloha_stack.policies.policy import PolicyError
from aloha_stack.policies.snds_config import POSE_SPACE, SndsConfig
from aloha_stack.robot.arm import Arm
from aloha_stack.robot.description import RobotConfigError, load_unopened_robot
from aloha_stack.robot.gripper_pose import GripperKinematics
from aloha_stack.robot.joints import SIDES


def followers(robot: str) -> list[Arm]:
    """Left and right, of the robot with this name. Raises PolicyError if it is not known here."""
    try:
        arms = load_unopened_robot(robot).arms
        return [arms[f"follower_{side}"] for side in SIDES]
    except (RobotConfigError, KeyError) as error:
        raise PolicyError(
            f"SNDS needs the file of robot '{robot}' with both arms: {error}"
        ) from error


def limits(robot: str) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest state (14,) that may be commanded: the joints' limits less their margin
    in rad; 0 and 1 for grippers."""
    arms = followers(robot)
    lower = [np.append(arm.limits.soft_lower[:6], 0.0) for arm in arms]
    upper = [np.append(arm.limits.soft_upper[:6], 1.0) for arm in arms]
    return np.concatenate(lower), np.concatenate(upper)


def kinematics(robot: str, config: SndsConfig) -> list[GripperKinematics]:
    """Of the arms that a policy in pose space moves; none for joints."""
    if config.space != POSE_SPACE:
        return []
    arms = dict(zip(SIDES, followers(robot), strict=True))
    return [GripperKinematics(arms[side]) for side in config.arms]
