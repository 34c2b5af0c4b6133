"""Demonstrations whose objects lie evenly leave smaller gaps than those of seeds in turn."""

import numpy as np
import pytest

from aloha_stack.demonstrations.seeds import evenly, in_turn
from aloha_stack.demonstrations.settings import EVALUATION_SEED, Request
from aloha_stack.twin.tasks import find_task


def largest_gap(task: str, seeds: list[int]) -> float:
    """From any place where objects may lie to the nearest demonstration, in shares of the area."""
    every = find_task(task)
    places = np.array(
        [every.sample("", seed)[:, :2].ravel() for seed in (*seeds, *range(2000, 2500))]
    )
    shares = (places - places.min(axis=0)) / np.ptp(places, axis=0)
    away = shares[len(seeds) :, None] - shares[None, : len(seeds)]
    return float(np.linalg.norm(away, axis=-1).min(axis=1).max())


@pytest.mark.parametrize(("task", "count"), [("transfer_cube", 50), ("insertion", 200)])
def test_the_largest_gap_is_much_smaller_than_with_seeds_in_turn(task: str, count: int) -> None:
    seeds = list(evenly(Request(task, (), (64, 48)), 0)[:count])
    assert largest_gap(task, seeds) < 0.85 * largest_gap(task, list(in_turn(0)[:count]))


def test_every_seed_that_may_be_learnt_from_has_its_turn_once() -> None:
    seeds = evenly(Request("pick_place", (), (64, 48)), 40)
    assert sorted(seeds) == list(range(40, EVALUATION_SEED))


def test_fewer_demonstrations_are_the_beginning_of_more() -> None:
    request = Request("transfer_cube", (), (64, 48))
    assert list(evenly(request, 0)) == list(evenly(request, 0))
    assert evenly(request, 0)[0] == 0
