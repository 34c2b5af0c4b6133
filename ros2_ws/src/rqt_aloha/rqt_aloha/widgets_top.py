"""The bar that is always on top: who commands, what is wrong, the e-stop and its reset."""

from python_qt_binding.QtCore import Qt, Signal
from python_qt_binding.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from rqt_aloha.banner import BAD, WARN, Banner
from rqt_aloha.parts import AskingButton, button, label, put
from rqt_aloha.theme import colours

LISTENING = Banner(WARN, "LISTENING", ("nothing was heard yet",))
STOPPED = Banner(BAD, "THIS PANEL HEARS NOTHING", ("its link hangs or has ended; E-STOP is tried",))


class TopBar(QWidget):
    """Tells by signals that the e-stop, or its reset, is wanted."""

    e_stop = Signal()
    reset = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.stop_button = button(
            "E-STOP", "Stops all arms at once (Esc, or E)", lambda: self.e_stop.emit()
        )
        self.stop_button.setObjectName("stop")
        self.stop_button.setFixedHeight(64)
        self.stop_button.setMinimumWidth(190)
        self.stop_button.pressed.connect(self.e_stop.emit)  # on the way down, not on release
        self.stop_button.clicked.disconnect()
        self.reset_button = AskingButton(
            "Reset e-stop",
            "Arms may move: again",
            "Ends the e-stop; click twice (Shift+R twice)",
            lambda: self.reset.emit(),
        )
        self.reset_button.setObjectName("reset")
        self.reset_button.setFixedHeight(64)
        self.reset_button.setMinimumWidth(170)
        self.reset_button.setEnabled(False)
        self._lamp = QFrame()
        self._lamp.setFixedWidth(10)
        self._title = label("", "title")
        self._details = label("", "dim")
        self._notice = label("", "dim")
        for one in (self._title, self._details, self._notice):
            one.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(self._title)
        words.addWidget(self._details)
        words.addWidget(self._notice)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self._lamp)
        row.addLayout(words, 1)
        row.addWidget(self.reset_button, 0, Qt.AlignVCenter)
        row.addWidget(self.stop_button, 0, Qt.AlignVCenter)

    def show_banner(self, banner: Banner, *, e_stopped: bool) -> None:
        """What is so now. The e-stop can always be pressed, its reset while it is in force."""
        colour = colours(self).level(banner.level)
        self._lamp.setStyleSheet(f"background: {colour}; border-radius: 3px;")
        put(self._title, banner.title, colour)
        put(self._details, "  ·  ".join(banner.details) or "all is well")
        if not e_stopped:
            self.reset_button.disarm()
        self.reset_button.setEnabled(e_stopped)

    def show_notice(self, words: str) -> None:
        """What was answered last."""
        put(self._notice, words)

    @property
    def title(self) -> str:
        return str(self._title.text())

    @property
    def details(self) -> str:
        return str(self._details.text())
