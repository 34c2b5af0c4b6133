"""The next batches, made by a thread while this one is learnt from."""

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
AHEAD = 2


def prefetched(items: Iterable[T], ahead: int = AHEAD) -> Generator[T, None, None]:
    """The items in their order; an error in making one is raised where it would be handed out."""
    source, end = iter(items), object()
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
        waiting = deque(pool.submit(next, source, end) for _ in range(ahead))
        try:
            while (item := waiting.popleft().result()) is not end:
                waiting.append(pool.submit(next, source, end))
                yield item  # type: ignore[misc]
        finally:
            for future in waiting:
                future.cancel()
