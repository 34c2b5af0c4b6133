"""`./aloha arms scan | configure | reboot | torque | read`: the arms' servos, without ROS.

For setting up and for finding faults. Needs the ports for itself: while a bridge runs, use its
services instead. Exit status 0 when all is well, 1 on trouble, 2 when the request is at fault.
"""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence

from aloha_stack.arms.connection import OperatorError
from aloha_stack.arms.power import TorqueOptions, switch_torque
from aloha_stack.arms.reading import check_register, follow, show_register, show_servos
from aloha_stack.arms.scanning import scan_arm, unclaimed_ports
from aloha_stack.arms.setting_up import RebootOptions, check_servo_ids, configure, reboot
from aloha_stack.dynamixel.errors import BusError
from aloha_stack.robot.description import Arm, Robot, RobotConfigError, load_robot

EXAMPLES = """examples:
  ./aloha arms scan                                  which servo answers where
  ./aloha arms configure --dry-run                   what differs from the robot file
  ./aloha arms read --arm follower_left --watch
  ./aloha arms read --register position_p_gain
  ./aloha arms reboot --arm follower_left --servo 4
  ./aloha arms torque off --arm follower_left
"""
TROUBLE, USAGE = 1, 2

Action = Callable[[Arm], bool]
"""What is done with one arm; whether all was well."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status."""
    options = _parser().parse_args(argv)
    try:
        robot = load_robot(options.robot)
        arms = [robot.arm(name) for name in options.arm or robot.arms]
        action = _action(options, arms)
    except (RobotConfigError, OperatorError) as error:
        print(f"aloha arms: {error}", file=sys.stderr)
        return USAGE
    well = [_attempt(action, arm) for arm in arms]
    if options.command == "scan" and not options.arm:
        _tell_unclaimed(robot)
    return 0 if all(well) else TROUBLE


def _attempt(action: Action, arm: Arm) -> bool:
    try:
        return action(arm)
    except (BusError, OperatorError, RobotConfigError) as error:
        sys.stdout.flush()
        print(f"{arm.name}: {_without_name(str(error), arm)}", file=sys.stderr, flush=True)
        return False


def _without_name(message: str, arm: Arm) -> str:
    return message.removeprefix(f"{arm.name}: ").removeprefix(f"{arm.name} ")


def _tell_unclaimed(robot: Robot) -> None:
    others = unclaimed_ports(robot)
    if others:
        print("serial ports that no arm of this robot uses:")
        for port in others:
            print(f"  {port}")


def _action(options: argparse.Namespace, arms: Sequence[Arm]) -> Action:
    """What was asked for, to be done with each of `arms`. OperatorError if it makes no sense."""
    command = options.command
    if command == "scan":
        return lambda arm: scan_arm(arm, options.all)
    if command == "configure":
        return lambda arm: configure(arm, options.dry_run)
    if command == "reboot":
        if options.servo and len(options.arm or ()) != 1:
            raise OperatorError("reboot --servo: say of which one arm, as --arm follower_left")
        chosen = RebootOptions(tuple(options.servo or ()), options.yes)
        check_servo_ids(arms[0], chosen.servos)
        return lambda arm: reboot(arm, chosen)
    if command == "torque":
        return lambda arm: switch_torque(arm, TorqueOptions(options.state == "on", options.yes))
    if options.watch:
        if options.register or len(options.arm or ()) != 1:
            raise OperatorError("read --watch follows all values of one arm: --arm follower_left")
        return lambda arm: follow(arm, options.period)
    if options.register:
        check_register(arms, options.register)
        return lambda arm: show_register(arm, options.register)
    return show_servos


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aloha arms",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--robot", default="aloha", metavar="NAME|PATH", help="robot file (default: aloha)"
    )
    shared.add_argument(
        "--arm", action="extend", nargs="+", metavar="NAME", help="these arms only (default: all)"
    )
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, does: str) -> argparse.ArgumentParser:
        lines = [line for line in EXAMPLES.splitlines() if f" arms {name} " in line]
        return commands.add_parser(
            name,
            parents=[shared],
            help=does,
            description=does,
            epilog="\n".join(["examples:", *lines]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    scan = add("scan", "which servos answer on the ports")
    scan.add_argument("--all", action="store_true", help="every ID at every baud rate (slow)")
    setup = add("configure", "bring the registers to what the robot file says")
    setup.add_argument("--dry-run", action="store_true", help="show the differences, write nothing")
    again = add("reboot", "restart the servos in hardware error, or these")
    again.add_argument("--servo", type=int, action="extend", nargs="+", metavar="ID")
    torque = add("torque", "torque on or off")
    torque.add_argument("state", choices=("on", "off"))
    for one in (again, torque):
        one.add_argument("--yes", action="store_true", help="do it although the arm drops")
    read = add("read", "a table of all servos")
    read.add_argument("--register", metavar="NAME", help="this register of every servo")
    read.add_argument("--watch", action="store_true", help="again and again, until Ctrl-C")
    read.add_argument("--period", type=float, default=0.5, metavar="S", help="of --watch (0.5)")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
