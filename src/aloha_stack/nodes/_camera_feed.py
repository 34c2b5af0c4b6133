"""One camera's way from its source to its topics, in a thread of its own."""

import threading
import time
from array import array
from dataclasses import dataclass
from typing import Any

from sensor_msgs.msg import CameraInfo, CompressedImage

from aloha_stack.cameras.calibration import Calibration, load_calibration
from aloha_stack.cameras.source import CameraSource, Frame, SourceError
from aloha_stack.nodes._conversions import set_stamp
from aloha_stack.nodes._node import ManagedNode
from aloha_stack.nodes._qos import IMAGES
from aloha_stack.robot.description import Camera

REOPEN_S = 1.0
"""Steady time between two attempts to open a camera that broke."""
READ_S = 0.5
TURN_S = 0.1
"""Steady time between two looks at whether a feed that waits for its turn was stopped."""
OLD_FRAMES = 16
"""More than any source keeps."""

PREVIEW_S = 0.08
"""Steady time from one preview to the next: who looks ten times a second finds a new one."""

JPEG_FORMAT = "rgb8; jpeg compressed bgr8"


@dataclass
class Counts:
    """Since the node began. `last_ns`: stamp of the last frame; `arrived_s`: steady time."""

    frames: int = 0
    lost: int = 0
    damaged: int = 0
    reconnects: int = 0
    last_ns: int = 0
    arrived_s: float = 0.0


class Feed:
    """Reads, publishes, and opens the camera again when it breaks."""

    def __init__(self, node: ManagedNode, camera: Camera, source: CameraSource) -> None:
        self.camera, self.source, self.counts = camera, source, Counts()
        self.broken = "not opened yet"
        """Why no images come; empty while they do, or may."""
        self._node = node
        self._info = camera_info(camera, load_calibration(camera))
        self._images = node.create_publisher(CompressedImage, camera.topic, IMAGES)
        self._previews = node.create_publisher(CompressedImage, camera.preview_topic, IMAGES)
        self._next_preview_s = 0.0
        self._infos = node.create_publisher(CameraInfo, camera.info_topic, IMAGES)
        self._stopped = threading.Event()
        self._turn = threading.Lock()
        """Of the one thread that may use the source: another may have been left behind in it."""
        self._thread: threading.Thread | None = None
        self._opened_before = False
        self._last_sequence: int | None = None
        self._damaged_before = 0
        self._remarks: set[str] = set()

    @property
    def streaming(self) -> bool:
        return self._thread is not None

    def open(self) -> bool:
        """Opens the source; if that fails, `broken` says why."""
        try:
            self.source.open()
        except SourceError as error:
            self.broken = str(error)
            return False
        self.broken = ""
        self._opened_before = True
        self._last_sequence, self._damaged_before = None, self.counts.damaged
        return True

    def close(self) -> None:
        self.source.close()
        self.broken = self.broken or "not opened yet"

    def start(self) -> None:
        """Reads and publishes from now on; first opens what is not open."""
        self._stopped = threading.Event()  # a new one: a thread left behind stays asked to stop
        # A daemon: see join.
        self._thread = threading.Thread(
            target=self._run, args=(self._stopped,), name=self.camera.name, daemon=True
        )
        self._thread.start()

    def ask_to_stop(self) -> None:
        self._stopped.set()

    def join(self, until_s: float) -> None:
        """Waits for the thread's end until that steady time, and no longer."""
        if self._thread is not None:
            self._thread.join(max(0.0, until_s - time.monotonic()))
            if self._thread.is_alive():
                self._log().error(f"{self.camera.name} hangs, and is left behind")
            self._thread = None

    # -- in its thread ----------------------------------------------------------------------

    def _run(self, stopped: threading.Event) -> None:
        while not self._turn.acquire(timeout=TURN_S):
            if stopped.is_set():
                return
        try:
            if self.broken:
                self._reopen(stopped)
            while not stopped.is_set():
                try:
                    self._stream(stopped)
                except SourceError as error:
                    self.broken = str(error)
                    self._log().error(f"{self.camera.name} broke, opening it again: {error}")
                    self._reopen(stopped)
        except BaseException as error:
            self._node.fail(error)
            raise
        finally:
            self._turn.release()

    def _forget_old_frames(self) -> None:
        """What has waited in the source since before it was listened to is no news."""
        for _ in range(OLD_FRAMES):
            frame = self.source.read(0.0)
            if frame is None:
                return
            self._last_sequence = frame.sequence

    def _stream(self, stopped: threading.Event) -> None:
        self._forget_old_frames()
        while not stopped.is_set():
            frame = self.source.read(READ_S)
            if frame is not None and not stopped.is_set():
                self._count(frame)
                self._publish(frame)
            self._look_at_health()

    def _reopen(self, stopped: threading.Event) -> None:
        """Tries each second until the camera is open, or the feed is stopped."""
        said = self.broken
        while not stopped.wait(REOPEN_S):
            self.source.close()
            again = self._opened_before
            if self.open():
                if stopped.is_set():  # it took long, and nobody waits for it any more
                    self.close()
                    return
                self.counts.reconnects += again
                self._log().info(f"{self.camera.name} is open{' again' if again else ''}")
                return
            if self.broken != said:
                said = self.broken
                self._log().error(f"{self.camera.name} does not open yet: {said}")

    def _count(self, frame: Frame) -> None:
        counts = self.counts
        if self._last_sequence is not None:
            counts.lost += frame.sequence - self._last_sequence - 1
        self._last_sequence = frame.sequence
        counts.frames += 1
        counts.last_ns, counts.arrived_s = frame.stamp_ns, time.monotonic()

    def _look_at_health(self) -> None:
        self.counts.damaged = self._damaged_before + self.source.health.damaged
        for remark in self.source.health.remarks:
            if remark not in self._remarks:
                self._remarks.add(remark)
                self._log().warning(f"{self.camera.name}: {remark}")

    def _publish(self, frame: Frame) -> None:
        # A memcpy, and the setter takes an array as it is: a few microseconds.
        image = CompressedImage(format=JPEG_FORMAT, data=array("B", frame.jpeg))
        set_stamp(image.header.stamp, frame.stamp_ns)
        image.header.frame_id = self._info.header.frame_id
        self._info.header = image.header
        self._images.publish(image)
        self._infos.publish(self._info)
        if self._preview_is_due():
            self._previews.publish(image)

    def _preview_is_due(self) -> bool:
        now_s = time.monotonic()
        late_s = now_s - self._next_preview_s
        if late_s < 0 or not self._previews.get_subscription_count():
            return False
        self._next_preview_s = now_s + PREVIEW_S - (late_s if late_s < PREVIEW_S else 0.0)
        return True

    def _log(self) -> Any:
        return self._node.get_logger()


def camera_info(camera: Camera, calibration: Calibration | None) -> CameraInfo:
    """What is known of a camera; k[0] = 0 says that it is not calibrated."""
    info = CameraInfo(width=camera.width, height=camera.height)
    info.header.frame_id = f"{camera.name}_optical"
    if calibration is not None:
        info.distortion_model = calibration.distortion_model
        info.d = array("d", calibration.d)
        info.k, info.r, info.p = calibration.k, calibration.r, calibration.p
    return info
