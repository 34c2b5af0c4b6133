"""The camera node: one process for the camera set, one thread per camera, one JPEG per image."""

import threading
from array import array
from typing import Any

from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import CameraInfo, CompressedImage

from aloha_stack.cameras.factory import Sources
from aloha_stack.cameras.source import CameraSource, Frame, SourceError
from aloha_stack.nodes._conversions import set_stamp
from aloha_stack.nodes._node import ManagedNode, logged, run
from aloha_stack.nodes._parameters import declare
from aloha_stack.nodes._qos import IMAGES
from aloha_stack.robot.description import Camera, load_robot

REOPEN_S = 1.0
"""Steady time between two attempts to open a camera that broke."""

JPEG_FORMAT = "rgb8; jpeg compressed bgr8"


class CameraNode(ManagedNode):
    """Publishes /{camera}/image_raw/compressed and /{camera}/camera_info for a robot's cameras.

    A slow or dead camera never blocks another: each has its own thread. One that breaks is told and
    opened again as soon as that works.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("camera", **options)
        name = declare(self, "robot", str, "file in config/robots, without .yaml")
        self._cameras = load_robot(name).cameras
        sources = Sources()
        self._feeds = [
            _Feed(self, camera, sources.open_source(camera.source, camera))
            for camera in self._cameras.values()
        ]

    @logged
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            for feed in self._feeds:
                feed.source.open()
        except SourceError as error:
            self.get_logger().warning(f"waiting for the cameras: {error}")
            self._close_sources()
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    @logged
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._close_sources()
        return super().on_cleanup(state)

    @logged
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        for feed in self._feeds:
            feed.start()
        self.get_logger().info(f"streaming {', '.join(self._cameras)}")
        return super().on_activate(state)

    @logged
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        for feed in self._feeds:
            feed.stop()
        return super().on_deactivate(state)

    @logged
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        for feed in self._feeds:
            feed.stop()
        self._close_sources()
        return super().on_shutdown(state)

    def _close_sources(self) -> None:
        for feed in self._feeds:
            feed.source.close()


class _Feed:
    """One camera's thread, from its source to its two topics."""

    def __init__(self, node: CameraNode, camera: Camera, source: CameraSource) -> None:
        self.source = source
        self._node, self._camera = node, camera
        self._images = node.create_publisher(
            CompressedImage, f"/{camera.name}/image_raw/compressed", IMAGES
        )
        self._infos = node.create_publisher(CameraInfo, f"/{camera.name}/camera_info", IMAGES)
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, name=self._camera.name)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                try:
                    self._stream()
                except SourceError as error:
                    self._log().error(f"{self._camera.name} broke, opening it again: {error}")
                    self._reopen()
        except BaseException as error:
            self._node.fail(error)
            raise

    def _stream(self) -> None:
        while not self._stopped.is_set():
            frame = self.source.read(timeout_s=0.5)
            if frame is not None:
                self._publish(frame)

    def _reopen(self) -> None:
        """Tries each second until the camera is open, or the feed is stopped."""
        said = ""
        while not self._stopped.wait(REOPEN_S):
            self.source.close()
            try:
                self.source.open()
            except SourceError as error:
                if str(error) != said:
                    said = str(error)
                    self._log().error(f"{self._camera.name} does not open yet: {said}")
                continue
            self._log().info(f"{self._camera.name} is open again")
            return

    def _log(self) -> Any:
        return self._node.get_logger()

    def _publish(self, frame: Frame) -> None:
        image = CompressedImage(format=JPEG_FORMAT, data=array("B", frame.jpeg))
        set_stamp(image.header.stamp, frame.stamp_ns)
        image.header.frame_id = f"{self._camera.name}_optical"
        self._images.publish(image)
        info = CameraInfo(width=frame.width, height=frame.height)  # k[0] = 0: uncalibrated
        info.header = image.header
        self._infos.publish(info)


def main() -> int:
    """The executable `camera`."""
    return run(CameraNode)


if __name__ == "__main__":
    raise SystemExit(main())
