"""One demonstration in model time: performed first, without pictures; they come if it succeeds."""

from dataclasses import dataclass, field

import numpy as np

from aloha_stack.demonstrations.settings import Request
from aloha_stack.demonstrations.stream_log import Message, StreamLog
from aloha_stack.twin.direct import TICK_NS
from aloha_stack.twin.direct_teleop import DirectTeleop
from aloha_stack.twin.kinematics import UnreachableError
from aloha_stack.twin.operator_rehearsal import await_ready
from aloha_stack.twin.world import World

LEAD_S = (0.1, 0.2)
"""How long the recording is on before the hands set off: from … to, by the seed."""
TAIL_S = 1.0
"""For how long the end is shown."""
LAST_S = 0.5
"""What was achieved has to be there, at least at times, in this last part too: no dropped cube."""


@dataclass(frozen=True)
class Take:
    """What a recorder would have heard, pictures left out, and the states that they show."""

    seed: int
    success: bool
    best_reward: int
    messages: list[Message] = field(repr=False)
    states: list[tuple[int, np.ndarray]] = field(repr=False)
    """Every 20 ms: model time (ns) and qpos (nq,)."""


def perform(request: Request, seed: int) -> Take:
    """The operator's one attempt in the world of `seed`."""
    robot = request.robot()
    world = World(request.task, seed, robot, "start", request.variation)
    chain = DirectTeleop(world, robot, manner=request.manner)
    await_ready(chain)
    log = StreamLog(chain)
    states: list[tuple[int, np.ndarray]] = []
    lead_s = np.random.default_rng([seed, 1]).uniform(*LEAD_S)
    begin_ns = world.time_ns + round(lead_s * 1e9)
    end_ns: int | None = None
    last_success_ns = -1
    while end_ns is None or world.time_ns < end_ns:
        now_ns = world.time_ns
        if now_ns % TICK_NS == 0:
            states.append((now_ns, world.qpos()))
            if now_ns >= begin_ns and chain.operator.state == "ready":
                try:
                    chain.operator.perform()
                except UnreachableError:
                    return Take(seed, False, 0, [], [])
                log.begin()
        if log.before() == world.max_reward:
            last_success_ns = now_ns
        chain.cycle()
        log.after(now_ns)
        if end_ns is None and chain.operator.state == "done":
            end_ns = world.time_ns + round(TAIL_S * 1e9)
    success = last_success_ns >= world.time_ns - round(LAST_S * 1e9)
    return Take(seed, success, log.best_reward, log.messages, states)
