"""What a new process does before it imports anything of weight: a network's libraries read it then.

So nothing is imported here.
"""

import os

ALONE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Sums of a network depend on how many threads share them; one each also makes the most of cores
that all have an episode to do."""


def keep_to_one_core(jobs: int) -> None:
    """One thread for a network, and for software rendering a share of the cores among `jobs`."""
    os.environ.update(ALONE)
    os.environ.setdefault("LP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))
