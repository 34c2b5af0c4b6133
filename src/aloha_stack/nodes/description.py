"""What the arms look like and where their links are: robot_description and TF, for RViz."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from geometry_msgs.msg import Quaternion, TransformStamped, Vector3
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from aloha_stack.nodes._conversions import stamp_ns
from aloha_stack.nodes._diagnostics import Findings, NodeDiagnostics, Rate, number
from aloha_stack.nodes._executor import LookingExecutor
from aloha_stack.nodes._node import SimpleNode, run
from aloha_stack.nodes._parameters import declare
from aloha_stack.nodes._qos import STATE, TRANSFORMS
from aloha_stack.robot.chain import Chain, Mount
from aloha_stack.robot.description import load_robot
from aloha_stack.robot.joints import STATE_JOINTS
from aloha_stack.robot.urdf import frame_id, urdf_text

RATE_HZ = 15.0
"""How often TF is sent at most, steady time."""
WORLD = "world"
NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class Description(SimpleNode):
    """Publishes /{arm}/robot_description, /tf_static (world to the bases) and /tf (joint by joint).

    TF follows the newest joint states and carries their stamps: the frames of an arm that is silent
    grow old. Joint states are heard only while somebody listens to /tf.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("description", **options)
        robot = load_robot(
            declare(self, "robot", "aloha", "robot file: a name in config/robots, or a path")
        )
        self._frames = [ArmFrames(arm.name, arm.chain) for arm in robot.arms.values()]
        self._new: list[TransformStamped] = []
        self._ears: list[Subscription] = []
        self._tf = self.create_publisher(TFMessage, "/tf", TRANSFORMS)
        self._static = self.create_publisher(TFMessage, "/tf_static", STATE)
        self._static.publish(TFMessage(transforms=_mounts(robot.mounts)))
        self._texts = []
        for arm in robot.arms.values():
            text = self.create_publisher(String, f"/{arm.name}/robot_description", STATE)
            text.publish(String(data=urdf_text(arm)))
            self._texts.append(text)
        self._sent, self._rate = 0, Rate()
        self._diagnostics = NodeDiagnostics(self, "frames", self._diagnose)

    def looked(self) -> None:
        """After each look of the executor: sends what it found, and opens or closes the ears."""
        if self._new:
            self._tf.publish(TFMessage(transforms=self._new))
            self._new, self._sent = [], self._sent + 1
        heeded = self._tf.get_subscription_count() > 0
        if heeded and not self._ears:
            self._ears = [
                self.create_subscription(
                    JointState, f"/{frames.arm}/joint_states", partial(self._hear, frames), NEWEST
                )
                for frames in self._frames
            ]
        elif not heeded:
            while self._ears:
                self.destroy_subscription(self._ears.pop())

    def _diagnose(self) -> Findings:
        rate_hz = self._rate.per_s(self._sent, time.monotonic_ns())
        return [], {
            "listeners": str(self._tf.get_subscription_count()),
            "rate of /tf (Hz)": number(rate_hz, 1),
        }

    def _hear(self, frames: "ArmFrames", message: JointState) -> None:
        if frames.take(message):
            self._new += frames.transforms


class ArmFrames:
    """The transforms of one arm's joints, in messages that are filled again and again."""

    def __init__(self, arm: str, chain: Chain) -> None:
        self.arm, self._chain = arm, chain
        self._order: dict[tuple[str, ...], list[int] | None] = {}
        self._stamp_ns = -1
        self.transforms = [TransformStamped() for _ in chain.links[1:]]
        for link, frame in zip(chain.links[1:], self.transforms, strict=True):
            frame.header.frame_id = frame_id(arm, chain.links[link.parent].name)
            frame.child_frame_id = frame_id(arm, link.name)

    def take(self, state: JointState) -> bool:
        """Takes over a joint state; False if it is the last one again, or not fit for TF.

        That is: a joint is missing, or a position is not a finite number.
        """
        order, stamp = self._indices(tuple(state.name)), stamp_ns(state.header.stamp)
        if order is None or len(state.position) != len(state.name) or stamp == self._stamp_ns:
            return False
        values = np.array(state.position)[order]
        if not np.all(np.isfinite(values)):
            return False
        translations, quaternions = self._chain.steps(values)
        self._stamp_ns = stamp
        rows = zip(self.transforms, translations.tolist(), quaternions.tolist(), strict=True)
        for frame, (x, y, z), (qx, qy, qz, qw) in rows:
            frame.header.stamp = state.header.stamp
            moved, turned = frame.transform.translation, frame.transform.rotation
            moved.x, moved.y, moved.z = x, y, z
            turned.x, turned.y, turned.z, turned.w = qx, qy, qz, qw
        return True

    def _indices(self, names: tuple[str, ...]) -> list[int] | None:
        """Where the nine joints are among `names`; None if one is not."""
        if names not in self._order:
            known = set(STATE_JOINTS) <= set(names)
            self._order = {names: [names.index(j) for j in STATE_JOINTS] if known else None}
        return self._order[names]


def _mounts(mounts: Mapping[str, Mount]) -> list[TransformStamped]:
    """The bases of the arms in the world's frame."""
    frames = []
    for arm, mount in mounts.items():
        frame = TransformStamped(child_frame_id=frame_id(arm, "base_link"))
        frame.header.frame_id = WORLD
        x, y, z = mount.position.tolist()
        frame.transform.translation = Vector3(x=x, y=y, z=z)
        half = mount.yaw_rad / 2
        frame.transform.rotation = Quaternion(z=float(np.sin(half)), w=float(np.cos(half)))
        frames.append(frame)
    return frames


def main() -> int:
    """The executable `description`."""
    return run(Description, executor=partial(LookingExecutor, RATE_HZ))


if __name__ == "__main__":
    raise SystemExit(main())
