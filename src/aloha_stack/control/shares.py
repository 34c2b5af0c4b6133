"""How much each of several contributes, going over smoothly from one composition to the next."""

import numpy as np


def smooth_steps(progress: np.ndarray) -> np.ndarray:
    """The minimum-jerk course from 0 to 1 (see ramps.smooth), elementwise; still outside of it."""
    u = np.minimum(np.maximum(progress, 0.0), 1.0)
    return u * u * u * (10 - u * (15 - 6 * u))


class FadingShares:
    """Shares p (slots,) that follow what is asked for within a fading time T.

    With compositions p_k asked for from times t_k on, and S the minimum-jerk step,

        p(t) = sum_k p_k [S((t - t_k) / T) - S((t - t_{k+1}) / T)]

    which is the mean of what was asked for lately, weighted by the slope of S over the last T. So
    shares are never negative and add up to 1 however quickly the compositions follow each other,
    and they change at 1.875 / T at most; no noise is summed up, as it would be by offsets that
    fade one by one. T may differ from call to call as long as it does not grow faster than time.
    """

    def __init__(self, slots: int, compositions: int) -> None:
        self._asked = np.zeros((compositions, slots))
        self._since_ns = np.zeros(compositions, np.int64)
        self._count = 0

    @property
    def settled(self) -> bool:
        """Whether nothing fades (as of the last `at`)."""
        return self._count <= 1

    def ask(self, since_ns: int, shares: np.ndarray) -> None:
        """`shares` (slots,) from `since_ns` on, which is not before the last one's. The first are
        in force at once."""
        if self._count == len(self._asked):  # more in one fade than there is room for: to the last
            self._count -= 1
            since_ns = int(self._since_ns[self._count])
        self._asked[self._count] = shares
        self._since_ns[self._count] = since_ns
        self._count += 1

    def at(self, now_ns: int, fade_ns: float) -> np.ndarray:
        """The shares (slots,) now, fading within `fade_ns` > 0; zeros if none were asked for."""
        done = smooth_steps((now_ns - self._since_ns[: self._count]) / fade_ns)
        done[:1] = 1.0
        part = done.copy()
        part[:-1] -= done[1:]
        shares: np.ndarray = part @ self._asked[: self._count]
        self._drop(int(np.count_nonzero(done >= 1.0)) - 1)
        return shares

    def _drop(self, oldest: int) -> None:
        """Forgets what no longer counts."""
        if oldest > 0:
            left = self._count - oldest
            self._asked[:left] = self._asked[oldest : self._count]
            self._since_ns[:left] = self._since_ns[oldest : self._count]
            self._count = left
