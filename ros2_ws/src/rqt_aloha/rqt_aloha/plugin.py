"""The shell for rqt: everything else is in the desk.

Arguments after `--args`: the robot, a name in config/robots or the path of a robot file.
"""

import argparse

from rqt_gui_py.plugin import Plugin

from rqt_aloha.desk import Desk

ROBOT = "twin"


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
        """What `rqt --standalone rqt_aloha --args --help` tells."""
        group = parser.add_argument_group("Options for rqt_aloha")
        group.add_argument(
            "--robot", default=ROBOT, help="a name in config/robots, or the path of a robot file"
        )

    def shutdown_plugin(self) -> None:
        """rqt closes it."""
        self._desk.close()
