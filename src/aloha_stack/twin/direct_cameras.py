"""The task's cameras without ROS: the world's state to JPEG, at any size.

The bytes are made by the encoder of the camera node, at the robot file's quality, so that what is
looked at here and what was recorded are alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from aloha_stack.cameras.jpeg import encode_rgb
from aloha_stack.robot.description import Camera, Robot, RobotConfigError
from aloha_stack.twin.looks import Look
from aloha_stack.twin.renderer import SceneRenderer


@dataclass(frozen=True)
class Picture:
    """One image as the camera node would publish it: JPEG, exposed at `stamp_ns` of model time."""

    stamp_ns: int
    jpeg: bytes


class DirectCameras:
    """Cameras of `robot` (all, if none are named), in the scene of `task`.

    `size` is (width, height), the robot file's if left out: then all must have the same. Belongs to
    the thread that made it. Raises RendererError without OpenGL, RobotConfigError for a camera that
    the robot does not have or that is not in the twin's scene.
    """

    def __init__(
        self,
        task: str,
        robot: Robot,
        cameras: Sequence[str] = (),
        size: tuple[int, int] | None = None,
    ) -> None:
        chosen = [robot.camera(name) for name in cameras or robot.cameras]
        self._scene = {camera.name: scene_camera(camera) for camera in chosen}
        self._quality = {camera.name: camera.jpeg_quality for camera in chosen}
        sizes = {(camera.width, camera.height) for camera in chosen} if size is None else {size}
        if len(sizes) != 1:
            raise RobotConfigError(f"cameras of different sizes ({sizes}) need a size to be given")
        self.width, self.height = sizes.pop()
        self._renderer = SceneRenderer(task, self.width, self.height)

    @property
    def names(self) -> tuple[str, ...]:
        """The robot's cameras that are rendered, in order."""
        return tuple(self._scene)

    def dress(self, look: Look) -> None:
        """Gives the scene that look, from the next image on."""
        self._renderer.dress(look)

    def images(self, qpos: np.ndarray) -> dict[str, np.ndarray]:
        """What the cameras see in the state qpos (nq,): (height, width, 3) uint8 RGB, unencoded."""
        self._renderer.pose(qpos)
        return {name: self._renderer.render(scene).copy() for name, scene in self._scene.items()}

    def pictures(
        self,
        stamp_ns: int,
        qpos: np.ndarray,
        changed: Callable[[np.ndarray], np.ndarray] = lambda image: image,
    ) -> dict[str, Picture]:
        """The same as JPEG; `changed` is what another light or a bad sensor make of each image."""
        return {
            name: Picture(stamp_ns, encode_rgb(changed(image), self._quality[name]))
            for name, image in self.images(qpos).items()
        }

    def seen(self, qpos: np.ndarray) -> dict[str, np.ndarray]:
        """The same once decoded again: what a policy sees, (height, width, 3) uint8 RGB."""
        return {name: decode(picture.jpeg) for name, picture in self.pictures(0, qpos).items()}

    def close(self) -> None:
        """Frees the OpenGL context. On the thread that made it."""
        self._renderer.close()


def decode(jpeg: bytes) -> np.ndarray:
    """A JPEG as (height, width, 3) uint8 RGB."""
    bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def scene_camera(camera: Camera) -> str:
    """The camera of the scene that shows what `camera` of the robot sees: behind the # of its
    source, twin:FOLDER/world#NAME."""
    kind, _, rest = camera.source.partition(":")
    if kind != "twin" or not rest.rpartition("#")[2]:
        raise RobotConfigError(
            f"{camera.name} has the source {camera.source}; only a twin's camera "
            "(twin:FOLDER/world#NAME) can be rendered"
        )
    return rest.rpartition("#")[2]
