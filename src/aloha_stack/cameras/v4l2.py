"""A V4L2 camera (any USB webcam) as a source: its own JPEG untouched, or encoded once.

A thread of its own waits for the driver, so that a driver that hangs holds up nobody: `open`,
`read` and `close` come back in time, and a thread that does not is left behind.
"""

import threading
import time
from collections import deque

import numpy as np

from aloha_stack.cameras.capture import Capture, OpenCapture, OpenCvCapture
from aloha_stack.cameras.jpeg import encode
from aloha_stack.cameras.mjpeg import DamagedJpegError, whole_jpeg
from aloha_stack.cameras.source import (
    ENCODED,
    PASSTHROUGH,
    Frame,
    SourceError,
    SourceHealth,
)
from aloha_stack.cameras.stamps import ARRIVAL, Stamper
from aloha_stack.robot.description import Camera

QUEUE = 8
"""Frames kept for a source that is not read; then the oldest is dropped."""
OPEN_S = 3.0
CLOSE_S = 0.5
"""How long a driver is waited for."""
SILENT_S, SILENT_PERIODS = 2.0, 3.0
"""Without an image for so long (the longer of both) the camera counts as broken."""
NO_IMAGE_S = 0.005
"""Rest after a read without an image: a driver that answers at once must not eat a core."""


class V4L2Camera:
    """The camera at `path`. `open_capture` is the seam to the device."""

    def __init__(
        self, path: str, camera: Camera, open_capture: OpenCapture = OpenCvCapture
    ) -> None:
        self.path, self.camera, self._open_capture = path, camera, open_capture
        self.health = SourceHealth(PASSTHROUGH)
        self._session: _Session | None = None
        self._left: _Session | None = None

    def open(self) -> None:
        if self._session is not None:
            raise SourceError(f"{self.camera.name} is open already")
        if self._left is not None:
            self._left.stop()  # once more: the machine, not the driver, may have stood still
            if self._left.is_alive():
                raise SourceError(
                    f"{self.camera.name}: the driver of {self.path} hangs: unplug the camera, and "
                    "plug it in again"
                )
        session = _Session(self.path, self.camera, self._open_capture)
        session.start()
        if not session.opened.wait(OPEN_S):
            self._leave(session)
            raise SourceError(
                f"{self.camera.name}: {self.path} did not open within {OPEN_S:g} s: does another "
                f"program have it (fuser {self.path})?"
            )
        if session.error is not None:
            raise session.error
        self._session, self.health = session, session.health

    def read(self, timeout_s: float) -> Frame | None:
        if self._session is None:
            raise SourceError(f"{self.camera.name} is closed: open it before reading")
        return self._session.next(timeout_s)

    def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._leave(session)

    def _leave(self, session: "_Session") -> None:
        session.stop()
        if session.is_alive():
            self._left = session


class _Session:
    """One opening of the camera: the thread that reads it, and the frames that wait."""

    def __init__(self, path: str, camera: Camera, open_capture: OpenCapture) -> None:
        self.path, self.camera, self._open_capture = path, camera, open_capture
        self.opened = threading.Event()
        self.error: SourceError | None = None
        self.health = SourceHealth(PASSTHROUGH)
        self._frames: deque[Frame] = deque(maxlen=QUEUE)
        self._changed = threading.Condition()
        self._stopped = False
        self._last_s = time.monotonic()
        # A daemon: a driver that hangs must not keep the process.
        self._thread = threading.Thread(target=self._run, name=f"{camera.name} v4l2", daemon=True)

    # -- for its owner ----------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ends the thread, or leaves it alone if the driver does not come back."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join(CLOSE_S)

    def next(self, timeout_s: float) -> Frame | None:
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self.error or self._stopped, timeout_s)
            if self._frames:
                return self._frames.popleft()
        if self.error is not None:
            raise self.error
        if self._stopped:
            raise SourceError(f"{self.camera.name} is closed: open it before reading")
        silent_s = time.monotonic() - self._last_s
        if silent_s > max(SILENT_S, SILENT_PERIODS / self.camera.rate_hz):
            damage = (
                f"; the last one was damaged: {self.health.damage}" if self.health.damage else ""
            )
            raise SourceError(
                f"{self.camera.name}: no image from {self.path} for {silent_s:.1f} s{damage}"
            )
        return None

    # -- in its thread ----------------------------------------------------------------------

    def _run(self) -> None:
        try:
            capture = self._open_capture(self.path, self.camera)
            try:
                self.health.mode = PASSTHROUGH if capture.jpeg else ENCODED
                self._last_s = time.monotonic()
                self.opened.set()
                self._stream(capture)
            finally:
                capture.close()
        except SourceError as error:
            self._fail(SourceError(f"{self.camera.name}: {error}"))
        except OSError as error:  # the camera was pulled out between two questions
            self._fail(SourceError(f"{self.camera.name}: {self.path}: {error.strerror}"))
        except BaseException as error:
            self._fail(SourceError(f"{self.camera.name}: reading {self.path} failed: {error!r}"))
            raise
        finally:
            self.opened.set()

    def _fail(self, error: SourceError) -> None:
        with self._changed:
            self.error = error
            self._changed.notify_all()

    def _stream(self, capture: Capture) -> None:
        stamper = Stamper(self.camera.rate_hz)
        while not self._stopped:
            taken = capture.read()
            if taken is None:
                time.sleep(NO_IMAGE_S)
                continue
            image, driver_s = taken
            stamp_ns, sequence = stamper.stamp(driver_s)
            if stamper.by_arrival:
                self.health.remark(ARRIVAL)
            try:
                jpeg = self._jpeg(capture, image)
            except DamagedJpegError as error:
                self.health.damaged += 1
                self.health.damage = str(error)
                continue
            frame = Frame(stamp_ns, sequence, jpeg, self.camera.width, self.camera.height)
            with self._changed:
                self._last_s = time.monotonic()
                self._frames.append(frame)
                self._changed.notify_all()

    def _jpeg(self, capture: Capture, image: np.ndarray) -> bytes:
        if capture.jpeg:
            return whole_jpeg(image.tobytes(), self.camera.width, self.camera.height)
        size = (self.camera.height, self.camera.width, 3)
        if image.shape != size:
            raise DamagedJpegError(f"an image of shape {image.shape}, not {size}")
        return encode(image, self.camera.jpeg_quality)
