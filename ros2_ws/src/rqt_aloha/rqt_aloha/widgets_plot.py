"""The predicted chunk over the executed motion: one small plot a joint."""

import math
from collections.abc import Mapping, Sequence

from python_qt_binding.QtCore import QPointF, QRectF, QSize, Qt, QTimer
from python_qt_binding.QtGui import QColor, QFont, QPainter, QPen, QPolygonF
from python_qt_binding.QtWidgets import QSizePolicy, QWidget

from rqt_aloha.theme import Colours, colours
from rqt_aloha.views import MISSING, ChunkView, Heard, Joints, Motion

PAST_S, AHEAD_S = 4.0, 2.0
LEAST_SPAN_RAD = 0.1
"""A joint at rest is a line, not noise blown up."""
NAME_PX = 78
PAINT_MS = 200
"""Fourteen curves are the dearest thing on the board: they are drawn five times a second."""


class ChunkPlot(QWidget):
    """Joints in rows, sides in columns; time runs to the right, the dashed line is now."""

    def __init__(self, joints: Sequence[str], sides: Sequence[str]) -> None:
        super().__init__()
        self._joints, self._sides = tuple(joints), tuple(sides)
        self._motion: Mapping[str, Motion] = {}
        self._chunk: Heard[ChunkView] = MISSING
        self._due = QTimer(self)
        self._due.setSingleShot(True)
        self._due.timeout.connect(self.update)
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Expanding)
        self.setMinimumHeight(20 * len(self._joints) + 16)

    def sizeHint(self) -> QSize:
        return QSize(560, 30 * len(self._joints) + 16)

    def show_motion(self, motion: Mapping[str, Motion], chunk: Heard[ChunkView]) -> None:
        if motion != self._motion or chunk != self._chunk:
            self._motion, self._chunk = motion, chunk
            if not self._due.isActive():
                self._due.start(PAINT_MS)

    @property
    def points(self) -> int:
        """How many samples are held, all sides."""
        return sum(len(one.times_s) for one in self._motion.values())

    def paintEvent(self, _event: object) -> None:
        c = colours(self)
        painter = QPainter(self)
        font = QFont(self.font())
        font.setPixelSize(11)
        painter.setFont(font)
        width = (self.width() - NAME_PX) / max(len(self._sides), 1)
        height = (self.height() - 16) / len(self._joints)
        painter.setPen(QColor(c.dim))
        for row, joint in enumerate(self._joints):
            area = QRectF(0, 16 + row * height, NAME_PX, height)
            painter.drawText(area, Qt.AlignLeft | Qt.AlignVCenter, joint)
        for column, side in enumerate(self._sides):
            left = NAME_PX + column * width
            painter.setPen(QColor(c.dim))
            painter.drawText(QRectF(left, 0, width - 6, 15), Qt.AlignLeft, side)
            for row in range(len(self._joints)):
                area = QRectF(left, 16 + row * height + 1, width - 6, height - 2)
                self._paint_joint(painter, c, area, side, row)
        painter.end()

    def _paint_joint(
        self, painter: QPainter, c: Colours, area: QRectF, side: str, row: int
    ) -> None:
        painter.fillRect(area, QColor(c.ground))
        motion = self._motion.get(side, Motion())
        if not motion.times_s:
            return
        now_s = motion.times_s[-1]
        done = [(t, r[row]) for t, r in zip(motion.times_s, motion.rows, strict=True)]
        ahead = self._ahead(side, row, now_s)
        values = [value for _, value in done + ahead]
        low, high = min(values), max(values)
        spare = max(LEAST_SPAN_RAD - (high - low), 0.0) / 2
        low, high = low - spare, high + spare

        def place(time_s: float, value: float) -> QPointF:
            x = area.left() + area.width() * (time_s - now_s + PAST_S) / (PAST_S + AHEAD_S)
            y = area.bottom() - 2 - (area.height() - 4) * (value - low) / (high - low)
            return QPointF(x, y)

        painter.setPen(QPen(QColor(c.dim), 1, Qt.DashLine))
        here = place(now_s, low).x()
        painter.drawLine(QPointF(here, area.top()), QPointF(here, area.bottom()))
        painter.setRenderHint(QPainter.Antialiasing)
        painter.setPen(QPen(QColor(c.follower), 1.6))
        painter.drawPolyline(QPolygonF([place(t, v) for t, v in done if t >= now_s - PAST_S]))
        if ahead:
            painter.setPen(QPen(QColor(c.chunk), 1.6))
            painter.drawPolyline(QPolygonF([place(t, v) for t, v in ahead]))
        painter.setRenderHint(QPainter.Antialiasing, False)

    def _ahead(self, side: str, row: int, now_s: float) -> list[tuple[float, float]]:
        """The chunk of this joint within the plot, every other row of it; empty if it is stale."""
        chunk = self._chunk.value
        if chunk is None or side not in chunk.rows:
            return []
        rows: tuple[Joints, ...] = chunk.rows[side]
        pairs = zip(chunk.times_s[::2], rows[::2], strict=True)
        return [
            (time_s, one[row])
            for time_s, one in pairs
            if now_s - PAST_S <= time_s <= now_s + AHEAD_S and math.isfinite(one[row])
        ]
