"""The commands of `./aloha`: a table of names, and the modules that carry them out.

A command's module is imported only when the command is run: `./aloha --help` needs nothing.
Each module has `main(argv: list[str]) -> int`, which parses its own arguments.
"""

import importlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from aloha_stack.shared_memory import sweep

USAGE_ERROR = 2


@dataclass(frozen=True)
class Command:
    """What `./aloha --help` says of a command, and the module behind it."""

    name: str
    does: str
    example: str
    module: str


COMMANDS = (
    Command(
        "demo",
        "record two teleoperated episodes with the twin, replay one, and report",
        "./aloha demo",
        "aloha_stack.demo",
    ),
    Command(
        "launch",
        "run a ROS 2 launch file: nodes, parameters, names as `ros2 launch` starts them",
        "./aloha launch teleop_record task:=transfer_cube",
        "aloha_stack.launch.__main__",
    ),
    Command(
        "train",
        "learn a policy from recorded episodes",
        "./aloha train act --data episodes/cube --out models/cube",
        "aloha_stack.training.cli",
    ),
    Command(
        "evaluate",
        "count the successes of the operator over seeds",
        "./aloha evaluate operator --task transfer_cube --episodes 20 --seed 0 --ros",
        "aloha_stack.evaluate",
    ),
    Command(
        "episodes",
        "recorded episodes: list, inspect, repair, export, import, convert",
        "./aloha episodes list out",
        "aloha_stack.episodes.cli",
    ),
    Command(
        "report",
        "a recording or rollout session on one HTML page that needs no other file",
        "./aloha report episodes --open",
        "aloha_stack.analysis.reporting",
    ),
    Command(
        "models",
        "trained policies: list, show, import those of LeRobot and of the original ACT code",
        "./aloha models show models/act_transfer_cube",
        "aloha_stack.policies.cli",
    ),
    Command(
        "analyse",
        "what a trained policy does, and why, as tables and figures",
        "./aloha analyse --help",
        "aloha_stack.analyses.__main__",
    ),
    Command(
        "experiment",
        "experiments from data to report: stable handwriting beside behaviour cloning",
        "./aloha experiment lasa --shapes GShape,Sshape",
        "aloha_stack.experiments.__main__",
    ),
    Command(
        "arms",
        "an operator's tools for the servos: scan, configure, reboot, torque, read",
        "./aloha arms scan",
        "aloha_stack.arms.__main__",
    ),
    Command(
        "doctor",
        "look before a start: ports, servos, cameras, disk, ROS; each line ok or how to mend it",
        "./aloha doctor",
        "aloha_stack.doctor.__main__",
    ),
    Command(
        "bench",
        "figures beside their peer or physical limit: bus, faults, images, recording, loading",
        "./aloha bench bus --json bus.json",
        "aloha_stack.bench.__main__",
    ),
    Command(
        "call",
        "call a service or an action of the running graph, as `ros2 service call` does",
        "./aloha call /e_stop",
        "",
    ),
    Command(
        "operator",
        "record episodes by keys, in a terminal that shows how the robot does",
        "./aloha operator --task transfer_cube --episodes 50 --reset-time 5",
        "",
    ),
    Command(
        "panel",
        "the operator's panel in a window: cameras, joints, policy, recorder, health, e-stop",
        "./aloha panel --robot twin",
        "",
    ),
    Command(
        "test",
        "ruff, mypy and all tests (some 10 minutes); further arguments go to pytest",
        "./aloha test -k limits",
        "",
    ),
    Command(
        "python",
        "Python in the project's environment",
        "./aloha python -c 'import rclpy, aloha_interfaces'",
        "",
    ),
)


def overview() -> str:
    """The help text: every command with an example."""
    lines = ["usage: ./aloha COMMAND [ARGUMENTS]", ""]
    for command in COMMANDS:
        lines += [f"  {command.name:<10} {command.does}", f"  {'':<10}   {command.example}"]
    return "\n".join([*lines, "", "./aloha COMMAND --help tells a command's arguments."])


def run_python(argv: list[str]) -> int:
    """Become a Python interpreter: same environment, `argv` as its arguments."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *argv])


def run_tests(argv: list[str]) -> int:
    """Style, types, behaviour. All run; pytest last, so that its summary closes the output."""
    root = Path(__file__).resolve().parents[2]
    results = []
    for name in ("ruff check", "ruff format --check", "mypy"):
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", *name.split()]
        status = subprocess.run(command, check=False, cwd=root).returncode
        results.append((name, "ok" if status == 0 else f"FAILED (exit status {status})"))
        print(f"{name}: {results[-1][1]}", flush=True)
    print("== pytest", flush=True)
    env = dict(os.environ, ALOHA_CHECKS="; ".join(f"{name}: {result}" for name, result in results))
    command = [sys.executable, "-m", "pytest", "-n", "auto", *argv]  # see tests/workers.py
    status = subprocess.run(command, check=False, cwd=root, env=env).returncode
    return status or int(any(result != "ok" for _, result in results))


def run_client(name: str, argv: list[str]) -> int:
    """Become the client node of a command: only nodes/ imports ROS."""
    return run_python(["-m", f"aloha_stack.nodes.{name}", *argv])


def run_panel(argv: list[str]) -> int:
    """Become the operator's panel: a package of its own (for rqt), beside this one in sources."""
    folder = Path(__file__).resolve().parents[2] / "ros2_ws/src/rqt_aloha"
    if folder.is_dir():
        known = os.environ.get("PYTHONPATH", "")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(folder), known)))
    return run_python(["-m", "rqt_aloha.panel", *argv])


CLIENTS = ("call", "operator")
BUILT_IN = {"test": run_tests, "python": run_python}
STARTS_NODES = ("demo", "launch", "evaluate", "bench")
"""Before these the memory of nodes that were killed is given back: theirs could lack it."""


def main(argv: list[str]) -> int:
    """Run the command that `argv` names; returns the exit status."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(overview())
        return 0 if argv else USAGE_ERROR
    name, args = argv[0], argv[1:]
    command = next((c for c in COMMANDS if c.name == name), None)
    if command is None:
        known = ", ".join(c.name for c in COMMANDS)
        print(f"./aloha: there is no command '{name}'; there are: {known}", file=sys.stderr)
        return USAGE_ERROR
    if name in CLIENTS:
        return run_client(name, args)
    if name == "panel":
        return run_panel(args)
    if name in BUILT_IN:
        if args[:1] in (["-h"], ["--help"]):
            print(f"usage: ./aloha {name} [ARGUMENTS]\n\n{command.does}")
            print(f"\nexample: {command.example}")
            return 0
        return BUILT_IN[name](args)
    if name in STARTS_NODES:
        sweep()
    run = importlib.import_module(command.module).main
    return int(run(args))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:  # what was printed went to a program that has heard enough (head, less)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
