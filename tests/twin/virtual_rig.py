"""An arm of the twin on a pseudo-terminal, answered from a thread, for tests of either end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from aloha_stack.robot.description import Arm, load_robot
from aloha_stack.twin.virtual_arm import VirtualArm
from aloha_stack.twin.virtual_bench import BenchArm
from aloha_stack.twin.virtual_port import VirtualPort, serving
from unstalled import unstalled


class Rig(NamedTuple):
    arm: Arm
    virtual: VirtualArm
    port: VirtualPort


class Tampered:
    """A virtual arm whose replies pass through `change` on their way to the host."""

    def __init__(self, virtual: VirtualArm, change: Callable[[bytes], bytes]) -> None:
        self.virtual, self.change = virtual, change
        self.line = virtual.line

    def advance(self, now_s: float) -> None:
        self.virtual.advance(now_s)

    def handle(self, data: bytes) -> bytes:
        return self.change(self.virtual.handle(data))


def arm_at(folder: Path, name: str = "follower_left") -> Arm:
    """An arm of the twin whose port is in `folder`."""
    return load_robot("twin", {"ALOHA_PORTS": str(folder)}).arm(name)


@contextmanager
def rig(
    folder: Path,
    name: str = "follower_left",
    clock: Callable[[], float] | None = None,
    *,
    wire_time: bool = False,
    seed: int = 0,
) -> Iterator[Rig]:
    """A virtual arm that follows its goals at once, on its port in `folder`; on the time of this
    process if no `clock` is given."""
    arm = arm_at(folder, name)
    virtual = BenchArm(arm)
    port = VirtualPort(folder, Path(arm.port).name, virtual, wire_time=wire_time, seed=seed)
    with unstalled(), serving([port], clock or time.monotonic):
        yield Rig(arm, virtual, port)
