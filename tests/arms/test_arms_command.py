"""`./aloha arms` on virtual servos: what it finds, changes, refuses and says."""

import math
import subprocess
import sys
import time

import pytest

from aloha_stack.arms.__main__ import main
from aloha_stack.doctor.finding import OK
from aloha_stack.doctor.servos import check_servos
from aloha_stack.dynamixel.bus import DynamixelBus
from twin.virtual_rig import rig

BUSY = """
import fcntl, os, sys, time
fd = os.open(sys.argv[2], os.O_RDWR | os.O_NOCTTY)
fcntl.flock(fd, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def follower(tmp_path, monkeypatch):
    monkeypatch.setenv("ALOHA_PORTS", str(tmp_path))
    with rig(tmp_path) as arm:
        yield arm


def on_the_bus(rig, job):
    bus = DynamixelBus(rig.arm)
    bus.open()
    job(bus)
    bus.close()


def arms(*words, arm="follower_left"):
    return main([*words, "--robot", "twin", "--arm", arm])


def test_scan_finds_the_nine_servos_with_model_and_firmware(follower, capsys):
    assert arms("scan") == 0
    out = capsys.readouterr().out
    assert out.count(" ok\n") == 9
    assert "shoulder shadow" in out
    assert "xm540-w270  1000000        45" in out


def test_scan_names_a_wrong_model_a_foreign_id_and_who_is_silent(follower, capsys):
    follower.virtual.servos[8].put("model_number", 1120)
    on_the_bus(follower, lambda bus: bus.write_register(9, "id", 15))
    assert arms("scan") == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith(" 8 ") and "expected xm430-w350" in line for line in lines)
    assert any(line.startswith(" 9 ") and "silent" in line for line in lines)
    assert any(line.startswith("15 ") and "is it servo 9 (gripper)?" in line for line in lines)


def test_a_missing_port_is_trouble_that_says_what_to_check(follower, capsys):
    assert arms("scan", arm="leader_left") == 1
    assert "does not exist; check that the arm is plugged in" in capsys.readouterr().err


def test_a_dry_run_shows_the_differences_and_writes_nothing(follower, capsys):
    servo = follower.virtual.servos[7]
    servo.put("velocity_limit", 99)
    servo.put("position_p_gain", 100)
    assert arms("configure", "--dry-run") == 1
    out = capsys.readouterr().out
    assert "servo 7 (wrist_angle)  velocity_limit      99         131  EEPROM" in out
    assert "position_p_gain    100         800  RAM" in out
    assert servo.get("velocity_limit") == 99


def test_what_servos_forgot_without_power_is_no_fault_to_a_dry_run_nor_to_the_doctor(
    follower, capsys
):
    follower.virtual.servos[7].put("position_p_gain", 100)
    words = "1 in RAM, which servos forget without power: a bridge writes them"
    assert arms("configure", "--dry-run") == 0
    assert words in capsys.readouterr().out
    registers = [one for one in check_servos(follower.arm) if "registers" in one.subject]
    assert [one.level for one in registers] == [OK]
    assert words in registers[0].text


def test_configure_brings_the_registers_there_and_says_which(follower, capsys):
    follower.virtual.servos[7].put("velocity_limit", 99)
    assert arms("configure") == 0
    assert "servo 7 (wrist_angle): velocity_limit = 131" in capsys.readouterr().out
    assert follower.virtual.servos[7].get("velocity_limit") == 131
    assert arms("configure", "--dry-run") == 0


def test_configure_writes_no_eeprom_under_torque(follower, capsys):
    hold(follower, follower.arm.start_pose)
    follower.virtual.servos[7].put("velocity_limit", 99)
    assert arms("configure") == 1
    assert "velocity_limit of servo 7" in capsys.readouterr().err
    assert follower.virtual.servos[7].get("velocity_limit") == 99


def hold(rig, pose):
    """The arm at `pose`, under torque."""
    rig.virtual.place(pose)

    def take(bus):
        bus.configure()
        bus.write_goals(pose)
        bus.set_torque(True)

    on_the_bus(rig, take)


def test_reboot_mends_the_pair_of_a_servo_in_error(follower, capsys):
    follower.virtual.servos[5].fail(1 << 5)
    assert arms("reboot") == 0
    out = capsys.readouterr().out
    assert "servo 5 (elbow shadow) reports: overload" in out
    assert "without torque: servo 4 (elbow), servo 5 (elbow shadow)" in out
    assert follower.virtual.servos[5].get("hardware_error_status") == 0
    assert arms("reboot") == 0
    assert "no servo is in error" in capsys.readouterr().out


def test_reboot_under_torque_asks_first(follower, capsys):
    hold(follower, follower.arm.start_pose)
    assert arms("reboot", "--servo", "2") == 1
    err = capsys.readouterr().err
    assert "torque would be lost at servo 2 (shoulder), servo 3 (shoulder shadow)," in err
    assert follower.virtual.servos[2].torque
    assert arms("reboot", "--servo", "2", "--yes") == 0
    assert not follower.virtual.servos[2].torque
    assert follower.virtual.servos[6].torque


def test_torque_on_holds_the_arm_where_it_stands(follower, capsys):
    pose = follower.arm.start_pose + 0.1
    follower.virtual.place(pose)
    assert arms("configure") == 0
    assert arms("torque", "on") == 0
    assert "./aloha call /follower_left/adopt" in capsys.readouterr().out
    time.sleep(0.05)  # a servo that had another goal would go there at once
    assert follower.virtual.position == pytest.approx(pose, abs=0.002)
    assert all(servo.torque for servo in follower.virtual.servos.values())


def test_torque_on_is_refused_where_it_would_move_the_arm(follower, capsys):
    assert arms("configure") == 0
    pose = follower.arm.start_pose.copy()
    pose[1] = math.pi / 2
    follower.virtual.place(pose)
    assert arms("torque", "on") == 1
    assert "beyond the servo's position limits: shoulder;" in capsys.readouterr().err
    assert not any(servo.torque for servo in follower.virtual.servos.values())


def test_torque_on_is_refused_before_the_servos_are_configured(follower, capsys):
    follower.virtual.servos[6].put("operating_mode", 1)
    assert arms("torque", "on") == 1
    assert "first ./aloha arms configure --arm follower_left" in capsys.readouterr().err


def test_torque_off_away_from_the_rest_pose_asks_first(follower, capsys):
    hold(follower, follower.arm.start_pose)
    assert arms("torque", "off") == 1
    err = capsys.readouterr().err
    assert "follower_left: the arm would drop: wrist_angle is 1.10 rad away from the rest" in err
    assert follower.virtual.servos[2].torque
    assert arms("torque", "off", "--yes") == 0
    assert not any(servo.torque for servo in follower.virtual.servos.values())
    out = capsys.readouterr().out.strip()
    assert out == (
        "follower_left: torque off, although wrist_angle is 1.10 rad away from the rest pose"
    )


@pytest.mark.parametrize("command", [("torque", "on"), ("torque", "off"), ("reboot",)])
def test_all_nine_servos_are_asked_for_their_torque_in_one_round(
    follower, capsys, monkeypatch, command
):
    rounds = []
    ask = DynamixelBus.torque
    monkeypatch.setattr(DynamixelBus, "torque", lambda bus: rounds.append(1) or ask(bus))
    follower.virtual.servos[5].fail(1 << 5)
    arms(*command)
    assert len(rounds) == 1


def test_torque_off_at_the_rest_pose_just_does_it(follower, capsys):
    hold(follower, follower.arm.rest_pose)
    assert arms("torque", "off") == 0
    assert capsys.readouterr().out.strip() == "follower_left: torque off"


def test_read_shows_all_nine_servos_in_degrees_and_who_is_in_error(follower, capsys):
    assert arms("read") == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if " 4  elbow" in line)
    assert row.split()[:8] == ["4", "elbow", "xm540-w270", "88.8", "0.0", "0.000", "A", "32"]
    follower.virtual.servos[4].fail(1 << 2)
    assert arms("read") == 1
    assert "overheating" in capsys.readouterr().out


def test_read_names_a_silent_servo_and_shows_the_others(follower, capsys):
    on_the_bus(follower, lambda bus: bus.write_register(6, "id", 30))
    assert arms("read") == 1
    out = capsys.readouterr().out
    assert "no answer" in next(line for line in out.splitlines() if "forearm_roll" in line)
    assert "off" in next(line for line in out.splitlines() if "wrist_rotate" in line)


def test_read_watch_goes_on_until_ctrl_c(follower, capsys, monkeypatch):
    rounds = iter([None, None])

    def sleep(_):
        if next(rounds, "end") == "end":
            raise KeyboardInterrupt

    monkeypatch.setattr("aloha_stack.arms.reading.sleep", sleep)
    assert arms("read", "--watch") == 0
    assert capsys.readouterr().out.count("forearm_roll") == 3


def test_read_register_shows_it_beside_the_robot_file(follower, capsys):
    assert arms("read", "--register", "current_limit") == 0
    out = capsys.readouterr().out
    assert "9  gripper          xm430-w350    300         300" in out
    words = ["read", "--register", "present_load", "--arm", "leader_left", "--robot", "twin"]
    assert arms(*words) == 1  # a leader's XC430 has it, but the leader's port is missing
    assert "9  gripper          xm430-w350      -           -" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "word"),
    [
        (("torque", "on"), "./aloha call /follower_left/torque data:=true"),
        (("reboot",), "./aloha call /follower_left/reboot"),
        (("read",), "/diagnostics"),
        (("scan",), "/diagnostics"),
        (("configure",), "end it first"),
    ],
)
def test_a_port_that_a_bridge_holds_is_told_with_what_to_use_instead(
    follower, capsys, command, word
):
    script = [sys.executable, "-c", BUSY, "arm_bridge", follower.arm.port]
    with subprocess.Popen(script, stdout=subprocess.PIPE) as bridge:
        try:
            bridge.stdout.readline()
            assert arms(*command) == 1
        finally:
            bridge.terminate()
    err = capsys.readouterr().err
    assert f"held by an arm bridge (process {bridge.pid})" in err
    assert word in err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["read", "--robot", "twin", "--arm", "follower"], "no arm 'follower'"),
        (["read", "--robot", "twn"], "no robot 'twn'"),
        (["read", "--robot", "twin", "--watch"], "of one arm"),
        (["reboot", "--robot", "twin", "--servo", "3"], "say of which one arm"),
        (
            ["reboot", "--robot", "twin", "--servo", "12", "--arm", "follower_left"],
            "follower_left has no servo 12; it has 1, 2, 3",
        ),
        (
            ["read", "--robot", "twin", "--register", "curent_limit"],
            "no servo has a register 'curent_limit'; did you mean current_limit or",
        ),
        (["read", "--robot", "twin", "--register", "?"], "there is baud_rate, "),
    ],
)
def test_requests_that_make_no_sense_are_refused(follower, capsys, words, complaint):
    assert main(words) == 2
    assert complaint in capsys.readouterr().err


def test_usage_errors_end_with_status_two():
    with pytest.raises(SystemExit) as ended:
        main(["torque", "half"])
    assert ended.value.code == 2
