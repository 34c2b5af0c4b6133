"""Images of the scene: what is in them, from MuJoCo's own renderer."""

from collections.abc import Iterator

import numpy as np
import pytest

from aloha_stack.robot.description import load_robot
from aloha_stack.twin.renderer import RendererError, SceneRenderer
from aloha_stack.twin.world import World

CAMERAS = ("top", "front_close", "left_wrist", "right_wrist")


@pytest.fixture(scope="module")
def renderer() -> Iterator[SceneRenderer]:
    renderer = SceneRenderer("transfer_cube", 320, 240)
    yield renderer
    renderer.close()


def qpos_with_cube(x: float, y: float) -> np.ndarray:
    world = World("transfer_cube", 0, load_robot("twin", {"ALOHA_PORTS": "p"}), "start")
    qpos = world.qpos()
    qpos[16:19] = x, y, 0.02
    return qpos


def red(image: np.ndarray) -> np.ndarray:
    """Pixels (n, 2), row and column, of the cube."""
    wide = image.astype(int)
    return np.argwhere((wide[..., 0] > 120) & (wide[..., 1] < 90) & (wide[..., 2] < 90))


def test_the_cube_is_seen_where_it_lies(renderer: SceneRenderer) -> None:
    renderer.pose(qpos_with_cube(0.0, 0.5))
    middle = red(renderer.render("top")).mean(axis=0)
    renderer.pose(qpos_with_cube(0.15, 0.5))
    right = red(renderer.render("top")).mean(axis=0)
    assert right[1] > middle[1] + 10
    assert right[0] == pytest.approx(middle[0], abs=4)


@pytest.mark.parametrize("camera", CAMERAS)
def test_every_camera_of_the_robot_shows_something(renderer: SceneRenderer, camera: str) -> None:
    renderer.pose(qpos_with_cube(0.1, 0.5))
    image = renderer.render(camera)
    assert image.shape == (240, 320, 3)
    assert image.dtype == np.uint8
    assert image.std() > 10


def test_images_depend_on_the_pose_only(renderer: SceneRenderer) -> None:
    renderer.pose(qpos_with_cube(0.1, 0.5))
    first = renderer.render("left_wrist").copy()
    renderer.pose(qpos_with_cube(0.0, 0.4))
    renderer.render("top")
    renderer.pose(qpos_with_cube(0.1, 0.5))
    assert np.array_equal(renderer.render("left_wrist"), first)


def test_without_a_display_it_is_said_how_to_render(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(RendererError, match=r"no display.*set MUJOCO_GL=egl"):
        SceneRenderer("transfer_cube", 320, 240)


def test_an_unknown_camera_is_named_with_those_that_exist(renderer: SceneRenderer) -> None:
    with pytest.raises(RendererError, match=r"no camera 'roof'; it has .*top.*left_wrist"):
        renderer.render("roof")


def test_a_state_of_another_scene_is_refused(renderer: SceneRenderer) -> None:
    with pytest.raises(RendererError, match="23 coordinates"):
        renderer.pose(np.zeros(30))
