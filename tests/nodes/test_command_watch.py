"""What a rollout's commands were like, counted where they travel."""

import numpy as np
from trajectory_msgs.msg import JointTrajectory

from aloha_stack.nodes._command_watch import CommandWatch
from aloha_stack.nodes._conversions import target_message
from aloha_stack.nodes._qos import COMMAND
from nodes.arm_rig import wait_for
from nodes.rollout_rig import DT_NS, rollout_rig

PERIOD_S = DT_NS * 1e-9


def test_a_policy_that_thinks_longer_than_its_chunks_last_makes_holds_and_no_jumps() -> None:
    with rollout_rig() as rig:
        watch = CommandWatch(rig, rig.robot, PERIOD_S)
        rig.thinks_s, rig.rows, rig.speed = 0.5, 40, 1.0
        result = rig.result(rig.ask(duration=3.0))
        assert result.completed, result.message
        wait_for(lambda: rig.state == 0)
        found = watch.check()
        assert result.holds >= 2
        assert found.jumps == 0
        assert found.off < 1
        ticks = [state.tick for state in rig.states if state.tick > 0 and state.state > 2]
        passed = (watch.last_ns - watch.first_ns) / DT_NS
        # A loaded machine skips ticks: each of them is a gap, and there is no other.
        assert abs(found.gaps - (passed - (ticks[-1] - ticks[0]))) <= 1
        assert found.commands == ticks[-1] - ticks[0] + 1
        assert watch.held_s > 0.3
        assert min(watch.delays_s()) >= 0.5
        watch.begin()
        assert (watch.check().commands, watch.first_ns, watch.delays_s()) == (0, 0, [])


def test_gaps_and_jumps_of_whoever_commands_are_counted() -> None:
    with rollout_rig() as rig:
        watch = CommandWatch(rig, rig.robot, PERIOD_S)
        result = rig.ask(duration=2.0)
        wait_for(lambda: rig.state == 3)
        intruder = rig.create_publisher(JointTrajectory, "/follower_right/command", COMMAND)
        wait_for(lambda: intruder.get_subscription_count() >= 2)
        intruder.publish(target_message(np.full(7, 0.9), rig.now_ns))
        assert rig.result(result).completed
        assert watch.check().jumps >= 1
        assert watch.check().off > 1
