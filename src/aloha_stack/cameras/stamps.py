"""When an image was exposed, and how many were lost before it, from what the driver tells."""

import time

CREDIBLE_S = 1.0
"""How long before its camera was opened an image may have been exposed."""
MISSING = 1.5
"""Periods between two images from which on one between them is missing."""

ARRIVAL = "the driver gives no credible stamps: images are stamped when they arrive"


class Stamper:
    """Stamps of one camera's images from its opening on; counts them with the lost ones.

    A driver's stamp is one between the image before and now: who was kept from running takes images
    late, and what their driver says of them still holds.
    """

    def __init__(self, rate_hz: float) -> None:
        self._period_ns = 1e9 / rate_hz
        self._last_ns: int | None = None
        self._opened_ns = time.monotonic_ns()
        self._next = 0
        self.by_arrival = False
        """Whether the last image bears the time of its arrival."""

    def stamp(self, driver_s: float) -> tuple[int, int]:
        """The stamp (ns, the machine's clock) and the sequence number of an image just come.

        driver_s: what the driver says. UVC stamps by CLOCK_MONOTONIC, or by the machine's clock if
        its module was told so; 0 is no stamp.
        """
        steady_ns, machine_ns = time.monotonic_ns(), time.time_ns()
        stamped = self._steady(round(driver_s * 1e9), steady_ns, machine_ns)
        self.by_arrival = stamped is None
        taken_ns = steady_ns if stamped is None else stamped
        if self._last_ns is not None:
            periods = (taken_ns - self._last_ns) / self._period_ns
            self._next += round(periods) - 1 if periods >= MISSING else 0
        sequence, self._last_ns = self._next, taken_ns
        self._next += 1
        return taken_ns + machine_ns - steady_ns, sequence

    def _steady(self, driver_ns: int, steady_ns: int, machine_ns: int) -> int | None:
        """The driver's stamp on the steady clock; None if it cannot be."""
        before_ns = self._last_ns
        if before_ns is None:
            before_ns = self._opened_ns - round(CREDIBLE_S * 1e9)
        for now_ns in (steady_ns, machine_ns):
            taken_ns = steady_ns - (now_ns - driver_ns)
            if before_ns < taken_ns <= steady_ns:
                return taken_ns
        return None
