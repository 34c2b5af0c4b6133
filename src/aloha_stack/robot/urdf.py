"""An arm's URDF, made from its own description: what /{arm}/robot_description carries.

Links are named {arm}/{link}, as the frames of TF are; joints as in joint_states. Shapes are plain
boxes and cylinders from the links' lengths, so that RViz shows an arm without any package of
meshes; they are for the eye only, nothing collides.
"""

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable

import numpy as np

from aloha_stack.robot.chain import Chain, Link
from aloha_stack.robot.description import Arm
from aloha_stack.robot.gripper import finger_from_joint, finger_velocity
from aloha_stack.robot.joints import FINGERS, GRIPPER, JOINTS
from aloha_stack.robot.servos import STALL

TUBE_RADIUS_M = 0.024
BAR_M = 0.02
"""Thickness of the bar along which the fingers slide."""
FINGER_M = (0.07, 0.01, 0.02)
COLOURS = {"leader": "0.35 0.35 0.40 1", "follower": "0.12 0.12 0.14 1"}

Element = ElementTree.Element


def frame_id(arm: str, link: str) -> str:
    """The name of a link's frame, in TF and in the URDF."""
    return f"{arm}/{link}"


def urdf_text(arm: Arm) -> str:
    """The arm as a URDF document; its root is the base, {arm}/base_link."""
    robot = Element("robot", name=arm.name)
    material = ElementTree.SubElement(robot, "material", name=f"{arm.name}/body")
    ElementTree.SubElement(material, "color", rgba=COLOURS[arm.role])
    for index, link in enumerate(arm.chain.links):
        robot.append(_link(arm, index))
        if link.joint:
            robot.append(_joint(arm, link))
    ElementTree.indent(robot)
    return '<?xml version="1.0"?>\n' + ElementTree.tostring(robot, encoding="unicode") + "\n"


def _link(arm: Arm, index: int) -> Element:
    link = arm.chain.links[index]
    element = Element("link", name=frame_id(arm.name, link.name))
    inertial = ElementTree.SubElement(element, "inertial")
    ElementTree.SubElement(inertial, "origin", xyz=_numbers(link.com), rpy="0 0 0")
    ElementTree.SubElement(inertial, "mass", value=_number(link.mass_kg))
    moments = {
        f"i{'xyz'[row]}{'xyz'[column]}": _number(link.inertia[row, column])
        for row in range(3)
        for column in range(row, 3)
    }
    ElementTree.SubElement(inertial, "inertia", moments)
    for xyz, rpy, shape in _shapes(arm.chain, index, arm):
        visual = ElementTree.SubElement(element, "visual")
        ElementTree.SubElement(visual, "origin", xyz=_numbers(xyz), rpy=_numbers(rpy))
        ElementTree.SubElement(visual, "geometry").append(shape)
        ElementTree.SubElement(visual, "material", name=f"{arm.name}/body")
    return element


def _joint(arm: Arm, link: Link) -> Element:
    kind = "prismatic" if link.slides else "revolute"
    parent = arm.chain.links[link.parent].name
    element = Element("joint", name=link.joint, type=kind)
    ElementTree.SubElement(element, "parent", link=frame_id(arm.name, parent))
    ElementTree.SubElement(element, "child", link=frame_id(arm.name, link.name))
    ElementTree.SubElement(element, "origin", xyz=_numbers(link.origin), rpy="0 0 0")
    ElementTree.SubElement(element, "axis", xyz=_numbers(link.axis))
    lower, upper, velocity, effort = _range(arm, link)
    limit = {"lower": lower, "upper": upper, "velocity": velocity, "effort": effort}
    ElementTree.SubElement(element, "limit", {key: _number(v) for key, v in limit.items()})
    if link.joint == FINGERS[1]:
        ElementTree.SubElement(element, "mimic", joint=FINGERS[0], multiplier="-1", offset="0")
    return element


def _range(arm: Arm, link: Link) -> tuple[float, float, float, float]:
    """Lower and upper position, velocity and effort of a link's joint: rad or m, N·m or N.

    Effort is the stall torque of the joint's servos. The gripper's servo drives the fingers through
    its linkage: their force is that where it moves them fastest.
    """
    index = JOINTS.index(GRIPPER if link.slides else link.joint)
    limits, joint = arm.limits, JOINTS[index]
    lower, upper = float(limits.lower[index]), float(limits.upper[index])
    velocity = float(limits.velocity[index])
    effort = sum(STALL[servo.model].torque_nm for servo in arm.servos if servo.joint == joint)
    if not link.slides:
        return lower, upper, velocity, effort
    linkage = arm.chain.linkage
    angles = np.linspace(lower, upper, 101)
    slope = float(np.max(finger_velocity(angles, np.ones(101), linkage)))
    ends = [float(finger_from_joint(angle, linkage)) for angle in (lower, upper)]
    near, far = ends if link.joint == FINGERS[0] else (-ends[1], -ends[0])
    return near, far, velocity * slope, effort / slope


def _shapes(chain: Chain, index: int, arm: Arm) -> Iterable[tuple[np.ndarray, np.ndarray, Element]]:
    """Position, roll-pitch-yaw and geometry of a link's shapes, in its frame."""
    if chain.links[index].slides:
        yield chain.links[index].com, np.zeros(3), _box(FINGER_M)
        return
    carried = [link for link in chain.links[1:] if chain.links[link.parent] is chain.links[index]]
    for link in carried:
        if link.joint == FINGERS[0]:
            width = 2 * _range(arm, link)[1] + FINGER_M[1]
            yield link.origin, np.zeros(3), _box((BAR_M, width, BAR_M))
        if link.joint not in FINGERS and np.any(link.origin):
            length = float(np.linalg.norm(link.origin))
            x, y, z = link.origin / length
            rpy = np.array([0.0, math.acos(z), math.atan2(y, x)])
            radius = min(TUBE_RADIUS_M, length / 2)
            cylinder = Element("cylinder", radius=_number(radius), length=_number(length))
            yield link.origin / 2, rpy, cylinder


def _box(size: tuple[float, float, float]) -> Element:
    return Element("box", size=_numbers(np.array(size)))


def _number(value: float) -> str:
    return f"{value:.9g}"


def _numbers(values: np.ndarray) -> str:
    return " ".join(map(_number, values))
