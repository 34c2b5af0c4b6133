"""The processes of `./aloha bench images` that are no part of the stack.

    bench_images read --robot FILE --out FILE [--seconds S] [--record] [--keep]
    bench_images publish --robot FILE

`read` is like a policy: it hears the robot's cameras, and decodes the newest picture of each. With
--record it has the recorder make an episode of S seconds meanwhile. With --keep it takes every
message as bytes and decodes none, as a recorder would. It tells `began` and `ended` in lines of
JSON, leaves what it measured in --out (bench/image_log.py), and ends.

`publish` stands in for drivers of raw cameras: the same pictures, at the same pace, not compressed.
"""

import argparse
import json
import sys
import threading
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from aloha_interfaces.action import RecordEpisode
from rclpy.action import ActionClient
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image, JointState

from aloha_stack.bench.image_log import ImageLog
from aloha_stack.cameras.factory import Sources
from aloha_stack.cameras.source import Frame
from aloha_stack.episodes.cdr import stamp_ns as serialised_stamp_ns
from aloha_stack.episodes.streams import QUEUE_DEPTH
from aloha_stack.nodes._conversions import set_stamp, stamp_ns
from aloha_stack.nodes._node import SimpleNode, run
from aloha_stack.nodes._qos import IMAGES, JOINTS
from aloha_stack.robot.description import Camera, Robot, load_robot

READY_S, SETTLE_S = 60.0, 2.0
"""Steady time in which everybody must hear everybody; and between two attempts to begin."""

JOINTS_HZ = 10.0
"""The recorder records no robot whose joints are silent."""


class Reader(SimpleNode):
    """See the module, `read`."""

    def __init__(self, robot: Robot, out: Path, seconds: float, record: bool, keep: bool) -> None:
        super().__init__("bench_recorder" if keep else "bench_reader")
        cv2.setNumThreads(1)
        self._out, self._seconds, self._keep = out, seconds, keep
        self._cameras = tuple(robot.cameras.values())
        self._log = ImageLog(len(self._cameras))
        self._newest: dict[int, tuple[int, Any]] = {}
        self._came, self._ending = threading.Event(), threading.Event()
        depth = QUEUE_DEPTH if keep else IMAGES.depth
        qos = QoSProfile(depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT)
        for index, camera in enumerate(self._cameras):
            kind = CompressedImage if camera.encoded else Image
            listener: Any = self._taker(index) if keep else self._listener(index)
            self.create_subscription(kind, camera.topic, listener, qos, raw=keep)
        self._recorder = ActionClient(self, RecordEpisode, "/recorder/record_episode")
        self._threads = [self.start_thread(self._measure, "measure")]
        if not keep:
            self._threads.append(self.start_thread(self._decode, "decode"))
        if record:
            arms = list(robot.arms)
            self._joints = [
                self.create_publisher(JointState, f"/{arm}/joint_states", JOINTS) for arm in arms
            ]
            self._threads.append(self.start_thread(self._tell_joints, "joints"))
        self._record = record

    def close(self) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    # -- messages ---------------------------------------------------------------------------

    def _listener(self, index: int) -> Callable[[Any, dict[str, Any]], None]:
        def on_image(message: Any, about: dict[str, Any]) -> None:
            stamp = stamp_ns(message.header.stamp)
            self._log.received(index, about["publication_sequence_number"], stamp, time.time_ns())
            self._newest[index] = (stamp, message)
            self._came.set()

        return on_image

    def _taker(self, index: int) -> Callable[[bytes, dict[str, Any]], None]:
        def on_bytes(data: bytes, about: dict[str, Any]) -> None:
            number, now_ns = about["publication_sequence_number"], time.time_ns()
            self._log.received(index, number, serialised_stamp_ns(data), now_ns)

        return on_bytes

    def _decode(self) -> None:
        while not self._ending.is_set():
            if not self._came.wait(0.2):
                continue
            self._came.clear()
            while self._newest:
                index, (stamp, message) = self._newest.popitem()
                _picture(message)
                self._log.decoded(index, stamp, time.time_ns())

    def _tell_joints(self) -> None:
        while not self._ending.wait(1 / JOINTS_HZ):
            for publisher in self._joints:
                message = JointState()
                set_stamp(message.header.stamp, time.time_ns())
                publisher.publish(message)

    # -- the measurement --------------------------------------------------------------------

    def _measure(self) -> None:
        end_s = time.monotonic() + READY_S
        while not self._log.complete():
            if time.monotonic() > end_s:
                raise RuntimeError(f"not all cameras were heard within {READY_S:.0f} s")
            if self._ending.wait(0.05):
                return
        if self._ending.wait(SETTLE_S):
            return
        told: dict[str, Any] = {}
        if self._record:
            while not told:
                began_ns = self._begin()
                told = self._have_recorded(may_be_refused=time.monotonic() < end_s)
        else:
            began_ns = self._begin()
            self._ending.wait(self._seconds)
        self._log.write(self._out, began_ns, time.time_ns())
        print(json.dumps({"event": "ended", **told}), flush=True)
        self.finish()

    def _begin(self) -> int:
        print(json.dumps({"event": "began"}), flush=True)
        return time.time_ns()

    def _have_recorded(self, may_be_refused: bool) -> dict[str, Any]:
        """An episode: where it is, and what the recorder says that it lost.

        Empty if the recorder does not hear everything yet.
        """
        if not self._recorder.wait_for_server(READY_S):
            raise RuntimeError("there is no recorder")
        goal = RecordEpisode.Goal(task="bench", seed=-1, duration=self._seconds)
        accepted = self._wait(self._recorder.send_goal_async(goal), READY_S)
        result = self._wait(accepted.get_result_async(), self._seconds + READY_S).result
        if result.kept:
            return {"path": result.path, "lost": result.lost}
        if may_be_refused and not self._ending.wait(SETTLE_S):
            return {}
        raise RuntimeError(f"the recorder kept no episode: {result.message}")

    def _wait(self, future: Any, limit_s: float) -> Any:
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        if not done.wait(limit_s):
            raise RuntimeError(f"the recorder did not answer within {limit_s:.0f} s")
        return future.result()


def _picture(message: Any) -> np.ndarray:
    """What a policy makes of a message: (height, width, 3) uint8 of its own."""
    data = np.frombuffer(message.data, np.uint8)
    if isinstance(message, CompressedImage):
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert picture is not None
        return picture
    return data.reshape(message.height, message.width, 3).copy()


class RawCameras(SimpleNode):
    """See the module, `publish`."""

    def __init__(self, robot: Robot) -> None:
        super().__init__("camera")
        self._ending = threading.Event()
        self._pictures: dict[int, array[int]] = {}
        self._threads = []
        sources = Sources()
        for camera in robot.cameras.values():
            source = sources.open_source(camera.source, camera)
            publisher = self.create_publisher(Image, f"/{camera.name}/image_raw", IMAGES)
            source.open()
            self._threads.append(
                self.start_thread(self._feed(camera, source, publisher), camera.name)
            )

    def close(self) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _feed(self, camera: Camera, source: Any, publisher: Any) -> Callable[[], None]:
        def run_feed() -> None:
            while not self._ending.is_set():
                frame = source.read(timeout_s=0.5)
                if frame is not None:
                    publisher.publish(self._message(camera, frame))
            source.close()

        return run_feed

    def _message(self, camera: Camera, frame: Frame) -> Image:
        message = Image(height=frame.height, width=frame.width, encoding="bgr8")
        message.step = frame.width * 3
        set_stamp(message.header.stamp, frame.stamp_ns)
        message.header.frame_id = f"{camera.name}_optical"
        message.data = self._pixels(frame)
        return message

    def _pixels(self, frame: Frame) -> "array[int]":
        """A copy, as a driver makes it; the pictures are the same for all cameras."""
        key = hash(frame.jpeg)
        if key not in self._pictures:
            picture = cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR)
            assert picture is not None
            self._pictures[key] = array("B", picture.tobytes())
        return self._pictures[key][:]


def main(argv: list[str] | None = None) -> int:
    """The process `bench_images`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("role", choices=("read", "publish"))
    parser.add_argument("--robot", required=True, help="robot file whose cameras are files")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    robot = load_robot(options.robot)
    if options.role == "publish":
        return run(lambda: RawCameras(robot), args=[], images=True)
    return run(
        lambda: Reader(robot, options.out, options.seconds, options.record, options.keep),
        args=[],
        images=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
