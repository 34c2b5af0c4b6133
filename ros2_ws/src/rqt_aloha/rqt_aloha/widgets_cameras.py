"""The cameras' pictures, small and live; a camera that is silent shows that, and no old picture."""

from collections.abc import Mapping, Sequence

from python_qt_binding.QtCore import QRectF, QSize, Qt
from python_qt_binding.QtGui import QColor, QFont, QPainter
from python_qt_binding.QtWidgets import QGridLayout, QSizePolicy, QWidget

from rqt_aloha.parts import Panel
from rqt_aloha.theme import colours
from rqt_aloha.views import MISSING, Heard, PictureView

COLUMNS = 2


class Picture(QWidget):
    """One camera."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.heard: Heard[PictureView] = MISSING
        self._rate = ""
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Expanding)
        self.setAttribute(Qt.WA_OpaquePaintEvent)
        self.setMinimumSize(120, 90)

    def sizeHint(self) -> QSize:
        return QSize(300, 225)

    def show_picture(self, heard: Heard[PictureView], rate: str) -> None:
        """Draws only what is new."""
        before, now = self.heard.value, heard.value
        same = before.number == now.number if before and now else heard == self.heard
        if same and rate == self._rate:
            return
        self.heard, self._rate = heard, rate
        self.update()

    def paintEvent(self, _event: object) -> None:
        c = colours(self)
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor("#0c0e10"))
        picture = self.heard.value
        if picture is not None:
            painter.setRenderHint(QPainter.SmoothPixmapTransform)
            painter.drawImage(self._target(picture.image), picture.image)
        else:
            never = self.heard.absence == MISSING.absence  # perhaps nobody wants it
            painter.setPen(QColor(c.dim if never else c.bad))
            painter.setFont(_font(self, 1.15, bold=True))
            painter.drawText(self.rect(), Qt.AlignCenter, f"{self.name}\n{self.heard.absence}")
        painter.fillRect(0, 0, self.width(), 18, QColor(0, 0, 0, 150))
        painter.setFont(_font(self, 0.9))
        painter.setPen(QColor("#e4e7ea"))
        painter.drawText(6, 13, self.name)
        painter.drawText(0, 0, self.width() - 6, 18, Qt.AlignRight | Qt.AlignVCenter, self._rate)
        painter.end()

    def _target(self, image: object) -> QRectF:
        """As large as it can be without being bent."""
        width, height = image.width(), image.height()  # type: ignore[attr-defined]
        scale = min(self.width() / width, self.height() / height)
        shown_w, shown_h = width * scale, height * scale
        return QRectF((self.width() - shown_w) / 2, (self.height() - shown_h) / 2, shown_w, shown_h)


class CamerasPanel(Panel):
    """All cameras of the robot."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__("cameras")
        grid = QGridLayout()
        grid.setSpacing(4)
        self.pictures = {name: Picture(name) for name in names}
        for index, picture in enumerate(self.pictures.values()):
            grid.addWidget(picture, index // COLUMNS, index % COLUMNS)
        self.body.addLayout(grid, 1)

    def show_pictures(
        self, pictures: Mapping[str, Heard[PictureView]], rates: Mapping[str, str]
    ) -> None:
        """`rates` are the cameras' own, in words, where diagnostics tell them."""
        for name, picture in self.pictures.items():
            picture.show_picture(pictures.get(name, MISSING), rates.get(name, ""))


def _font(widget: QWidget, scale: float, *, bold: bool = False) -> QFont:
    font = QFont(widget.font())
    font.setPixelSize(round(13 * scale))
    font.setBold(bold)
    return font
