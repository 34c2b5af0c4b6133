"""rqt_aloha as a package: what may import what, what it declares, and the shell that rqt loads."""

import importlib
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from python_qt_binding.QtCore import QObject

from aloha_stack.robot.share import share_folder
from import_rules import imports, is_ros
from nodes.arm_rig import ros

FOLDER = Path(__file__).resolve().parents[2] / "ros2_ws/src/rqt_aloha"
SOURCES = sorted((FOLDER / "rqt_aloha").glob("*.py"))
HEAR = {"link", "hearing", "health", "previews", "asking"}
"""The modules that speak ROS; the shell alone knows rqt, and the desk joins board and link."""


def imported(path: Path) -> set[str]:
    return {name for _, name in imports(path.read_text(), ["rqt_aloha", path.stem])}


def test_widgets_know_neither_ros_nor_nodes_nor_rqt() -> None:
    found = {}
    for path in SOURCES:
        barred = ["PyQt", "PySide"]  # python_qt_binding chooses
        if path.stem != "plugin":
            barred += ["rqt_gui", "qt_gui"]
        if path.stem not in HEAR:
            barred += ["aloha_stack.nodes"]
        if path.stem.startswith("widgets"):
            barred += [f"rqt_aloha.{name}." for name in HEAR]
        found[path.stem] = [
            name
            for name in imported(path)
            if name.startswith(tuple(barred))
            or (path.stem not in HEAR and is_ros(name.partition(".")[0]))
        ]
    assert len(found) > 10
    assert {name: names for name, names in found.items() if names} == {}


def test_everything_that_is_imported_is_declared() -> None:
    manifest = ElementTree.parse(FOLDER / "package.xml")
    declared = {one.text for one in manifest.iter() if one.tag.endswith("depend")}
    pattern = re.compile(r"^(rclpy|rqt_\w+|python_qt_binding|\w+_msgs|\w+_srvs|aloha_\w+)$")
    tops = {name.split(".")[0] for path in SOURCES for name in imported(path)} - {"rqt_aloha"}
    assert {top for top in tops if pattern.match(top)} <= declared


class Context:
    """As qt_gui gives one to a plugin."""

    def __init__(self, *words: str) -> None:
        self.words, self.widgets = words, []  # type: ignore[var-annotated]

    def argv(self) -> list[str]:
        return list(self.words)

    def serial_number(self) -> int:
        return 2

    def add_widget(self, widget: Any) -> None:
        self.widgets.append(widget)


@pytest.fixture
def rqt(monkeypatch: pytest.MonkeyPatch, application: Any) -> Iterator[None]:
    """A stand-in for rqt_gui_py, which the wheels lack, and a graph."""

    class Plugin(QObject):
        def __init__(self, context: Any) -> None:
            super().__init__()

    modules = {name: ModuleType(name) for name in ("rqt_gui_py", "rqt_gui_py.plugin")}
    modules["rqt_gui_py.plugin"].Plugin = Plugin  # type: ignore[attr-defined]
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delenv("ALOHA_PORTS", raising=False)
    with ros():
        yield
    sys.modules.pop("rqt_aloha.plugin", None)


@pytest.mark.parametrize(
    ("words", "variable", "cameras"),
    [((), "", 4), (("--robot", "aloha"), "", 4), ((), "ONE", 1), (("--robot", "twin"), "ONE", 4)],
)
def test_the_shell_that_plugin_xml_names_puts_the_board_into_rqt(
    rqt: None,
    words: tuple[str, ...],
    variable: str,
    cameras: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The robot is that of a launch file, where rqt passes no words."""
    values = yaml.safe_load((share_folder() / "config/robots/aloha.yaml").read_text())
    values["cameras"] = {"cam_high": values["cameras"]["cam_high"]}
    (tmp_path / "one.yaml").write_text(yaml.safe_dump(values))
    monkeypatch.setenv("ALOHA_ROBOT", str(tmp_path / "one.yaml") if variable else "")
    shell = ElementTree.parse(FOLDER / "plugin.xml").find("class")
    assert shell is not None
    assert shell.get("base_class_type") == "rqt_gui_py::Plugin"
    module, _, name = str(shell.get("type")).rpartition(".")
    context = Context(*words)
    plugin = getattr(importlib.import_module(module), name)(context)
    [board] = context.widgets
    assert board.windowTitle() == "ALOHA (2)"
    assert board.top.stop_button.isEnabled()
    assert len(board.cameras.pictures) == cameras
    plugin.shutdown_plugin()
    assert not board.isVisible()
