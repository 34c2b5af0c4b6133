"""Pick and place: the right arm takes a cube from a line on the table and puts it into a tray.

The scene is gym-aloha's of transfer cube, with its cube, and two things more: the tray, and another
place for the camera `front_close` (the robot's cam_low), which gym-aloha aims at the left arm. Here
it looks across the line, so that the cube and the gripper that comes down on it are seen from the
side and neither hides the other; from the line to the tray the gripper goes away from it.

The line runs along x, towards the arm, with five points A … E. As in EIPL's experiment (A, C and E
taught, B and D not) a world is told by `places` which of them its seed chooses from:

    range      anywhere between A and E
    taught     A, C and E in turn
    untaught   B and D in turn
    A … E      that point
"""

from dataclasses import dataclass

import mujoco
import numpy as np

from aloha_stack.twin.gym_aloha_tasks import TRANSFER_CUBE, scene_path
from aloha_stack.twin.task import Position, Reward

POINTS = ("A", "B", "C", "D", "E")
LINE_X_M = (-0.04, 0.16)
"""Where A and E are: 5 cm from point to point."""
LINE_Y_M = 0.5
"""On the line that the right arm points along when its waist is at 0."""
HAND_M = 0.004
"""By up to this does a cube that is put down by hand lie off its point, along the line and across,
either way: no two trials are the same."""
CUBE = "red_box"
HALF_M = 0.02
"""Half an edge of gym-aloha's cube."""

TRAY_XY_M = (0.08, 0.69)
TRAY_HALF_M = 0.07
"""Half an edge of the tray's floor, inside."""
FLOOR_M = 0.004
WALL_M = 0.004
RIM_M = 0.024
TRAY_RGBA = (0.75, 0.75, 0.75, 1.0)

CAMERA = "front_close"
EYE_M, AIM_M = (0.08, 0.0, 0.45), (0.08, 0.55, 0.145)
FIELD_OF_VIEW_DEG = 39.0

LIFT_M = 0.01
"""Over the table, from where on a cube is lifted: one that is squeezed stirs a little."""
REST_M_S, REST_RAD_S, REST_M_S2 = 0.02, 0.5, 1.0
"""A cube slower than this and not pushed is at rest: one that bounces is slow for a moment."""
TOUCHED, LIFTED, INSIDE, PLACED = 1, 2, 3, 4

RANGE, TAUGHT, UNTAUGHT = "range", "taught", "untaught"
_CHOICES = {
    TAUGHT: ("A", "C", "E"),
    UNTAUGHT: ("B", "D"),
    **{point: (point,) for point in POINTS},
}


@dataclass(frozen=True)
class PickPlace:
    """See above."""

    name: str = "pick_place"
    objects: tuple[str, ...] = (f"{CUBE}_joint",)
    places: tuple[str, ...] = (RANGE, *_CHOICES)
    has_goal: bool = False

    def load_scene(self) -> mujoco.MjModel:
        """gym-aloha's scene with the tray, and its camera turned to the work."""
        spec = mujoco.MjSpec.from_file(str(scene_path(TRANSFER_CUBE.file)))
        _add_tray(spec)
        camera = spec.camera(CAMERA)
        camera.mode = mujoco.mjtCamLight.mjCAMLIGHT_FIXED
        camera.pos, camera.quat = EYE_M, _aimed(np.array(EYE_M), np.array(AIM_M))
        camera.fovy = FIELD_OF_VIEW_DEG
        return spec.compile()

    def sample(self, place: str, seed: int) -> np.ndarray:
        """The cube's start pose (1, 7): on the table, in line with the arm."""
        x_m, (_, _, across_m) = self.position(place, seed).x_m, _drawn(seed)
        return np.array([[x_m, LINE_Y_M + across_m, HALF_M, 1.0, 0.0, 0.0, 0.0]])

    def position(self, place: str, seed: int) -> Position:
        """Where on its line the cube lies in the world of `seed`."""
        first, last = LINE_X_M
        share, along_m, _ = _drawn(seed)
        if place == RANGE:
            return Position("", share, first + share * (last - first))
        points = _CHOICES[place]
        name = points[seed % len(points)]
        share = POINTS.index(name) / (len(POINTS) - 1) + along_m / (last - first)
        return Position(name, share, first + share * (last - first))

    def start(self, side: str, seed: int) -> np.ndarray | None:
        """None: every arm begins at its start pose."""
        return None

    def load_reward(self, model: mujoco.MjModel, data: mujoco.MjData) -> Reward:
        """1: the right gripper touches the cube; 2: holds it up; 3: the cube lies in the tray;
        4: there nothing of the robot touches it any more, and it is at rest."""
        judge = _Judge(model, data)
        return Reward(judge.evaluate, PLACED)


class _Judge:
    """Tells from contacts, place and speed how far the task has come."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._data = data
        self._cube = model.geom(CUBE).id
        self._floor = model.geom("tray_floor").id
        self._body, self._tray = model.geom(CUBE).bodyid[0], model.body("tray").id
        self._dof = model.joint(f"{CUBE}_joint").dofadr[0]
        names = [model.body(index).name for index in model.geom_bodyid]
        self._robot = np.array([name.startswith("vx300s_") for name in names])
        self._right = np.array([name.startswith("vx300s_right/") for name in names])

    def evaluate(self) -> int:
        touching = self._touching()
        if self._floor in touching and self._is_inside():
            return INSIDE if self._robot[touching].any() or self._moves() else PLACED
        if not self._right[touching].any():
            return 0
        height_m = self._data.xpos[self._body][2] - HALF_M
        return LIFTED if height_m > LIFT_M else TOUCHED

    def _touching(self) -> np.ndarray:
        """The geoms that touch the cube."""
        pairs = self._data.contact.geom
        pairs = pairs[(pairs == self._cube).any(axis=1)]
        return pairs[pairs != self._cube]

    def _is_inside(self) -> bool:
        away = np.abs(self._data.xpos[self._body] - self._data.xpos[self._tray])
        return bool(away[:2].max() < TRAY_HALF_M)

    def _moves(self) -> bool:
        speed = self._data.qvel[self._dof : self._dof + 6]
        push = self._data.qacc[self._dof : self._dof + 3]
        slow = np.linalg.norm(speed[:3]) < REST_M_S and np.linalg.norm(speed[3:]) < REST_RAD_S
        return not (slow and np.linalg.norm(push) < REST_M_S2)


def _drawn(seed: int) -> tuple[float, float, float]:
    """Share of the line's way; off a point along it, and off the line (m)."""
    random = np.random.default_rng(seed)
    share, along_m, across_m = random.uniform((0.0, -HAND_M, -HAND_M), (1.0, HAND_M, HAND_M))
    return float(share), float(along_m), float(across_m)


def _add_tray(spec: mujoco.MjSpec) -> None:
    tray = spec.worldbody.add_body(name="tray", pos=(*TRAY_XY_M, 0.0))

    def add(name: str, centre: tuple[float, ...], half: tuple[float, ...]) -> None:
        box = mujoco.mjtGeom.mjGEOM_BOX
        tray.add_geom(name=f"tray_{name}", type=box, pos=centre, size=half, rgba=TRAY_RGBA)

    outer, wall, rim = TRAY_HALF_M + WALL_M, WALL_M / 2, RIM_M / 2
    away = TRAY_HALF_M + wall
    add("floor", (0.0, 0.0, FLOOR_M / 2), (TRAY_HALF_M, TRAY_HALF_M, FLOOR_M / 2))
    for side, sign in (("right", 1), ("left", -1)):
        add(side, (sign * away, 0.0, rim), (wall, outer, rim))
    for side, sign in (("back", 1), ("front", -1)):
        add(side, (0.0, sign * away, rim), (outer, wall, rim))


def _aimed(eye: np.ndarray, aim: np.ndarray) -> np.ndarray:
    """Quaternion (w, x, y, z) of a camera at `eye` (3,) that looks at `aim` (3,), upright: it looks
    along its -z, its x is to the right."""
    back = (eye - aim) / np.linalg.norm(eye - aim)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    quaternion = np.zeros(4)
    axes = np.column_stack([right, np.cross(back, right), back])
    mujoco.mju_mat2Quat(quaternion, axes.ravel())
    return quaternion
