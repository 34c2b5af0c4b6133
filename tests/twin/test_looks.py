"""Other tables and lamps: what they change in a picture, and what they do not."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.robot.description import load_robot
from aloha_stack.twin.direct_cameras import DirectCameras
from aloha_stack.twin.looks import GAIN, LOOKS, TINT, Look, look_of
from aloha_stack.twin.world import World

ROBOT = load_robot("twin", {"ALOHA_PORTS": "none"})
TABLE, CUBE = (120, 20), (100, 60)
"""Row and column of something of each in cam_low's picture of 128 × 128 px."""


@pytest.fixture(scope="module")
def cameras() -> Iterator[DirectCameras]:
    cameras = DirectCameras("pick_place", ROBOT, ("cam_low",), (128, 128))
    yield cameras
    cameras.close()


@pytest.fixture(scope="module")
def qpos() -> np.ndarray:
    return World("pick_place", 0, ROBOT, "start", "C").qpos()


def picture(cameras: DirectCameras, qpos: np.ndarray, look: Look) -> np.ndarray:
    cameras.dress(look)
    return cameras.images(qpos)["cam_low"].astype(int)


def test_another_background_changes_the_table_and_nothing_else(
    cameras: DirectCameras, qpos: np.ndarray
) -> None:
    plain = picture(cameras, qpos, Look())
    other = picture(cameras, qpos, look_of(["background"], 0))
    assert np.ptp(plain[TABLE]) < 5, "grey"
    assert np.abs(other - plain)[TABLE].max() > 30
    np.testing.assert_array_equal(other[CUBE], plain[CUBE])
    assert plain[CUBE][0] > plain[CUBE][1:].max() + 150, "it is the cube"


def test_other_light_falls_on_everything(cameras: DirectCameras, qpos: np.ndarray) -> None:
    plain = picture(cameras, qpos, Look())
    darker = picture(cameras, qpos, Look(lamps_rgb=(0.5, 0.5, 0.5)))
    assert darker[TABLE] == pytest.approx(plain[TABLE] / 2, abs=3)
    turned = picture(cameras, qpos, Look(turn_rad=np.pi / 2))
    assert np.abs(turned - plain).max() > 30


def test_a_scene_gets_its_own_look_back(cameras: DirectCameras, qpos: np.ndarray) -> None:
    plain = picture(cameras, qpos, Look())
    for seed in range(3):
        assert (picture(cameras, qpos, look_of(LOOKS, seed)) != plain).any()
    np.testing.assert_array_equal(picture(cameras, qpos, Look()), plain)


@given(st.integers(0, 2**32 - 1))
def test_both_changes_together_are_what_each_is_alone(seed: int) -> None:
    both, table, lamps = (look_of(looks, seed) for looks in (LOOKS, LOOKS[:1], LOOKS[1:]))
    assert both == Look(table.table_rgb, lamps.lamps_rgb, lamps.turn_rad)
    assert (table.lamps_rgb, lamps.table_rgb) == (Look().lamps_rgb, None)
    red, green, blue = both.table_rgb or (1, 0, 0)
    assert red <= max(green, blue), "the cube alone is red"
    for share in both.lamps_rgb:
        assert GAIN[0] * (1 - TINT) <= share <= GAIN[1] * (1 + TINT)


def test_every_seed_has_its_own_look_and_without_changes_there_is_none() -> None:
    assert len({look_of(LOOKS, seed) for seed in range(20)}) == 20
    assert look_of((), 3) == Look()
    with pytest.raises(ValueError, match="no look fog; there is background, light"):
        look_of(["fog"], 0)
