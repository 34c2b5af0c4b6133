"""Python's collector does not hold up a node's loops for what was made before they began."""

import gc
from collections.abc import Iterator

import pytest

from aloha_stack.nodes._node import spare_started


class Ring:
    """Refers to itself: only the collector can free it."""

    freed = 0

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        Ring.freed += 1


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_there_is_at_the_start_is_not_looked_at_again() -> None:
    looked_at = len(gc.get_objects())
    spare_started()
    assert gc.get_freeze_count() > 0.9 * looked_at
    assert len(gc.get_objects()) < 0.1 * looked_at


def test_garbage_of_before_and_after_the_start_is_freed() -> None:
    Ring.freed = 0
    Ring()
    spare_started()
    assert Ring.freed == 1
    Ring()
    gc.collect()
    assert Ring.freed == 2
