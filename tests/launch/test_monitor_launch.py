"""The launch file of those who look on: what is not installed is told, and hinders nobody."""

import json
import os
import stat
from pathlib import Path

import pytest

from aloha_stack.launch.evaluate import make_plan
from aloha_stack.launch.packages import find_launch_file, launch_folder
from aloha_stack.launch.perspective import installed_part
from aloha_stack.launch.plan import NodePlan
from aloha_stack.nodes import foreign_tool

CONFIG = launch_folder().parent / "config"


def plan(**given: str) -> list[NodePlan]:
    return list(make_plan(find_launch_file("monitor"), given, dict(os.environ)))


def starts(**given: str) -> list[str]:
    return [node.label for node in plan(**given)]


def install(prefix: Path, package: str, executable: str) -> None:
    """A package whose executable writes the words that it was given."""
    index = prefix / "share/ament_index/resource_index/packages"
    index.mkdir(parents=True, exist_ok=True)
    (index / package).touch()
    file = prefix / "lib" / package / executable
    file.parent.mkdir(parents=True)
    file.write_text('#!/bin/sh\necho "$@"\n')
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    return tmp_path


def words_of(node: NodePlan) -> list[str]:
    """As the process hears them."""
    return [*node.arguments, "--ros-args"]


def test_what_is_started_is_what_was_asked_for() -> None:
    assert starts() == ["monitor", "aggregator"]
    assert starts(aggregator="false") == ["monitor"]
    assert starts(rqt="true") == ["monitor", "aggregator", "rqt"]
    for node in plan(rqt="true"):
        assert node.environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
        assert node.name == ("monitor" if node.label == "monitor" else None)
    monitor, *_ = plan(robot="aloha")
    assert monitor.parameters == ({"robot": "aloha", "camera_names": "", "use_sim_time": False},)


def test_who_looks_on_needs_no_ports_from_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALOHA_PORTS", raising=False)
    assert all(node.environment["ALOHA_PORTS"] for node in plan(rqt="true"))


def test_what_is_not_installed_is_named_with_how_to_get_it(
    prefix: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _, aggregator, rqt = plan(rqt="true")
    assert foreign_tool.main(words_of(aggregator)) == 0
    assert "apt install ros-jazzy-diagnostic-aggregator" in capfd.readouterr().out
    assert foreign_tool.main(words_of(rqt)) == 1
    assert "./aloha panel" in capfd.readouterr().err
    _, asked_for = plan(aggregator="true")
    assert foreign_tool.main(words_of(asked_for)) == 1
    assert "diagnostic_aggregator is not installed" in capfd.readouterr().err


def test_what_is_installed_is_started_with_our_files(
    prefix: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, words: became.append(words))
    install(prefix, "diagnostic_aggregator", "aggregator_node")
    install(prefix, "rqt_gui", "rqt_gui")
    install(prefix, "rqt_plot", "rqt_plot")
    monkeypatch.setenv("ROS_HOME", str(prefix / "home"))
    _, aggregator, rqt = plan(rqt="true")
    foreign_tool.main(words_of(aggregator))
    foreign_tool.main(words_of(rqt))
    (_, *first), (_, *second) = became
    assert first == ["--ros-args", "--params-file", f"{CONFIG}/diagnostics_aggregator.yaml"]
    own = str(prefix / "home/aloha_stack/aloha.perspective")
    assert second == ["--force-discover", "--perspective-file", own]
    told = capfd.readouterr().out
    assert "without rqt_graph" in told
    assert "rqt_plot" not in told
    assert "rqt_aloha, which is not installed; it is in ros2_ws/src" in told


def running(file: Path) -> str:
    groups = json.loads(file.read_text())["groups"]
    return str(groups["pluginmanager"]["keys"]["running-plugins"]["repr"])


def test_rqt_is_asked_for_installed_plugins_alone(tmp_path: Path) -> None:
    """At one that is missing it stops restoring the others."""
    ours = CONFIG / "aloha.perspective"
    assert installed_part(ours, [], tmp_path) == ours
    part = installed_part(ours, ["rqt_plot", "rqt_robot_monitor", "rqt_graph"], tmp_path)
    assert part.parent == tmp_path
    kept = "{'rqt_aloha/ALOHA': [1], 'rqt_image_view/ImageView': [1], 'rqt_console/Console': [1]}"
    assert running(part) == kept
    left = json.loads(part.read_text())["groups"]["pluginmanager"]["groups"]
    assert left == json.loads(ours.read_text())["groups"]["pluginmanager"]["groups"]


def test_a_home_that_cannot_be_written_to_starts_rqt_all_the_same(
    prefix: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, words: became.append(words))
    monkeypatch.setenv("ROS_HOME", "/proc/nowhere")
    install(prefix, "rqt_gui", "rqt_gui")
    *_, rqt = plan(rqt="true")
    foreign_tool.main(words_of(rqt))
    assert became[0][-1] == f"{CONFIG}/aloha.perspective"
    assert "/proc/nowhere" in capfd.readouterr().out


def test_the_panel_in_rqt_shows_the_robot_of_the_launch_file() -> None:
    *_, rqt = plan(rqt="true", robot="aloha")
    assert rqt.environment["ALOHA_ROBOT"] == "aloha"
