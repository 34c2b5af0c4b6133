"""What a policy is shown: the scene through camera, JPEG and scaling, as in its training."""

from collections.abc import Callable, Mapping

import numpy as np

from aloha_stack.episodes.scaled import decode_at
from aloha_stack.policies.policy import PolicySpec
from aloha_stack.robot.description import Robot
from aloha_stack.twin.direct_cameras import DirectCameras
from aloha_stack.twin.looks import Look


class PolicyPictures:
    """Of the policy's cameras, rendered at `size` (width, height), the robot file's if left out.

    Belongs to the thread that made it. Raises RendererError without OpenGL.
    """

    def __init__(
        self, task: str, robot: Robot, spec: PolicySpec, size: tuple[int, int] | None = None
    ) -> None:
        self._size = spec.image_size
        self._cameras = DirectCameras(task, robot, spec.cameras, size) if spec.cameras else None

    def dress(self, look: Look) -> None:
        """Gives the scene that look, from the next picture on."""
        if self._cameras is not None:
            self._cameras.dress(look)

    def seen(
        self, stamp_ns: int, qpos: np.ndarray, changed: Callable[[np.ndarray], np.ndarray]
    ) -> Mapping[str, np.ndarray]:
        """Camera -> (H, W, 3) uint8 RGB of the state qpos; `changed` as for DirectCameras."""
        if self._cameras is None:
            return {}
        return {
            name: decode_at("jpeg", picture.jpeg, self._size)
            for name, picture in self._cameras.pictures(stamp_ns, qpos, changed).items()
        }

    def close(self) -> None:
        """Frees the OpenGL context. On the thread that made it."""
        if self._cameras is not None:
            self._cameras.close()
