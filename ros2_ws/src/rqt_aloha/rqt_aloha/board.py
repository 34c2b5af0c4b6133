"""All panels on one board, and the keys. It knows nothing of ROS: it is shown views, and tells by
signals what its operator wants."""

import time
from collections.abc import Mapping, Sequence

from python_qt_binding.QtCore import QSize, Qt, QTimer, Signal
from python_qt_binding.QtGui import QKeySequence
from python_qt_binding.QtWidgets import (
    QPlainTextEdit,
    QShortcut,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from rqt_aloha.banner import banner
from rqt_aloha.parts import Panel
from rqt_aloha.theme import colours, sheet
from rqt_aloha.views import Bounds, View
from rqt_aloha.widgets_cameras import CamerasPanel
from rqt_aloha.widgets_health import HealthPanel
from rqt_aloha.widgets_joints import JointsPanel
from rqt_aloha.widgets_policy import PolicyPanel
from rqt_aloha.widgets_recorder import RecorderPanel
from rqt_aloha.widgets_top import LISTENING, STOPPED, TopBar

SILENT_S, WATCH_MS = 1.5, 300
"""Steady time without a view after which nothing is shown any more; between two looks at that."""
ANSWERS = 100
"""Lines that are kept of what was answered."""


class AnswersPanel(Panel):
    """What the graph answered, the newest last."""

    def __init__(self) -> None:
        super().__init__("answers")
        self.lines = QPlainTextEdit()
        self.lines.setReadOnly(True)
        self.lines.setFocusPolicy(Qt.NoFocus)
        self.lines.setMaximumBlockCount(ANSWERS)
        self.body.addWidget(self.lines, 1)

    def add(self, words: str) -> None:
        self.lines.appendPlainText(f"{time.strftime('%H:%M:%S')}  {words}")


class Board(QWidget):
    """`watched(px)`: somebody looks at pictures so wide; 0: nobody looks."""

    watched = Signal(int)

    def __init__(
        self, joints: Sequence[str], bounds: Mapping[str, Bounds], cameras: Sequence[str]
    ) -> None:
        super().__init__()
        self.setObjectName("board")
        self.setAttribute(Qt.WA_StyledBackground)
        self.setFocusPolicy(Qt.ClickFocus)  # a click beside a field takes the keyboard from it
        self.setWindowTitle("ALOHA")
        self.top = TopBar()
        self.cameras = CamerasPanel(cameras)
        self.joints = JointsPanel(joints, bounds)
        self.policy = PolicyPanel(joints, tuple(bounds))
        self.recorder = RecorderPanel()
        self.health = HealthPanel()
        self.answers = AnswersPanel()
        self._lay_out()
        self._bind_keys()
        self._seen_s = time.monotonic()
        self._width = 0
        self.view = View()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._watch)
        self._timer.start(WATCH_MS)
        self.setStyleSheet(sheet(colours(self)))
        self._show(View())
        self.top.show_banner(LISTENING, e_stopped=False)

    def sizeHint(self) -> QSize:
        return QSize(1500, 900)

    def panels(self) -> dict[str, QWidget]:
        """By name, for pictures of them."""
        return {
            "top": self.top,
            "cameras": self.cameras,
            "recorder": self.recorder,
            "joints": self.joints,
            "policy": self.policy,
            "health": self.health,
        }

    # -- what is so ---------------------------------------------------------------------------

    def show_view(self, view: View) -> None:
        """Everything anew."""
        self._seen_s = time.monotonic()
        self._show(view)
        safety = view.safety.value
        self.top.show_banner(banner(view), e_stopped=safety is not None and safety.e_stopped)

    def show_told(self, words: str) -> None:
        """An answer of the graph."""
        self.answers.add(words)
        self.top.show_notice(f"{time.strftime('%H:%M:%S')}  {words}")

    def _show(self, view: View) -> None:
        self.view = view
        self.cameras.show_pictures(view.pictures, view.camera_rates)
        self.joints.show_sides(view.sides, view.arms)
        self.policy.show_view(view)
        self.recorder.show_recorder(view.recorder)
        self.health.show_health(view.health)

    def _watch(self) -> None:
        """What was shown is old where nothing new comes."""
        if self.isVisible() and time.monotonic() - self._seen_s > SILENT_S:
            self._show(View())
            self.top.show_banner(STOPPED, e_stopped=True)

    # -- who looks ----------------------------------------------------------------------------

    def showEvent(self, event: object) -> None:
        super().showEvent(event)
        self._seen_s = time.monotonic()
        self._tell_width()

    def hideEvent(self, event: object) -> None:
        super().hideEvent(event)
        self._width = 0
        self.watched.emit(0)

    def resizeEvent(self, event: object) -> None:
        super().resizeEvent(event)
        if self.isVisible():
            self._tell_width()

    def _tell_width(self) -> None:
        width = max(picture.width() for picture in self.cameras.pictures.values())
        if width != self._width:
            self._width = width
            self.watched.emit(width)

    # -- parts --------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        columns = QSplitter(Qt.Horizontal)
        for parts, share in (
            (((self.cameras, 1), (self.recorder, 0)), 40),
            (((self.joints, 0), (self.policy, 1)), 40),
            (((self.health, 3), (self.answers, 1)), 24),
        ):
            column = QWidget()
            rows = QVBoxLayout(column)
            rows.setContentsMargins(0, 0, 0, 0)
            rows.setSpacing(6)
            for part, stretch in parts:
                rows.addWidget(part, stretch)
            columns.addWidget(column)
            columns.setStretchFactor(columns.count() - 1, share)
        columns.setSizes([560, 560, 360])
        columns.setHandleWidth(6)
        columns.setChildrenCollapsible(False)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(8, 8, 8, 8)
        whole.setSpacing(6)
        whole.addWidget(self.top)
        whole.addWidget(columns, 1)

    def _bind_keys(self) -> None:
        recorder, policy = self.recorder, self.policy
        keys = {
            "Space": recorder.begin_or_keep,
            "S": lambda: recorder.end("success"),
            "F": lambda: recorder.end("failure"),
            "P": recorder.pause_or_resume,
            "D": recorder.discard_button.ask,
            "T": policy.take_button.click,
            "G": policy.give_button.click,
            "Shift+R": self.top.reset_button.ask,
        }
        for key, does in keys.items():
            self._bind(key, Qt.WidgetWithChildrenShortcut, does)
        for key in ("Esc", "E"):
            self._bind(key, Qt.WindowShortcut, self.top.e_stop.emit)

    def _bind(self, key: str, context: Qt.ShortcutContext, does: object) -> None:
        shortcut = QShortcut(QKeySequence(key), self)
        shortcut.setContext(context)
        shortcut.setAutoRepeat(False)
        shortcut.activated.connect(does)
        shortcut.activatedAmbiguously.connect(does)
