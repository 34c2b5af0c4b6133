"""Robot files: what they say, how they are refused, and how little twin and robot differ."""

import copy
import math
import os
import shutil

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aloha_stack.robot.description import (
    Robot,
    RobotConfigError,
    load_robot,
    load_unopened_robot,
    robot_names,
)
from aloha_stack.robot.gripper import finger_from_joint
from aloha_stack.robot.joints import ARMS, CAMERAS, JOINTS
from aloha_stack.robot.share import share_folder

PORTS = {"ALOHA_PORTS": "/ports"}
ARM_FILE, ROBOT_FILE = "arms/vx300s.yaml", "robots/aloha.yaml"


@pytest.fixture
def config(tmp_path):
    """A copy of config/ that a test may spoil."""
    shutil.copytree(share_folder() / "config", tmp_path / "config")
    return tmp_path / "config"


def spoil(path, change):
    values = yaml.safe_load(path.read_text())
    change(values)
    path.write_text(yaml.safe_dump(values, sort_keys=False))


@pytest.mark.parametrize("name", ["aloha", "twin"])
def test_robot_has_four_arms_and_four_cameras(name):
    robot = load_robot(name, PORTS)
    assert tuple(robot.arms) == ARMS
    assert tuple(robot.cameras) == CAMERAS
    assert [arm.name for arm in robot.leaders] == ["leader_left", "leader_right"]
    for arm in robot.arms.values():
        assert len(arm.servos) == 9
        assert [servo.joint for servo in arm.addressed] == list(JOINTS)
        assert {servo.shadow_of for servo in arm.servos} == {None, 2, 4}


def test_twin_and_robot_files_differ_only_in_ports_calibration_and_what_a_camera_offers():
    files = [
        yaml.safe_load((share_folder() / f"config/robots/{name}.yaml").read_text())
        for name in ("aloha", "twin")
    ]
    for values in files:
        values.pop("name")
        for arm in values["arms"].values():
            arm.pop("port")
            arm.pop("homing_offsets")
        for camera in values["cameras"].values():
            for key in ("source", "rate_hz", "calibration", "controls"):
                camera.pop(key)
    assert files[0] == files[1]


def test_start_pose_of_the_follower_has_gym_alohas_finger_opening():
    arm = load_robot("twin", PORTS).arm("follower_left")
    assert finger_from_joint(arm.start_pose[-1], arm.gripper.linkage) == pytest.approx(
        0.02239, abs=1e-5
    )


def test_every_gripper_has_a_force_limit():
    for arm in load_robot("twin", PORTS).arms.values():
        registers = arm.addressed[-1].registers
        if registers["operating_mode"] == 5:
            assert 0 < registers["current_limit"] <= 300
        else:
            assert 0 < registers["pwm_limit"] < 885


def test_ports_come_from_the_environment():
    assert load_robot("twin", PORTS).arm("leader_left").port == "/ports/ttyDXL_leader_left"
    for environment in ({}, {"ALOHA_PORTS": ""}):
        with pytest.raises(RobotConfigError, match=r"ALOHA_PORTS.*not set"):
            load_robot("twin", environment)


@pytest.mark.parametrize("set_to", [None, ""])
def test_who_opens_no_port_needs_no_environment(monkeypatch, set_to):
    monkeypatch.delenv("ALOHA_PORTS", raising=False)
    if set_to is not None:
        monkeypatch.setenv("ALOHA_PORTS", set_to)
    robot = load_unopened_robot("twin")
    assert robot.arm("leader_left").port == "/ALOHA_PORTS/ttyDXL_leader_left"
    assert len(robot.cameras) == 4
    monkeypatch.setenv("ALOHA_PORTS", "/ports")
    assert load_unopened_robot("twin").arm("leader_left").port == "/ports/ttyDXL_leader_left"


def test_unknown_robot_arm_and_camera_are_named_with_what_exists(tmp_path):
    with pytest.raises(RobotConfigError, match=r"no robot 'alhoa'.*aloha, twin"):
        load_robot("alhoa", PORTS)
    with pytest.raises(RobotConfigError, match=r"no robot file '.*mine.yaml'"):
        load_robot(tmp_path / "mine.yaml", PORTS)
    assert robot_names() == ["aloha", "twin"]
    robot = load_robot("twin", PORTS)
    with pytest.raises(RobotConfigError, match=r"no arm 'left'.*leader_left"):
        robot.arm("left")
    with pytest.raises(RobotConfigError, match=r"no camera 'top'.*cam_high"):
        robot.camera("top")


def test_a_robot_file_elsewhere_uses_the_arm_models_beside_it_or_the_shipped_ones(config, tmp_path):
    spoil(config / ARM_FILE, lambda v: v["limits"]["elbow"].update(velocity=1.5))
    own = load_robot(config / ROBOT_FILE, PORTS).arm("follower_left")
    assert own.limits.velocity[2] == 1.5
    alone = shutil.copy(config / ROBOT_FILE, tmp_path / "mine.yaml")
    shipped = load_robot(alone, PORTS).arm("follower_left")
    assert shipped.limits.velocity[2] == 3.14


def test_two_arms_on_one_port_are_refused_also_through_links(config, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).symlink_to(tmp_path / "ttyUSB0")
    ports = {"leader_left": tmp_path / "a", "follower_left": tmp_path / "b"}

    def change(values):
        for arm, port in ports.items():
            values["arms"][arm]["port"] = str(port)

    spoil(config / ROBOT_FILE, change)
    with pytest.raises(RobotConfigError, match=r"follower_left.*leader_left.*share.*ttyUSB0"):
        load_robot(config / ROBOT_FILE, PORTS)


def test_ports_that_become_one_after_the_file_was_read_are_refused_when_asked_again(
    config, tmp_path
):
    spoil(config / ROBOT_FILE, lambda v: v["arms"]["leader_left"].update(port=f"{tmp_path}/a"))
    spoil(config / ROBOT_FILE, lambda v: v["arms"]["leader_right"].update(port=f"{tmp_path}/b"))
    robot = load_robot(config / ROBOT_FILE, PORTS)
    robot.check_ports()
    os.symlink(tmp_path / "a", tmp_path / "b")
    with pytest.raises(RobotConfigError, match="share the port"):
        robot.check_ports()


IMPOSSIBLE_ARMS = [
    (lambda v: v["limits"].pop("elbow"), r"limits.elbow: missing"),
    (lambda v: v["limits"]["elbow"].update(jerk=0), r"limits.elbow.jerk: 0.* outside"),
    (lambda v: v["limits"]["elbow"].update(jerk="1"), r"elbow.jerk: .*finite number, found '1'"),
    (lambda v: v["limits"]["elbow"].update(jerk=True), r"elbow.jerk: .*finite number, found True"),
    (lambda v: v["limits"]["elbow"].update(lower=math.nan), r"elbow.lower: .*finite"),
    (lambda v: v["limits"]["elbow"].update(upper=10**400), r"elbow.upper: .*finite"),
    (lambda v: v["limits"]["elbow"].update(lower=1.6), r"lower must lie below upper"),
    (lambda v: v["limits"]["elbow"].update(lower=-2.0), r"elbow.lower: -2.0 rad is tick 744.* 898"),
    (lambda v: v["limits"]["elbow"].update(velocity=3.2), r"elbow.velocity: .*servo 4 turns: 3.1"),
    (lambda v: v["limits"]["gripper"].update(velocity=5.0), r"gripper.velocity: .* 4.79"),
    (lambda v: v["limits"]["elbow"].update(velocty=1.0), r"limits.elbow.velocty: unknown"),
    (lambda v: v["limits"].update(elbw={}), r"limits.elbw: unknown; expected one of waist"),
    (lambda v: v.update(limits=[1]), r"limits: expected a mapping.*found \[1\]"),
    (lambda v: v["poses"]["rest"].update(waist=4.0), r"poses.rest.waist: 4.0 is outside -3.13"),
    (lambda v: v["poses"]["rest"].pop("waist"), r"poses.rest.waist: missing"),
    (lambda v: v["poses"].update(sleep={}), r"poses.sleep: unknown"),
    (lambda v: v["servos"][0].update(model="xm999"), r"servos\[0\].model: 'xm999' is none of"),
    (lambda v: v["servos"][0].update(id=2), r"servos\[1\].id: ID 2 stands twice"),
    (lambda v: v["servos"][0].update(id="1"), r"servos\[0\].id: expected a whole number"),
    (lambda v: v["servos"][2].update(shadow_of=4), r"servos\[2\].shadow_of: ID 4 is not the servo"),
    (lambda v: v["servos"][2].update(shadow_of=3), r"servos\[2\].shadow_of: ID 3 is not the servo"),
    (
        lambda v: v["servos"][2].update(registers={}),
        r"servos\[2\].*max_position_limit is 4095.*286",
    ),
    (lambda v: v["servos"][2].update(model="xm430-w350"), r"servos\[2\].model: xm430.* xm540"),
    (lambda v: v["servos"].pop(0), r"servos: waist has 0 servos"),
    (lambda v: v.update(servos=[]), r"servos: expected a list"),
    (lambda v: v.update(servos={"id": 1}), r"servos: expected a list"),
    (lambda v: v["registers"].update(id=1), r"registers.id: is no register of this list"),
    (lambda v: v["registers"].update(position_p_gain=8.5), r"p_gain: expected a whole number"),
    (lambda v: v.update(baud=1_000_001), r"baud: 1000001 is none of 9600"),
    (lambda v: v.update(model="wx250s"), r"model: expected vx300s, as the file is called"),
    (lambda v: v["gripper_linkage"].update(rod_m=0.02), r"rod_m: .*longer than crank_m"),
    (lambda v: v.pop("links"), r"links: missing"),
]


@pytest.mark.parametrize(("change", "complaint"), IMPOSSIBLE_ARMS)
def test_impossible_arm_files_are_refused_by_file_and_key(config, change, complaint):
    spoil(config / ARM_FILE, change)
    with pytest.raises(RobotConfigError, match=r"vx300s\.yaml: .*" + complaint):
        load_robot(config / ROBOT_FILE, PORTS)


def arm_of(values):
    return values["arms"]["follower_left"]


IMPOSSIBLE_ROBOTS = [
    (lambda v: v.update(arm={}), r"arm: unknown; expected one of name"),
    (lambda v: v.update(arms={}), r"arms: expected at least one of leader_left"),
    (lambda v: v["arms"].update(follower={}), r"arms.follower: unknown"),
    (lambda v: arm_of(v).update(model="../x"), r"follower_left.model: no arm model.* vx300s"),
    (lambda v: arm_of(v).update(role="leader"), r"follower_left.role: 'leader' contradicts"),
    (lambda v: arm_of(v).update(port=7), r"follower_left.port: expected a text, found 7"),
    (lambda v: arm_of(v).update(port="/dev/a\0b"), r"follower_left.port: expected a text"),
    (lambda v: arm_of(v).update(homing_offsets=[1]), r"homing_offsets: expected a mapping"),
    (lambda v: arm_of(v).update(homing_offsets={11: 5}), r"homing_offsets.11: no servo ID"),
    (lambda v: arm_of(v).update(homing_offsets={"1": 5}), r"homing_offsets.1: no servo ID"),
    (lambda v: arm_of(v).update(homing_offsets={3: 5}), r"homing_offsets.3: .*is measured"),
    (lambda v: arm_of(v).update(homing_offsets={1: 1025}), r"homing_offsets.1: 1025 is outside"),
    (lambda v: arm_of(v).update(homing_offsets={1: 0.5}), r"homing_offsets.1: expected a whole"),
    (lambda v: v["grippers"].pop("leader"), r"grippers.leader: missing"),
    (
        lambda v: v["grippers"]["follower"].update(joint_open_rad=-0.6213),
        r"follower.joint_open_rad: -0.6213 must be more than joint_close_rad",
    ),
    (
        lambda v: v["grippers"]["follower"].update(finger_close_m=0.058),
        r"follower.finger_open_m: 0.058 must be more than finger_close_m",
    ),
    (
        lambda v: v["grippers"]["leader"].update(engage_below_rad=0.4),
        r"leader.engage_below_rad: 0.4 is outside",
    ),
    (lambda v: v["cameras"]["cam_low"].update(width=100_000), r"cam_low.width: 100000 is outside"),
    (lambda v: v["cameras"]["cam_low"].update(height=480.5), r"cam_low.height: .*whole number"),
    (lambda v: v["cameras"]["cam_low"].update(rate_hz=0), r"cam_low.rate_hz: 0 is outside"),
    (lambda v: v["cameras"]["cam_low"].update(calibration=3), r"calibration: expected a text"),
    (
        lambda v: v["cameras"]["cam_low"].update(source="topic:image_raw"),
        r"cam_low.source: 'image_raw' is no topic's full name",
    ),
    (
        lambda v: v["cameras"]["cam_low"].update(source=v["cameras"]["cam_high"]["source"]),
        r"cam_low.source: cam_high has v4l2:/dev/CAM_HIGH, too",
    ),
    (
        lambda v: v["cameras"]["cam_low"].update(controls={"Gain": 3}),
        r"cam_low.controls.Gain: no name of a control",
    ),
    (
        lambda v: v["cameras"]["cam_low"].update(controls={"gain": 0.5}),
        r"cam_low.controls.gain: expected a whole number",
    ),
    (lambda v: v["cameras"].update({"cam low": {}}), r"cameras.'?cam low'?: no name of a camera"),
    (lambda v: v.pop("cameras"), r"cameras: missing; found only 'name'"),
]


@pytest.mark.parametrize(("change", "complaint"), IMPOSSIBLE_ROBOTS)
def test_impossible_robot_files_are_refused_by_file_and_key(config, change, complaint):
    spoil(config / ROBOT_FILE, change)
    with pytest.raises(RobotConfigError, match=r"aloha\.yaml: .*" + complaint):
        load_robot(config / ROBOT_FILE, PORTS)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", r"the file: expected a mapping \(key: value\), found None"),
        (b"- name: aloha\n", r"the file: expected a mapping"),
        (b"name: [\n", r"not valid YAML"),
        (b"name: a\nname: b\n", r"the key 'name' stands twice.*\n.*line 2"),
        (b"\xff\xfe\x00", r"not valid YAML"),
        (b"name: 2024-99-99\n", r"not valid YAML"),
        (b"[" * 5000, r"nested too deeply"),
        (b"{[1]: 2}\n", r"not valid YAML|unknown"),
    ],
)
def test_files_that_are_no_robot_at_all_are_refused(config, content, complaint):
    (config / ROBOT_FILE).write_bytes(content)
    with pytest.raises(RobotConfigError, match=r"aloha\.yaml.*" + complaint):
        load_robot(config / ROBOT_FILE, PORTS)


def test_a_servo_knows_its_place_in_the_file():
    where = load_robot("twin", PORTS).arm("follower_left").servos[2].where
    assert where.endswith("config/arms/vx300s.yaml: servos[2] (shoulder shadow)")


def test_limits_are_read_only_and_hold_the_poses():
    arm = load_robot("twin", PORTS).arm("follower_right")
    assert np.all(arm.start_pose >= arm.limits.soft_lower)
    with pytest.raises(ValueError, match="read-only"):
        arm.limits.lower[0] = 0.0


# -- anything at all, anywhere in the files -------------------------------------------------------


def places(node, path=()):
    """The path of every key and of every entry of a list below `node`."""
    entries = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in entries:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


SHIPPED = {
    name: yaml.safe_load((share_folder() / "config" / name).read_text())
    for name in (ARM_FILE, "arms/wx250s.yaml", ROBOT_FILE)
}
PLACES = [(name, path) for name, values in SHIPPED.items() for path in places(values)]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-5000, 5000),
    st.floats(),
    st.floats(-10, 10),
    st.text(max_size=8),
    st.sampled_from(["", "1", ".nan", "${HOME}", "${NOT_SET}", "/dev/null", "vx300s", 10**400]),
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(SCALARS, SCALARS))


def mutated(values, path, kind, value):
    """A copy of `values` in which the entry at `path` is replaced, removed, renamed or doubled."""
    spoiled = copy.deepcopy(values)
    holder = spoiled
    for key in path[:-1]:
        holder = holder[key]
    key = path[-1]
    if kind == "replace":
        holder[key] = value
    elif kind == "remove":
        del holder[key]
    elif isinstance(holder, list):
        holder.append(holder[key])
    elif kind == "rename":
        holder[value if isinstance(value, str | int | float | None) else "x"] = holder.pop(key)
    else:
        holder[f"{key}_2"] = holder[key]
    return spoiled


def check_invariants(robot: Robot) -> None:
    devices = [os.path.realpath(arm.port) for arm in robot.arms.values()]
    assert robot.arms
    assert len(set(devices)) == len(devices)
    for arm in robot.arms.values():
        assert [servo.joint for servo in arm.addressed] == list(JOINTS)
        assert len({servo.id for servo in arm.servos}) == len(arm.servos)
        limits = arm.limits
        for values in (limits.lower, limits.upper, limits.velocity, limits.acceleration):
            assert values.shape == (7,)
            assert np.isfinite(values).all()
        assert (np.minimum(limits.velocity, np.minimum(limits.acceleration, limits.jerk)) > 0).all()
        assert (limits.soft_lower < limits.soft_upper).all()
        for pose in (arm.rest_pose, arm.start_pose):
            assert ((limits.soft_lower <= pose) & (pose <= limits.soft_upper)).all()
        for servo in arm.servos:
            assert servo.drive_mode in (0, 1)
            assert all(type(value) is int for value in servo.registers.values())
        assert arm.gripper.joint_open_rad > arm.gripper.joint_close_rad
        assert arm.gripper.finger_open_m > arm.gripper.finger_close_m
        assert np.isfinite(arm.chain.forward(arm.rest_pose)).all()
    for camera in robot.cameras.values():
        assert 0 < camera.width * camera.height <= 4096**2
        assert 0 < camera.rate_hz < 1000


@given(
    place=st.sampled_from(PLACES),
    kind=st.sampled_from(["replace", "replace", "replace", "remove", "rename", "double"]),
    value=VALUES,
)
@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_stands_in_a_file_gives_a_sound_robot_or_a_refusal(
    tmp_path_factory, place, kind, value
):
    folder = tmp_path_factory.mktemp("config")
    name, path = place
    for file, values in SHIPPED.items():
        spoiled = mutated(values, path, kind, value) if file == name else values
        (folder / file).parent.mkdir(exist_ok=True)
        dumped = yaml.dump(spoiled, Dumper=_Dumper, sort_keys=False)
        (folder / file).write_text(dumped, encoding="utf-8")
    try:
        robot = load_robot(folder / ROBOT_FILE, PORTS)
    except RobotConfigError as error:
        refusal = str(error)
    else:
        check_invariants(robot)
        return
    assert ".yaml" in refusal
    assert len(refusal) < 2000


class _Dumper(yaml.SafeDumper):
    """Writes also numbers with more digits than Python prints."""

    def represent_int(self, data):
        return self.represent_scalar("tag:yaml.org,2002:int", hex(data))


_Dumper.add_representer(int, _Dumper.represent_int)
