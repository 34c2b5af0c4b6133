"""`./aloha panel`: the operator's panel in a window of its own, without rqt.

Shows cameras, joints, policy, recorder and health of the graph in this ROS domain; the e-stop is
always on top (Esc, or E). It hears best effort, and nothing waits for it.
"""

import argparse
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from python_qt_binding.QtCore import QTimer
from python_qt_binding.QtWidgets import QApplication, QMainWindow

from rqt_aloha.desk import Desk
from rqt_aloha.figures import Figures
from rqt_aloha.photographs import Photographer
from rqt_aloha.theme import DARK, LIGHT, palette, sheet

EXAMPLE = """keys: Esc or E: E-STOP; Shift+R twice: reset it
      Space: start, and keep as success; F: keep as failure; P: pause; D twice: discard
      T: take over from the policy; G: give back

examples:
  ./aloha panel
  ./aloha panel --robot aloha --light
  ./aloha panel --pictures docs/pictures     pictures of each panel, once data are there; then ends
"""
NICE = 5
"""The ticks of bridges and player come first, the panel before a policy's thinking (nice 10)."""
WAKE_MS = 200
"""How often Python gets to run, so that it hears signals while nothing happens."""


def main(argv: Sequence[str] | None = None) -> int:
    """The process; 2 for a wrong argument, and where there is no screen."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="aloha panel",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--robot",
        default="twin",
        help="whose arms, limits and cameras: a name in config/robots, or a robot file (twin)",
    )
    parser.add_argument("--light", action="store_true", help="light colours instead of dark ones")
    parser.add_argument(
        "--pictures",
        type=Path,
        metavar="DIR",
        help="saves a picture of each panel, once data are there, and ends; needs no screen",
    )
    parser.add_argument(
        "--figures",
        type=Path,
        metavar="FILE",
        help="adds a line of JSON each second: what was shown, and the arms' counters",
    )
    parser.add_argument("--seconds", type=float, metavar="S", help="ends by itself after so long")
    options = parser.parse_args(words)
    if not has_screen(os.environ):
        if options.pictures is None:
            print(
                "aloha panel: there is no screen (neither DISPLAY nor WAYLAND_DISPLAY is set); "
                "--pictures DIR saves pictures of it without one",
                file=sys.stderr,
            )
            return 2
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.nice(NICE)
    application = QApplication(["aloha panel"])
    application.setStyle("Fusion")
    chosen = LIGHT if options.light else DARK
    application.setPalette(palette(chosen))
    try:
        desk = Desk(options.robot)
    except ValueError as error:
        parser.error(str(error))
    desk.board.setStyleSheet(sheet(chosen))
    window = QMainWindow()
    window.setWindowTitle("ALOHA")
    window.setCentralWidget(desk.board)
    window.resize(desk.board.sizeHint())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: application.quit())
    wake = QTimer()
    wake.timeout.connect(lambda: None)
    wake.start(WAKE_MS)
    if options.seconds is not None:
        QTimer.singleShot(round(1000 * options.seconds), application.quit)
    photographer = None
    if options.pictures is not None:
        photographer = Photographer(desk.board, options.pictures, application.quit)
    if options.figures is not None:
        figures = Figures(desk, options.figures)
        figures.start()
    window.show()
    try:
        application.exec_()
    finally:
        desk.close()
    return photographer.status if photographer is not None else 0


def has_screen(environment: Mapping[str, str]) -> bool:
    """Whether Qt has something to draw on, or was told what; where it has not it would abort."""
    told = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return sys.platform != "linux" or any(environment.get(name) for name in told)


if __name__ == "__main__":
    sys.exit(main())
