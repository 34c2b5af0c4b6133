"""The health list: what every part says of itself; silence is shown as such."""

from collections.abc import Iterable

from python_qt_binding.QtCore import Qt
from python_qt_binding.QtGui import QBrush, QColor
from python_qt_binding.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem

from rqt_aloha.parts import Panel, put
from rqt_aloha.theme import colours
from rqt_aloha.views import HealthRow

ORDER = ("error", "stale", "warn", "ok")
SIGNS = {"error": "✖", "stale": "?", "warn": "▲", "ok": "●"}


def group_of(name: str) -> str:
    """Statuses are named `group: part` or `group/part`."""
    for separator in (":", "/"):
        if separator in name:
            return name.split(separator, 1)[0].strip()
    return name


def worst(rows: Iterable[HealthRow]) -> HealthRow:
    """The one to be shown for a group."""
    return min(rows, key=lambda row: (ORDER.index(row.level), row.name))


class HealthPanel(Panel):
    """A line for each group, with the words of its worst part; opened, a line for each part."""

    def __init__(self) -> None:
        super().__init__("health")
        self.tree = QTreeWidget()
        self.tree.setColumnCount(2)
        self.tree.setHeaderHidden(True)
        self.tree.setFocusPolicy(Qt.NoFocus)
        self.tree.setSelectionMode(QTreeWidget.NoSelection)
        self.tree.setUniformRowHeights(True)
        self.tree.setIndentation(12)
        self.tree.header().setSectionResizeMode(0, QHeaderView.ResizeToContents)
        self.tree.header().setStretchLastSection(True)
        self.body.addWidget(self.tree, 1)
        self._items: dict[str, QTreeWidgetItem] = {}
        self._shown: dict[str, tuple[str, str]] = {}

    def show_health(self, rows: tuple[HealthRow, ...]) -> None:
        groups: dict[str, list[HealthRow]] = {}
        for row in rows:
            groups.setdefault(group_of(row.name), []).append(row)
        counts = {level: sum(row.level == level for row in rows) for level in ORDER}
        put(self.note, ", ".join(f"{counts[one]} {one}" for one in ORDER if counts[one]))
        self._drop_gone(groups, rows)
        for name, parts in groups.items():
            top = self._item(name, None)
            first = worst(parts)
            well = first.level == "ok"
            told = first.message if well or len(parts) == 1 else f"{_part(first)}: {first.message}"
            if well and len(parts) > 1:
                told = f"{len(parts)} parts are well"
            self._show(name, top, HealthRow(name, first.level, told, first.values))
            if len(parts) > 1:
                for row in parts:
                    self._show(row.name, self._item(row.name, top), row)

    def line(self, name: str) -> tuple[str, str]:
        """Level and words that stand beside `name` now; KeyError if there is no such line."""
        return self._shown[name]

    def _item(self, name: str, above: QTreeWidgetItem | None) -> QTreeWidgetItem:
        known = self._items.get(name)
        if known is None:
            known = QTreeWidgetItem([name, ""])
            if above is None:
                self.tree.addTopLevelItem(known)
            else:
                above.addChild(known)
            self._items[name] = known
        return known

    def _show(self, name: str, item: QTreeWidgetItem, row: HealthRow) -> None:
        shown = (row.level, row.message)
        if self._shown.get(name) != shown:
            self._shown[name] = shown
            colour = QBrush(QColor(colours(self).level(row.level)))
            item.setText(0, f"{SIGNS[row.level]} {_part(row) if item.parent() else name}")
            item.setText(1, row.message)
            item.setForeground(0, colour)
            item.setForeground(1, colour if row.level != "ok" else QBrush())
        tip = "\n".join([f"{name}: {row.message}", *(f"{k}: {v}" for k, v in row.values)])
        if item.toolTip(1) != tip:
            item.setToolTip(0, tip)
            item.setToolTip(1, tip)

    def _drop_gone(self, groups: dict[str, list[HealthRow]], rows: tuple[HealthRow, ...]) -> None:
        """Lines whose rows are no longer given (the link has forgotten them)."""
        names = {row.name for row in rows} | set(groups)
        for name in [name for name in reversed(self._items) if name not in names]:  # parts first
            item = self._items.pop(name)
            self._shown.pop(name, None)
            above = item.parent()
            if above is not None:
                above.removeChild(item)
            else:
                self.tree.takeTopLevelItem(self.tree.indexOfTopLevelItem(item))


def _part(row: HealthRow) -> str:
    group = group_of(row.name)
    return row.name[len(group) :].lstrip(":/ ") or row.name
