"""Qt off screen, one application for all tests of rqt_aloha."""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # before Qt is imported

from python_qt_binding.QtWidgets import QApplication

from aloha_stack.robot.joints import JOINTS, SIDES
from rqt_aloha.board import Board
from rqt_aloha.views import Bounds

CAMERAS = ("cam_high", "cam_low")
BOUNDS = {side: Bounds((-3.0,) * 7, (3.0,) * 7) for side in SIDES}


@pytest.fixture(scope="session")
def application() -> Any:
    return QApplication.instance() or QApplication(["test"])


@pytest.fixture
def board(application: Any) -> Iterator[Board]:
    made = Board(JOINTS, BOUNDS, CAMERAS)
    made.resize(1400, 850)
    made.show()
    application.setActiveWindow(made)
    application.processEvents()
    yield made
    made.close()


@pytest.fixture
def until(application: Any) -> Callable[[Callable[[], Any], str], None]:
    """Lets Qt work until the condition holds."""

    def wait(condition: Callable[[], Any], what: str) -> None:
        end_s = time.monotonic() + 40.0
        while not condition():
            assert time.monotonic() < end_s, f"did not happen: {what}"
            application.processEvents()
            time.sleep(0.005)

    return wait
