"""Images of the twin's scene, quickly: shadows and reflections off, no multisampling.

With the scene's own settings an image takes 50 ms on a CPU at any resolution; shadows are what
costs. A renderer belongs to the thread that made it (its OpenGL context does).
"""

import os

import mujoco
import numpy as np

from aloha_stack.twin.looks import Look, Wardrobe
from aloha_stack.twin.tasks import find_task

HOW_TO_MEND = (
    "install EGL (libegl1, with Mesa on machines without a GPU) and set MUJOCO_GL=egl, "
    "or OSMesa and MUJOCO_GL=osmesa"
)


class RendererError(RuntimeError):
    """There is no OpenGL, or no such camera."""


def camera_names(model: mujoco.MjModel) -> tuple[str, ...]:
    """The cameras of a scene."""
    return tuple(model.camera(index).name for index in range(model.ncam))


class SceneRenderer:
    """Renders a task's scene for given qpos. One size (pixels) for all its images."""

    def __init__(self, task: str, width: int, height: int) -> None:
        _check_platform()
        self.model = find_task(task).load_scene()
        self.model.vis.quality.offsamples = 0
        self.model.vis.global_.offwidth = max(width, self.model.vis.global_.offwidth)
        self.model.vis.global_.offheight = max(height, self.model.vis.global_.offheight)
        self.cameras = camera_names(self.model)
        self._wardrobe = Wardrobe(self.model)
        self._data = mujoco.MjData(self.model)
        try:
            self._renderer = mujoco.Renderer(self.model, height, width)
        except (RuntimeError, ImportError, AttributeError, mujoco.FatalError) as error:
            raise RendererError(
                f"no off-screen OpenGL for MuJoCo: {error}; {HOW_TO_MEND}"
            ) from error
        flags = self._renderer.scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
        flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0

    def dress(self, look: Look) -> None:
        """Gives the scene that look; the images that follow the next `pose` show it."""
        self._wardrobe.wear(look)

    def pose(self, qpos: np.ndarray) -> None:
        """Sets the scene to qpos (nq,); the images that follow show it."""
        if qpos.shape != (self.model.nq,):
            raise RendererError(f"the scene has {self.model.nq} coordinates, got {qpos.shape}")
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self.model, self._data)
        mujoco.mj_comPos(self.model, self._data)
        mujoco.mj_camlight(self.model, self._data)

    def render(self, camera: str) -> np.ndarray:
        """The image (height, width, 3) uint8 RGB of a camera of the scene."""
        if camera not in self.cameras:
            raise RendererError(
                f"the scene has no camera '{camera}'; it has {', '.join(self.cameras)}"
            )
        self._renderer.update_scene(self._data, camera)
        return self._renderer.render()

    def close(self) -> None:
        """Frees the OpenGL context. On the thread that made it."""
        self._renderer.close()


def _check_platform() -> None:
    """Refuses what cannot work: without a display MuJoCo's own choice hangs at the second try."""
    platform = os.environ.get("MUJOCO_GL", "").lower()
    if platform not in ("egl", "osmesa") and not os.environ.get("DISPLAY"):
        raise RendererError(
            f"no off-screen OpenGL for MuJoCo: there is no display, and MUJOCO_GL is "
            f"'{platform}'; {HOW_TO_MEND}"
        )
