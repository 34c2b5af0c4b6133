"""`./aloha doctor`: what is red, what is warned of, and what it says of mending it."""

import json
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import yaml

from aloha_stack.doctor.__main__ import main
from aloha_stack.doctor.cameras import check_cameras
from aloha_stack.doctor.finding import OK, RED, WARN
from aloha_stack.doctor.ports import check_latency, check_port
from aloha_stack.doctor.servos import check_servos
from aloha_stack.doctor.storage import check_storage
from aloha_stack.doctor.system import check_processor, check_ros
from aloha_stack.robot.description import load_robot
from aloha_stack.robot.share import share_folder
from twin.virtual_rig import rig


@pytest.fixture
def follower(tmp_path, monkeypatch):
    monkeypatch.setenv("ALOHA_PORTS", str(tmp_path))
    with rig(tmp_path) as arm:
        yield arm


def level_of(findings, subject):
    """The worst level and all texts of the findings about `subject`."""
    chosen = [finding for finding in findings if subject in finding.subject]
    assert chosen, f"nothing about {subject} in {[str(finding) for finding in findings]}"
    worst = max(chosen, key=lambda finding: [OK, WARN, RED].index(finding.level))
    return worst.level, " | ".join(map(str, chosen))


def test_an_arm_that_is_well_is_ok_in_every_line(follower):
    findings = list(check_servos(follower.arm))
    assert {finding.level for finding in findings} == {OK}
    subjects = " ".join(finding.subject for finding in findings)
    for subject in ("servos", "errors", "torque", "temperature", "voltage", "registers"):
        assert subject in subjects
    assert "7 xm540-w270 (firmware 45)" in str(findings[0])


def change(servos, ids, **registers):
    for servo_id in ids:
        for name, value in registers.items():
            servos[servo_id].put(name, value)


@pytest.mark.parametrize(
    ("registers", "subject", "level", "words"),
    [
        ({"present_temperature": 66}, "temperature", WARN, "66 °C, most at servo 4"),
        ({"present_input_voltage": 104}, "voltage", WARN, "10.4 … 12.0 V"),
        ({"hardware_error_status": 32}, "errors", RED, "servo 4 (elbow): overload"),
        ({"bus_watchdog": -1}, "watchdog", WARN, "tripped at servo 4 (elbow)"),
        ({"velocity_limit": 99}, "registers", WARN, "velocity_limit of servo 4 (elbow) is 99"),
        ({"position_p_gain": 99}, "registers", OK, "1 in RAM, which servos forget"),
        ({"model_number": 1020}, "servos", RED, "wrong model: expected xm540-w270"),
        ({"firmware_version": 38}, "servos", WARN, "different firmware"),
        ({"torque_enable": 1}, "torque", WARN, "on at servo 4 (elbow) only"),
    ],
)
def test_a_servo_that_is_not_as_it_should_be_is_named(follower, registers, subject, level, words):
    change(follower.virtual.servos, [4], **registers)
    found, text = level_of(list(check_servos(follower.arm)), subject)
    assert found == level
    assert words in text


def test_registers_that_differ_under_torque_are_red_because_no_bridge_can_start(follower):
    change(follower.virtual.servos, [4], velocity_limit=99)
    change(follower.virtual.servos, range(1, 10), torque_enable=1)
    findings = list(check_servos(follower.arm))
    assert level_of(findings, "registers")[0] == RED
    assert "/follower_left/adopt" in level_of(findings, "torque")[1]


def test_an_arm_without_power_is_one_red_line(follower, monkeypatch):
    monkeypatch.setattr(follower.virtual, "handle", lambda data: b"")
    (finding,) = check_servos(follower.arm)
    assert finding.level == RED
    assert "none answers at 1000000 baud" in finding.text
    assert "switch on the arm's power" in finding.mend


def test_a_running_bridge_is_named_and_is_no_fault(follower):
    script = (
        "import fcntl,os,sys,time; fd=os.open(sys.argv[2],os.O_RDWR|os.O_NOCTTY);"
        "fcntl.flock(fd,fcntl.LOCK_EX); print(1,flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", script, "arm_bridge", follower.arm.port]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as bridge:
        try:
            bridge.stdout.readline()
            (finding,) = check_servos(follower.arm)
        finally:
            bridge.terminate()
    assert finding.level == WARN
    assert f"an arm bridge (process {bridge.pid})" in finding.text


def test_ports_that_are_missing_or_no_serial_ports_are_red(follower, tmp_path):
    assert check_port(follower.arm).level == OK
    robot = load_robot("twin")
    missing = check_port(robot.arm("leader_left"))
    assert (missing.level, "does not exist" in missing.text) == (RED, True)
    (tmp_path / "ttyDXL_leader_left").write_text("")
    assert "no serial port" in check_port(robot.arm("leader_left")).text


@pytest.mark.parametrize(("found", "level"), [(None, OK), (1, OK), (2, WARN), (16, RED)])
def test_a_slow_latency_timer_is_told_with_the_command_that_mends_it(
    follower, monkeypatch, found, level
):
    monkeypatch.setattr("aloha_stack.doctor.ports.latency_timer_ms", lambda port: found)
    finding = check_latency(follower.arm)
    assert finding.level == level
    assert ("latency_timer" in finding.mend) == (level != OK)


def robot_with_cameras(tmp_path, **sources):
    """A robot whose cameras are `sources`; its ports are never opened."""
    values = yaml.safe_load((share_folder() / "config/robots/aloha.yaml").read_text())
    example = values["cameras"]["cam_high"] | {"width": 64, "height": 48, "rate_hz": 50}
    values["cameras"] = {name: example | {"source": uri} for name, uri in sources.items()}
    (tmp_path / "robot.yaml").write_text(yaml.safe_dump(values))
    return load_robot(tmp_path / "robot.yaml")


def test_cameras_are_measured_and_those_that_give_nothing_are_red(tmp_path):
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images/0.jpg"), np.zeros((48, 64, 3), np.uint8))
    robot = robot_with_cameras(
        tmp_path,
        cam_high=f"file:{tmp_path}/images",
        cam_low=f"file:{tmp_path}/nothing",
        cam_left_wrist="v4l2:/dev/CAM_LEFT_WRIST",
        cam_right_wrist="topic:/d405/color/image_rect_raw",
    )
    findings = list(check_cameras(robot))
    assert level_of(findings, "cam_low")[0] == RED
    level, text = level_of(findings, "cam_left_wrist")
    assert level == RED
    assert "/dev/CAM_LEFT_WRIST does not exist: plug the camera in" in text
    assert "images/s of 50, 64x48, its own JPEG" in level_of(findings, "cam_high")[1]
    level, text = level_of(findings, "cam_right_wrist")
    assert level == OK
    assert "another driver publishes /d405/color/image_rect_raw" in text


def test_a_disk_that_can_be_written_is_measured_and_left_clean(tmp_path):
    robot = robot_with_cameras(tmp_path, cam_high="file:x")
    before = sorted(os.listdir(tmp_path))
    findings = list(check_storage(robot, tmp_path / "not/yet/there"))
    assert "MB/s" in level_of(findings, "speed")[1]
    assert "minutes of recording" in level_of(findings, "space")[1]
    assert sorted(os.listdir(tmp_path)) == before


def test_a_full_disk_is_red(tmp_path, monkeypatch):
    robot = robot_with_cameras(tmp_path, cam_high="file:x")
    usage = shutil.disk_usage(tmp_path)._replace(free=10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    (finding,) = check_storage(robot, tmp_path)
    assert finding.level == RED


@pytest.mark.parametrize(
    ("environment", "subject", "level"),
    [
        ({}, "ROS_DOMAIN_ID", OK),
        ({"ROS_DOMAIN_ID": "42"}, "ROS_DOMAIN_ID", OK),
        ({"ROS_DOMAIN_ID": "150"}, "ROS_DOMAIN_ID", RED),
        ({"ROS_DOMAIN_ID": "one"}, "ROS_DOMAIN_ID", RED),
        ({}, "DISCOVERY", WARN),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, "DISCOVERY", OK),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}, "DISCOVERY", RED),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "localhost"}, "DISCOVERY", RED),
    ],
)
def test_the_environment_of_ros_is_judged(environment, subject, level):
    assert level_of(list(check_ros(environment)), subject)[0] == level


@pytest.mark.parametrize(("governor", "level"), [("performance\n", OK), ("powersave\n", WARN)])
def test_a_governor_that_saves_power_is_warned_of(tmp_path, governor, level):
    file = tmp_path / "devices/system/cpu/cpu0/cpufreq/scaling_governor"
    file.parent.mkdir(parents=True)
    file.write_text(governor)
    (finding,) = check_processor(tmp_path)
    assert finding.level == level


def test_the_command_ends_with_one_if_anything_is_red_and_writes_json(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("ALOHA_PORTS", str(tmp_path))
    robot = robot_with_cameras(tmp_path, cam_high=f"file:{tmp_path}")
    arguments = ["--robot", str(robot.file), "--episodes", str(tmp_path)]
    assert main([*arguments, "--json", str(tmp_path / "found.json")]) == 1
    out = capsys.readouterr().out
    assert "RED  leader_left port: /dev/ttyDXL_leader_left does not exist" in out
    assert "\n     → plug in and power the arm" in out
    found = json.loads((tmp_path / "found.json").read_text())
    assert {"level", "subject", "text", "mend"} == set(found[0])
    assert f"{len(found)} checks: " in out


def test_a_robot_file_that_is_wrong_is_red(capsys):
    assert main(["--robot", "twn"]) == 1
    assert "RED  robot file: no robot 'twn'" in capsys.readouterr().out


def test_a_whole_robot_that_is_well_has_nothing_red(follower, tmp_path, capsys, monkeypatch):
    values = yaml.safe_load((share_folder() / "config/robots/twin.yaml").read_text())
    values["arms"] = {"follower_left": values["arms"]["follower_left"]}
    values["mounts"] = {"follower_left": values["mounts"]["follower_left"]}
    values["cameras"] = {}
    (tmp_path / "one_arm.yaml").write_text(yaml.safe_dump(values))
    assert main(["--robot", str(tmp_path / "one_arm.yaml"), "--episodes", str(tmp_path)]) == 0
    assert "0 red" in capsys.readouterr().out
