"""The robot at a glance, put together from its parts; see RobotSummary."""

from collections.abc import Iterable
from typing import Any

from aloha_interfaces.msg import NodeSummary, RobotSummary
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from aloha_stack.nodes._heard import Voice
from aloha_stack.nodes._summary_parts import UNKNOWN, Statuses, blank, worst

CAMERAS = "cameras/"
"""How the names of the cameras' diagnostics begin."""
MOST_NAMES = 500
"""Names on /diagnostics that are kept: somebody may make up new ones for ever."""
WORDS = {0: "ok", 1: "warning", 2: "error"}
MOVES_S = 0.5
"""Steady time since a command within which somebody is moving an arm."""


class Diagnostics:
    """What is said on /diagnostics, by name, and how long ago."""

    def __init__(self, stale_s: float) -> None:
        self._stale_s = stale_s
        self._voices: dict[str, Voice[DiagnosticStatus]] = {}

    def hear(self, message: DiagnosticArray) -> None:
        """Each one that comes."""
        for status in message.status:
            voice = self._voices.get(status.name)
            if voice is None and len(self._voices) < MOST_NAMES:
                voice = self._voices[status.name] = Voice[DiagnosticStatus](self._stale_s)
            if voice is not None:
                voice.hear(status)

    def now(self) -> Statuses:
        """Those that are not too old."""
        found = {name: voice.now for name, voice in self._voices.items()}
        return {name: status for name, status in found.items() if status is not None}

    def nodes(self, arms: Iterable[str], needed: Iterable[str]) -> list[NodeSummary]:
        """A line for each of the nodes that are needed or were heard, by name."""
        names = {name: node_of(name, arms) for name in self._voices}
        nodes = sorted({*needed, *names.values()})
        return [
            node_part(node, [self._voices[name] for name, of in names.items() if of == node])
            for node in nodes
        ]

    def node(self, node: str) -> NodeSummary:
        """The line of one node; its state is what it calls so itself."""
        voices = [voice for name, voice in self._voices.items() if name.startswith(f"{node}: ")]
        part = node_part(node, voices)
        if not part.stale:
            said = [voice.now for voice in voices if voice.now is not None]
            values = {one.key: one.value for status in said for one in status.values}
            part.state = values.get("state", UNKNOWN)
        return part


def node_of(status: str, arms: Iterable[str]) -> str:
    """The name of the node that says so: of an arm's servos its bridge."""
    if status.startswith(CAMERAS):
        return "camera"
    head = status.partition(": ")[0]
    return f"{head}/arm_bridge" if head in arms else head


def node_part(node: str, voices: list[Voice[DiagnosticStatus]]) -> NodeSummary:
    """One node by all that it says of itself."""
    newest = min(voices, key=lambda voice: voice.age_s, default=Voice[DiagnosticStatus](0.0))
    part = blank(NodeSummary, newest)
    part.name = node
    said = [voice.now for voice in voices if voice.now is not None]
    if said:
        part.level, part.reason = worst(said)
        part.stale = part.level not in WORDS
        values = any(status.values for status in said)
        part.state = WORDS.get(part.level, UNKNOWN) if values else "no values"
    return part


def commander(summary: RobotSummary) -> str:
    """Who moves the followers, by who says so; the last resort is whether commands come."""
    if summary.player.state not in ("idle", UNKNOWN):
        return str(summary.player.commander)
    if summary.teleop.state in ("ramping", "engaged"):
        return "teleop"
    if summary.replay.state in ("ramping", "playing"):
        return "replay"
    commanded = any(arm.command_age < MOVES_S for arm in summary.arms)
    return UNKNOWN if commanded else "nobody"


def judge(summary: RobotSummary) -> None:
    """Sets `level` and `message` by the parts: as in diagnostic_aggregator, what is stale beside
    something that is not counts as an error. What was never there and need not be does not count.
    """
    needed: list[tuple[str, Any]] = [("safety", summary.safety)]
    needed += [(arm.name, arm) for arm in summary.arms]
    more = [("teleop", summary.teleop), ("replay", summary.replay), ("policy", summary.policy)]
    more += [("recorder", summary.recorder), ("chunk_player", summary.player)]
    more += [(camera.name, camera) for camera in summary.cameras]
    more += [(node.name, node) for node in summary.nodes]
    heard = [(name, part) for name, part in more if part.age == part.age]
    parts = needed + heard
    problems = [(name, part) for name, part in parts if part.level != RobotSummary.OK]
    if all(part.level == RobotSummary.STALE for _, part in parts):
        summary.level, summary.message = RobotSummary.STALE, "nothing is heard of the robot"
    elif not problems:
        summary.level, summary.message = RobotSummary.OK, "all is well"
    else:
        problems.sort(key=lambda problem: -problem[1].level)  # what is silent before what is wrong
        problems.sort(key=lambda problem: problem[1] is not summary.safety)
        summary.level = min(RobotSummary.ERROR, max(part.level for _, part in problems))
        words = dict.fromkeys(f"{name}: {_why(part)}" for name, part in problems)
        first, others = next(iter(words)), len(words) - 1
        summary.message = first + (f" (and {others} more)" if others else "")


def _why(part: Any) -> str:
    if part.stale and not getattr(part, "reason", ""):
        return "no heartbeat"
    return str(getattr(part, "reason", "") or getattr(part, "cause", "") or part.state)
