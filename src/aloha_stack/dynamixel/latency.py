"""The latency timer of a USB serial adapter: how long it holds few bytes back.

An FTDI chip comes with 16 ms, and so a bus cycle takes 16 ms; a robot needs 1.
"""

from pathlib import Path

SYSFS = Path("/sys")


def latency_timer_ms(port: str, sysfs: Path = SYSFS) -> int | None:
    """The timer of the adapter behind `port` (links are followed), ms; None if it has none."""
    name = Path(port).resolve().name
    places = (
        f"class/tty/{name}/device/latency_timer",
        f"bus/usb-serial/devices/{name}/latency_timer",
    )
    for place in places:
        try:
            return int((sysfs / place).read_text())
        except (OSError, ValueError):
            continue
    return None
