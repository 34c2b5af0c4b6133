"""Cameras: do they open, and how many images a second come when all of them run at once."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from aloha_stack.cameras.factory import Sources
from aloha_stack.cameras.source import CameraSource, Frame, SourceError, UnknownSourceError
from aloha_stack.doctor.finding import OK, RED, WARN, Finding
from aloha_stack.robot.description import Camera, Robot

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
    sources, opened = Sources(), dict[Camera, CameraSource]()
    try:
        for camera in robot.cameras.values():
            try:
                source = sources.open_source(camera.source, camera)
                source.open()
            except UnknownSourceError as error:
                yield Finding(WARN, camera.name, str(error))
            except SourceError as error:
                yield Finding(RED, camera.name, str(error))
            else:
                opened[camera] = source
        with ThreadPoolExecutor(max_workers=max(1, len(opened))) as pool:
            yield from pool.map(lambda pair: _measure(*pair), opened.items())
    finally:
        for source in opened.values():
            source.close()


def _measure(camera: Camera, source: CameraSource) -> Finding:
    try:
        measured = measure(source)
    except SourceError as error:
        return Finding(RED, camera.name, str(error))
    if measured is None:
        return Finding(
            RED,
            camera.name,
            f"{camera.source}: no two images within {FIRST_FRAME_S:g} s",
            "check the camera's cable, and that no other program has it",
        )
    frame, share = measured.frame, measured.rate_hz / camera.rate_hz
    text = f"{measured.rate_hz:.1f} images/s of {camera.rate_hz:g}, {frame.width}x{frame.height}"
    if (frame.width, frame.height) != (camera.width, camera.height):
        return Finding(
            RED,
            camera.name,
            f"{text}; the robot file says {camera.width}x{camera.height}",
            "choose a size that the camera has",
        )
    if share >= ENOUGH:
        return Finding(OK, camera.name, text)
    return Finding(
        WARN if share >= TOLERABLE else RED,
        camera.name,
        text,
        "spread the cameras over USB hubs (two a hub at most), give them light, or lower rate_hz",
    )


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
