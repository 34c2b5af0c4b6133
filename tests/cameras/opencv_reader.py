"""A process that reads the camera of fake_v4l2.c through OpenCV, and prints what came as JSON.

Commands on its input, a line each, with one line in answer: open CONTROLS, read, close.
"""

import hashlib
import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from aloha_stack.cameras.source import SourceError
from aloha_stack.cameras.v4l2 import V4L2Camera
from aloha_stack.robot.description import Camera


def main() -> None:
    source = camera_with({})
    for line in sys.stdin:
        command, _, rest = line.strip().partition(" ")
        answer: dict[str, Any] = {}
        try:
            if command == "open":
                source = camera_with(json.loads(rest))
                source.open()
                answer["mode"] = source.health.mode
            elif command == "read":
                answer = read(source)
            else:
                source.close()
        except SourceError as error:
            answer["error"] = str(error)
        print(json.dumps(answer), flush=True)


def camera_with(controls: Mapping[str, int]) -> V4L2Camera:
    return V4L2Camera("/dev/full", Camera("cam", "", 320, 240, 30.0, 90, controls=controls))


def read(source: V4L2Camera) -> dict[str, Any]:
    while (frame := source.read(1.0)) is None:
        pass  # a source that is silent for too long says so itself
    return {
        "age_s": (time.time_ns() - frame.stamp_ns) * 1e-9,
        "sequence": frame.sequence,
        "jpeg": hashlib.sha256(frame.jpeg).hexdigest(),
        "damaged": source.health.damaged,
        "remarks": source.health.remarks,
    }


if __name__ == "__main__":
    main()
