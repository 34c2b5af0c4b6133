"""Pick and place: where the cube lies, what the camera sees of it, and what counts as done."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.robot.description import Robot, load_robot
from aloha_stack.twin.direct_cameras import DirectCameras
from aloha_stack.twin.direct_teleop import DirectTeleop
from aloha_stack.twin.operator_rehearsal import await_ready
from aloha_stack.twin.pick_place import (
    HALF_M,
    HAND_M,
    LINE_X_M,
    LINE_Y_M,
    POINTS,
    TRAY_XY_M,
    PickPlace,
)
from aloha_stack.twin.world import World

TASK = PickPlace()
TRAY = np.array([*TRAY_XY_M, 0.0])


@cache
def robot() -> Robot:
    return load_robot("twin", {"ALOHA_PORTS": "none"})


@cache
def still_world() -> World:
    return World("pick_place", 0, robot(), "start")


def names(place: str, seeds: int = 6) -> str:
    return "".join(TASK.position(place, seed).name for seed in range(seeds))


def test_points_are_taken_in_turn() -> None:
    assert (names("taught"), names("untaught"), names("D")) == ("ACEACE", "BDBDBD", "DDDDDD")


def test_points_are_equally_far_apart_from_one_end_to_the_other() -> None:
    found = [TASK.position(point, 0) for point in POINTS]
    xs, shares = zip(*((position.x_m, position.share) for position in found), strict=True)
    assert (xs[0], xs[-1]) == pytest.approx(LINE_X_M, abs=HAND_M)
    assert np.diff(xs) == pytest.approx([0.05] * 4)
    assert shares == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=HAND_M / 0.2)


@given(st.integers(0, 2**32 - 1), st.sampled_from(POINTS))
def test_no_two_trials_at_a_point_are_the_same(seed: int, point: str) -> None:
    (one,), (other,) = TASK.sample(point, seed), TASK.sample(point, seed + 1)
    assert (one[:2] != other[:2]).all()
    middle = LINE_X_M[0] + 0.05 * POINTS.index(point), LINE_Y_M
    assert np.abs(one[:2] - middle).max() <= HAND_M + 1e-9
    assert TASK.position(point, seed).x_m == one[0]


@given(st.integers(0, 2**32 - 1))
def test_in_the_range_a_seed_says_where(seed: int) -> None:
    position = TASK.position("range", seed)
    assert position == TASK.position("range", seed)
    assert position.name == ""
    assert LINE_X_M[0] <= position.x_m <= LINE_X_M[1]


def test_the_range_is_used_from_end_to_end() -> None:
    shares = [TASK.position("range", seed).share for seed in range(200)]
    assert np.histogram(shares, 5, (0, 1))[0].min() > 20


def test_the_cube_lies_still_where_its_position_says() -> None:
    world = World("pick_place", 1, robot(), "start", "untaught")
    x_m, y_m, _ = TASK.sample("D", 1)[0, :3]
    for _ in range(100):
        world.step()
    (pose,) = world.objects().values()
    assert pose[:3] == pytest.approx([x_m, y_m, HALF_M], abs=1e-3)
    assert abs(x_m - 0.11) <= HAND_M
    assert world.reward() == 0


def rewards(
    place: np.ndarray, velocity: tuple[float, ...] = (0.0,) * 6, steps: int = 400
) -> list[int]:
    """Of a cube that is let go at `place` (3,) m with a velocity (6,)."""
    world = still_world()
    world.reset(0)
    joint = world.data.joint("red_box_joint")
    joint.qpos[:3] = place
    joint.qvel[:] = velocity
    found = []
    for _ in range(steps):
        world.step()
        found.append(world.reward())
    return found


def test_a_cube_that_falls_into_the_tray_counts_once_it_lies_there_at_rest() -> None:
    found = rewards(TRAY + [0.02, -0.03, 0.08])
    assert found[0] == 0, "in the air"
    assert 3 in found, "touching the floor, still moving"
    assert found[-1] == 4
    assert found.index(3) < found.index(4)


@pytest.mark.parametrize(
    "off",
    [(0.13, 0.0, 0.03), (0.072, 0.0, 0.06), (0.0, -0.15, HALF_M)],
    ids=["beside it", "on its rim", "before it"],
)
def test_a_cube_that_is_not_in_the_tray_does_not_count(off: tuple[float, ...]) -> None:
    found = rewards(TRAY + off, steps=1 if off[0] == 0.072 else 300)
    assert set(found) == {0}


def test_a_cube_that_slides_in_the_tray_does_not_count_yet() -> None:
    found = rewards(TRAY + [-0.03, 0.0, HALF_M + 0.0041], (0.3, 0, 0, 0, 0, 0), steps=5)
    assert 3 in found
    assert 4 not in found


@pytest.fixture
def chain() -> DirectTeleop:
    chain = DirectTeleop(World("pick_place", 3, robot(), "start"), robot())
    await_ready(chain)
    return chain


def test_the_operator_touches_lifts_places_and_lets_go(chain: DirectTeleop) -> None:
    world, rest = chain.world, robot().arm("follower_left").start_pose
    chain.operator.perform()
    found, away = [], 0.0
    while chain.operator.state != "done":
        chain.cycle()
        found.append(world.reward())
        away = max(away, float(np.abs(world.state("follower_left")[0] - rest)[:6].max()))
    firsts = [found.index(reward) for reward in (1, 2, 3, 4)]
    assert firsts == sorted(firsts)
    assert set(found[firsts[3] :]) == {4}, "it stays there"
    assert away < 0.05, "the other arm rests"
    assert 4.0 < len(found) * 0.01 < 6.0


def reddish(image: np.ndarray) -> np.ndarray:
    """Pixels (n, 2), row and column, of the cube."""
    wide = image.astype(int)
    return np.argwhere((wide[..., 0] > 100) & (wide[..., 1] < 70) & (wide[..., 2] < 70))


@pytest.fixture(scope="module")
def seen() -> Callable[[str], np.ndarray]:
    """The cube's pixels where cam_low, at 64 × 64 px, sees it at a point."""
    found = {}
    cameras = DirectCameras("pick_place", robot(), ("cam_low",), (64, 64))
    for point in POINTS:
        qpos = World("pick_place", 0, robot(), "start", point).qpos()
        found[point] = reddish(cameras.images(qpos)["cam_low"])
    cameras.close()
    return found.__getitem__


@pytest.mark.parametrize("point", POINTS)
def test_the_low_camera_sees_the_cube_well_at_every_point(
    seen: Callable[[str], np.ndarray], point: str
) -> None:
    assert len(seen(point)) >= 20


def test_from_point_to_point_the_cube_moves_across_the_picture(
    seen: Callable[[str], np.ndarray],
) -> None:
    columns = [seen(point)[:, 1].mean() for point in POINTS]
    assert np.diff(columns).min() > 4
    assert np.ptp([seen(point)[:, 0].mean() for point in POINTS]) < 2
