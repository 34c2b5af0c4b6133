"""The chunks that are in use: their rows, and where each of them is at a given time."""

import numpy as np

NEVER_NS = np.iinfo(np.int64).max
VELOCITY_NS = 100_000_000
"""Over so much time a velocity is more than noise."""


class ChunkRing:
    """Chunks of `rows` x `width`, one row each `dt_ns`, in slots that are used again and again.

    The *members* are those that are to share in the mean now, the newest always among them. There
    are slots for all chunks of one and a half times what one covers, 0.6 ticks apart: for the
    members, and those that fade.

    A chunk that was braked at time b is read at a slowing pace 1 - S((t - b) / stop), S being the
    minimum-jerk step: it goes on for half of the stopping time, and stands.
    """

    def __init__(self, rows: int, width: int, dt_ns: int, stop_ns: int) -> None:
        self.rows, self.dt_ns = rows, dt_ns
        self.lasts_ns = (rows - 1) * dt_ns
        self.slots = 5 * rows // 2 + 4
        self.braked = False
        self._half_stop_ns = min(stop_ns, self.lasts_ns // 2) // 2
        self._rows = np.zeros((self.slots, rows, width))
        self._stamp_ns = np.zeros(self.slots, np.int64)
        self._brake_ns = np.full(self.slots, NEVER_NS)
        self._going_on_ns = np.zeros(self.slots)
        """For how much time each goes on once it is braked."""
        self._next = self._first = 0

    @property
    def members(self) -> int:
        return self._next - self._first

    @property
    def newest_ns(self) -> int:
        """When the newest one's observation was made."""
        return int(self._stamp_ns[self._newest])

    @property
    def last_call_ns(self) -> int:
        """When the newest has to be braked, so that it ends at its last row."""
        return self.newest_ns + self.lasts_ns - self._half_stop_ns

    @property
    def _newest(self) -> int:
        return (self._next - 1) % self.slots

    def push(self, stamp_ns: int, rows: np.ndarray, alone: bool) -> None:
        """One more member, the only one if `alone` or if the others were braked."""
        slot = self._next % self.slots
        self._rows[slot] = rows
        self._stamp_ns[slot] = stamp_ns
        self._brake_ns[slot] = NEVER_NS
        if alone or self.braked:
            self._first = self._next
        self._next += 1
        self._first = max(self._first, self._next - self.slots)
        self.braked = False

    def leave(self, until_ns: float) -> bool:
        """Whether members left because they end before `until_ns`. The newest never does."""
        before = self._first
        while not self.braked and self.members > 1:
            if self._stamp_ns[self._first % self.slots] + self.lasts_ns >= until_ns:
                break
            self._first += 1
        return self._first > before

    def brake(self, at_ns: int) -> None:
        """From `at_ns` on all that are not braked yet come to a stand, at their last row if they
        would go beyond it."""
        going = self._brake_ns == NEVER_NS
        left_ns = np.maximum(self._stamp_ns + self.lasts_ns - at_ns, 0)
        self._going_on_ns[going] = np.minimum(left_ns, self._half_stop_ns)[going]
        self._brake_ns[going] = at_ns
        self.braked = True

    def weights(self, m_per_ns: float) -> np.ndarray:
        """exp(-m i) over the members, (slots,), adding up to 1; i in ns since the oldest one's
        observation."""
        weights = np.zeros(self.slots)
        members = np.arange(self._first, self._next) % self.slots
        exponents = -m_per_ns * (self._stamp_ns[members] - self._stamp_ns[members[0]])
        weights[members] = np.exp(exponents - exponents.max())
        return weights / weights.sum()

    def mean(self, now_ns: int, shares: np.ndarray) -> np.ndarray:
        """The rows for now (width,), averaged with `shares` (slots,)."""
        slots = np.flatnonzero(shares)
        mean: np.ndarray = shares[slots] @ self._at(slots, now_ns) / shares[slots].sum()
        return mean

    def newest_motion(self, now_ns: int) -> tuple[np.ndarray, np.ndarray]:
        """Where the newest one is now, (width,), and its mean velocity over VELOCITY_NS, per s."""
        newest = np.array([self._newest])
        position = self._at(newest, now_ns)[0]
        return position, (self._at(newest, now_ns + VELOCITY_NS)[0] - position) / VELOCITY_NS * 1e9

    def _at(self, slots: np.ndarray, now_ns: int) -> np.ndarray:
        """The rows of `slots` (k,) for now, linear between rows: (k, width). One that is past its
        end without having been braked fades out, and goes on as it went meanwhile."""
        brake_ns = self._brake_ns[slots]
        time_ns = np.minimum(now_ns, brake_ns) - self._stamp_ns[slots]
        place = time_ns / self.dt_ns
        if (brake_ns < now_ns).any():
            going_on_ns = self._going_on_ns[slots]
            u = (now_ns - brake_ns) / np.maximum(2 * going_on_ns, 1.0)
            place += 2 * going_on_ns / self.dt_ns * _stand(u)
        place = np.maximum(place, 0.0)
        row = np.minimum(place.astype(np.int64), self.rows - 2)
        part = (place - row)[:, None]
        return (1 - part) * self._rows[slots, row] + part * self._rows[slots, row + 1]


def _stand(progress: np.ndarray) -> np.ndarray:
    """The integral of 1 - S from 0 to `progress`, S the minimum-jerk step: 0.5 from 1 on."""
    u = np.minimum(np.maximum(progress, 0.0), 1.0)
    way: np.ndarray = u - u**4 * (2.5 - u * (3 - u))
    return way
