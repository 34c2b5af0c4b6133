"""docs/reference is what the code says, and the code says enough of itself."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import Any

import pytest
from commands import helps
from endpoints import grouped
from made_nodes import made_nodes
from pages import REFERENCE, ROOT, pages, parameters, stale_pages
from rcl_interfaces.msg import ParameterDescriptor, ParameterType

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
    assert ours == set(nodes)


def test_every_parameter_is_described_and_every_number_bounded(
    nodes: dict[str, list[Any]],
) -> None:
    for node in (one for several in nodes.values() for one in several):
        for name, one in descriptors(node).items():
            assert one.description, f"{node.get_name()}: {name}"
            if one.type in NUMBERS:
                assert bounds(one), f"{node.get_name()}: {name} has no range"


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
