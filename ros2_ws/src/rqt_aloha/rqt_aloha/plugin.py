"""The shell for rqt: everything else is in the desk.

The robot, a name in config/robots or the path of a robot file, is that of the variable ALOHA_ROBOT
(monitor.launch.xml sets it), or what stands after `--args --robot`.
"""

import argparse
import os

from rqt_gui_py.plugin import Plugin

from rqt_aloha.desk import Desk

VARIABLE, ROBOT = "ALOHA_ROBOT", "twin"
"""rqt passes arguments to a plugin that is opened alone; those of a perspective get none."""


class AlohaPlugin(Plugin):
    """Board and link while rqt shows them."""

    def __init__(self, context: object) -> None:
        super().__init__(context)
        self.setObjectName("AlohaPlugin")
        parser = argparse.ArgumentParser(prog="rqt_aloha", add_help=False)
        AlohaPlugin.add_arguments(parser)
        options, _ = parser.parse_known_args(context.argv())  # type: ignore[attr-defined]
        self._desk = Desk(options.robot)
        board = self._desk.board
        number = context.serial_number()  # type: ignore[attr-defined]
        if number > 1:
            board.setWindowTitle(f"{board.windowTitle()} ({number})")
        context.add_widget(board)  # type: ignore[attr-defined]

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Those that are known."""
        group = parser.add_argument_group("Options for rqt_aloha")
        group.add_argument(
            "--robot",
            default=os.environ.get(VARIABLE) or ROBOT,
            help="a name in config/robots, or the path of a robot file",
        )

    def shutdown_plugin(self) -> None:
        """rqt closes it, but keeps this shell."""
        self._desk.board.hide()  # nothing of it is to be drawn while rqt takes it out of its window
        self._desk.close()
        del self._desk
