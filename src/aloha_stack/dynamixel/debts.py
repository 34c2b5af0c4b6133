"""Which answers a line still owes: asked for, not heard, and not to be taken for younger ones.

Protocol 2.0 numbers neither requests nor answers. But a line keeps their order, and a request can
choose how long its answers are: it reads a few registers more than are wanted while answers of the
plain length may still be under way. So the length of an answer tells which request it belongs to,
however late it comes; and once the newest request is answered nothing older can come.
"""

LENGTHS = 8
"""So many lengths of an answer are used; a line that owes more has been silent for 0.1 s or so."""


class Debts:
    """The lengths of the answers that are owed, by the request that they are owed to."""

    def __init__(self) -> None:
        self._owed: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._owed)

    def __contains__(self, length: int) -> bool:
        return length in self._owed

    def padding(self, length: int) -> int:
        """By how much to lengthen answers so that no older one looks the same.

        If all lengths are in use: that of the answers which have been owed the longest.
        """
        paddings = range(LENGTHS)
        for padding in paddings:
            if length + padding not in self._owed:
                return padding
        return min(paddings, key=lambda padding: self._owed.index(length + padding))

    def ask(self, length: int) -> None:
        """Answers of this length were asked for."""
        if length in self._owed:
            self._owed.remove(length)
        self._owed.append(length)

    def settle(self, *, rest: bool) -> None:
        """The newest request was answered, but for a `rest`: what is older never comes."""
        del self._owed[: -1 if rest else None]

    def forget(self) -> None:
        """The line has been silent for so long that it owes nothing."""
        self._owed.clear()
