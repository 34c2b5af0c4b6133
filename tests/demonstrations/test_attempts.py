"""Which seeds are tried does not depend on who works at them, or in which order they end."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from aloha_stack.demonstrations.attempts import Attempts
from aloha_stack.demonstrations.seeds import in_turn
from aloha_stack.demonstrations.settings import EVALUATION_SEED


def work(attempts: Attempts, failing: set[int], jobs: int, order: random.Random) -> list[int]:
    """Tries until it is over; the seeds that succeeded, in the order in which they ended."""
    running: list[int] = []
    kept = []
    while not attempts.over:
        while len(running) < jobs and (seed := attempts.next()) is not None:
            running.append(seed)
        if not running:  # all that was wanted is there
            continue
        seed = running.pop(order.randrange(len(running)))
        attempts.came(seed, seed not in failing)
        if seed not in failing:
            kept.append(seed)
    return kept


@given(
    wanted=st.integers(1, 30),
    first=st.integers(0, 900),
    failing=st.sets(st.integers(0, 999), max_size=300),
    jobs=st.integers(1, 5),
    random_seed=st.integers(0, 1000),
)
@settings(max_examples=150, deadline=None)
def test_the_first_successes_are_kept_however_many_work_at_it(
    wanted: int, first: int, failing: set[int], jobs: int, random_seed: int
) -> None:
    kept = work(Attempts(wanted, in_turn(first)), failing, jobs, random.Random(random_seed))
    good = [seed for seed in range(first, EVALUATION_SEED) if seed not in failing]
    assert sorted(kept) == good[:wanted]


@given(done=st.sets(st.integers(0, 60), max_size=40), wanted=st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_what_is_there_is_counted_and_not_made_again(done: set[int], wanted: int) -> None:
    attempts = Attempts(wanted, in_turn(5), done)
    made = work(attempts, set(), 2, random.Random(0))
    assert sorted(set(made) | {s for s in done if 5 <= s < 5 + wanted}) == list(
        range(5, 5 + wanted)
    )
    assert not set(made) & done


def test_seeds_for_evaluation_are_never_handed_out() -> None:
    attempts = Attempts(50, in_turn(EVALUATION_SEED - 3))
    assert work(attempts, set(), 2, random.Random(0)) != []
    assert attempts.exhausted
    assert attempts.successes == 3
