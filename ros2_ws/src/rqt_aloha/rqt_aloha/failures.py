"""What fails in a slot of Qt is told, and the process goes on: its e-stop is to stay.

PyQt ends the process at an exception that leaves a slot, unless sys.excepthook is another than
Python's own.
"""

import sys
import traceback
from collections.abc import Callable
from types import TracebackType

Tell = Callable[[str], None]

_tellers: list[Tell] = []
_told: set[str] = set()


def tell_failures(tell: Tell) -> None:
    """`tell` hears of each failure once, in words; its traceback is printed."""
    _tellers.append(tell)
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _failed


def stop_telling(tell: Tell) -> None:
    """After the last one failures end the process again."""
    _tellers.remove(tell)
    if not _tellers and sys.excepthook is _failed:
        sys.excepthook = sys.__excepthook__
        _told.clear()


def _failed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    whole = "".join(traceback.format_exception(kind, error, trace))
    if whole in _told:
        return
    _told.add(whole)
    print(whole, end="", file=sys.stderr, flush=True)
    for tell in _tellers:
        tell(f"the panel failed, its terminal says where: {kind.__name__}: {error}")
