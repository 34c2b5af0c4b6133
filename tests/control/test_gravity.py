"""Gravity compensation: torques as MuJoCo computes them, and a WidowX that floats on them."""

import dataclasses
import math

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aloha_stack.control.gravity import (
    DEFAULT_CAP_A,
    GREATEST_CAP_A,
    GREATEST_SCALE,
    LIMIT_ZONE_RAD,
    GravityCompensation,
    gravity_torque,
)
from aloha_stack.robot.chain import Chain
from aloha_stack.robot.description import Arm, load_robot
from aloha_stack.robot.joints import ARMS, FINGERS, JOINTS, STATE_JOINTS
from aloha_stack.robot.urdf import urdf_text

ROBOT = load_robot("twin", {"ALOHA_PORTS": "/ports"})
LEADER = ROBOT.arm("leader_left")
SERVOS = np.array([1, 2, 2, 1, 1, 1, 0])  # that carry a current, in the order of JOINTS
NM_PER_AMPERE = 4.1 / 2.3  # XM430-W350
AMPERE_PER_UNIT = 2.69e-3
CONTROL_S = 0.01
FRICTION_NM = 0.1  # of each joint, in Interbotix' description of the arm
FLOATS_RAD, FALLS_RAD = 0.02, 0.5


def random_positions(arm: Arm, count: int, inset_rad: float = 0.0) -> np.ndarray:
    limits = arm.limits
    lower, upper = limits.lower + inset_rad, limits.upper - inset_rad
    return np.random.default_rng(2).uniform(lower, upper, (count, 7))


@pytest.mark.parametrize("name", ARMS)
def test_torques_are_those_of_mujocos_inverse_dynamics(name: str) -> None:
    arm = ROBOT.arm(name)
    model = mujoco.MjModel.from_xml_string(urdf_text(arm))
    data = mujoco.MjData(model)
    for position in random_positions(arm, 30):
        data.qpos[:] = arm.chain.joint_values(position)
        mujoco.mj_inverse(model, data)
        # The servo of the gripper moves both fingers: virtual work, by small differences.
        shift = np.array([0, 0, 0, 0, 0, 0, 1e-6])
        travel = np.diff(
            arm.chain.joint_values(np.array([position - shift, position + shift])), axis=0
        )
        expected = data.qfrc_inverse[:7].copy()
        expected[6] += travel[0, 7:] @ data.qfrc_inverse[7:] / 2e-6
        np.testing.assert_allclose(gravity_torque(arm.chain, position), expected, atol=1e-5)


class Floating:
    """The WidowX in MuJoCo, from its URDF, moved by its servos' currents; its gripper is fixed.

    Servos are read in ticks and take currents in their own units, as on the bus. A unit is 5 mN·m:
    without any friction, the wrist would drift on what rounding leaves.
    """

    def __init__(self, position: np.ndarray) -> None:
        self.model = mujoco.MjModel.from_xml_string(urdf_text(LEADER))
        self.model.opt.timestep = 0.002
        self.data = mujoco.MjData(self.model)
        self.data.qpos[:] = LEADER.chain.joint_values(position)
        self.model.dof_frictionloss[:6] = FRICTION_NM
        still = [self.model.joint(name).dofadr[0] for name in ("gripper", *FINGERS)]
        self.model.dof_armature[still] = 1e3
        self.model.dof_damping[still] = 1e5

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        tick = 2 * math.pi / 4096
        return np.rint(self.data.qpos[:7] / tick) * tick, self.data.qvel[:7].copy()

    def run(self, compensation: GravityCompensation | None, seconds: float) -> np.ndarray:
        """How far each joint has gone (7,) rad."""
        start = self.data.qpos[:7].copy()
        for _ in range(round(seconds / CONTROL_S)):
            if compensation is not None:
                currents = compensation.currents(*self.read())
                assert np.all(np.abs(currents) <= compensation.cap_a)
                units = np.rint(currents / AMPERE_PER_UNIT)
                self.data.qfrc_applied[:7] = units * AMPERE_PER_UNIT * NM_PER_AMPERE * SERVOS
            mujoco.mj_step(self.model, self.data, round(CONTROL_S / self.model.opt.timestep))
        return np.abs(self.data.qpos[:7] - start)


def carried_poses() -> list[np.ndarray]:
    """Poses away from limits that the cap suffices for."""
    drawn = random_positions(LEADER, 20, inset_rad=0.3)
    needed = [np.abs(gravity_torque(LEADER.chain, position)[1:3]).max() for position in drawn]
    return [p for p, torque in zip(drawn, needed, strict=True) if 0.5 < torque < 3.0][:6]


@pytest.mark.parametrize("number", range(6))
def test_an_arm_floats_with_compensation_and_falls_without(number: int) -> None:
    position = carried_poses()[number]
    assert np.max(Floating(position).run(GravityCompensation(LEADER), 1.0)) < FLOATS_RAD
    assert np.max(Floating(position).run(None, 1.0)) > FALLS_RAD


def heavier(arm: Arm, factor: float) -> Arm:
    links = [dataclasses.replace(link, mass_kg=factor * link.mass_kg) for link in arm.chain.links]
    return dataclasses.replace(arm, chain=Chain(tuple(links), arm.chain.linkage))


@pytest.mark.parametrize("factor", [0.7, 1.3])
@pytest.mark.parametrize("cap_a", [0.3, 1.0])
def test_wrong_masses_move_the_arm_but_never_more_current_than_the_cap(
    factor: float, cap_a: float
) -> None:
    for position in carried_poses()[:3]:
        wrong = GravityCompensation(heavier(LEADER, factor), cap_a)
        moved = Floating(position).run(wrong, 0.5)  # asserts the cap on the way
        assert np.max(moved) < np.max(Floating(position).run(None, 0.5))


def test_scale_leaves_a_part_of_the_arm_to_the_hand() -> None:
    position, still = LEADER.start_pose, np.zeros(7)
    whole = GravityCompensation(LEADER, GREATEST_CAP_A).currents(position, still)
    half = GravityCompensation(LEADER, GREATEST_CAP_A, scale=0.5).currents(position, still)
    np.testing.assert_allclose(half, whole / 2)


def test_the_pair_of_a_joint_shares_its_load() -> None:
    torque = gravity_torque(LEADER.chain, LEADER.start_pose)
    currents = GravityCompensation(LEADER).currents(LEADER.start_pose, np.zeros(7))
    elbow, wrist = JOINTS.index("elbow"), JOINTS.index("wrist_angle")
    assert currents[elbow] == pytest.approx(torque[elbow] / (2 * NM_PER_AMPERE))
    assert currents[wrist] == pytest.approx(torque[wrist] / NM_PER_AMPERE)


@pytest.mark.parametrize("name", ["leader_left", "follower_left"])
def test_the_gripper_is_never_driven_though_its_servo_might_be(name: str) -> None:
    arm = ROBOT.arm(name)
    compensation = GravityCompensation(arm)
    for position in random_positions(arm, 20):
        assert compensation.currents(position, np.full(7, 1.0))[6] == 0.0
        assert gravity_torque(arm.chain, position)[6] != 0.0


def test_no_joint_is_pushed_against_its_limit() -> None:
    limits, compensation = LEADER.limits, GravityCompensation(LEADER)
    for index in range(6):
        for position in random_positions(LEADER, 20):
            for end, outwards in ((limits.lower, -1), (limits.upper, 1)):
                at_end = position.copy()
                at_end[index] = end[index]
                assert compensation.currents(at_end, np.zeros(7))[index] * outwards <= 0.0


def test_the_push_towards_a_limit_fades_without_a_step() -> None:
    elbow = JOINTS.index("elbow")
    arm = dataclasses.replace(
        LEADER, limits=dataclasses.replace(LEADER.limits, lower=LEADER.start_pose - 0.05)
    )
    whole = GravityCompensation(LEADER).currents(LEADER.start_pose, np.zeros(7))[elbow]
    near = GravityCompensation(arm).currents(LEADER.start_pose, np.zeros(7))[elbow]
    assert whole < 0.0  # it pushes upwards, which is down in angle
    assert near == pytest.approx(whole * 0.05 / LIMIT_ZONE_RAD)


def test_damping_opposes_the_motion() -> None:
    compensation = GravityCompensation(LEADER)
    still = compensation.currents(LEADER.start_pose, np.zeros(7))
    moved = compensation.currents(LEADER.start_pose, np.full(7, 1.0))
    assert np.all(moved[:6] < still[:6])


@settings(max_examples=200, deadline=None)
@given(
    arrays(float, 7, elements=st.floats(-10, 10)),
    arrays(float, 7, elements=st.floats(-1e6, 1e6)),
    st.floats(0.01, GREATEST_CAP_A),
)
def test_no_reading_makes_more_current_than_the_cap(position, velocity, cap_a) -> None:
    currents = GravityCompensation(LEADER, cap_a, scale=GREATEST_SCALE).currents(position, velocity)
    assert np.all(np.abs(currents) <= cap_a)


@pytest.mark.parametrize("bad", [np.full(7, np.nan), np.full(7, np.inf), np.zeros(6)])
def test_readings_that_are_none_are_refused(bad: np.ndarray) -> None:
    compensation = GravityCompensation(LEADER)
    with pytest.raises(ValueError, match="position: expected 7 finite"):
        compensation.currents(bad, np.zeros(7))
    with pytest.raises(ValueError, match="velocity: expected 7 finite"):
        compensation.currents(np.zeros(7), bad)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cap_a": 0},
        {"cap_a": 1.6},
        {"cap_a": math.nan},
        {"scale": -0.1},
        {"scale": 1.3},
        {"scale": math.nan},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is .*; expected"):
        GravityCompensation(LEADER, **wrong)


def test_the_order_of_states_begins_with_the_addressed_joints() -> None:
    assert STATE_JOINTS[:7] == JOINTS


def test_what_the_default_cap_carries_of_an_outstretched_leader_is_what_is_said_of_it() -> None:
    outstretched = np.array([0.0, 1.401, -1.387, 0.0, -0.049, 0.0, 0.0])
    still = np.zeros(7)
    needed = np.abs(gravity_torque(LEADER.chain, outstretched))[:6] / SERVOS[:6] / NM_PER_AMPERE
    assert needed[[1, 2, 4]] == pytest.approx([1.70, 0.73, 0.27], abs=0.01)
    for cap_a, share in ((DEFAULT_CAP_A, 0.59), (GREATEST_CAP_A, 0.88)):
        carried = np.abs(GravityCompensation(LEADER, cap_a).currents(outstretched, still))
        assert carried[1] / needed[1] == pytest.approx(share, abs=0.01)
