"""Keypoints: numbers that move evenly with what is seen, and tokens of their own in ACT."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.policies.keypoints import points_of
from policies import small_act

CONFIG = replace(small_act.CONFIG, keypoints=4)


@given(row=st.integers(0, 8), column=st.integers(0, 12))
def test_a_peak_is_told_by_its_place(row: int, column: int) -> None:
    maps = torch.zeros(1, 2, 9, 13)
    maps[0, 1, row, column] = 5.0
    points = points_of(maps)[0]
    middle, peak = points[[0, 2]], points[[1, 3]]
    torch.testing.assert_close(middle, torch.zeros(2), atol=1e-5, rtol=0)
    expected = torch.tensor([column / 12 * 2 - 1, row / 8 * 2 - 1])
    torch.testing.assert_close(peak, expected, atol=1e-4, rtol=0)


def test_what_lies_between_two_cells_is_told_in_between() -> None:
    maps = torch.zeros(1, 1, 9, 9)
    maps[0, 0, 4, 4:6] = 5.0
    assert float(points_of(maps)[0, 0]) == pytest.approx(0.125, abs=1e-4)


def test_each_camera_has_one_token_more_and_what_it_shows_matters() -> None:
    images = torch.randint(0, 256, (3, 2, 3, 32, 48), dtype=torch.uint8)
    with_points, without = small_act.network(CONFIG), small_act.network()
    tokens, positions = with_points.image_tokens(images)
    assert tokens.shape[1] == without.image_tokens(images)[0].shape[1] + 2
    assert len(positions) == tokens.shape[1]
    changed = images.clone()
    changed[:, 1, :, 8:16, 8:16] = 255
    again = with_points.image_tokens(changed)[0]
    torch.testing.assert_close(again[:, -2], tokens[:, -2])
    assert not torch.allclose(again[:, -1], tokens[:, -1])


def test_they_are_part_of_a_checkpoint(tmp_path: Path) -> None:
    made = small_act.policy(CONFIG)
    again = small_act.reloaded(made, tmp_path)
    assert again.network.config.keypoints == 4
    for name, value in made.network.state_dict().items():
        torch.testing.assert_close(again.network.state_dict()[name], value)
