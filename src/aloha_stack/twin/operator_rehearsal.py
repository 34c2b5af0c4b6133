"""The operator at work without ROS: homing, engaging and performing once, and how it went."""

from dataclasses import dataclass

from aloha_stack.robot.description import Robot
from aloha_stack.twin.direct import TICK_NS
from aloha_stack.twin.direct_teleop import DirectTeleop
from aloha_stack.twin.operator_manner import HUMAN, Manner
from aloha_stack.twin.world import World

PATIENCE_S = 30.0
"""Model time in which the followers come to the start pose and the operator is followed."""


class NotEngaged(RuntimeError):
    """Teleoperation never followed the operator."""


@dataclass(frozen=True)
class Rehearsal:
    """How it went: the best reward, and the control step (20 ms) of success, if it came."""

    seed: int
    best_reward: int
    success_tick: int | None
    final_reward: int


def rehearse(
    world: World,
    robot: Robot,
    delay_s: float = 0.0,
    max_ticks: int = 400,
    manner: Manner = HUMAN,
) -> Rehearsal:
    """Homing, engaging and performing once in `world`; counts control steps from `perform`.

    `delay_s` comes on top of the chain's own delay of 30 ms.
    """
    chain = DirectTeleop(world, robot, delay_s, manner)
    await_ready(chain)
    chain.operator.perform()
    began_ns, best, success = world.time_ns, 0, None
    while True:
        reward = world.reward()
        best = max(best, reward)
        tick = (world.time_ns - began_ns) // TICK_NS
        if reward == world.max_reward and success is None:
            success = tick
        if tick >= max_ticks or chain.operator.state == "done":
            return Rehearsal(world.seed, best, success, reward)
        chain.cycle()


def await_ready(chain: DirectTeleop) -> None:
    """Until the operator may perform. Raises NotEngaged."""
    until_s = chain.world.time_s + PATIENCE_S
    while not chain.ready:
        chain.cycle()
        if chain.world.time_s > until_s:
            raise NotEngaged(
                f"after {PATIENCE_S:g} s the operator is {chain.operator.state} and teleoperation "
                f"{chain.teleop.stage.name} ({chain.teleop.reason}); a follower must be stuck"
            )
