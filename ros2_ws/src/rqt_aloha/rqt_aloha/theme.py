"""Colours for dark and light desks; which one is in force follows from the palette."""

from dataclasses import dataclass

from python_qt_binding.QtGui import QColor, QPalette
from python_qt_binding.QtWidgets import QWidget


@dataclass(frozen=True)
class Colours:
    """As #rrggbb. Levels are told apart by lightness as well, and by words beside them."""

    ground: str
    panel: str
    line: str
    text: str
    dim: str
    ok: str
    busy: str
    warn: str
    bad: str
    leader: str
    follower: str
    command: str
    chunk: str

    def level(self, level: str) -> str:
        """Of ok, busy, warn, error, bad; anything else (stale, missing) is dim."""
        known = {"ok": self.ok, "busy": self.busy, "warn": self.warn}
        return known.get(level, self.bad if level in ("bad", "error") else self.dim)


DARK = Colours(
    *("#14171a", "#1d2126", "#343b43", "#e4e7ea", "#8a949e"),
    *("#57ab6b", "#5aa2e0", "#e0a83c", "#e5534b"),
    *("#b58ae0", "#5aa2e0", "#e4e7ea", "#e0a83c"),
)
LIGHT = Colours(
    *("#f1f3f5", "#ffffff", "#ccd3da", "#1b2126", "#687480"),
    *("#217a3a", "#1763a6", "#9a6200", "#c0281f"),
    *("#7440ab", "#1763a6", "#1b2126", "#b06f00"),
)

STOP = "#d11f1a"
"""The e-stop is this red on every desk, with white words."""


def colours(widget: QWidget) -> Colours:
    """Those that fit the palette of `widget`."""
    dark = widget.palette().color(QPalette.Window).lightness() < 128
    return DARK if dark else LIGHT


def palette(chosen: Colours) -> QPalette:
    """For a window of our own; in rqt the desk's palette stays."""
    made = QPalette()
    for role, colour in (
        (QPalette.Window, chosen.ground),
        (QPalette.Base, chosen.panel),
        (QPalette.AlternateBase, chosen.ground),
        (QPalette.Button, chosen.panel),
        (QPalette.ToolTipBase, chosen.panel),
        (QPalette.Highlight, chosen.busy),
        (QPalette.WindowText, chosen.text),
        (QPalette.Text, chosen.text),
        (QPalette.ButtonText, chosen.text),
        (QPalette.ToolTipText, chosen.text),
        (QPalette.HighlightedText, chosen.ground),
    ):
        made.setColor(role, QColor(colour))
    for role in (QPalette.WindowText, QPalette.Text, QPalette.ButtonText):
        made.setColor(QPalette.Disabled, role, QColor(chosen.dim))
    return made


def sheet(chosen: Colours) -> str:
    """The style of all panels."""
    c = chosen
    return f"""
    #board {{ background: {c.ground}; color: {c.text}; }}
    #board QWidget {{ font-size: 13px; }}
    QFrame#panel {{ background: {c.panel}; border: 1px solid {c.line}; border-radius: 5px; }}
    QLabel {{ color: {c.text}; background: transparent; }}
    QLabel#heading {{ color: {c.dim}; font-weight: 600; }}
    QLabel#dim {{ color: {c.dim}; }}
    #board QLabel#title {{ font-size: 19px; font-weight: 700; }}
    QLineEdit {{ background: {c.ground}; color: {c.text}; border: 1px solid {c.line};
        border-radius: 3px; padding: 3px 5px; }}
    QPushButton {{ background: {c.ground}; color: {c.text}; border: 1px solid {c.line};
        border-radius: 4px; padding: 5px 9px; }}
    QPushButton:hover {{ border-color: {c.busy}; }}
    QPushButton:pressed {{ background: {c.line}; }}
    QPushButton:disabled {{ color: {c.dim}; border-color: {c.line}; }}
    QPushButton#reset:enabled {{ border: 2px solid {c.warn}; font-weight: 700; }}
    QPushButton[armed="true"] {{ background: {c.warn}; color: #14171a; font-weight: 700; }}
    #board QPushButton#stop {{ background: {STOP}; color: white; font-size: 22px; font-weight: 800;
        border: 2px solid #7d0f0c; border-radius: 8px; padding: 6px 26px; }}
    QPushButton#stop:hover {{ background: #e8352f; }}
    QPushButton#stop:pressed {{ background: #8f1411; }}
    QTreeWidget, QPlainTextEdit {{ background: {c.panel}; color: {c.text}; border: none;
        alternate-background-color: {c.ground}; }}
    QHeaderView::section {{ background: {c.panel}; color: {c.dim}; border: none; padding: 2px; }}
    QCheckBox {{ color: {c.text}; background: transparent; spacing: 5px; }}
    QCheckBox::indicator {{ width: 13px; height: 13px; border: 1px solid {c.dim};
        border-radius: 3px; background: {c.ground}; }}
    QCheckBox::indicator:checked {{ background: {c.bad}; }}
    """
