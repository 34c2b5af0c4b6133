"""The policy's node holds where nothing like what is seen was demonstrated, and says so."""

import math
from dataclasses import replace
from pathlib import Path

from aloha_interfaces.msg import PolicyState
from std_msgs.msg import Float64

from aloha_stack.policies.familiarity import strange
from nodes.arm_rig import wait_for
from nodes.test_policy_node import policy_rig
from policies import small_vinn


def test_what_is_unlike_all_demonstrations_moves_nothing_and_is_told(tmp_path: Path) -> None:
    folder = small_vinn.saved(small_vinn.policy(every=2), tmp_path / "vinn")
    with policy_rig(checkpoint=str(folder), max_distance=0.01) as (robot, node):
        heard: list[float] = []
        robot.create_subscription(
            Float64, "/policy/distance", lambda message: heard.append(message.data), 5
        )
        robot.run()
        robot.says(PolicyState.STOPPED, "nothing like what is seen was demonstrated")
        wait_for(lambda: len(heard) > 1)
        assert heard[-1] > 0.01
        assert not robot.chunks
        assert robot.last.failures == 0
        inference = node.inference
        assert inference is not None
        inference._settings = replace(inference._settings, max_distance=2 * max(heard))
        robot.says(PolicyState.INFERRING)
        robot.more()


def test_without_a_limit_or_a_distance_all_is_acted_on() -> None:
    for most in (0.0, math.inf, math.nan):
        assert not strange(1e6, most)
    assert not strange(math.nan, 1.0)
    assert not strange(1.0, 1.0)
    assert "distance to the nearest is 2.5, at most 1 is acted on" in strange(2.5, 1.0)
