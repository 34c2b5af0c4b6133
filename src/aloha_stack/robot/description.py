"""Reads a robot from config/: its arms, cameras, limits and constants, checked and immutable."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from aloha_stack.robot.gripper import Gripper, Linkage
from aloha_stack.robot.joints import ARMS, JOINTS
from aloha_stack.robot.share import share_folder
from aloha_stack.robot.yaml_section import RobotConfigError, Section, read_yaml

MODEL_NUMBERS = {"xm540-w270": 1120, "xm430-w350": 1020, "xc430-w150": 1070}
"""Dynamixel model numbers (ROBOTIS e-manual, control table address 0)."""


@dataclass(frozen=True)
class Servo:
    """One Dynamixel servo. `shadow_of` is the ID of the servo that a shadow follows."""

    id: int
    joint: str
    model: str
    shadow_of: int | None
    drive_mode: int
    registers: Mapping[str, int] = field(hash=False)

    @property
    def model_number(self) -> int:
        return MODEL_NUMBERS[self.model]


@dataclass(frozen=True)
class Limits:
    """Limits of the seven addressed joints, arrays (7,) in the order of JOINTS; rad, s."""

    lower: np.ndarray
    upper: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray
    jerk: np.ndarray
    margin_rad: float

    @property
    def soft_lower(self) -> np.ndarray:
        """The lowest position that may be commanded (7,): the limit plus the margin."""
        return self.lower + self.margin_rad

    @property
    def soft_upper(self) -> np.ndarray:
        """The highest position that may be commanded (7,): the limit less the margin."""
        return self.upper - self.margin_rad


@dataclass(frozen=True)
class Arm:
    """One arm: nine servos on one serial port. Poses are (7,) rad in the order of JOINTS."""

    name: str
    role: str
    model: str
    port: str
    baud: int
    servos: tuple[Servo, ...]
    limits: Limits
    rest_pose: np.ndarray
    start_pose: np.ndarray
    gripper: Gripper

    @property
    def addressed(self) -> tuple[Servo, ...]:
        """The seven servos that are read and written, in the order of JOINTS (no shadows)."""
        by_joint = {servo.joint: servo for servo in self.servos if servo.shadow_of is None}
        return tuple(by_joint[joint] for joint in JOINTS)

    @property
    def is_leader(self) -> bool:
        return self.role == "leader"


@dataclass(frozen=True)
class Camera:
    """One camera: where its images come from, and how they are delivered."""

    name: str
    source: str
    width: int
    height: int
    rate_hz: float
    jpeg_quality: int
    calibration: str | None = None


@dataclass(frozen=True)
class Robot:
    """A whole robot, as config/robots/NAME.yaml describes it."""

    name: str
    arms: Mapping[str, Arm]
    cameras: Mapping[str, Camera]

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

    @property
    def leaders(self) -> tuple[Arm, ...]:
        return tuple(arm for arm in self.arms.values() if arm.is_leader)

    @property
    def followers(self) -> tuple[Arm, ...]:
        return tuple(arm for arm in self.arms.values() if not arm.is_leader)


def robot_names() -> list[str]:
    """The robots that config/robots describes."""
    return sorted(path.stem for path in (share_folder() / "config/robots").glob("*.yaml"))


def load_robot(name: str | Path, environment: Mapping[str, str] | None = None) -> Robot:
    """Reads a robot by name (config/robots/NAME.yaml) or by the path of its file.

    `${VAR}` in a port or a camera source comes from `environment` (os.environ if not given).
    """
    environment = os.environ if environment is None else environment
    text = str(name)
    if text.endswith((".yaml", ".yml")):
        path = Path(text)
        if not path.is_file():
            raise RobotConfigError(f"no robot file '{path}': give a path that exists, or a name")
    else:
        path = share_folder() / f"config/robots/{text}.yaml"
        if not path.is_file():
            raise RobotConfigError(
                f"no robot '{text}'; config/robots has: {', '.join(robot_names())}"
            )
    section = Section(read_yaml(path), path)
    arms = {
        arm: _load_arm(arm, section.section("arms").section(arm), section, path, environment)
        for arm in section.section("arms").names(allowed=ARMS)
    }
    _check_ports_differ(arms, path)
    cameras = {
        camera: _load_camera(camera, section.section("cameras").section(camera), environment)
        for camera in section.section("cameras").names()
    }
    return Robot(name=section.text("name"), arms=arms, cameras=cameras)


def _load_arm(
    name: str, own: Section, robot: Section, robot_path: Path, environment: Mapping[str, str]
) -> Arm:
    model = own.text("model")
    path = robot_path.parent.parent / f"arms/{model}.yaml"
    if not path.is_file():
        path = share_folder() / f"config/arms/{model}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in (share_folder() / "config/arms").glob("*.yaml"))
        own.complain(f"arms.{name}.model", f"no arm model '{model}'; there is {', '.join(known)}")
    shared = Section(read_yaml(path), path)
    role = own.choice("role", ("leader", "follower"))
    offsets = own.values.get("homing_offsets") or {}
    limits = _load_limits(shared.section("limits"))
    return Arm(
        name=name,
        role=role,
        model=model,
        port=own.expanded("port", environment),
        baud=shared.integer("baud", 9600, 4_500_000),
        servos=_load_servos(shared, offsets),
        limits=limits,
        rest_pose=_load_pose(shared.section("poses").section("rest"), limits),
        start_pose=_load_pose(shared.section("poses").section("start"), limits),
        gripper=_load_gripper(
            shared.section("gripper_linkage"), robot.section("grippers").section(role), role
        ),
    )


def _load_servos(shared: Section, homing_offsets: Mapping[int, int]) -> tuple[Servo, ...]:
    servos: list[Servo] = []
    entries = shared.get("servos")
    if not isinstance(entries, list) or not entries:
        shared.complain("servos", "expected a list of servos")
    for index, entry in enumerate(entries):
        own = Section(entry, shared.path, f"servos[{index}]")
        model = own.choice("model", tuple(MODEL_NUMBERS))
        servo_id = own.integer("id", 0, 252)
        drive_mode = own.integer("drive_mode", 0, 1)
        shadow_of = own.integer("shadow_of", 0, 252) if "shadow_of" in own.values else None
        registers = dict(shared.section("registers").values) | dict(own.values.get("registers", {}))
        registers["drive_mode"] = drive_mode
        registers["homing_offset"] = int(homing_offsets.get(servo_id, 0))
        registers["secondary_id"] = 255 if shadow_of is None else shadow_of
        servos.append(
            Servo(servo_id, own.choice("joint", JOINTS), model, shadow_of, drive_mode, registers)
        )
    ids = [servo.id for servo in servos]
    masters = {servo.id: servo.joint for servo in servos if servo.shadow_of is None}
    for servo in servos:
        if ids.count(servo.id) > 1:
            shared.complain("servos", f"ID {servo.id} stands twice")
        if servo.shadow_of is not None and masters.get(servo.shadow_of) != servo.joint:
            shared.complain(
                "servos", f"ID {servo.id} shadows {servo.shadow_of}, no servo of its joint"
            )
    missing = [joint for joint in JOINTS if list(masters.values()).count(joint) != 1]
    if missing:
        shared.complain("servos", f"each joint needs one servo that is no shadow: {missing}")
    return tuple(servos)


def _load_limits(section: Section) -> Limits:
    section.names(allowed=(*JOINTS, "margin_rad"))
    joints = [section.section(joint) for joint in JOINTS]

    def column(key: str, low: float) -> np.ndarray:
        values = np.array([joint.number(key, low) for joint in joints])
        values.setflags(write=False)
        return values

    limits = Limits(
        lower=column("lower", -2 * math.pi),
        upper=column("upper", -2 * math.pi),
        velocity=column("velocity", 1e-3),
        acceleration=column("acceleration", 1e-3),
        jerk=column("jerk", 1e-3),
        margin_rad=section.number("margin_rad", 0.0, 0.5),
    )
    for joint, low, high in zip(JOINTS, limits.soft_lower, limits.soft_upper, strict=True):
        if low >= high:
            section.complain(
                f"{section.where}.{joint}",
                "lower must lie below upper by more than twice the margin",
            )
    return limits


def _load_pose(section: Section, limits: Limits) -> np.ndarray:
    section.names(allowed=JOINTS)
    pose = np.array([section.number(joint) for joint in JOINTS])
    for joint, value, low, high in zip(
        JOINTS, pose, limits.soft_lower, limits.soft_upper, strict=True
    ):
        if not low <= value <= high:
            section.complain(
                f"{section.where}.{joint}",
                f"{value} is outside the limits {low:.3f} … {high:.3f}",
            )
    pose.setflags(write=False)
    return pose


def _load_gripper(linkage: Section, constants: Section, role: str) -> Gripper:
    return Gripper(
        linkage=Linkage(linkage.number("crank_m", 1e-4, 1.0), linkage.number("rod_m", 1e-4, 1.0)),
        joint_open_rad=constants.number("joint_open_rad"),
        joint_close_rad=constants.number("joint_close_rad"),
        finger_open_m=constants.number("finger_open_m", 0.0, 1.0),
        finger_close_m=constants.number("finger_close_m", 0.0, 1.0),
        engage_below_rad=constants.number("engage_below_rad") if role == "leader" else None,
    )


def _load_camera(name: str, section: Section, environment: Mapping[str, str]) -> Camera:
    return Camera(
        name=name,
        source=section.expanded("source", environment),
        width=section.integer("width", 16, 8192),
        height=section.integer("height", 16, 8192),
        rate_hz=section.number("rate_hz", 0.1, 1000),
        jpeg_quality=section.integer("jpeg_quality", 1, 100),
        calibration=section.values.get("calibration"),
    )


def _check_ports_differ(arms: Mapping[str, Arm], path: Path) -> None:
    seen: dict[str, str] = {}
    for arm in arms.values():
        if arm.port in seen:
            raise RobotConfigError(
                f"{path}: arms {seen[arm.port]} and {arm.name} share the port {arm.port}; "
                "each arm needs its own"
            )
        seen[arm.port] = arm.name
