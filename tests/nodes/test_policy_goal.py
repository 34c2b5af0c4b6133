"""The policy's node is given a goal: one that cannot be is refused by name."""

from pathlib import Path

from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters

from aloha_stack.policies.certifying import certify
from aloha_stack.policies.stability import Effort
from nodes.arm_rig import call
from nodes.test_policy_node import Robot, policy_rig
from policies.small_snds import saved

QUICK = Effort(samples=50, climbers=4, climbs=1, steps=10, starts=1)


def told(robot: Robot, goal: str) -> str:
    """Why the goal is refused; empty if it is not."""
    value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=goal)
    answer = call(
        robot,
        "/policy/set_parameters",
        SetParameters,
        parameters=[Parameter(name="goal", value=value)],
    )
    (result,) = answer.results
    assert result.successful == (not result.reason)
    return str(result.reason)


def test_a_goal_is_taken_while_the_policy_moves_the_arms_and_refused_by_name(
    tmp_path: Path,
) -> None:
    folder = saved(tmp_path / "model")
    certify(folder, QUICK)
    with policy_rig() as (robot, node):
        assert "no policy is loaded" in told(robot, "left_waist=0.1")
        assert robot.load(folder).success
        assert robot.run().success
        robot.more()
        assert told(robot, "left_waist=0.1") == ""
        assert "left_waist 9.000 (limits" in told(robot, "left_waist=9")
        assert node.inference is not None
        policy = node.inference.policy
        assert policy is not None
        assert policy.goal[0] == 0.1  # type: ignore[attr-defined]
        before = robot.chunks[-1]
        robot.more(10)
        assert robot.chunks[-1].points[-1].positions != before.points[-1].positions
