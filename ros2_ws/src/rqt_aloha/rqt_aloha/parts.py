"""Small parts that several panels are made of."""

import time
from collections.abc import Callable
from pathlib import PurePath

from python_qt_binding.QtCore import Qt, QTimer
from python_qt_binding.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
)

AGAIN_S = 3.0
"""Steady time in which a button that asks again takes its second click."""


class Panel(QFrame):
    """A frame with a heading; `body` takes what is in it."""

    def __init__(self, heading: str) -> None:
        super().__init__()
        self.setObjectName("panel")
        outer = QVBoxLayout(self)
        outer.setContentsMargins(8, 5, 8, 7)
        outer.setSpacing(4)
        row = QHBoxLayout()
        row.addWidget(label(heading.upper(), "heading"))
        self.note = label("", "dim")
        self.note.setAlignment(Qt.AlignRight | Qt.AlignVCenter)
        row.addWidget(self.note, 1)
        outer.addLayout(row)
        self.body = outer


def field(hint: str) -> QLineEdit:
    """Takes the keyboard when it is clicked, and gives it back on Return: keys are commands."""
    made = QLineEdit()
    made.setPlaceholderText(hint)
    made.setFocusPolicy(Qt.ClickFocus)
    made.returnPressed.connect(made.clearFocus)
    return made


def label(text: str, name: str = "") -> QLabel:
    """Words that nobody clicks, never taken for markup: they come from the graph."""
    made = QLabel(text)
    made.setTextFormat(Qt.PlainText)
    made.setObjectName(name)
    made.setMinimumWidth(1)
    return made


def put(widget: QLabel, text: str, colour: str = "") -> None:
    """New words, and their colour; nothing is drawn anew where nothing changed."""
    if widget.text() != text:
        widget.setText(text)
        widget.setToolTip(text if len(text) > 40 else "")
    style = f"color: {colour};" if colour else ""
    if widget.styleSheet() != style:
        widget.setStyleSheet(style)


def button(text: str, tip: str, does: Callable[[], None]) -> QPushButton:
    """A button that never takes the keyboard: a space bar must not press what was clicked last."""
    made = QPushButton(text)
    made.setToolTip(tip)
    made.setFocusPolicy(Qt.NoFocus)
    made.clicked.connect(lambda _checked=False: does())
    return made


class AskingButton(QPushButton):
    """Asks again before it acts: the second click within AGAIN_S does it. No dialog opens."""

    def __init__(self, text: str, question: str, tip: str, does: Callable[[], None]) -> None:
        super().__init__(text)
        self._text, self._question, self._does = text, question, does
        self._until_s = 0.0
        self.setToolTip(tip)
        self.setFocusPolicy(Qt.NoFocus)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.disarm)
        self.clicked.connect(lambda _checked=False: self.ask())

    def ask(self) -> None:
        """A click, or its key."""
        if not self.isEnabled():
            return
        if time.monotonic() < self._until_s:
            self.disarm()
            self._does()
            return
        self._until_s = time.monotonic() + AGAIN_S
        self._timer.start(int(1000 * AGAIN_S))
        self._show(self._question, armed=True)

    def disarm(self) -> None:
        """The question is forgotten: what it was about has changed."""
        if self._until_s:
            self._until_s = 0.0
            self._timer.stop()
            self._show(self._text, armed=False)

    def _show(self, text: str, *, armed: bool) -> None:
        self.setText(text)
        self.setProperty("armed", "true" if armed else "false")
        self.style().unpolish(self)
        self.style().polish(self)


def name_of(path: str) -> str:
    """The episode's or checkpoint's own name."""
    return PurePath(path).name


def clock(seconds: float) -> str:
    """m:ss.t"""
    minutes, rest = divmod(max(seconds, 0.0), 60.0)
    return f"{int(minutes)}:{rest:04.1f}"
