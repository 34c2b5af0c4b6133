"""A loop of nothing: what the machine itself takes from a tick at 50 Hz.

    python -m aloha_stack.bench.loop_empty OUT RATE_HZ [SECONDS]

It sleeps to absolute deadlines, as chunk_player does, and notes when it woke: OUT holds ns since
the epoch, int64, once it has ended; it is there, and empty, as soon as the loop goes. Without
SECONDS it goes on until SIGINT.
"""

import signal
import sys
import time
from array import array
from contextlib import suppress
from pathlib import Path

from aloha_stack.control.pacing import Pacer


def main(out: Path, rate_hz: float, seconds: float) -> None:
    """The process."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    woke = array("q")
    end_ns = time.time_ns() + seconds * 1e9
    pacer = Pacer(1 / rate_hz, time.time_ns, _sleep_until)
    with suppress(KeyboardInterrupt):
        out.touch()
        while pacer.deadline_ns < end_ns:
            pacer.wait()
            woke.append(time.time_ns())
    out.write_bytes(woke.tobytes())


def _sleep_until(deadline_ns: int) -> bool:
    left_s = (deadline_ns - time.time_ns()) * 1e-9
    if left_s > 0:
        time.sleep(left_s)
    return True


if __name__ == "__main__":
    main(
        Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]) if sys.argv[3:] else float("inf")
    )
