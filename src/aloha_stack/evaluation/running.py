"""Episodes in several processes: what comes out does not depend on how many there are."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed

from aloha_stack.evaluation.plan import Plan
from aloha_stack.evaluation.rollout import Outcome
from aloha_stack.twin.new_process import prepare

Run = Callable[[Plan, int], Outcome]


def attempt(plan: Plan, seed: int) -> Outcome:
    """The episode of `seed`."""
    return plan.attempt(seed)


def outcomes(
    plans: Sequence[Plan], seeds: Sequence[int], jobs: int, run: Run = attempt
) -> Iterator[tuple[int, Outcome]]:
    """(index of the plan, outcome) of every plan and seed, as they come.

    Raises what an episode raises, and BrokenProcessPool if a process dies.
    """
    pool = ProcessPoolExecutor(
        jobs, multiprocessing.get_context("spawn"), initializer=prepare, initargs=(jobs,)
    )
    try:
        running: dict[Future[Outcome], int] = {
            pool.submit(run, plan, seed): index
            for index, plan in enumerate(plans)
            for seed in seeds
        }
        for future in as_completed(running):
            yield running[future], future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
