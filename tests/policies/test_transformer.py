"""Layers beside torch's own, and positions beside their formula."""

import math

import pytest
import torch
from torch import nn

from aloha_stack.policies.positions import ImagePositions, sine_grid, sine_positions
from aloha_stack.policies.transformer import Attention, fused_attention, plain_attention


def test_attention_with_positions_is_torchs_own_with_them_added() -> None:
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(16, 4, batch_first=True).eval()
    ours = Attention(16, 4, dropout=0.0)
    nn.init.normal_(theirs.in_proj_bias)
    ours.load_state_dict(theirs.state_dict())
    x, position = torch.randn(3, 7, 16), torch.randn(7, 16)
    padding = torch.zeros(3, 7, dtype=torch.bool)
    padding[1, 5:] = True
    moved = x + position
    torch.testing.assert_close(
        ours.of_self(x, position, padding), theirs(moved, moved, x, key_padding_mask=padding)[0]
    )
    memory, places = torch.randn(3, 9, 16), torch.randn(9, 16)
    torch.testing.assert_close(
        ours.of_memory(x, position, memory, places), theirs(moved, memory + places, memory)[0]
    )


def test_plain_and_fused_attention_agree() -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(2, 3, 5, 8), torch.randn(2, 3, 6, 8), torch.randn(2, 3, 6, 8)
    padding = torch.zeros(2, 6, dtype=torch.bool)
    padding[0, 2:] = True
    for mask in (None, padding):
        torch.testing.assert_close(
            plain_attention(query, key, value, mask, 0.0),
            fused_attention(query, key, value, mask, 0.0),
        )


def test_dropout_of_attention_acts_in_training_only() -> None:
    torch.manual_seed(0)
    layer = Attention(16, 4, dropout=0.5)
    x, position = torch.randn(1, 7, 16), torch.randn(7, 16)
    assert not torch.equal(layer.of_self(x, position), layer.of_self(x, position))
    layer.eval()
    assert torch.equal(layer.of_self(x, position), layer.of_self(x, position))


def test_positions_of_a_sequence_are_sines_and_cosines() -> None:
    table = sine_positions(5, 8)
    for place in range(5):
        for column in range(8):
            angle = place / 10000 ** (2 * (column // 2) / 8)
            wave = math.sin(angle) if column % 2 == 0 else math.cos(angle)
            assert table[place, column].item() == pytest.approx(wave, abs=1e-6)


def test_positions_of_a_grid_go_round_once_over_rows_and_over_columns() -> None:
    rows, columns, width = 3, 4, 8
    table = sine_grid(rows, columns, width).reshape(rows, columns, width)
    for row in range(rows):
        for column in range(columns):
            for half, place in enumerate(((row + 1) / rows, (column + 1) / columns)):
                for k in range(width // 2):
                    angle = 2 * math.pi * place / 10000 ** (2 * (k // 2) / (width // 2))
                    wave = math.sin(angle) if k % 2 == 0 else math.cos(angle)
                    found = table[row, column, half * width // 2 + k].item()
                    assert found == pytest.approx(wave, abs=1e-5)


def test_positions_computed_during_a_rollout_can_be_trained_with() -> None:
    positions, layer = ImagePositions(8), nn.Linear(8, 2)
    like = torch.zeros(1)
    with torch.inference_mode():
        grid = positions(2, 3, like)
    layer(positions(2, 3, like)).sum().backward()
    assert positions(2, 3, like) is grid
    assert torch.equal(grid, sine_grid(2, 3, 8))
