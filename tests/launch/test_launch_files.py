"""The project's launch files: they read for every robot and start the nodes that they promise."""

import json
import os
import re

import pytest

from aloha_stack.launch.__main__ import main
from aloha_stack.launch.evaluate import make_plan
from aloha_stack.launch.packages import find_launch_file, launch_folder
from aloha_stack.launch.plan import NodePlan

ARMS = ("leader_left", "leader_right", "follower_left", "follower_right")
REQUIRED = {"replay": {"episode": "episodes/episode_000000"}}
PARKING_S = 8.0  # of ROS time, docs/architecture.md
SLOWEST_REAL_TIME_FACTOR = 0.2
CLOCKLESS = {"twin", "description"}  # it makes the time; it uses none
FILES = ("robot", "twin", "teleop_record", "replay", "rollout")


def plan(name: str, **given: str) -> tuple[NodePlan, ...]:
    environment = {k: v for k, v in os.environ.items() if k not in ("ALOHA_PORTS", "USER")}
    return make_plan(find_launch_file(name), {**REQUIRED.get(name, {}), **given}, environment)


def inline(node: NodePlan) -> dict[str, object]:
    (parameters,) = node.parameters
    assert isinstance(parameters, dict)
    return parameters


def test_every_launch_file_is_tested_here() -> None:
    names = {file.name.removesuffix(".launch.xml") for file in launch_folder().glob("*.launch.xml")}
    assert names == {*FILES, "monitor"}  # test_monitor_launch.py


EVERY_FILE_AND_ROBOT = [
    *((name, {"robot": robot}) for name in FILES if name != "twin" for robot in ("twin", "aloha")),
    ("twin", {}),
]


@pytest.mark.parametrize(("name", "given"), EVERY_FILE_AND_ROBOT)
def test_each_file_starts_four_bridges_that_have_time_to_park(
    name: str, given: dict[str, str]
) -> None:
    robot = given.get("robot", "twin")
    nodes = plan(name, **given)
    bridges = [node for node in nodes if node.executable == "arm_bridge"]
    assert [node.full_name for node in bridges] == [f"/{arm}/arm_bridge" for arm in ARMS]
    for bridge, arm in zip(bridges, ARMS, strict=True):
        assert inline(bridge) == {
            "robot": robot,
            "arm": arm,
            "autostart": True,
            "backend": "dynamixel",
            "gravity_compensation": False,
            "use_sim_time": robot == "twin",
        }
        before_sigkill_s = bridge.sigterm_timeout_s + bridge.sigkill_timeout_s
        assert before_sigkill_s > PARKING_S / SLOWEST_REAL_TIME_FACTOR


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("robot", []),
        ("teleop_record", ["teleop", "recorder"]),
        ("replay", ["replay"]),
        ("rollout", ["policy", "chunk_player", "recorder"]),
    ],
)
@pytest.mark.parametrize("robot", ["twin", "aloha"])
def test_the_nodes_of_a_file_are_the_robots_and_its_own(
    name: str, own: list[str], robot: str
) -> None:
    nodes = plan(name, robot=robot)
    world = ["twin"] if robot == "twin" and name != "robot" else []
    expected = [*world, *["arm_bridge"] * 4, "safety", "camera", "description", *own]
    assert [node.executable for node in nodes] == expected
    for node in nodes:
        if node.executable in CLOCKLESS:
            assert "use_sim_time" not in inline(node)
        else:
            assert inline(node)["use_sim_time"] == (robot == "twin")
    assert {inline(node)["robot"] for node in nodes} == {robot}


def test_the_twin_outlives_the_arms_that_park_in_it() -> None:
    world, *others = plan("twin")
    assert world.executable == "twin"
    longest_s = max(node.sigterm_timeout_s + node.sigkill_timeout_s for node in others)
    assert world.sigterm_timeout_s >= longest_s


@pytest.mark.parametrize("name", FILES)
def test_the_heartbeat_lasts_as_long_as_the_arms_may_park(name: str) -> None:
    nodes = plan(name)
    (safety,) = (node for node in nodes if node.executable == "safety")
    for bridge in (node for node in nodes if node.executable == "arm_bridge"):
        assert safety.sigterm_timeout_s >= bridge.sigterm_timeout_s
        assert safety.sigkill_timeout_s >= bridge.sigkill_timeout_s


def test_the_end_of_one_node_makes_no_arm_park_unasked() -> None:
    assert not any(node.shutdown_on_exit for node in plan("teleop_record"))


def test_a_robot_file_of_ones_own_reaches_every_node_of_the_robot() -> None:
    for name in ("robot", "teleop_record", "replay", "rollout"):
        nodes = plan(name, robot="here/mine.yaml")
        assert {inline(node)["robot"] for node in nodes} == {"here/mine.yaml"}
        assert "twin" not in {node.executable for node in nodes}


def test_replay_and_rollout_leave_the_leaders_alone() -> None:
    for name in ("replay", "rollout"):
        assert inline(plan(name)[0])["operator"] is False
    assert inline(plan("teleop_record")[0])["operator"] is True


def test_all_nodes_share_ports_and_stay_on_this_host() -> None:
    for node in plan("teleop_record", ports="/ports"):
        assert node.environment["ALOHA_PORTS"] == "/ports"
        assert node.environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"


@pytest.mark.parametrize("name", FILES)
def test_all_nodes_use_the_projects_dds_profile_or_the_operators_own(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FASTRTPS_DEFAULT_PROFILES_FILE", raising=False)
    profile = str(launch_folder().parent / "config/fastdds.xml")
    assert os.path.isfile(profile)
    for node in plan(name):
        assert node.environment["FASTRTPS_DEFAULT_PROFILES_FILE"] == profile
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", "mine.xml")
    for node in plan(name):
        assert node.environment["FASTRTPS_DEFAULT_PROFILES_FILE"] == "mine.xml"


def test_arguments_reach_the_nodes_with_their_types() -> None:
    given = {"task": "insertion", "seed": "7", "operator": "false", "variation": "light"}
    given |= {"cameras": "false", "description": "false"}
    nodes = plan("teleop_record", directory="7", extra_topics="[/a, /b]", **given)
    assert not {"camera", "description"} & {node.executable for node in nodes}
    twin, recorder = inline(nodes[0]), inline(nodes[-1])
    assert (recorder["task"], recorder["start_on_engage"]) == ("insertion", False)
    assert recorder["stop_hold"] == 2.0
    assert (twin["task"], twin["seed"], twin["operator"]) == ("insertion", 7, False)
    assert twin["variation"] == "light"
    assert (recorder["directory"], recorder["extra_topics"]) == ("7", ["/a", "/b"])


@pytest.mark.parametrize("robot", ["twin", "here/mine.yaml"])
def test_cameras_are_chosen_alike_for_all_that_use_them(robot: str) -> None:
    for name, users in (("rollout", {"policy"}), ("teleop_record", set())):
        nodes = plan(name, camera_names="cam_high", robot=robot)
        told = {n.executable for n in nodes if inline(n).get("camera_names") == "cam_high"}
        assert told == {"camera", "recorder", *users}


def test_a_rollout_uses_the_cameras_of_its_checkpoint_unless_told_otherwise() -> None:
    for given, told in (({}, "of:models/cube"), ({"camera_names": "all"}, "all")):
        nodes = plan("rollout", checkpoint="models/cube", **given)
        users = {n.executable for n in nodes if inline(n).get("camera_names") == told}
        assert users == {"camera", "recorder", "policy"}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "name a launch file: monitor, replay, robot, rollout, teleop_record, twin"),
        (["nowhere"], "'nowhere' does not exist; .*: monitor, replay, robot, rollout, teleop"),
        (["teleop_record", "robots:=twin"], "no argument 'robots'; it takes: backend, camera_"),
        (["teleop_record", "task:=juggle"], "'juggle'; valid choices: transfer_cube, insertion"),
        (["teleop_record", "robot"], "'robot' is malformed; expected name:=value"),
        (["replay"], "'episode' .* is required"),
    ],
)
def test_a_wrong_request_is_named_and_starts_nothing(
    words: list[str], problem: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    output, errors = capfd.readouterr()
    assert output == ""
    assert re.search(problem, errors)


def test_the_plan_can_be_printed(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["teleop_record.launch.xml", "robot:=aloha", "--print-plan"]) == 0
    nodes = json.loads(capfd.readouterr().out)
    assert nodes[0]["parameters"][0]["robot"] == "aloha"


def test_the_arguments_can_be_listed(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["teleop_record", "--show-args"]) == 0
    shown = capfd.readouterr().out
    for name in ("robot", "task", "seed", "operator", "cameras", "ports", "directory"):
        assert f"'{name}':" in shown
    assert "One of: transfer_cube, insertion" in shown
    assert "(default: 'twin')" in shown
