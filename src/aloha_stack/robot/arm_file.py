"""Reads an arm: its entry in the robot's file, and config/arms/MODEL.yaml, shared by its model."""

import math
import re
from collections.abc import Mapping

import numpy as np

from aloha_stack.robot.arm import Arm, Limits
from aloha_stack.robot.chain import load_chain
from aloha_stack.robot.gripper import Gripper, Linkage
from aloha_stack.robot.joints import JOINTS
from aloha_stack.robot.servo_list import check_servo_limits, load_servos
from aloha_stack.robot.servos import BAUD_RATES
from aloha_stack.robot.share import share_folder
from aloha_stack.robot.yaml_section import Section, read_yaml, shown

ARM_KEYS = ("model", "role", "port", "homing_offsets")
FILE_KEYS = ("model", "baud", "registers", "servos", "limits", "poses", "gripper_linkage", "links")
ROLES = ("leader", "follower")
LIMIT_BOUNDS: Mapping[str, tuple[float, float]] = {
    "lower": (-2 * math.pi, 2 * math.pi),
    "upper": (-2 * math.pi, 2 * math.pi),
    "velocity": (1e-3, 100.0),
    "acceleration": (1e-3, 1e4),
    "jerk": (1e-3, 1e6),
}
"""What a limit may be at all, rad and s; the servo's own limits are narrower."""


def load_arm(name: str, own: Section, grippers: Section, environment: Mapping[str, str]) -> Arm:
    """The arm `name`, whose entry in the robot's file is `own`."""
    own.check_keys(ARM_KEYS)
    role = own.choice("role", ROLES)
    if not name.startswith(role):
        own.complain("role", f"'{role}' contradicts the arm's name, {name}")
    shared = _open_model(own)
    shared.check_keys(FILE_KEYS)
    servos = load_servos(shared, _offsets(own))
    limits = _load_limits(shared.section("limits"))
    check_servo_limits(limits, shared.section("limits"), servos)
    poses = shared.section("poses")
    poses.check_keys(("rest", "start"))
    gripper = _load_gripper(shared.section("gripper_linkage"), grippers.section(role), role)
    _check_gripper_reach(grippers.section(role), limits, shared)
    return Arm(
        name=name,
        role=role,
        model=own.text("model"),
        port=own.expanded("port", environment),
        baud=shared.choice("baud", BAUD_RATES),
        servos=servos,
        limits=limits,
        rest_pose=_load_pose(poses.section("rest"), limits),
        start_pose=_load_pose(poses.section("start"), limits),
        gripper=gripper,
        chain=load_chain(shared.section("links"), gripper.linkage),
    )


def _open_model(own: Section) -> Section:
    """The arm's model file: in the arms/ beside the robot file's folder, or in config/arms."""
    model = own.text("model")
    folders = (own.path.parent.parent / "arms", share_folder() / "config/arms")
    for folder in folders:
        path = folder / f"{model}.yaml"
        if re.fullmatch(r"[\w-]+", model) and path.is_file():
            shared = Section(read_yaml(path), path)
            if shared.text("model") != model:
                shared.complain("model", f"expected {model}, as the file is called")
            return shared
    known = sorted({file.stem for folder in folders for file in folder.glob("*.yaml")})
    own.complain("model", f"no arm model '{model}'; there is {', '.join(known)}")


def _offsets(own: Section) -> Section:
    if own.values.get("homing_offsets") is None:
        return Section({}, own.path, own.where)
    return own.section("homing_offsets")


def _load_limits(section: Section) -> Limits:
    section.check_keys((*JOINTS, "margin_rad"))
    joints = [section.section(joint) for joint in JOINTS]
    for own in joints:
        own.check_keys(LIMIT_BOUNDS)

    def column(key: str) -> np.ndarray:
        return _frozen([own.number(key, *LIMIT_BOUNDS[key]) for own in joints])

    limits = Limits(
        **{key: column(key) for key in LIMIT_BOUNDS},
        margin_rad=section.number("margin_rad", 0.0, 0.5),
    )
    for joint, low, high in zip(JOINTS, limits.soft_lower, limits.soft_upper, strict=True):
        if low >= high:
            section.complain(joint, "lower must lie below upper by more than twice the margin")
    return limits


def _load_pose(section: Section, limits: Limits) -> np.ndarray:
    section.check_keys(JOINTS)
    soft = zip(JOINTS, limits.soft_lower, limits.soft_upper, strict=True)
    return _frozen([section.number(joint, float(low), float(high)) for joint, low, high in soft])


def _load_gripper(linkage: Section, constants: Section, role: str) -> Gripper:
    linkage.check_keys(("crank_m", "rod_m"))
    crank, rod = linkage.number("crank_m", 1e-3, 1.0), linkage.number("rod_m", 1e-3, 1.0)
    if rod <= crank:
        linkage.complain("rod_m", f"{rod} must be longer than crank_m, {crank}")
    opening = {"joint_open_rad": math.pi, "joint_close_rad": math.pi}
    opening |= {"finger_open_m": 1.0, "finger_close_m": 1.0}
    keys = ("engage_below_rad",) if role == "leader" else ()
    constants.check_keys((*opening, *keys))
    values = {key: constants.number(key, -bound, bound) for key, bound in opening.items()}
    for kind, unit in (("joint", "rad"), ("finger", "m")):
        opened, closed = values[f"{kind}_open_{unit}"], values[f"{kind}_close_{unit}"]
        if opened <= closed:
            constants.complain(
                f"{kind}_open_{unit}", f"{opened} must be more than {kind}_close_{unit}, {closed}"
            )
    engage = None
    if role == "leader":
        engage = constants.number(
            "engage_below_rad", values["joint_close_rad"], values["joint_open_rad"]
        )
    return Gripper(linkage=Linkage(crank, rod), engage_below_rad=engage, **values)


def _check_gripper_reach(constants: Section, limits: Limits, shared: Section) -> None:
    """Open and closed must lie within what may be commanded, or the gripper never gets there."""
    low, high = float(limits.soft_lower[-1]), float(limits.soft_upper[-1])
    for key in ("joint_open_rad", "joint_close_rad"):
        angle = constants.number(key)
        if not low <= angle <= high:
            constants.complain(
                key,
                f"{shown(angle)} is beyond the gripper's limits less their margin, {low:g} … "
                f"{high:g} ({shared.path.name}: limits.gripper): correct it, or give the arm a "
                "model file with the limits of your gripper",
            )


def _frozen(values: list[float]) -> np.ndarray:
    array = np.array(values)
    array.setflags(write=False)
    return array
