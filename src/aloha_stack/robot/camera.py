"""A camera as the robot file describes it: where its images come from, and who publishes them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from aloha_stack.robot.yaml_section import Section

KEYS = (
    *("source", "width", "height", "rate_hz", "jpeg_quality", "calibration"),
    "controls",  # may be left out
)
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""It becomes part of a ROS topic's name."""
TOPIC = re.compile(r"(/[A-Za-z_][A-Za-z0-9_]*)+")
CONTROL = re.compile(r"[a-z0-9_]+")
INT64 = 2**63

COMPRESSED = "/compressed"
"""How image_transport ends the names of JPEG streams."""


@dataclass(frozen=True)
class Camera:
    """One camera: where its images come from, and how they are delivered.

    `source` is one of cameras/factory.py's forms, or topic:/NAME for the images of another driver.
    `calibration` is the path of a camera_info YAML; in the robot file it may be relative to that.
    `controls` are set on a V4L2 device before it streams, by the names that `v4l2-ctl -l` shows.
    """

    name: str
    source: str
    width: int
    height: int
    rate_hz: float
    jpeg_quality: int
    calibration: str | None = None
    controls: Mapping[str, int] = field(default_factory=dict, hash=False)

    @property
    def foreign(self) -> bool:
        """Whether another driver publishes it, and the camera node leaves it alone."""
        return self.source.startswith("topic:")

    @property
    def topic(self) -> str:
        """Where its images are published."""
        if self.foreign:
            return self.source.removeprefix("topic:")
        return f"/{self.name}/image_raw{COMPRESSED}"

    @property
    def preview_topic(self) -> str:
        """Where people look: a few of its images a second; of another driver's, all of them."""
        return self.topic if self.foreign else f"/{self.name}/preview{COMPRESSED}"

    @property
    def encoded(self) -> bool:
        """Whether `topic` and `preview_topic` carry JPEG (or PNG) pictures, not raw ones."""
        return self.topic.endswith(COMPRESSED)

    @property
    def image_type(self) -> str:
        """The type of `topic`, as in package/msg/Type."""
        return f"sensor_msgs/msg/{'CompressedImage' if self.encoded else 'Image'}"

    @property
    def info_topic(self) -> str:
        """Where its sensor_msgs/CameraInfo is published: beside the images, as drivers do."""
        return f"{self.topic.removesuffix(COMPRESSED).rpartition('/')[0]}/camera_info"


def load_cameras(cameras: Section, environment: Mapping[str, str]) -> dict[str, Camera]:
    """The section `cameras` of a robot file. Raises RobotConfigError."""
    loaded: dict[str, Camera] = {}
    for name in cameras.values:
        loaded[name] = camera = _load(name, cameras, environment)
        for other in list(loaded.values())[:-1]:
            if camera.source == other.source and camera.source.startswith(("topic:", "v4l2:")):
                cameras.section(name).complain(
                    "source",
                    f"{other.name} has {camera.source}, too; each camera needs its own: check the "
                    "serial numbers in the udev rules",
                )
    return loaded


def _load(name: str, cameras: Section, environment: Mapping[str, str]) -> Camera:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        cameras.complain(name, "no name of a camera: expected letters, digits and underscores")
    section = cameras.section(name)
    section.check_keys(KEYS)
    calibration = section.values.get("calibration")
    source = _source(section, environment)
    for key in ("calibration", "controls"):
        if source.startswith("topic:") and section.values.get(key):
            section.complain(key, f"{source} comes from another driver: give it to that driver")
    return Camera(
        name=name,
        source=source,
        width=section.integer("width", 16, 4096),
        height=section.integer("height", 16, 4096),
        rate_hz=section.number("rate_hz", 0.1, 240.0),
        jpeg_quality=section.integer("jpeg_quality", 1, 100),
        calibration=None if calibration is None else _beside(section, environment),
        controls=_controls(section.section("controls")) if "controls" in section.values else {},
    )


def _source(section: Section, environment: Mapping[str, str]) -> str:
    source = section.expanded("source", environment)
    kind, _, topic = source.partition(":")
    if kind == "topic" and not TOPIC.fullmatch(topic):
        section.complain(
            "source", f"'{topic}' is no topic's full name; expected as in topic:/camera/image_raw"
        )
    return source


def _beside(section: Section, environment: Mapping[str, str]) -> str:
    return str(section.path.parent / section.expanded("calibration", environment))


def _controls(section: Section) -> dict[str, int]:
    for name in section.values:
        if not isinstance(name, str) or not CONTROL.fullmatch(name):
            section.complain(name, "no name of a control; expected one that `v4l2-ctl -l` shows")
        if not isinstance(section.values[name], bool):
            section.integer(name, -INT64, INT64 - 1)
    return {name: int(value) for name, value in section.values.items()}
