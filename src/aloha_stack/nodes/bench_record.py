"""Stands in for all of a robot that a recorder hears, and has it make one episode.

    bench_record --robot FILE [--pictures DIR] [--log FILE] [--seconds S]

Publishes every stream of an episode at its rate; pictures only with --pictures (JPEG files), else
they are left to a camera node. With --log each message is noted there as a line of topic, sequence
number and the time (ns) at which the middleware had taken it. With --seconds the recorder is asked
for an episode of so long, and to stop; `began` and `ended` are told in lines of JSON, and the
process ends. Without, it goes on.
"""

import argparse
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from aloha_interfaces.action import RecordEpisode
from aloha_interfaces.srv import StopRecording
from rclpy.action import ActionClient

from aloha_stack.episodes.streams import IMAGES, robot_streams
from aloha_stack.nodes._node import SimpleNode, run
from aloha_stack.nodes._synthetic_robot import Sent, SyntheticRobot
from aloha_stack.robot.description import Robot, load_robot

READY_S, SETTLE_S, STOP_S = 30.0, 1.0, 60.0
"""Steady time until a recorder hears everything; between two attempts; until one has stopped."""


class RecordBench(SimpleNode):
    """See the module."""

    def __init__(
        self, robot: Robot, pictures: Path | None, log: Path | None, seconds: float
    ) -> None:
        super().__init__("bench_record")
        self._seconds = seconds
        self._ending = threading.Event()
        self._log = log.open("w", encoding="utf-8", buffering=1) if log is not None else None
        camera_types = (*IMAGES, "sensor_msgs/msg/CameraInfo")
        streams = [
            stream
            for stream in robot_streams(robot)
            if pictures is not None or stream.type not in camera_types
        ]
        sent: Sent | None = self._note if self._log is not None else None
        self._robot = SyntheticRobot(self, streams, pictures, sent)
        self._record_client = ActionClient(self, RecordEpisode, "/recorder/record_episode")
        self._stop_client = self.create_client(StopRecording, "/recorder/stop")
        self._threads = [self.start_thread(self._robot.run, "robot")]
        if seconds > 0:
            self._threads.append(self.start_thread(self._measure, "measure"))

    def close(self) -> None:
        self._ending.set()
        self._robot.close()
        for thread in self._threads:
            thread.join()

    def _note(self, topic: str, sequence: int, sent_ns: int) -> None:
        assert self._log is not None
        self._log.write(f"{topic} {sequence} {sent_ns}\n")

    def _measure(self) -> None:
        end_s = time.monotonic() + READY_S
        while (result := self._begin()) is None:
            if time.monotonic() > end_s or self._ending.wait(SETTLE_S):
                raise RuntimeError(f"no recording began within {READY_S:.0f} s")
        print(json.dumps({"event": "began"}), flush=True)
        self._ending.wait(self._seconds)
        began_s = time.monotonic()
        request = StopRecording.Request(outcome="success")
        answer = self._wait(self._stop_client.call_async(request), STOP_S)
        stop_s = time.monotonic() - began_s
        if not answer.success:
            raise RuntimeError(f"the recorder did not stop well: {answer.message}")
        kept = self._wait(result, STOP_S).result
        told = {"path": kept.path, "messages": kept.messages, "lost": kept.lost, "stop_s": stop_s}
        print(json.dumps({"event": "ended", **told}), flush=True)
        self.finish()

    def _begin(self) -> Any:
        """The result to come of a recording that has begun; None if none has."""
        if not self._record_client.wait_for_server(READY_S):
            raise RuntimeError("there is no recorder")
        heard = threading.Event()
        goal = RecordEpisode.Goal(task="bench", seed=-1)
        sending = self._record_client.send_goal_async(goal, lambda _: heard.set())
        result = self._wait(sending, READY_S).get_result_async()
        while not heard.wait(0.01):  # a refused goal is aborted at once
            if result.done():
                return None
        return result

    def _wait(self, future: Any, limit_s: float) -> Any:
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        if not done.wait(limit_s):
            raise RuntimeError(f"the recorder did not answer within {limit_s:.0f} s")
        return future.result()


def main(argv: list[str] | None = None) -> int:
    """The process `bench_record`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--robot", required=True, help="robot file")
    parser.add_argument("--pictures", type=Path, metavar="DIR")
    parser.add_argument("--log", type=Path, metavar="FILE")
    parser.add_argument("--seconds", type=float, default=0.0)
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    robot = load_robot(options.robot)
    return run(
        lambda: RecordBench(robot, options.pictures, options.log, options.seconds),
        args=[],
        images=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
