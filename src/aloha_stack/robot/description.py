"""Reads a robot from config/: its arms, cameras, limits and constants, checked and immutable."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aloha_stack.robot.arm import Arm, Limits, Servo
from aloha_stack.robot.arm_file import load_arm
from aloha_stack.robot.camera import Camera, load_cameras
from aloha_stack.robot.chain import Mount, load_mount
from aloha_stack.robot.joints import ARMS
from aloha_stack.robot.servos import MODEL_NUMBERS
from aloha_stack.robot.share import share_folder
from aloha_stack.robot.yaml_section import RobotConfigError, Section, read_yaml

__all__ = [
    "MODEL_NUMBERS",
    "Arm",
    "Camera",
    "Limits",
    "Robot",
    "RobotConfigError",
    "Servo",
    "load_robot",
    "load_unopened_robot",
    "robot_names",
]

ROBOT_KEYS = ("name", "grippers", "arms", "cameras", "mounts")


@dataclass(frozen=True)
class Robot:
    """A whole robot, as config/robots/NAME.yaml describes it; `file` is that file.

    `mounts` says of each arm where its base stands.
    """

    name: str
    arms: Mapping[str, Arm]
    cameras: Mapping[str, Camera]
    mounts: Mapping[str, Mount]
    file: Path

    def arm(self, name: str) -> Arm:
        """The arm called `name`; a RobotConfigError lists the arms that exist."""
        if name not in self.arms:
            raise RobotConfigError(
                f"robot '{self.name}' has no arm '{name}'; it has {', '.join(self.arms)}"
            )
        return self.arms[name]

    def camera(self, name: str) -> Camera:
        """The camera called `name`; a RobotConfigError lists the cameras that exist."""
        if name not in self.cameras:
            raise RobotConfigError(
                f"robot '{self.name}' has no camera '{name}'; it has {', '.join(self.cameras)}"
            )
        return self.cameras[name]

    def with_cameras(self, names: Sequence[str]) -> "Robot":
        """The same robot with only the cameras `names`; RobotConfigError as in `camera`."""
        return replace(self, cameras={name: self.camera(name) for name in names})

    @property
    def leaders(self) -> tuple[Arm, ...]:
        return tuple(arm for arm in self.arms.values() if arm.is_leader)

    @property
    def followers(self) -> tuple[Arm, ...]:
        return tuple(arm for arm in self.arms.values() if not arm.is_leader)

    def check_ports(self) -> None:
        """Refuses two arms on one port, links followed: RobotConfigError.

        Done when the file is read; to be done again when an arm connects, for links appear and
        change as adapters are plugged in.
        """
        seen: dict[str, Arm] = {}
        for arm in self.arms.values():
            device = os.path.realpath(arm.port)
            other = seen.setdefault(device, arm)
            if other is not arm:
                raise RobotConfigError(
                    f"{self.file}: arms.{arm.name}.port: {arm.port} and the port of {other.name}, "
                    f"{other.port}, share the port {device}; each arm needs its own: check the "
                    "serial numbers in the udev rules"
                )


def robot_names() -> list[str]:
    """The robots that config/robots describes."""
    return sorted(path.stem for path in (share_folder() / "config/robots").glob("*.yaml"))


def load_robot(name: str | Path, environment: Mapping[str, str] | None = None) -> Robot:
    """Reads a robot by name (config/robots/NAME.yaml) or by the path of its file.

    `${VAR}` in a port or a camera source comes from `environment` (os.environ if not given).
    Raises RobotConfigError, which names the file, the key, what was found and what was expected.
    """
    environment = os.environ if environment is None else environment
    path = _robot_file(str(name))
    section = Section(read_yaml(path), path)
    section.check_keys(ROBOT_KEYS)
    grippers = section.section("grippers")
    grippers.check_keys(("leader", "follower"))
    arms = section.section("arms")
    arms.check_keys(ARMS)
    if not arms.values:
        section.complain("arms", f"expected at least one of {', '.join(ARMS)}")
    mounts = section.section("mounts")
    mounts.check_keys(arms.values)
    robot = Robot(
        name=section.text("name"),
        arms={arm: load_arm(arm, arms.section(arm), grippers, environment) for arm in arms.values},
        cameras=load_cameras(section.section("cameras"), environment),
        mounts={arm: load_mount(mounts.section(arm)) for arm in arms.values},
        file=path,
    )
    robot.check_ports()
    return robot


def load_unopened_robot(name: str | Path) -> Robot:
    """As load_robot, for who opens neither ports nor cameras: variables that are not set stand for
    themselves, as only those who do need know them."""
    return load_robot(name, _Named({key: value for key, value in os.environ.items() if value}))


class _Named(dict[str, str]):
    """Variables, of which those that are not set have their own name as value."""

    def get(self, key: str, default: object = None) -> str:  # type: ignore[override]
        return self[key]

    def __missing__(self, key: str) -> str:
        return f"/{key}"


def _robot_file(text: str) -> Path:
    if text.endswith((".yaml", ".yml")):
        path = Path(text)
        if not path.is_file():
            raise RobotConfigError(f"no robot file '{path}': give a path that exists, or a name")
        return path
    path = share_folder() / f"config/robots/{text}.yaml"
    if not path.is_file():
        raise RobotConfigError(
            f"no robot '{text}'; config/robots has: {', '.join(robot_names())} (or give the path "
            "of a robot file, ending in .yaml)"
        )
    return path
