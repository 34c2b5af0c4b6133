"""docs/reference is what the code says, and the code says enough of itself."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from commands import helps
from diagnostic_msgs.msg import DiagnosticArray
from endpoints import grouped
from made_nodes import made_nodes
from pages import REFERENCE, ROOT, pages, parameters, stale_pages
from rcl_interfaces.msg import ParameterDescriptor, ParameterType

from aggregator import analyzers
from aloha_stack.robot.description import load_robot

OF_RCLPY = {"use_sim_time", "start_type_description_service"}
ONLY_INTERBOTIX = {"xs_namespace"}
NUMBERS = (ParameterType.PARAMETER_INTEGER, ParameterType.PARAMETER_DOUBLE)


@pytest.fixture(scope="module")
def nodes() -> Iterator[dict[str, list[Any]]]:
    with made_nodes() as made:
        yield made


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return dict(helps())


def descriptors(node: Any) -> dict[str, ParameterDescriptor]:
    """What `ros2 param describe` is told."""
    names = [name for name in node._parameters if name not in OF_RCLPY]
    return {one.name: one for one in node.describe_parameters(names)}


def bounds(one: ParameterDescriptor) -> tuple[float, float] | None:
    ranges = [*one.floating_point_range, *one.integer_range]
    return (ranges[0].from_value, ranges[0].to_value) if ranges else None


def test_no_page_is_out_of_date(nodes: dict[str, list[Any]]) -> None:
    made = pages(nodes)
    assert list(stale_pages(made)) == [], "run: ./aloha python docs/generator"
    assert {file.name for file in REFERENCE.iterdir()} == set(made)


def test_a_page_that_differs_is_found_and_other_line_breaks_are_no_difference() -> None:
    text = (REFERENCE / "messages.md").read_text()
    assert stale_pages({"messages.md": text.replace("\n", "\n  ")}) == {}
    assert list(stale_pages({"messages.md": text + "more"})) == ["messages.md"]
    assert list(stale_pages({"no_such.md": "text"})) == ["no_such.md"]


def test_every_node_of_a_launch_file_is_in_the_reference(nodes: dict[str, list[Any]]) -> None:
    files = (ROOT / "launch").glob("*.launch.xml")
    started = [node for file in files for node in ElementTree.parse(file).iter("node")]
    ours = {node.get("exec") for node in started if node.get("pkg") == "aloha_stack"}
    assert ours - {"foreign_tool"} == set(nodes)  # it is no node, and becomes one of others


def test_every_parameter_is_described_and_every_number_bounded(
    nodes: dict[str, list[Any]],
) -> None:
    for node in (one for several in nodes.values() for one in several):
        for name, one in descriptors(node).items():
            assert one.description, f"{node.get_name()}: {name}"
            if one.type in NUMBERS:
                assert bounds(one), f"{node.get_name()}: {name} has no range"


def test_every_node_tells_how_it_does_under_names_that_the_aggregator_sorts(
    nodes: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What each would say once a second, said now: nodes without their hardware, which is when a
    status matters most."""
    heard: dict[str, list[Any]] = {}
    for executable, several in nodes.items():
        for node in several:
            said: list[DiagnosticArray] = []
            _say(node, executable, said, monkeypatch)
            heard.setdefault(executable, []).extend(one for m in said for one in m.status)
    assert [executable for executable, said in heard.items() if not said] == []
    rules = analyzers(ROOT / "config/diagnostics_aggregator.yaml")
    robot = load_robot("aloha")
    servos = [f"{arm}: servo {s.id}" for arm, one in robot.arms.items() for s in one.servos]
    for name in [*servos, *(one.name for said in heard.values() for one in said)]:
        places = [rule.path for rule in rules if rule.match(name)]
        assert len(places) == 1, f"{name} is sorted into {places}"
    said_names = {one.name for said in heard.values() for one in said}
    expected = {name for rule in rules for name in rule.rules.get("expected", ())}
    assert expected <= said_names, "upstream would miss for ever what nobody says"
    unused = [r.path for r in rules if not any(r.match(name) for name in said_names)]
    assert unused == []
    without = [one.name for said in heard.values() for one in said if not one.values]
    assert without == []


def _say(
    node: Any, executable: str, said: list[DiagnosticArray], monkeypatch: pytest.MonkeyPatch
) -> None:
    speakers = [timer.callback.__self__ for timer in node.timers]
    if executable == "arm_bridge":
        speakers = [node._cycles.diagnostics]
    for speaker in speakers:
        monkeypatch.setattr(speaker, "_publisher", SimpleNamespace(publish=said.append))
        if executable == "arm_bridge":
            speaker.waits("no port", 0)
        else:
            speaker._publish()


def test_help_tells_just_what_a_node_declares(nodes: dict[str, list[Any]]) -> None:
    for name, (node, *_) in nodes.items():
        declared = descriptors(node)
        told = {one.name: one for one in parameters(node) if one.name not in ONLY_INTERBOTIX}
        assert set(told) == set(declared), name
        for one in declared.values():
            here = told[one.name]
            assert here.description == one.description
            words = one.additional_constraints.removeprefix("one of ").split(", ")
            assert here.allowed.split(" | ") == words or bounds(one) == tuple(
                float(limit) for limit in here.allowed.split(" … ")
            )


def test_every_command_helps_with_an_example(texts: dict[str, str]) -> None:
    assert {"./aloha arms torque", "./aloha episodes list", "./aloha bench bus"} <= set(texts)
    without = [
        name
        for name, text in texts.items()
        if not re.search(rf"^(?!usage:).*{re.escape(name)}\b", text, re.M)
    ]
    assert without == []


def test_names_are_grouped_only_where_all_have_them() -> None:
    both = {"/follower_left/command", "/follower_right/command", "/leader_left/float", "/e_stop"}
    names = grouped(both)
    assert set(names.values()) == {"/{follower}/command", "/leader_left/float", "/e_stop"}
