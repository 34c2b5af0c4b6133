"""Joint by joint: leader, follower and command between the joint's limits, and the error."""

from collections.abc import Mapping, Sequence

from python_qt_binding.QtCore import QPointF, QRectF, QSize, Qt
from python_qt_binding.QtGui import QColor, QFont, QPainter, QPen, QPolygonF
from python_qt_binding.QtWidgets import QSizePolicy, QWidget

from rqt_aloha.banner import in_trouble
from rqt_aloha.parts import Panel, label, put
from rqt_aloha.theme import Colours, colours
from rqt_aloha.views import MISSING, ArmView, Bounds, Heard, Joints, SideView

ROW_PX = 19
NAME_PX, NUMBER_PX = 90, 66
HEADINGS = ("leader", "follower", "command", "error")

ERROR_WARN_RAD, ERROR_BAD_RAD = 0.1, 0.35
"""Beyond these the error (follower - command) is coloured; at the second a bridge gives way."""
NEAR_LIMIT = 0.02
"""Part of a joint's range: so near to a limit its place is coloured."""


class JointTable(QWidget):
    """The seven joints of one side, painted by hand: ten times a second costs next to nothing."""

    def __init__(self, names: Sequence[str], bounds: Bounds) -> None:
        super().__init__()
        self._names, self._bounds = tuple(names), bounds
        self._view = SideView()
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Fixed)
        self.setFixedHeight(ROW_PX * (len(self._names) + 1))

    def sizeHint(self) -> QSize:
        return QSize(560, self.height())

    def show_side(self, view: SideView) -> None:
        if view != self._view:
            self._view = view
            self.update()

    def texts(self) -> list[list[str]]:
        """What stands in each row: leader, follower, command, error (rad); "–" for what is not."""
        leader, follower, command = (
            one.value for one in (self._view.leader, self._view.follower, self._view.command)
        )
        return [
            [_word(leader, row), _word(follower, row), _word(command, row), self._error_word(row)]
            for row in range(len(self._names))
        ]

    def _error_word(self, row: int) -> str:
        error = self._error(row)
        return "–" if error is None else f"{error:+.3f}"

    def _error(self, row: int) -> float | None:
        follower, command = self._view.follower.value, self._view.command.value
        if follower is None or command is None:
            return None
        return follower[row] - command[row]

    def paintEvent(self, _event: object) -> None:
        c = colours(self)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.Antialiasing)
        font = QFont(self.font())
        font.setPixelSize(12)
        painter.setFont(font)
        painter.setPen(QColor(c.dim))
        for column, words in enumerate(HEADINGS):
            painter.drawText(self._cell(0, column), Qt.AlignRight | Qt.AlignVCenter, words)
        painter.drawText(
            QRectF(0, 0, NAME_PX, ROW_PX), Qt.AlignLeft | Qt.AlignVCenter, "joint (rad)"
        )
        for row, texts in enumerate(self.texts()):
            self._paint_row(painter, c, row, texts)
        painter.end()

    def _paint_row(self, painter: QPainter, c: Colours, row: int, texts: list[str]) -> None:
        top = ROW_PX * (row + 1)
        painter.setPen(QColor(c.text))
        name = QRectF(0, top, NAME_PX, ROW_PX)
        painter.drawText(name, Qt.AlignLeft | Qt.AlignVCenter, self._names[row])
        self._paint_bar(painter, c, row, top)
        error = abs(self._error(row) or 0.0)
        tone = c.bad if error > ERROR_BAD_RAD else c.warn if error > ERROR_WARN_RAD else c.text
        for column, words in enumerate(texts):
            shade = c.dim if words == "–" else tone if column == 3 else c.text
            painter.setPen(QColor(shade))
            cell = self._cell(row + 1, column)
            painter.drawText(cell, Qt.AlignRight | Qt.AlignVCenter, words)

    def _paint_bar(self, painter: QPainter, c: Colours, row: int, top: float) -> None:
        left, right = NAME_PX + 4.0, self.width() - 4 * NUMBER_PX - 8.0
        if right - left < 30:
            return
        middle = top + ROW_PX / 2
        lower, upper = self._bounds.lower[row], self._bounds.upper[row]
        span = max(upper - lower, 1e-6)

        def place(value: float) -> float:
            return left + (right - left) * min(max((value - lower) / span, 0.0), 1.0)

        painter.setPen(QPen(QColor(c.line), 4, Qt.SolidLine, Qt.RoundCap))
        painter.drawLine(QPointF(left, middle), QPointF(right, middle))
        if lower < 0 < upper:
            painter.setPen(QPen(QColor(c.dim), 1))
            painter.drawLine(QPointF(place(0), middle - 5), QPointF(place(0), middle + 5))
        leader, follower, command = (
            one.value for one in (self._view.leader, self._view.follower, self._view.command)
        )
        if leader is not None:
            x = place(leader[row])
            painter.setPen(Qt.NoPen)
            painter.setBrush(QColor(c.leader))
            points = [
                QPointF(x, middle - 1),
                QPointF(x - 4, middle - 8),
                QPointF(x + 4, middle - 8),
            ]
            painter.drawPolygon(QPolygonF(points))
        if follower is not None:
            part = (follower[row] - lower) / span
            near = part < NEAR_LIMIT or part > 1 - NEAR_LIMIT
            painter.setPen(Qt.NoPen)
            painter.setBrush(QColor(c.warn if near else c.follower))
            painter.drawEllipse(QPointF(place(follower[row]), middle), 4.5, 4.5)
        if command is not None:
            painter.setPen(QPen(QColor(c.command), 1.6))
            x = place(command[row])
            painter.drawLine(QPointF(x, middle - 7), QPointF(x, middle + 7))

    def _cell(self, row: int, column: int) -> QRectF:
        left = self.width() - NUMBER_PX * (4 - column)
        return QRectF(left, ROW_PX * row, NUMBER_PX - 4, ROW_PX)


class JointsPanel(Panel):
    """Both sides, each under a line that says how its two arms are."""

    def __init__(self, joints: Sequence[str], bounds: Mapping[str, Bounds]) -> None:
        super().__init__("joints")
        put(self.note, "▼ leader   ● follower   | command, as written to the wire")
        self.tables: dict[str, JointTable] = {}
        self.modes: dict[str, dict[str, object]] = {}
        for side, limits in bounds.items():
            self.modes[side] = {}
            for role in ("follower", "leader"):
                line = label("")
                self.body.addWidget(line)
                self.modes[side][role] = line
            self.tables[side] = JointTable(joints, limits)
            self.body.addWidget(self.tables[side])

    def show_sides(self, sides: Mapping[str, SideView], arms: Mapping[str, Heard[ArmView]]) -> None:
        for side, table in self.tables.items():
            table.show_side(sides.get(side, SideView()))
            for role, line in self.modes[side].items():
                arm = f"{role}_{side}"
                words, level = arm_words(arm, arms.get(arm, MISSING))
                put(line, words, colours(self).level(level))  # type: ignore[arg-type]


def arm_words(name: str, heard: Heard[ArmView]) -> tuple[str, str]:
    """How an arm is, in words, and how bad that is."""
    arm = heard.value
    if arm is None:
        return f"{name}: {heard.absence}", "bad"
    rate = f"{arm.hz:.0f} Hz" if arm.hz == arm.hz else "rate unknown"
    torque = "torque on" if arm.torque else "no torque"
    words = [f"{name}: {arm.mode}", rate, torque]
    if arm.read_age_s > 0.1:
        words.append(f"last read {arm.read_age_s:.1f} s ago")
    if arm.reason:
        words.append(arm.reason)
    level = "bad" if arm.mode == "FAULT" else "warn" if in_trouble(arm) else "ok"
    return "  ·  ".join(words), level


def _word(values: Joints | None, row: int) -> str:
    return "–" if values is None else f"{values[row]:.3f}"
