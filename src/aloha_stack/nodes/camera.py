"""The camera node: one process for the camera set, one thread per camera, one JPEG per image."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn

from aloha_stack.cameras.factory import Sources
from aloha_stack.nodes._camera_diagnostics import CameraDiagnostics
from aloha_stack.nodes._camera_feed import Feed
from aloha_stack.nodes._chosen_cameras import with_chosen_cameras
from aloha_stack.nodes._node import ManagedNode, logged, run
from aloha_stack.nodes._parameters import declare
from aloha_stack.robot.description import load_robot

STOP_S = 3.0
"""How long the feeds may take to end, together. A driver that hangs is left behind."""


class CameraNode(ManagedNode):
    """Publishes /{camera}/image_raw/compressed and /{camera}/camera_info for a robot's cameras.

    Some of the images go to /{camera}/preview/compressed, too, for people: a panel that took all of
    them would spend its time on reading.
    A slow, dead or missing one never blocks another: each has its own thread, and one that does not
    open or breaks is told and opened as soon as that works. The start waits only while none opens.
    Cameras of other drivers (source topic:) are left to them.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("camera", **options)
        name = declare(self, "robot", "aloha", "robot file: a name in config/robots, or a path")
        cameras = with_chosen_cameras(self, load_robot(name)).cameras.values()
        sources = Sources()
        self._feeds = [
            Feed(self, camera, sources.open_source(camera.source, camera))
            for camera in cameras
            if not camera.foreign
        ]
        self._foreign = [camera for camera in cameras if camera.foreign]
        self._said = ""
        self._diagnostics = CameraDiagnostics(self, self._feeds)

    @logged
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        for camera in self._foreign:
            self.get_logger().info(f"{camera.name}: another driver publishes it on {camera.topic}")
        with ThreadPoolExecutor(max(1, len(self._feeds))) as pool:
            opened = list(pool.map(Feed.open, self._feeds))
        if not all(opened):
            self._say("waiting for: " + "; ".join(f.broken for f in self._feeds if f.broken))
        if opened and not any(opened):
            self._close_sources()
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)  # those that are missing are opened when they come

    @logged
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._close_sources()
        return super().on_cleanup(state)

    @logged
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        streaming = [feed for feed in self._feeds if not feed.broken]
        for feed in self._feeds:
            feed.start()
        modes = (f"{feed.camera.name} ({feed.source.health.mode})" for feed in streaming)
        self.get_logger().info(f"streaming {', '.join(modes) or 'nothing'}")
        return super().on_activate(state)

    @logged
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop()
        return super().on_deactivate(state)

    @logged
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop()
        self._close_sources()
        return super().on_shutdown(state)

    def _stop(self) -> None:
        for feed in self._feeds:
            feed.ask_to_stop()
        until_s = time.monotonic() + STOP_S
        for feed in self._feeds:
            feed.join(until_s)

    def _close_sources(self) -> None:
        with ThreadPoolExecutor(max(1, len(self._feeds))) as pool:
            list(pool.map(Feed.close, self._feeds))

    def _say(self, words: str) -> None:
        """Once, though the start is tried again each second."""
        if words != self._said:
            self._said = words
            self.get_logger().warning(words)


def main() -> int:
    """The executable `camera`."""
    return run(CameraNode, images=True)


if __name__ == "__main__":
    raise SystemExit(main())
