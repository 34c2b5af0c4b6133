"""Which worlds demonstrations are made in: one seed after the other, or those that lie evenly.

Who puts an object down by hand for each demonstration spreads it over the table. Seeds draw places
at random: some lie on top of each other, and gaps stay between them, at the edges above all. From
few demonstrations a policy fails in just those gaps.
"""

from collections.abc import Sequence

import numpy as np

from aloha_stack.demonstrations.settings import EVALUATION_SEED, Request
from aloha_stack.twin.tasks import find_task


def in_turn(first: int) -> Sequence[int]:
    """All seeds from `first` on that may be learnt from."""
    return range(first, EVALUATION_SEED)


def evenly(request: Request, first: int) -> Sequence[int]:
    """The same seeds, each as far as can be from where objects lay in those before it: farthest
    point sampling (Gonzalez 1985). However many are taken from the beginning, they lie evenly."""
    seeds = np.arange(first, EVALUATION_SEED)
    task, place = find_task(request.task), request.worlds().place
    places = np.array([task.sample(place, int(seed))[:, :2].ravel() for seed in seeds])
    extent = np.ptp(places, axis=0)
    shares = (places - places.min(axis=0)) / np.where(extent > 0, extent, 1.0)
    order, away = [0], np.linalg.norm(shares - shares[0], axis=1)
    while len(order) < len(seeds):
        away[order[-1]] = -1.0  # it is taken
        order.append(int(np.argmax(away)))
        away = np.minimum(away, np.linalg.norm(shares - shares[order[-1]], axis=1))
    return [int(seed) for seed in seeds[order]]
