"""`./aloha operator`: records episodes by keys, and shows how the robot does, in a terminal.

A process of its own: it survives every other node, and shows who is silent. Where standard output
is no terminal it prints a line whenever something changes. Keys are read as they are pressed; where
standard input is no terminal, from there all the same.
"""

import argparse
import sys
import threading
import time
from collections.abc import Callable
from functools import partial

from aloha_stack.nodes._node import SimpleNode, run
from aloha_stack.nodes._operator_known import Known
from aloha_stack.nodes._operator_requests import Requests
from aloha_stack.nodes._operator_screen import screen, summary
from aloha_stack.nodes._operator_session import KEYS, Plan, Session
from aloha_stack.nodes._operator_terminal import Terminal
from aloha_stack.robot.description import load_unopened_robot
from aloha_stack.robot.joints import ARMS

LOOK_S = 0.1
REMIND_S = 10.0
"""Steady time after which the line is printed again though nothing has changed."""

EXAMPLE = """keys:
{keys}

examples:
  ./aloha operator --task transfer_cube --label demo --episodes 50 --reset-time 5
  ./aloha operator < /dev/null > log    prints what changes, asks for nothing
"""


class Operator(SimpleNode):
    """Keys in one thread, the screen in another: a screen that hangs does not keep `e` waiting."""

    def __init__(self, plan: Plan, arms: tuple[str, ...], terminal: Terminal) -> None:
        super().__init__("operator")
        self._terminal = terminal
        self._leaving = threading.Event()
        self._known = Known(self, arms)
        self._requests = Requests(self, arms, self._tell)
        self._session = Session(plan, self._known, self._requests)
        terminal.open()
        self._threads = [
            self._start(work, name)
            for work, name in (
                (self._hear_keys, "keys"),
                (self._look, "session"),
                (self._show if terminal.screen else self._print, "screen"),
            )
        ]

    def close(self) -> None:
        self._leaving.set()
        for thread in self._threads:
            thread.join(1.0)  # the screen may hang on its terminal

    def _tell(self, words: str) -> None:
        self._session.tell(words)

    def _start(self, work: Callable[[], None], name: str) -> threading.Thread:
        """As start_thread does, but a thread that hangs on the terminal holds no process."""

        def guarded() -> None:
            try:
                work()
            except BaseException as error:
                self.fail(error)
                raise

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        return thread

    # -- threads ----------------------------------------------------------------------------

    def _hear_keys(self) -> None:
        while not self._leaving.is_set():
            keys = self._terminal.keys(LOOK_S)
            if keys is None:
                if self._terminal.screen:
                    self.finish()  # the terminal is gone
                return
            for key in keys:
                self._session.press(key)

    def _look(self) -> None:
        while not self._leaving.wait(LOOK_S):
            self._session.look()
            if self._session.left:
                self.finish()

    def _show(self) -> None:
        while not self._leaving.wait(LOOK_S):
            columns, rows = self._terminal.size()
            lines = screen(self._known, self._session, self._requests, columns, rows)
            self._terminal.show(lines)

    def _print(self) -> None:
        said, said_s = "", 0.0
        while not self._leaving.wait(LOOK_S):
            line = summary(self._known, self._session)
            if line != said or time.monotonic() - said_s > REMIND_S:
                said, said_s = line, time.monotonic()
                self._terminal.say(f"{time.strftime('%H:%M:%S')} {line}")


def main(argv: list[str] | None = None) -> int:
    """The process `operator`; 2 for a wrong argument."""
    keys = "\n".join(f"  {key:<6} {does}" for row in KEYS for key, does in row)
    parser = argparse.ArgumentParser(
        prog="aloha operator",
        description=__doc__,
        epilog=EXAMPLE.format(keys=keys),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--task", default="", help="noted in each episode")
    parser.add_argument("--label", action="append", default=[], help="may be given several times")
    parser.add_argument("--duration", type=_seconds, default=0.0, metavar="S", help="of an episode")
    parser.add_argument("--episodes", type=_count, default=0, metavar="N", help="how many in all")
    parser.add_argument(
        "--reset-time",
        type=_seconds,
        metavar="S",
        help="after each kept episode the next begins by itself, so much later, once teleoperation "
        "is engaged; without it each is started by hand",
    )
    parser.add_argument("--robot", default="", help="whose arms to show, if not all four")
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    plan = Plan(
        options.task, tuple(options.label), options.duration, options.episodes, options.reset_time
    )
    try:
        arms = tuple(load_unopened_robot(options.robot).arms) if options.robot else ARMS
    except ValueError as error:
        parser.error(str(error))
    with Terminal() as terminal:
        return run(partial(Operator, plan, arms, terminal), args=[])


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is no time in seconds, 0 or more")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of episodes, 1 or more")
    return value


if __name__ == "__main__":
    raise SystemExit(main())
