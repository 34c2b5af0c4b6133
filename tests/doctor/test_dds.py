"""The DDS profile: whether it is in force, holds the robot's images, and finds its memory."""

import os
from pathlib import Path

import pytest

from aloha_stack.doctor import dds
from aloha_stack.doctor.dds import DEFAULT_SEGMENT, PROFILE, check_dds
from aloha_stack.doctor.finding import OK, RED, WARN
from aloha_stack.robot.description import load_robot
from aloha_stack.robot.share import share_folder

OURS = share_folder() / "config/fastdds.xml"
LOCAL = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}


def found(environment, memory=Path("/dev/shm")):
    robot = load_robot("aloha")
    return {one.subject: one for one in check_dds(environment, OURS, robot, memory)}


def test_the_projects_profile_is_in_force_and_holds_four_cameras_raw():
    profile = found({PROFILE: str(OURS)})["DDS profile"]
    assert (profile.level, "segments of 32 MiB" in profile.text) == (OK, True)


@pytest.mark.parametrize(
    ("profile", "level", "words"),
    [
        (None, WARN, "is not set"),
        ("/nowhere.xml", RED, "No such file"),
        ("<profiles>", RED, "no valid profile"),
        ("<profiles/>", WARN, "0.5 MiB hold aloha's raw images for less than 0.15 s"),
        (OURS.read_text().replace("33554432", "many"), RED, "no valid profile"),
        (OURS.read_text().replace("33554432", "16777216"), WARN, "segments of 16 MiB"),
        (OURS.read_text().replace('is_default_profile="true"', ""), WARN, "0.5 MiB"),
    ],
)
def test_a_profile_that_is_not_in_force_or_too_small_is_told(tmp_path, profile, level, words):
    file = tmp_path / "mine.xml"
    if profile is None:
        environment = {"FASTDDS_DEFAULT_PROFILES_FILE": str(OURS)}  # which only Fast DDS 3 reads
    elif profile.startswith("/"):
        environment = {PROFILE: profile}
    else:
        file.write_text(profile)
        environment = {PROFILE: str(file)}
    finding = found(environment)["DDS profile"]
    assert (finding.level, words in finding.text) == (level, True), finding
    assert f"export {PROFILE}={OURS}" in finding.mend


def test_another_middleware_is_only_warned_of():
    (finding,) = found({"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}).values()
    assert finding.level == WARN


@pytest.mark.parametrize(
    ("environment", "level", "mend"),
    [
        ({PROFILE: str(OURS)}, OK, ""),
        ({PROFILE: "/mine.xml"}, WARN, f"unset {PROFILE}"),
        ({PROFILE: str(OURS), "ROS_DISTRO": "kilted"}, WARN, "Jazzy"),
        ({"ROS_STATIC_PEERS": "192.0.2.1", **LOCAL}, WARN, "unset ROS_STATIC_PEERS"),
    ],
)
def test_whether_a_killed_node_can_hold_the_arms_is_told(environment, level, mend):
    finding = found(environment)["killed nodes"]
    assert (finding.level, mend in finding.mend) == (level, True), finding


def test_ports_that_killed_nodes_left_half_made_are_told(tmp_path):
    assert "shared memory's ports" not in found({}, tmp_path)
    (tmp_path / "fastrtps_port7411").touch()
    finding = found({}, tmp_path)["shared memory's ports"]
    assert finding.level == WARN
    assert "1 were left half made" in finding.text
    assert "./aloha launch" in finding.mend


@pytest.mark.parametrize(
    ("size_mib", "level"), [(1024, OK), (64, WARN), (20, RED)]
)  # 64: what Docker gives
def test_too_little_shared_memory_is_told_with_what_mends_it(
    tmp_path, monkeypatch, size_mib, level
):
    real = os.statvfs(tmp_path)
    values = list(real)
    values[1], values[4] = 4096, size_mib * 256
    monkeypatch.setattr(dds.os, "statvfs", lambda _: os.statvfs_result(values))
    finding = found({PROFILE: str(OURS)}, tmp_path)["shared memory"]
    assert finding.level == level
    assert f"{size_mib} MiB free" in finding.text
    assert ("--shm-size" in finding.mend) == (level != OK)


def test_the_buffers_of_fast_dds_itself_fit_into_what_docker_gives(tmp_path, monkeypatch):
    values = list(os.statvfs(tmp_path))
    values[1], values[4] = 4096, 64 * 256
    monkeypatch.setattr(dds.os, "statvfs", lambda _: os.statvfs_result(values))
    assert found({}, tmp_path)["shared memory"].level == OK
    assert DEFAULT_SEGMENT == 2**19
