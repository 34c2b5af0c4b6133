"""`./aloha doctor`: a look at everything before the robot starts; nothing is changed or moved.

Each line says ok, warn (it works, but …) or RED (it will not work), and how to mend it. Exit
status 1 if anything is red. While bridges run, their ports are busy: the doctor then takes what it
can get without them.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from aloha_stack.arguments import new_file
from aloha_stack.doctor.cameras import check_cameras
from aloha_stack.doctor.dds import check_dds
from aloha_stack.doctor.finding import OK, RED, WARN, Check, Finding
from aloha_stack.doctor.ports import check_latency, check_port
from aloha_stack.doctor.servos import check_servos
from aloha_stack.doctor.storage import check_storage
from aloha_stack.doctor.system import check_processor, check_ros
from aloha_stack.progress import Progress
from aloha_stack.robot.description import Arm, Robot, RobotConfigError, load_robot
from aloha_stack.robot.share import share_folder


def main(argv: Sequence[str] | None = None) -> int:
    """Runs all checks; 1 if anything is red."""
    options = _parser().parse_args(argv)
    screen = Progress()
    findings = []
    for finding in _findings(options.robot, options.episodes, screen):
        findings.append(finding)
        screen.say(str(finding))
    red, warnings = (sum(f.level == level for f in findings) for level in (RED, WARN))
    screen.say(f"{len(findings)} checks: {red} red, {warnings} to be warned of")
    if options.json:
        options.json.write_text(json.dumps([asdict(f) for f in findings], indent=1) + "\n")
    return 1 if red else 0


def _findings(name: str, episodes: Path, screen: Progress) -> Iterator[Finding]:
    try:
        robot = load_robot(name)
    except RobotConfigError as error:
        hint = (
            "with the twin: export the ALOHA_PORTS that its start tells" if "twin" in name else ""
        )
        yield Finding(RED, "robot file", str(error), hint)
        return
    yield Finding(OK, "robot file", f"{robot.file}: {', '.join(robot.arms)}")
    for doing, check in _checks(robot, episodes):
        screen.show(f"{doing} …")
        yield from check()


def _checks(robot: Robot, episodes: Path) -> Iterator[tuple[str, Check]]:
    """What is looked at, in words, and how."""
    for arm in robot.arms.values():
        yield f"asking the servos of {arm.name}", lambda arm=arm: check_arm(arm)  # type: ignore[misc]
    yield f"measuring {len(robot.cameras)} cameras", lambda: check_cameras(robot)
    yield f"writing to the disk of {episodes}", lambda: check_storage(robot, episodes)
    profile = share_folder() / "config/fastdds.xml"
    yield "reading the DDS profile", lambda: check_dds(os.environ, profile, robot)
    yield "reading the environment", lambda: check_ros(os.environ)
    yield "looking at the processor", check_processor


def check_arm(arm: Arm) -> Iterator[Finding]:
    """One arm's port and, if it can be used, its servos."""
    port = check_port(arm)
    yield port
    if port.level != RED:
        yield check_latency(arm)
        yield from check_servos(arm)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aloha doctor",
        description=__doc__,
        epilog="example: ./aloha doctor --robot aloha --episodes /data/episodes",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--robot", default="aloha", metavar="NAME|PATH", help="robot file (default: aloha)"
    )
    parser.add_argument(
        "--episodes", type=Path, default=Path("out"), metavar="DIR", help="where episodes go (out)"
    )
    parser.add_argument(
        "--json", type=new_file, metavar="FILE", help="also write the findings here"
    )
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
