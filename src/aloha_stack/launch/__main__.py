"""`./aloha launch NAME [argument:=value …]`: runs a launch file where there is no `ros2 launch`.

Two processes: the one in the terminal only passes signals on; its child, in a session of its own,
starts the nodes and reads their output. So whatever happens to the terminal or to the launcher,
even SIGKILL, somebody is left who lets the arms park and ends every node.
"""

import argparse
import json
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from aloha_stack.launch.arguments import (
    declared_arguments,
    describe_arguments,
    read_command_line,
)
from aloha_stack.launch.errors import LaunchError
from aloha_stack.launch.evaluate import make_plan
from aloha_stack.launch.grammar import load_launch_file
from aloha_stack.launch.linux import bind_to_parent
from aloha_stack.launch.packages import (
    find_executable,
    find_launch_file,
    launch_folder,
    launch_names,
)
from aloha_stack.launch.plan import NodePlan
from aloha_stack.launch.screen import Screen
from aloha_stack.launch.session_report import SessionReport
from aloha_stack.launch.supervisor import END_SIGNALS, LAUNCHER_GONE, Supervisor

CANNOT_BEGIN = 2


def main(argv: Sequence[str]) -> int:
    """Carries out the command; returns its exit status.

    0: every node ended in order. 1: a node crashed, had to be killed, or could not be started.
    2: the request or the launch file is at fault, and nothing was started.
    """
    try:
        options = _parser().parse_args(list(argv))
    except SystemExit as stop:  # argparse has said why
        return CANNOT_BEGIN if stop.code else 0
    try:
        if options.name is None:
            raise LaunchError(f"name a launch file: {launch_names(launch_folder())}")
        file = find_launch_file(options.name)
        if options.show_args:
            print(describe_arguments(declared_arguments(load_launch_file(file), os.environ)))
            return 0
        nodes = make_plan(file, read_command_line(options.arguments), os.environ)
    except LaunchError as problem:
        print(f"launch: {problem}", file=sys.stderr)
        return CANNOT_BEGIN
    if options.print_plan:
        print(json.dumps([node.as_json() for node in nodes], indent=2))
        return 0
    session = SessionReport(nodes)
    status = launch(nodes)
    session.tell(_node_environment(), make=sys.stdout.isatty() and sys.stdin.isatty())
    return status


def launch(nodes: Sequence[NodePlan]) -> int:
    """Runs the nodes until all have ended (call it from the main thread); returns the status."""
    executables, missing = [], []
    for node in nodes:
        environment = {**os.environ, **node.environment}
        try:
            executables.append(find_executable(node.package, node.executable, environment))
        except LaunchError as problem:
            missing.append(f"{node.where}: {problem}")
    if missing:
        for line in missing:
            print(f"launch: {line}", file=sys.stderr)
        print("launch: nothing was started", file=sys.stderr)
        return 1
    sys.stdout.flush()
    sys.stderr.flush()
    launcher = os.getpid()
    bind = bind_to_parent(launcher, LAUNCHER_GONE)
    signal.pthread_sigmask(signal.SIG_BLOCK, END_SIGNALS)  # until both sides have their handlers
    supervisor = os.fork()
    if supervisor == 0:
        status = 1
        try:
            bind()
            os.setsid()
            screen = Screen(sys.stdout.fileno())
            status = Supervisor(nodes, executables, _node_environment(), screen).run()
        except BaseException:  # told here, as os._exit() below would swallow it
            traceback.print_exc()
            raise
        finally:
            os._exit(status)
    return _wait_for(supervisor)


def _wait_for(supervisor: int) -> int:
    """Passes the signals of the terminal on, and waits for the supervisor's exit status."""

    def forward(number: int, _frame: object) -> None:
        # A hang-up of the terminal is a request to end, not the launcher's own death.
        os.kill(supervisor, signal.SIGTERM if number == LAUNCHER_GONE else number)

    before = {number: signal.signal(number, forward) for number in END_SIGNALS}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, END_SIGNALS)
    try:
        _, status = os.waitpid(supervisor, 0)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        name = signal.Signals(-code).name
        print(f"launch: the supervisor was killed by {name}; its nodes got SIGINT", file=sys.stderr)
        return 1
    return code


def _node_environment() -> dict[str, str]:
    """The environment of the nodes: this one, with the package importable as it is here."""
    source = str(Path(__file__).resolve().parents[2])
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if source in paths:
        return dict(os.environ)
    joined = os.pathsep.join(path for path in (source, *paths) if path)
    return {**os.environ, "PYTHONPATH": joined}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aloha launch",
        description="Runs a launch file of the project.",
        epilog="example: ./aloha launch teleop_record task:=transfer_cube",
    )
    parser.add_argument("name", nargs="?", help="a launch file of the project, or a path")
    parser.add_argument(
        "arguments", nargs="*", metavar="name:=value", help="arguments of the launch file"
    )
    parser.add_argument(
        "-s", "--show-args", action="store_true", help="lists the arguments that the file takes"
    )
    parser.add_argument(
        "--print-plan", action="store_true", help="prints the nodes as JSON and starts nothing"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
