"""An arm's body: links, joints and masses from its YAML file, and forward kinematics over them.

Every link has a frame at its joint; at joint position 0 all frames of an arm are parallel to the
base's (x forward, y left, z up). A link turns about, or slides along, `axis` through its origin.
"""

import math
import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aloha_stack.robot.gripper import Linkage, finger_from_joint
from aloha_stack.robot.joints import FINGERS, STATE_JOINTS
from aloha_stack.robot.yaml_section import Section

UNIT_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Link:
    """One rigid body, carried by the link with the index `parent` (the base: by itself).

    origin (3,) m: where its frame is in its parent's frame at joint position 0; axis (3,): of its
    joint, a unit vector; com (3,) m and inertia (3, 3) kg·m² about it, in the link's own frame.
    """

    name: str
    parent: int
    joint: str
    origin: np.ndarray
    axis: np.ndarray
    mass_kg: float
    com: np.ndarray
    inertia: np.ndarray

    @property
    def slides(self) -> bool:
        return self.joint in FINGERS


@dataclass(frozen=True, eq=False)
class Chain:
    """The links of an arm, parents first, the base at index 0; `linkage` moves the fingers."""

    links: tuple[Link, ...]
    linkage: Linkage

    def joint_values(self, position: np.ndarray) -> np.ndarray:
        """From the seven addressed joints (..., 7) rad to the nine of joint_states (..., 9)."""
        finger = finger_from_joint(position[..., 6:], self.linkage)
        return np.concatenate([position, finger, -finger], axis=-1)

    def forward(self, position: np.ndarray) -> np.ndarray:
        """Poses of the links in the base's frame (..., n, 4, 4), for joints (..., 7) rad.

        A turn by q about the unit axis a is I + sin(q) [a] + (1 - cos(q)) [a]² (Rodrigues).
        """
        values = self.joint_values(np.asarray(position, dtype=float))
        moved = np.zeros((*values.shape[:-1], len(self.links)))
        moved[..., 1:] = values[..., self.joint_indices]
        turn = (moved * ~self.slides)[..., None, None]
        poses = np.sin(turn) * self._cross + (1.0 - np.cos(turn)) * self._cross_squared + np.eye(4)
        poses[..., :3, 3] = self.origins + (moved * self.slides)[..., None] * self.axes
        for index, link in enumerate(self.links[1:], start=1):
            poses[..., index, :, :] = poses[..., link.parent, :, :] @ poses[..., index, :, :]
        return poses

    def steps(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pose of each link but the base in its parent's frame, at the nine `joint_values`.

        Returns translations (n - 1, 3) m and unit quaternions (n - 1, 4) in the order x, y, z, w.
        """
        moved, slides, axes = values[self.joint_indices], self.slides[1:], self.axes[1:]
        translations = self.origins[1:] + np.where(slides, moved, 0.0)[:, None] * axes
        half = np.where(slides, 0.0, moved / 2)[:, None]
        return translations, np.concatenate([np.sin(half) * axes, np.cos(half)], axis=1)

    def index(self, name: str) -> int:
        """Index of the link called `name`; a KeyError lists those that exist."""
        names = [link.name for link in self.links]
        if name not in names:
            raise KeyError(f"no link '{name}'; there is {', '.join(names)}")
        return names.index(name)

    @cached_property
    def masses(self) -> np.ndarray:
        """Mass of each link (n,) kg."""
        return np.array([link.mass_kg for link in self.links])

    @cached_property
    def coms(self) -> np.ndarray:
        """Centre of mass of each link in its own frame (n, 3) m."""
        return np.array([link.com for link in self.links])

    @cached_property
    def axes(self) -> np.ndarray:
        """Axis of each link's joint in its own frame (n, 3); 0 for the base."""
        return np.array([link.axis for link in self.links])

    @cached_property
    def origins(self) -> np.ndarray:
        """Origin of each link in its parent's frame at joint position 0 (n, 3) m."""
        return np.array([link.origin for link in self.links])

    @cached_property
    def slides(self) -> np.ndarray:
        """Which links slide along their axis (n,) bool; the others turn about it."""
        return np.array([link.slides for link in self.links])

    @cached_property
    def joint_indices(self) -> np.ndarray:
        """For each link but the base, the index of its joint in STATE_JOINTS (n - 1,)."""
        return np.array([STATE_JOINTS.index(link.joint) for link in self.links[1:]])

    @cached_property
    def carried(self) -> np.ndarray:
        """(n, n): row i is 1 for link i and for every link that it carries, else 0."""
        carried = np.eye(len(self.links))
        for index in reversed(range(1, len(self.links))):
            parent = self.links[index].parent
            carried[parent] += carried[index]
        return carried

    @cached_property
    def _cross(self) -> np.ndarray:
        """The matrices [a] with [a] b = a x b, for each link's axis, padded to (n, 4, 4)."""
        cross = np.zeros((len(self.links), 4, 4))
        for matrix, (x, y, z) in zip(cross, self.axes, strict=True):
            matrix[:3, :3] = [[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]]
        return cross

    @cached_property
    def _cross_squared(self) -> np.ndarray:
        return self._cross @ self._cross


@dataclass(frozen=True, eq=False)
class Mount:
    """Where an arm's base stands in the frame `world`: position (3,) m, and its turn about z."""

    position: np.ndarray
    yaw_rad: float

    @property
    def matrix(self) -> np.ndarray:
        """The base's pose in the world (4, 4)."""
        cosine, sine = math.cos(self.yaw_rad), math.sin(self.yaw_rad)
        matrix = np.eye(4)
        matrix[:2, :2] = [[cosine, -sine], [sine, cosine]]
        matrix[:3, 3] = self.position
        return matrix


def load_chain(section: Section, linkage: Linkage) -> Chain:
    """The section `links` of an arm's file: each link by its name, parents first.

    Raises RobotConfigError for anything that no body can be: an unknown parent, a joint that stands
    twice or not at all, an axis without direction, a mass or an inertia that is not positive.
    """
    names: list[str] = []
    links: list[Link] = []
    for name in section.values:
        if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            section.complain("", f"{name!r} is no name of a link: use a-z, 0-9 and _")
        links.append(_load_link(name, section.section(name), names, links))
        names.append(name)
    lacking = [joint for joint in STATE_JOINTS if joint not in {link.joint for link in links}]
    if lacking:
        section.complain("", f"no link moves by the joint {lacking[0]}: each of the nine needs one")
    return Chain(tuple(links), linkage)


def _load_link(name: str, own: Section, names: list[str], links: list[Link]) -> Link:
    mass_keys = ("mass_kg", "com_m", "inertia_kg_m2")
    parent, joint = 0, ""
    origin = axis = _frozen(np.zeros(3))
    if names:
        own.check_keys(("parent", "joint", "axis", "origin_m", *mass_keys))
        if own.get("parent") not in names:
            known = ", ".join(names)
            own.complain("parent", f"must be a link that stands above it: one of {known}")
        parent = names.index(own.get("parent"))
        joint = own.choice("joint", STATE_JOINTS)
        if joint in {link.joint for link in links}:
            own.complain("joint", f"'{joint}' moves another link already")
        origin, axis = _vector(own, "origin_m", 3), _vector(own, "axis", 3)
        if abs(np.linalg.norm(axis) - 1.0) > UNIT_TOLERANCE:
            own.complain("axis", f"expected a vector of length 1, found {axis.tolist()}")
    else:
        own.check_keys(mass_keys)
    return Link(
        name=name,
        parent=parent,
        joint=joint,
        origin=origin,
        axis=axis,
        mass_kg=own.number("mass_kg", 1e-4, 100.0),
        com=_vector(own, "com_m", 3),
        inertia=_load_inertia(own),
    )


def _load_inertia(own: Section) -> np.ndarray:
    xx, yy, zz, xy, xz, yz = _vector(own, "inertia_kg_m2", 6)
    inertia = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    small, middle, large = np.linalg.eigvalsh(inertia)
    if small <= 0.0 or small + middle < large:
        own.complain(
            "inertia_kg_m2",
            "no body has it: the three principal moments must be positive, and none greater than "
            f"the sum of the others; found {small:.3g}, {middle:.3g}, {large:.3g}",
        )
    return _frozen(inertia)


def load_mount(own: Section) -> Mount:
    """One arm's entry in the section `mounts` of a robot's file."""
    own.check_keys(("position_m", "yaw_rad"))
    return Mount(_vector(own, "position_m", 3), own.number("yaw_rad", -math.pi, math.pi))


def _vector(section: Section, key: str, length: int) -> np.ndarray:
    return _frozen(np.array(section.numbers(key, length, -100.0, 100.0)))


def _frozen(values: np.ndarray) -> np.ndarray:
    values.setflags(write=False)
    return values
