"""What to log of something that is tried again and again: all of it once, then a reminder."""

FIRST_S, LONGEST_S = 5.0, 60.0
"""Steady time until the first reminder, which doubles from one to the next, and the most."""


class Waiting:
    """For who tries; tell() says what to log of a failure, which may be nothing."""

    def __init__(self) -> None:
        self.over()

    def over(self) -> None:
        """It has succeeded: the next failure is a new one."""
        self._why, self._since_s, self._next_s, self._pause_s = "", 0.0, 0.0, FIRST_S

    def tell(self, why: str, steady_s: float) -> str:
        """In full when it is new, in short when it is due again, else empty."""
        if why != self._why:
            self._why, self._since_s, self._pause_s = why, steady_s, FIRST_S
            self._next_s = steady_s + FIRST_S
            return why
        if steady_s < self._next_s:
            return ""
        self._pause_s = min(2 * self._pause_s, LONGEST_S)
        self._next_s = steady_s + self._pause_s
        return f"still {why.partition(';')[0]} (for {steady_s - self._since_s:.0f} s)"
