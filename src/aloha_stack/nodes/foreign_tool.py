"""Becomes a program of another package where that is installed, and says what is missing where not.

For launch files: they cannot ask whether a package is there, and one that is not would end them. It
is no node: what it becomes may be one.
"""

import argparse
import os
import sys
from pathlib import Path

from aloha_stack.launch.errors import LaunchError
from aloha_stack.launch.packages import find_executable, find_prefix
from aloha_stack.launch.perspective import installed_part

PERSPECTIVE = "--perspective-file"
EXAMPLE = "example: ros2 run aloha_stack foreign_tool --wants rqt_plot true rqt_gui rqt_gui"


def main(args: list[str] | None = None) -> int:
    """The process. 0 where an optional program is missing, 1 where one is that was asked for."""
    parser = argparse.ArgumentParser(
        prog="ros2 run aloha_stack foreign_tool", description=__doc__, epilog=EXAMPLE
    )
    parser.add_argument(
        "--wants", default="", help="packages that it uses if they are there, as NAME,NAME"
    )
    parser.add_argument("when", choices=("auto", "true"), help="true: to be missing is a failure")
    parser.add_argument("package")
    parser.add_argument("executable")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="passed on")
    given = parser.parse_args(args)
    missing = absent([name for name in given.wants.split(",") if name])
    try:
        words = find_executable(given.package, given.executable, os.environ)
    except LaunchError:
        failure = given.when == "true"
        text = f"{given.package} is not installed; {how(given.package)}"
        print(text, file=sys.stderr if failure else sys.stdout, flush=True)
        return int(failure)
    for name in missing:
        print(f"without {name}, which is not installed; {how(name)}", flush=True)
    passed = given.arguments
    if passed[-1:] == ["--ros-args"]:  # a launch file's, with nothing behind
        passed = passed[:-1]
    os.execv(words[0], [*words, *_with_installed_part(passed, missing)])


def _with_installed_part(arguments: list[str], missing: list[str]) -> list[str]:
    """Another file after rqt's --perspective-file where plugins of the given one are missing."""
    if not missing or PERSPECTIVE not in arguments[:-1]:
        return arguments
    at = arguments.index(PERSPECTIVE) + 1
    folder = Path(os.environ.get("ROS_HOME") or Path.home() / ".ros") / "aloha_stack"
    try:
        file = installed_part(Path(arguments[at]), missing, folder)
    except OSError as error:
        print(f"rqt may not restore what its plugins show: {error}", flush=True)
        return arguments
    return [*arguments[:at], str(file), *arguments[at + 1 :]]


def absent(packages: list[str]) -> list[str]:
    """Those that no prefix of AMENT_PREFIX_PATH holds."""
    missing = []
    for package in packages:
        try:
            find_prefix(package, os.environ)
        except LaunchError:
            missing.append(package)
    return missing


def how(package: str) -> str:
    """How to install a package of ROS 2."""
    if package == "rqt_aloha":
        return "it is in ros2_ws/src: build it with colcon and source the workspace"
    distribution = os.environ.get("ROS_DISTRO") or "jazzy"
    words = f"sudo apt install ros-{distribution}-{package.replace('_', '-')}"
    instead = "; ./aloha panel opens the operator's panel without it"
    return words + instead * (package == "rqt_gui")


if __name__ == "__main__":
    sys.exit(main())
