"""The arms' bodies move as the MuJoCo scene does; impossible bodies are refused."""

import shutil

import mujoco
import numpy as np
import pytest
import yaml
from scipy.linalg import expm

from aloha_stack.robot.description import RobotConfigError, load_robot
from aloha_stack.robot.joints import FOLLOWERS, JOINTS, STATE_JOINTS, side_of
from aloha_stack.robot.share import share_folder
from aloha_stack.twin.tasks import find_task

PORTS = {"ALOHA_PORTS": "/ports"}
ROBOT = load_robot("twin", PORTS)


@pytest.fixture(scope="module")
def scene() -> mujoco.MjModel:
    return find_task("transfer_cube").load_scene()


def random_positions(arm, count=50, seed=0):
    limits = arm.limits
    return np.random.default_rng(seed).uniform(limits.lower, limits.upper, (count, 7))


def place(model, data, prefix, chain, position):
    """Puts one arm of a MuJoCo model at `position` (7,); joints that it lacks are left out."""
    for name, value in zip(STATE_JOINTS, chain.joint_values(position), strict=True):
        joint = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, prefix + name)
        if joint >= 0:
            data.qpos[model.jnt_qposadr[joint]] = value


def assert_same_pose(matrix, body, where):
    np.testing.assert_allclose(matrix[:3, 3], body.xpos, atol=1e-4, err_msg=where)
    between = matrix[:3, :3].T @ body.xmat.reshape(3, 3)
    assert np.arccos(np.clip((np.trace(between) - 1) / 2, -1, 1)) < 1e-3, where


@pytest.mark.parametrize("name", FOLLOWERS)
def test_the_followers_links_are_where_the_scene_has_them(scene, name):
    arm, data = ROBOT.arm(name), mujoco.MjData(scene)
    prefix = f"vx300s_{side_of(name)}/"
    base = ROBOT.mounts[name].matrix
    for position in random_positions(arm):
        place(scene, data, prefix, arm.chain, position)
        mujoco.mj_kinematics(scene, data)
        for link, matrix in zip(arm.chain.links, arm.chain.forward(position), strict=True):
            if link.name == "gripper_prop_link":  # fixed in the scene
                continue
            body = prefix.rstrip("/") if link.parent == 0 and not link.joint else prefix + link.name
            assert_same_pose(base @ matrix, data.body(body), link.name)


def test_the_followers_weigh_what_the_scenes_weigh(scene):
    links = ROBOT.arm("follower_left").chain.links
    for link in links[1:]:
        body = scene.body(f"vx300s_left/{link.name}")
        assert link.mass_kg == pytest.approx(body.mass[0])
        np.testing.assert_allclose(link.com, body.ipos, atol=1e-8)
        moments = np.sort(np.linalg.eigvalsh(link.inertia))
        np.testing.assert_allclose(moments, np.sort(body.inertia), rtol=1e-3, atol=1e-9)


# Screw axes (rotation, moment) of the WidowX 250 S and the place of its gripper's tip at 0, as
# Interbotix publishes them for its own kinematics (interbotix_xs_modules, mr_descriptions.py).
SCREWS = [
    (0, 0, 1, 0, 0, 0),
    (0, 1, 0, -0.11065, 0, 0),
    (0, 1, 0, -0.36065, 0, 0.04975),
    (1, 0, 0, 0, 0.36065, 0),
    (0, 1, 0, -0.36065, 0, 0.29975),
    (1, 0, 0, 0, 0.36065, 0),
]
TIP_AT_ZERO = (0.458325, 0, 0.36065)
TIP_IN_GRIPPER_LINK_M = 0.093575


def screw_motion(screw, angle):
    """The motion (4, 4) by `angle` about a screw axis: the exponential of its twist."""
    (x, y, z), moment = screw[:3], screw[3:]
    twist = np.zeros((4, 4))
    twist[:3] = [[0, -z, y, moment[0]], [z, 0, -x, moment[1]], [-y, x, 0, moment[2]]]
    return expm(twist * angle)


def test_the_leader_moves_as_its_published_screws():
    arm = ROBOT.arm("leader_left")
    tip = np.array([TIP_IN_GRIPPER_LINK_M, 0, 0, 1])
    gripper = arm.chain.index("gripper_link")
    for position in random_positions(arm):
        expected = np.array([*TIP_AT_ZERO, 1.0])
        for screw, angle in reversed(list(zip(SCREWS, position[:6], strict=True))):
            expected = screw_motion(screw, angle) @ expected
        found = arm.chain.forward(position)[gripper] @ tip
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_many_positions_at_once_are_each_alone():
    chain = ROBOT.arm("follower_left").chain
    positions = random_positions(ROBOT.arm("follower_left"), 6).reshape(2, 3, 7)
    together = chain.forward(positions)
    assert together.shape == (2, 3, len(chain.links), 4, 4)
    np.testing.assert_allclose(together[1, 2], chain.forward(positions[1, 2]), atol=1e-12)


def test_twin_and_robot_have_the_same_bodies_on_the_same_spots():
    other = load_robot("aloha", PORTS)
    for name, arm in ROBOT.arms.items():
        np.testing.assert_array_equal(ROBOT.mounts[name].matrix, other.mounts[name].matrix)
        np.testing.assert_array_equal(
            arm.chain.forward(arm.start_pose), other.arm(name).chain.forward(arm.start_pose)
        )


def test_an_unknown_link_is_named_with_those_that_exist():
    with pytest.raises(KeyError, match=r"no link 'hand'; there is base_link.*right_finger_link"):
        ROBOT.arm("leader_left").chain.index("hand")


def spoil(tmp_path, file, change):
    """The complaint about a copy of config/ in which `change` was made to one file."""
    shutil.copytree(share_folder() / "config", tmp_path / "config")
    path = tmp_path / "config" / file
    values = yaml.safe_load(path.read_text())
    change(values)
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    with pytest.raises(RobotConfigError) as failure:
        load_robot(tmp_path / "config/robots/aloha.yaml", PORTS)
    assert path.name in str(failure.value)
    return str(failure.value)


@pytest.mark.parametrize(
    ("link", "change", "complaint"),
    [
        ("wrist_link", {"mass_kg": 0}, "links.wrist_link.mass_kg: 0 is outside"),
        ("wrist_link", {"mass_kg": float("nan")}, "links.wrist_link.mass_kg: expected a finite"),
        ("wrist_link", {"com_m": [0, 0]}, "links.wrist_link.com_m: expected a list of 3"),
        ("wrist_link", {"com_m": [0, 0, "x"]}, "links.wrist_link.com_m[2]: expected a finite"),
        ("wrist_link", {"axis": [0, 0, 0]}, "links.wrist_link.axis: expected a vector of length 1"),
        ("wrist_link", {"parent": "hand"}, "links.wrist_link.parent: must be a link"),
        ("wrist_link", {"parent": "gripper_link"}, "links.wrist_link.parent: must be a link"),
        ("wrist_link", {"joint": "ankle"}, "links.wrist_link.joint: 'ankle' is none of waist"),
        ("wrist_link", {"joint": "waist"}, "links.wrist_link.joint: 'waist' moves another"),
        ("wrist_link", {"mass": 1}, "links.wrist_link.mass: unknown"),
        ("wrist_link", {"inertia_kg_m2": [1, 1, 3, 0, 0, 0]}, "inertia_kg_m2: no body has it"),
        ("wrist_link", {"inertia_kg_m2": [1, 1, -1, 0, 0, 0]}, "inertia_kg_m2: no body has it"),
        ("wrist_link", {"inertia_kg_m2": [0, 0, 0, 0, 0, 0]}, "inertia_kg_m2: no body has it"),
        ("base_link", {"joint": "waist"}, "links.base_link.joint: unknown"),
    ],
)
def test_impossible_bodies_are_refused_by_key(tmp_path, link, change, complaint):
    said = spoil(tmp_path, "arms/vx300s.yaml", lambda v: v["links"][link].update(change))
    assert complaint in said


def test_a_joint_without_a_link_is_refused(tmp_path):
    said = spoil(tmp_path, "arms/vx300s.yaml", lambda v: v["links"].pop("right_finger_link"))
    assert "links: no link moves by the joint right_finger" in said


def test_a_link_without_a_proper_name_is_refused(tmp_path):
    def change(values):
        values["links"]["Über"] = values["links"].pop("right_finger_link")

    assert "is no name of a link" in spoil(tmp_path, "arms/vx300s.yaml", change)


def test_an_arm_that_stands_nowhere_is_refused(tmp_path):
    said = spoil(tmp_path, "robots/aloha.yaml", lambda v: v["mounts"].pop("leader_left"))
    assert "mounts.leader_left: missing" in said


def test_every_joint_state_moves_a_link():
    for arm in ROBOT.arms.values():
        assert sorted(link.joint for link in arm.chain.links[1:]) == sorted(STATE_JOINTS)
        assert len(arm.limits.lower) == len(JOINTS)
