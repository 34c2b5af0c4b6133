"""The URDF of an arm moves and weighs as the arm does, in a loader that is not ours: MuJoCo's."""

import re
import xml.etree.ElementTree as ElementTree

import mujoco
import numpy as np
import pytest

from aloha_stack.robot.description import load_robot
from aloha_stack.robot.gripper import finger_from_joint
from aloha_stack.robot.joints import ARM_JOINTS, ARMS, FOLLOWERS, JOINTS, STATE_JOINTS, side_of
from aloha_stack.robot.urdf import frame_id, urdf_text
from aloha_stack.twin.tasks import find_task

ROBOT = load_robot("twin", {"ALOHA_PORTS": "/ports"})


def load(name):
    """The arm's URDF as MuJoCo reads it. Its base is the world, as its root is fixed."""
    return mujoco.MjModel.from_xml_string(urdf_text(ROBOT.arm(name)))


def random_joints(name, count=50):
    """Positions (7,) within the limits, and the nine joint states that go with them."""
    arm = ROBOT.arm(name)
    drawn = np.random.default_rng(1).uniform(arm.limits.lower, arm.limits.upper, (count, 7))
    return zip(drawn, arm.chain.joint_values(drawn), strict=True)


@pytest.mark.parametrize("name", ARMS)
def test_the_urdf_has_the_joints_of_joint_states_and_the_arms_limits(name):
    model, limits = load(name), ROBOT.arm(name).limits
    assert [model.joint(i).name for i in range(model.njnt)] == list(STATE_JOINTS)
    for index, joint in enumerate(JOINTS):
        expected = limits.lower[index], limits.upper[index]
        np.testing.assert_allclose(model.joint(joint).range, expected, atol=1e-6)


@pytest.mark.parametrize("name", FOLLOWERS)
def test_the_followers_limits_are_the_scenes(name):
    model, scene = load(name), find_task("transfer_cube").load_scene()
    for joint in ARM_JOINTS:
        expected = scene.joint(f"vx300s_{side_of(name)}/{joint}").range
        np.testing.assert_allclose(model.joint(joint).range, expected, atol=1e-5)
    for finger in ("left_finger", "right_finger"):  # the scene leaves the ends of the travel out
        lower, upper = model.joint(finger).range
        inner = scene.joint(f"vx300s_{side_of(name)}/{finger}").range
        assert lower - 1e-3 <= inner[0] < inner[1] <= upper + 1e-3


@pytest.mark.parametrize("name", FOLLOWERS)
def test_the_followers_urdf_moves_as_the_scene(name):
    model, scene = load(name), find_task("transfer_cube").load_scene()
    ours, theirs = mujoco.MjData(model), mujoco.MjData(scene)
    base = ROBOT.mounts[name].matrix
    for _, values in random_joints(name):
        for joint, value in zip(STATE_JOINTS, values, strict=True):
            ours.joint(joint).qpos = value
            if joint != "gripper":  # the scene has none
                theirs.joint(f"vx300s_{side_of(name)}/{joint}").qpos = value
        mujoco.mj_kinematics(model, ours)
        mujoco.mj_kinematics(scene, theirs)
        for body in ("shoulder_link", "wrist_link", "gripper_link", "left_finger_link"):
            mine = ours.body(frame_id(name, body))
            other = theirs.body(f"vx300s_{side_of(name)}/{body}")
            position = base[:3, :3] @ mine.xpos + base[:3, 3]
            np.testing.assert_allclose(position, other.xpos, atol=1e-4, err_msg=body)
            between = (base[:3, :3] @ mine.xmat.reshape(3, 3)).T @ other.xmat.reshape(3, 3)
            assert np.arccos(np.clip((np.trace(between) - 1) / 2, -1, 1)) < 1e-3, body


@pytest.mark.parametrize("name", ARMS)
def test_the_urdf_moves_as_the_chain_that_it_is_made_from(name):
    model, chain = load(name), ROBOT.arm(name).chain
    data = mujoco.MjData(model)
    for position, values in random_joints(name):
        data.qpos[:] = values
        mujoco.mj_kinematics(model, data)
        for link, pose in zip(chain.links[1:], chain.forward(position)[1:], strict=True):
            body = data.body(frame_id(name, link.name))
            np.testing.assert_allclose(pose[:3, 3], body.xpos, atol=1e-6)
            np.testing.assert_allclose(pose[:3, :3], body.xmat.reshape(3, 3), atol=1e-6)


@pytest.mark.parametrize("name", FOLLOWERS)
def test_the_followers_urdf_is_as_inert_as_the_scene(name):
    """The scene holds the gripper's propeller fast and lets one finger move without the other."""
    model, scene = load(name), find_task("transfer_cube").load_scene()
    ours, theirs = mujoco.MjData(model), mujoco.MjData(scene)
    prefix = f"vx300s_{side_of(name)}/"
    shared = [joint for joint in STATE_JOINTS if joint != "gripper"]
    dofs = [scene.joint(prefix + joint).dofadr[0] for joint in shared]
    mine = [STATE_JOINTS.index(joint) for joint in shared]
    for _, values in random_joints(name, 10):
        for joint in shared:
            ours.joint(joint).qpos = theirs.joint(prefix + joint).qpos = values[
                STATE_JOINTS.index(joint)
            ]
        inertia, expected = np.zeros((model.nv,) * 2), np.zeros((scene.nv,) * 2)
        for owner, data, matrix in ((model, ours, inertia), (scene, theirs, expected)):
            mujoco.mj_forward(owner, data)
            mujoco.mj_fullM(owner, matrix, data.qM)
        expected -= np.diag(scene.dof_armature)
        np.testing.assert_allclose(
            inertia[np.ix_(mine, mine)], expected[np.ix_(dofs, dofs)], atol=1e-4
        )


@pytest.mark.parametrize("name", ARMS)
def test_every_frame_is_the_arms_own_and_every_link_can_be_seen(name):
    root = ElementTree.fromstring(urdf_text(ROBOT.arm(name)))
    links = {link.get("name") for link in root.findall("link")}
    assert all(link.startswith(f"{name}/") for link in links)
    children = {joint.find("child").get("link") for joint in root.findall("joint")}
    assert links - children == {frame_id(name, "base_link")}
    unseen = {link.get("name") for link in root.findall("link") if link.find("visual") is None}
    assert unseen == {frame_id(name, "gripper_prop_link")}  # inside the gripper
    assert not re.search("nan|inf", urdf_text(ROBOT.arm(name)))


@pytest.mark.parametrize("name", ["leader_left", "follower_left"])
def test_efforts_and_speeds_are_those_of_the_servos(name):
    arm = ROBOT.arm(name)
    root = ElementTree.fromstring(urdf_text(arm))
    limits = {joint.get("name"): joint.find("limit") for joint in root.findall("joint")}
    single = 10.6 if name == "follower_left" else 4.1
    assert float(limits["waist"].get("effort")) == pytest.approx(single)
    assert float(limits["shoulder"].get("effort")) == pytest.approx(2 * single)
    for index, joint in enumerate(JOINTS):
        assert float(limits[joint].get("velocity")) == pytest.approx(arm.limits.velocity[index])
    power = float(limits["gripper"].get("effort")) * float(limits["gripper"].get("velocity"))
    finger = limits["left_finger"]
    angles = np.linspace(arm.limits.lower[6], arm.limits.upper[6], 2001)
    travel = np.diff(finger_from_joint(angles, arm.gripper.linkage)) / np.diff(angles)
    fastest = arm.limits.velocity[6] * travel.max()
    assert float(finger.get("velocity")) == pytest.approx(fastest, rel=1e-3)
    assert float(finger.get("effort")) * float(finger.get("velocity")) == pytest.approx(power)
