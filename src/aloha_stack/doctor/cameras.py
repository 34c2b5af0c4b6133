"""Cameras: do they open, and how many images a second come when all of them run at once."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from aloha_stack.cameras.calibration import load_calibration
from aloha_stack.cameras.factory import Sources
from aloha_stack.cameras.source import PASSTHROUGH, CameraSource, Frame, SourceError
from aloha_stack.doctor.finding import OK, RED, WARN, Finding
from aloha_stack.robot.description import Camera, Robot, RobotConfigError

FIRST_FRAME_S = 3.0
MEASURED_S = 1.0
ENOUGH, TOLERABLE = 0.95, 0.8
"""Of the rate that the robot file says."""


@dataclass(frozen=True)
class Measured:
    """What came from a camera: frames a second by their stamps, and the last of them."""

    rate_hz: float
    frame: Frame


def check_cameras(robot: Robot) -> Iterator[Finding]:
    """All cameras of the robot, opened and read together, as they will be."""
    if not robot.cameras:
        yield Finding(WARN, "cameras", "the robot file names none")
        return
    sources = Sources()
    with ThreadPoolExecutor(max_workers=len(robot.cameras)) as pool:
        cameras = robot.cameras.values()
        # All at once: one that does not answer takes its seconds only once.
        opened = list(pool.map(lambda camera: _open(sources, camera), cameras))
        try:
            for camera, finding in zip(cameras, pool.map(_measure, cameras, opened), strict=True):
                yield finding
                yield from _calibration(camera)
        finally:
            for source in opened:
                if not isinstance(source, Finding):
                    source.close()


def _open(sources: Sources, camera: Camera) -> CameraSource | Finding:
    """The camera's source, open, or why there is none."""
    if camera.foreign:
        return Finding(OK, camera.name, f"another driver publishes {camera.topic}; not measured")
    try:
        source = sources.open_source(camera.source, camera)
        source.open()
    except SourceError as error:
        return Finding(RED, camera.name, str(error).removeprefix(f"{camera.name}: "))
    return source


def _calibration(camera: Camera) -> Iterator[Finding]:
    try:
        load_calibration(camera)
    except RobotConfigError as error:
        yield Finding(RED, f"{camera.name} calibration", str(error))


def _measure(camera: Camera, source: CameraSource | Finding) -> Finding:
    if isinstance(source, Finding):
        return source
    try:
        measured = measure(source)
    except SourceError as error:
        return Finding(RED, camera.name, str(error).removeprefix(f"{camera.name}: "))
    if measured is None:
        return Finding(
            RED,
            camera.name,
            f"{camera.source}: no two images within {FIRST_FRAME_S:g} s",
            "check the camera's cable, and that no other program has it",
        )
    frame, share, health = measured.frame, measured.rate_hz / camera.rate_hz, source.health
    mode = "its own JPEG" if health.mode == PASSTHROUGH else "encoded here"
    text = (
        f"{measured.rate_hz:.1f} images/s of {camera.rate_hz:g}, "
        f"{frame.width}x{frame.height}, {mode}"
    )
    if health.damaged:
        return Finding(
            RED,
            camera.name,
            f"{text}; {health.damaged} damaged ({health.damage})",
            "use a shorter or better cable, a port of its own, or a lower rate_hz",
        )
    if share < ENOUGH:
        return Finding(
            WARN if share >= TOLERABLE else RED,
            camera.name,
            text,
            "spread the cameras over USB hubs (two a hub at most), give them light or a shorter "
            "exposure, or lower rate_hz",
        )
    if health.mode != PASSTHROUGH and camera.source.startswith("v4l2:"):
        return Finding(
            WARN,
            camera.name,
            f"{text}: the camera gives no MJPG at this size and rate",
            "choose a size and a rate with MJPG (`v4l2-ctl --list-formats-ext`), which also takes "
            "a sixteenth of the USB's time",
        )
    return Finding(OK, camera.name, "; ".join([text, *health.remarks]))


def measure(source: CameraSource, measured_s: float = MEASURED_S) -> Measured | None:
    """The rate of an open source, from the stamps of what comes in `measured_s` s of wall time.

    None if no two frames came. Raises SourceError.
    """
    first = source.read(FIRST_FRAME_S)
    if first is None:
        return None
    last, count, end_s = first, 0, time.monotonic() + measured_s
    while (left_s := end_s - time.monotonic()) > 0:
        frame = source.read(left_s)
        if frame is not None:
            last, count = frame, count + 1
    elapsed_s = (last.stamp_ns - first.stamp_ns) * 1e-9
    return Measured(count / elapsed_s, last) if count and elapsed_s > 0 else None
