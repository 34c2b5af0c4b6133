"""The layouts for rqt, Foxglove and PlotJuggler show topics and fields that exist, with types that
their panels can show. Which topics there are is what docs/reference says (generated from the code,
a test of its own); what fields they have, the messages themselves."""

import ast
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aloha_stack.nodes._messages import interface_class
from aloha_stack.robot.joints import ARMS, CAMERAS, FOLLOWERS, LEADERS, STATE_JOINTS

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "config"
PLACES = {"{arm}": ARMS, "{leader}": LEADERS, "{follower}": FOLLOWERS, "{camera}": CAMERAS}
NUMBERS = re.compile(r"(double|float|u?int\d+|boolean)")
PLUGINS = {
    "rqt_aloha/ALOHA",
    "rqt_robot_monitor/RobotMonitor",
    "rqt_plot/Plot",
    "rqt_image_view/ImageView",
    "rqt_console/Console",
    "rqt_graph/RosGraph",
}


def known_topics() -> dict[str, str]:
    """The types of all topics that the reference lists."""
    found = {}
    text = (ROOT / "docs/reference/topics.md").read_text()
    for name, kind in re.findall(r"^\| `(/\S+)` \| (\S+/msg/\S+) \|", text, re.M):
        place = next((p for p in PLACES if p in name), "")
        for member in PLACES.get(place, ("",)):
            found[name.replace(place, member)] = kind
    return found


@pytest.fixture(scope="module")
def topics() -> dict[str, str]:
    return known_topics()


def split(path: str, topics: dict[str, str]) -> tuple[str, str]:
    """The topic that a path begins with, and the rest. AssertionError if there is none."""
    found = [
        topic for topic in topics if path == topic or path.startswith((f"{topic}/", f"{topic}."))
    ]
    assert found, f"{path}: there is no such topic"
    topic = max(found, key=len)
    return topic, path.removeprefix(topic).lstrip("./")


def kind_of(type_name: str, fields: str) -> str:
    """The type of a field, as `arms[0].temperature` or `arms[0]/temperature`, of a message."""
    kind = type_name
    for step in re.split(r"[./]", fields):
        name, index = re.fullmatch(r"(\w+)(\[\d+\])?", step).groups()  # type: ignore[union-attr]
        package, *_, name_of_type = kind.split("/")
        members = interface_class(f"{package}/msg/{name_of_type}").get_fields_and_field_types()
        assert name in members, f"{type_name} has no {fields}"
        kind = members[name]
        listed = re.fullmatch(r"sequence<(.+)>|(.+)\[\d+\]", kind)
        assert bool(listed) == bool(index), f"{fields} of {type_name}: {kind}"
        kind = next(filter(None, listed.groups())) if listed else kind
    return kind


def is_number(path: str, topics: dict[str, str]) -> bool:
    topic, fields = split(path, topics)
    return bool(NUMBERS.fullmatch(kind_of(topics[topic], fields)))


# -- rqt


def settings(group: dict[str, Any]) -> dict[str, Any]:
    """A group as rqt's PerspectiveManager reads it (qt_gui_core, perspective_manager.py)."""
    assert set(group) <= {"keys", "groups"}
    read = {}
    for key, value in group.get("keys", {}).items():
        assert value["type"] == "repr"
        read[key] = ast.literal_eval(value["repr"])
    return read | {name: settings(below) for name, below in group.get("groups", {}).items()}


def test_rqt_opens_the_six_tools_and_each_shows_what_exists(topics: dict[str, str]) -> None:
    perspective = settings(json.loads((CONFIG / "aloha.perspective").read_text()))
    manager = perspective["pluginmanager"]
    running = manager.pop("running-plugins")
    assert set(running) == PLUGINS
    instances = {
        f"plugin__{plugin.replace('/', '__')}__{number}"
        for plugin, numbers in running.items()
        for number in numbers
    }
    assert set(manager) <= instances, "settings of an instance that does not run are lost"
    plots = manager["plugin__rqt_plot__Plot__1"]["plugin"]["topics"]
    assert plots
    for path in plots:
        assert is_number(path, topics), path
    picture = manager["plugin__rqt_image_view__ImageView__1"]["plugin"]["topic"]
    assert topics[picture] == "sensor_msgs/msg/CompressedImage"


def test_rqt_finds_our_plugin_under_the_name_that_it_is_opened_by() -> None:
    plugin = ElementTree.parse(ROOT / "ros2_ws/src/rqt_aloha/plugin.xml").getroot()
    names = {f"rqt_aloha/{one.get('name')}" for one in plugin.iter("class")}
    assert names <= PLUGINS


# -- Foxglove


def leaves(layout: Any) -> Iterator[str]:
    """The panels of a layout, which is a panel's name or a split."""
    if isinstance(layout, str):
        yield layout
        return
    assert layout["direction"] in ("row", "column")
    yield from leaves(layout["first"])
    yield from leaves(layout["second"])


def test_foxglove_shows_every_panel_and_each_shows_what_exists(topics: dict[str, str]) -> None:
    layout = json.loads((CONFIG / "foxglove_layout.json").read_text())
    panels = layout["configById"]
    shown = {layout["layout"]}
    for tab in panels[layout["layout"]]["tabs"]:
        shown |= set(leaves(tab["layout"]))
    assert shown == set(panels)
    pictures = {c["imageMode"]["imageTopic"] for c in panels.values() if "imageMode" in c}
    assert pictures == {f"/{camera}/image_raw/compressed" for camera in CAMERAS}
    assert {topics[picture] for picture in pictures} == {"sensor_msgs/msg/CompressedImage"}
    assert topics[panels["DiagnosticSummary!all"]["topicToRender"]].endswith("DiagnosticArray")
    assert topics[panels["RawMessages!summary"]["topicPath"]].endswith("RobotSummary")
    paths = [p["value"] for c in panels.values() for p in c.get("paths", [])]
    paths += [panel["path"] for panel in panels.values() if "path" in panel]
    assert len(paths) > 40
    for path in paths:
        assert is_number(path, topics), path
    labels = {p["value"]: p["label"] for c in panels.values() for p in c.get("paths", [])}
    for path, label in labels.items():
        if match := re.search(r"\.position\[(\d)\]$", path):
            assert label.startswith(STATE_JOINTS[int(match[1])]), f"{path} is not {label}"
        elif match := re.search(r"\.arms\[(\d)\]\.", path):
            assert label == ARMS[int(match[1])]


# -- PlotJuggler


def test_plotjuggler_draws_what_it_subscribes_to(topics: dict[str, str]) -> None:
    root = ElementTree.parse(CONFIG / "plotjuggler_layout.xml").getroot()
    chosen = root.find("Plugins/plugin[@ID='ROS2 Topic Subscriber']/selected_topics")
    assert chosen is not None
    subscribed = (chosen.get("value") or "").split(";")
    curves = [curve.get("name") or "" for curve in root.iter("curve")]
    assert len(curves) > 40
    used = set()
    for path in curves:
        topic, fields = split(path, topics)
        used.add(topic)
        if topics[topic] == "sensor_msgs/msg/JointState":  # its parser names them by joint
            joint, quantity = fields.split("/")
            assert joint in STATE_JOINTS, path
            assert kind_of(topics[topic], f"{quantity}[0]") == "double"
        else:
            assert is_number(path, topics), path
    assert used == set(subscribed)
    for splitter in root.iter("DockSplitter"):
        assert len(splitter) == int(splitter.get("count") or 0)
        assert len((splitter.get("sizes") or "").split(";")) == len(splitter)


# -- the checks themselves


@pytest.mark.parametrize(
    "path",
    [
        "/monitor/summary/arms[0]/warmth",
        "/monitor/summary/arms/temperature",
        "/monitor/summary/policy[0]/rate",
        "/no_such_topic/data",
    ],
)
def test_what_does_not_exist_is_found(path: str, topics: dict[str, str]) -> None:
    with pytest.raises(AssertionError):
        is_number(path, topics)


def test_words_are_no_numbers(topics: dict[str, str]) -> None:
    assert not is_number("/monitor/summary/arms[0]/state", topics)
