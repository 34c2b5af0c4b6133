"""What a policy sees: the streams that it was trained on, and from them an observation."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image, JointState

from aloha_stack.control.chunks import MAX_ROWS
from aloha_stack.control.row_rate import rows_between
from aloha_stack.control.sight import Moment, Sight
from aloha_stack.episodes.joint_columns import JointStream
from aloha_stack.episodes.joint_numbers import NAMES, measured
from aloha_stack.episodes.scaled import decode_at
from aloha_stack.nodes._conversions import stamp_ns
from aloha_stack.nodes._qos import IMAGES
from aloha_stack.nodes._qos import JOINTS as JOINTS_QOS
from aloha_stack.policies.policy import Observation, ObservationError, PolicyError, PolicySpec
from aloha_stack.robot.camera import Camera
from aloha_stack.robot.description import Robot
from aloha_stack.robot.joints import JOINTS

SIZES = ("", "_velocity", "_effort")
"""What follows a joint's name in that of a number that is measured of it (ReadSettings)."""

MAX_JOINT_AGE_S = 0.1


def check_state_names(spec: PolicySpec) -> None:
    """Raises PolicyError for numbers that no joint state has."""
    known = {name + size for size in SIZES for name in NAMES}
    unknown = [name for name in spec.state_names if name not in known]
    if unknown:
        raise PolicyError(
            f"the policy's state has {', '.join(unknown)}; a robot tells positions, velocities "
            f"and efforts of {', '.join(NAMES)}"
        )


def check_rows(spec: PolicySpec, player_hz: float) -> int:
    """The player's ticks in one row of the policy. Raises PolicyError for chunks that the player
    would refuse, all of them."""
    try:
        between = rows_between(player_hz, spec.rate_hz)
    except ValueError as error:
        raise PolicyError(
            f"{error}: train on data at such a rate, or set player_rate_hz and the player's rate_hz"
        ) from error
    rows = (spec.chunk - 1) * between + 1
    if not 2 <= rows <= MAX_ROWS:
        raise PolicyError(f"the policy's chunks have {rows} rows; 2 to {MAX_ROWS} can be merged")
    return between


class PolicyInputs:
    """Listens to the followers and to the cameras of `spec`, from its making until close()."""

    def __init__(
        self,
        node: Node,
        robot: Robot,
        spec: PolicySpec,
        image_age_s: float,
        came: Callable[[], None],
    ) -> None:
        """`came` is called with everything that comes."""
        self._node, self._spec, self._came = node, spec, came
        self._arms = {arm.name: arm for arm in robot.followers}
        self._cameras = {name: robot.camera(name) for name in spec.cameras}
        self._sight = Sight(list(self._arms), spec.cameras, MAX_JOINT_AGE_S, image_age_s)
        self._lock = threading.Lock()
        self._ears = [
            node.create_subscription(
                JointState, f"/{arm}/joint_states", partial(self._on_joints, arm), JOINTS_QOS
            )
            for arm in self._arms
        ]
        for name, camera in self._cameras.items():
            kind: Any = CompressedImage if camera.encoded else Image
            hear = partial(self._add, name)
            self._ears.append(node.create_subscription(kind, camera.topic, hear, IMAGES))

    def close(self) -> None:
        """Listens no more."""
        ears, self._ears = self._ears, []
        for ear in ears:
            self._node.destroy_subscription(ear)

    def problem(self, now_ns: int) -> str:
        """What is missing or stale, by name; empty if nothing is."""
        with self._lock:
            return self._sight.problem(now_ns)

    def moment(self, now_ns: int) -> Moment:
        """The latest of which everything is there. Raises sight.Missing."""
        with self._lock:
            return self._sight.moment(now_ns)

    def observation(self, moment: Moment) -> Observation:
        """Pictures decoded and scaled as in training, numbers as in training.

        Raises ObservationError, which names the camera whose picture is damaged or of another size.
        """
        values: dict[str, float] = {}
        for side, (name, arm) in enumerate(self._arms.items()):
            columns = NAMES[side * len(JOINTS) : (side + 1) * len(JOINTS)]
            parts = measured(_stream(name, moment.samples[name]), arm)
            for size, part in zip(SIZES, parts, strict=True):
                values |= {c + size: v for c, v in zip(columns, part[0].tolist(), strict=True)}
        state = np.array([values[name] for name in self._spec.state_names], np.float32)
        images = {
            name: _picture(camera, moment.samples[name], self._spec.image_size)
            for name, camera in self._cameras.items()
        }
        return Observation(state, images, moment.stamp_ns)

    # -- messages ---------------------------------------------------------------------------

    def _on_joints(self, arm: str, message: JointState) -> None:
        if not set(JOINTS) <= set(message.name) or len(message.position) != len(message.name):
            self._node.get_logger().error(
                f"{arm}/joint_states has joints {list(message.name)}; expected {list(JOINTS)}",
                throttle_duration_sec=5.0,
            )
            return
        self._add(arm, message)

    def _add(self, stream: str, message: Any) -> None:
        with self._lock:
            self._sight.add(stream, stamp_ns(message.header.stamp), message)
        self._came()


def _stream(name: str, message: JointState) -> JointStream:
    """A message as training reads it: what the driver did not send is NaN."""
    count = len(message.name)

    def row(values: Any) -> np.ndarray:
        return np.array(values if len(values) == count else [np.nan] * count)[None]

    return JointStream(
        f"/{name}/joint_states",
        tuple(message.name),
        np.array([stamp_ns(message.header.stamp)]),
        row(message.position),
        row(message.velocity),
        row(message.effort),
    )


def _picture(camera: Camera, message: Any, size: tuple[int, int] | None) -> np.ndarray:
    """RGB (height, width, 3) uint8 at the size of the training."""
    data = bytes(message.data)
    if not camera.encoded:
        encoding = message.encoding.lower()
    else:
        encoding = "jpeg" if data.startswith(b"\xff\xd8") else "png"
    try:
        return decode_at(encoding, data, size, (camera.height, camera.width))
    except ValueError as error:
        raise ObservationError(f"a picture of {camera.name} cannot be used: {error}") from error
