"""The operator at work without ROS: leaders, teleoperation, a delay, the limiter, physics.

A rehearsal stands for the chain between a leader's joints and a follower's servos, in model time,
as fast as the machine can: 50 Hz samples of the leaders in whole ticks of 2 pi / 4096 rad, the
gripper mapping, a pure delay, the joint limiter and goals in whole ticks at 100 Hz.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from aloha_stack.control.limits import JointLimiter
from aloha_stack.control.teleop import Pair
from aloha_stack.dynamixel.units import RAD_PER_TICK
from aloha_stack.robot.description import Robot
from aloha_stack.robot.joints import FOLLOWERS, LEADERS, leader_of
from aloha_stack.twin.operator import Operator
from aloha_stack.twin.operator_script import TICK_S
from aloha_stack.twin.world import World

CYCLE_S = 0.01
RAMP_S = 2.0


@dataclass(frozen=True)
class Rehearsal:
    """How it went: the best reward, and the control step (20 ms) of success, if it came."""

    seed: int
    best_reward: int
    success_tick: int | None
    final_reward: int


def rehearse(
    world: World, robot: Robot, delay_s: float = 0.0, max_ticks: int = 400, variation: float = 0.02
) -> Rehearsal:
    """Homing, engaging and performing once in `world`; counts control steps from `perform`.

    The followers are brought to the start pose in a straight ramp first, wherever they are.
    """
    _ramp_to_start(world, robot)
    operator = Operator(world, robot, variation)
    start = {arm: robot.arm(arm).start_pose for arm in FOLLOWERS}
    late = deque([start] * (round(delay_s / CYCLE_S) + 1))
    limiters = {arm: JointLimiter(robot.arm(arm).limits, CYCLE_S) for arm in FOLLOWERS}
    for arm, limiter in limiters.items():
        limiter.reset(start[arm])
    engaged, performing_since, best, success = False, -1, 0, None
    cycles_per_tick = round(TICK_S / CYCLE_S)
    sampled: dict[str, np.ndarray] = start
    cycle = 0
    while True:
        leaders = operator.update(world.time_s, engaged)
        if cycle % cycles_per_tick == 0:
            if performing_since >= 0:
                tick = (cycle - performing_since) // cycles_per_tick
                reward = world.reward()
                best = max(best, reward)
                if reward == world.max_reward and success is None:
                    success = tick
                if tick >= max_ticks or operator.state == "done":
                    return Rehearsal(world.seed, best, success, reward)
            squeezed = all(
                leaders[leader][0][6] < (robot.arm(leader).gripper.engage_below_rad or 0.0)
                for leader in LEADERS
            )
            engaged = engaged or squeezed
            if engaged:
                sampled = _follow(robot, {leader: leaders[leader][0] for leader in LEADERS})
        late.append(sampled)
        for arm, goal in late.popleft().items():
            position = limiters[arm].step(goal)
            world.command(arm, _to_ticks(position), np.ones(7, dtype=bool))
        for _ in range(round(CYCLE_S / world.step_s)):
            world.step()
        cycle += 1
        if operator.ready and performing_since < 0:
            operator.perform()
            performing_since = cycle


def _follow(robot: Robot, leaders: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    pairs = [Pair(robot.arm(leader_of(name)), robot.arm(name)) for name in FOLLOWERS]
    return {pair.follower.name: pair.target(_to_ticks(leaders[pair.leader.name])) for pair in pairs}


def _to_ticks(position: np.ndarray) -> np.ndarray:
    return np.round(np.asarray(position) / RAD_PER_TICK) * RAD_PER_TICK


def _ramp_to_start(world: World, robot: Robot) -> None:
    here = {arm: world.state(arm)[0] for arm in FOLLOWERS}
    steps = round(RAMP_S / world.step_s)
    for step in range(1, steps + 1):
        for arm in FOLLOWERS:
            way = robot.arm(arm).start_pose - here[arm]
            world.command(arm, here[arm] + way * min(1.0, step / steps), np.ones(7, dtype=bool))
        world.step()
