"""What the panel showed, second by second, for `./aloha bench gui`."""

import json
import time
from pathlib import Path

from python_qt_binding.QtCore import QTimer

from rqt_aloha.desk import Desk
from rqt_aloha.photographs import is_whole

PERIOD_MS = 1000


class Figures(QTimer):
    """Writes once cameras and safety are heard; each line is on the disk at once."""

    def __init__(self, desk: Desk, file: Path) -> None:
        super().__init__()
        self._desk, self._file, self._begun = desk, file, False
        self.timeout.connect(self._note)
        self.setInterval(PERIOD_MS)

    def _note(self) -> None:
        view, link = self._desk.board.view, self._desk.link
        self._begun = self._begun or is_whole(view)
        if not self._begun:
            return
        arms = {name: arm.value for name, arm in view.arms.items() if arm.value is not None}
        line = {
            "time_ns": time.time_ns(),
            "views": link.made,
            "pictures": link.previews.decoded,
            "cycles": {name: arm.cycles for name, arm in arms.items()},
            "overruns": {name: arm.overruns for name, arm in arms.items()},
        }
        with self._file.open("a") as file:
            file.write(json.dumps(line) + "\n")
