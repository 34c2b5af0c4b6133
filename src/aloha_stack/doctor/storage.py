"""The disk that episodes go to: room for them, and speed enough."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from aloha_stack.doctor.finding import OK, RED, WARN, Finding
from aloha_stack.robot.description import Robot

TEST_BYTES = 64 * 2**20
BYTES_PER_PIXEL = 0.25
"""Of a JPEG at quality 90: 77 kB for 640 x 480."""
SPARE = 3.0
"""How many times faster than the cameras a disk should write: it does other things, too."""
MINUTES_WARN, MINUTES_RED = 60, 5


def check_storage(robot: Robot, episodes: Path) -> Iterator[Finding]:
    """Free space and write speed where `episodes` are, or will be, in a file that is removed."""
    folder = _existing(episodes)
    subject = f"disk of {episodes}"
    need = sum(c.width * c.height * c.rate_hz * BYTES_PER_PIXEL for c in robot.cameras.values())
    need = max(need, 1e5)  # joints alone
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(
            RED, subject, f"{folder} may not be written", "change its owner, or choose another"
        )
        return
    free = shutil.disk_usage(folder).free
    minutes = free / need / 60
    text = f"{free / 1e9:.1f} GB free: some {minutes:.0f} minutes of recording"
    if minutes >= MINUTES_WARN:
        yield Finding(OK, f"{subject}, space", text)
    else:
        level = WARN if minutes >= MINUTES_RED else RED
        yield Finding(level, f"{subject}, space", text, "free some, or choose another disk")
    if free < 2 * TEST_BYTES:
        return
    try:
        speed = write_speed(folder)
    except OSError as error:
        yield Finding(
            RED, f"{subject}, speed", f"cannot be written: {error.strerror}", "see the kernel's log"
        )
        return
    text = f"{speed / 1e6:.0f} MB/s, the cameras make {need / 1e6:.0f}"
    if speed >= SPARE * need:
        yield Finding(OK, f"{subject}, speed", text)
    else:
        level = WARN if speed >= need else RED
        yield Finding(level, f"{subject}, speed", text, "record to a local SSD")


def write_speed(folder: Path, size: int = TEST_BYTES) -> float:
    """Bytes a second until a file of `size` bytes is on the disk. Raises OSError."""
    block = os.urandom(2**20)
    start_s = time.monotonic()
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".aloha_doctor_") as file:
        for _ in range(size // len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        return size / (time.monotonic() - start_s)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    folder = folder.absolute()
    while not folder.is_dir():
        folder = folder.parent
    return folder
