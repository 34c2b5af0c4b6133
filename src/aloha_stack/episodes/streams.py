"""Which topics an episode of a robot consists of, and which it cannot do without."""

from collections.abc import Sequence
from dataclasses import dataclass

from aloha_stack.episodes.qos import Qos
from aloha_stack.robot.description import Robot

JOINT_QOS = Qos("reliable", depth=5)
IMAGE_QOS = Qos("best_effort", depth=5)
IMAGES = ("sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image")
STATE_QOS = Qos("reliable", "transient_local", depth=1)

QUEUE_DEPTH = 500
"""Messages that a subscription keeps while the recorder is busy: 5 s of the fastest stream."""

IMAGE_QUEUE_DEPTH = 100
"""Of pictures: 2 s. Four times a hundred of 200 kB are 80 MB."""


@dataclass(frozen=True)
class Stream:
    """One topic to record. A recording does not start while a `required` one is silent."""

    name: str
    type: str
    qos: Qos  # as docs/architecture.md has it; the subscription is made to match
    required: bool = False

    @property
    def queue_depth(self) -> int:
        """What a subscription of the recorder keeps."""
        return IMAGE_QUEUE_DEPTH if self.type in IMAGES else QUEUE_DEPTH


KNOWN = {
    "/task/state": ("aloha_interfaces/msg/TaskState", JOINT_QOS),
    "/teleop/state": ("aloha_interfaces/msg/TeleopState", STATE_QOS),
    "/chunk_player/state": ("aloha_interfaces/msg/PlayerState", JOINT_QOS),
    "/safety/state": ("aloha_interfaces/msg/SafetyState", STATE_QOS),
}
"""What this project says about itself: always part of an episode, if anybody publishes it."""


def robot_streams(
    robot: Robot, extra: Sequence[str] = (), cameras: bool = True
) -> tuple[Stream, ...]:
    """Joint states, executed commands, status and pictures of `robot`, KNOWN, then `extra` topics.

    A camera's pictures are looked for where its own driver publishes them, compressed or raw.

    An extra topic is written "NAME:package/msg/Type", if need be with ":best_effort" behind it.
    Raises ValueError for one that is not understood.
    """
    streams = []
    for arm in robot.arms.values():
        streams.append(Stream(f"/{arm.name}/joint_states", _JOINTS, JOINT_QOS, required=True))
        if not arm.is_leader:
            name = f"/{arm.name}/command_executed"
            streams.append(Stream(name, _JOINTS, JOINT_QOS, required=True))
        streams.append(Stream(f"/{arm.name}/status", "aloha_interfaces/msg/ArmStatus", STATE_QOS))
    for camera in robot.cameras.values() if cameras else ():
        streams.append(Stream(camera.topic, camera.image_type, IMAGE_QOS, required=True))
        streams.append(Stream(camera.info_topic, "sensor_msgs/msg/CameraInfo", IMAGE_QOS))
    streams += [Stream(name, *known) for name, known in KNOWN.items()]
    streams += [extra_stream(text) for text in extra]
    once = {stream.name: stream for stream in reversed(streams)}  # the first of a name counts
    return tuple(stream for stream in streams if once[stream.name] is stream)


def extra_stream(text: str) -> Stream:
    """The stream that an entry of extra_topics means. Raises ValueError."""
    name, *rest = text.split(":")
    if not name.startswith("/") or len(rest) > 2 or rest[1:] not in ([], ["best_effort"]):
        raise ValueError(
            f"extra topic {text!r} is not understood; expected /NAME, /NAME:package/msg/Type or "
            "/NAME:package/msg/Type:best_effort"
        )
    if rest:
        return Stream(name, rest[0], Qos(rest[1] if rest[1:] else "reliable"))
    if name not in KNOWN:
        raise ValueError(
            f"the type of extra topic {name} is not known; write {name}:package/msg/Type "
            f"(known by name: {', '.join(KNOWN)})"
        )
    return Stream(name, *KNOWN[name])


_JOINTS = "sensor_msgs/msg/JointState"
