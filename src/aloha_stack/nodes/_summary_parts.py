"""Parts of a RobotSummary, each from what was heard of somebody and how long ago.

Whatever is missing or too old is unknown: NaN, -1 or "unknown", and `stale`. No node and no clock
of ROS is needed for it.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from aloha_interfaces.msg import (
    CameraSummary,
    NodeSummary,
    PlayerState,
    PlayerSummary,
    PolicyState,
    PolicySummary,
    RecorderState,
    RecorderSummary,
    RobotSummary,
    SafetyState,
    SafetySummary,
    TeleopState,
)
from diagnostic_msgs.msg import DiagnosticStatus

from aloha_stack.nodes._heard import Pace, Voice
from aloha_stack.nodes._state_diagnostics import (
    COMMANDER,
    PLAYER,
    POLICY,
    RECORDER,
    TELEOP,
    of_player,
    of_policy,
    of_recorder,
    of_teleop,
)

UNKNOWN = "unknown"
ENOUGH = 0.9
"""Of the rate that the robot file says; less is slow (as the camera's own diagnostics say)."""
NO_NUMBER = {"double": math.nan, "int8": -1, "uint8": 255}
"""What says in a field of such a type that nothing is known."""

Statuses = Mapping[str, DiagnosticStatus]
"""What was said on /diagnostics and is not too old, by name."""


def blank(kind: type, voice: Voice[Any]) -> Any:
    """A part of which nothing is known but how long ago its voice was heard."""
    part = kind()
    for field, of_type in part.get_fields_and_field_types().items():
        if of_type in NO_NUMBER:
            setattr(part, field, NO_NUMBER[of_type])
    part.level, part.stale, part.state = RobotSummary.STALE, True, UNKNOWN
    if voice.message is not None:
        part.age = voice.age_s
    if hasattr(part, "reason"):
        part.reason = "missing" if voice.message is None else "silent"
    return part


def level_of(status: DiagnosticStatus) -> int:
    """As in RobotSummary: a diagnostic level is one byte."""
    return int.from_bytes(status.level, "little")


def number_in(status: DiagnosticStatus | None, key: str) -> float:
    """A value of a status; NaN if it is not there, or no finite number."""
    values = {} if status is None else {one.key: one.value for one in status.values}
    try:
        found = float(values.get(key, "nan"))
    except ValueError:
        return math.nan
    return found if math.isfinite(found) else math.nan


def worst(statuses: Iterable[DiagnosticStatus]) -> tuple[int, str]:
    """The highest level among them, and what the first of that level says if all is not well."""
    first = max(statuses, key=level_of, default=None)
    if first is None or level_of(first) == RobotSummary.OK:
        return RobotSummary.OK, ""
    return level_of(first), first.message or first.name


def known(
    part: Any, findings: Iterable[tuple[bytes, str]], states: Mapping[int, str], state: int
) -> Any:
    """Fills what every part has: its state in a word, how bad it is, and why."""
    found = list(findings)
    part.stale, part.state = False, states.get(state, UNKNOWN)
    part.level = max((int.from_bytes(level, "little") for level, _ in found), default=0)
    part.reason = "; ".join(words for _, words in found)
    return part


def safety_part(voice: Voice[SafetyState]) -> SafetySummary:
    """The e-stop; `e_stopped` is UNKNOWN without a heartbeat."""
    part, state = blank(SafetySummary, voice), voice.now
    if state is not None:
        part.stale = False
        part.e_stopped = SafetySummary.YES if state.e_stopped else SafetySummary.NO
        part.state = "e-stopped" if state.e_stopped else "running"
        part.level = RobotSummary.ERROR if state.e_stopped else RobotSummary.OK
        part.cause = state.cause
        part.acknowledged, part.pending = state.acknowledged, state.pending
    return part


def camera_part(
    name: str,
    expected_hz: float,
    voice: Voice[Any],
    pace: Pace,
    status: DiagnosticStatus | None,
) -> CameraSummary:
    """`voice` and `pace` are of camera_info, which comes with each image; `status` its driver's."""
    part = blank(CameraSummary, voice)
    part.name, part.expected_rate = name, expected_hz
    level, words = worst([] if status is None else [status])
    if voice.now is not None:
        slow = pace.hz < ENOUGH * expected_hz
        part.stale, part.state, part.rate = False, "slow" if slow else "streaming", pace.hz
        part.level, part.reason = max(level, RobotSummary.WARN if slow else 0), words
    elif words:
        part.reason = words
    part.lost = number_in(status, "dropped")
    part.damaged = number_in(status, "damaged")
    part.reconnects = number_in(status, "reconnects")
    return part


def teleop_part(voice: Voice[TeleopState]) -> NodeSummary:
    """Where teleoperation stands."""
    part, state = blank(NodeSummary, voice), voice.now
    part.name = "teleop"
    return part if state is None else known(part, of_teleop(state)[0], TELEOP, state.state)


def recorder_part(voice: Voice[RecorderState]) -> RecorderSummary:
    """What is recorded."""
    part, state = blank(RecorderSummary, voice), voice.now
    if state is None:
        return part
    known(part, of_recorder(state)[0], RECORDER, state.state)
    part.reason = state.message or part.reason
    part.task, part.episode = state.task, state.path.rpartition("/")[2]
    part.elapsed, part.free_gib = state.elapsed, state.free_gib
    part.messages, part.lost, part.kept = map(float, (state.messages, state.lost, state.kept))
    part.last_outcome, part.silent = state.last_outcome, state.silent
    return part


def policy_part(voice: Voice[PolicyState], pace: Pace) -> PolicySummary:
    """What the policy does; `pace` counts its chunks."""
    part, state = blank(PolicySummary, voice), voice.now
    if state is None:
        return part
    known(part, of_policy(state)[0], POLICY, state.state)
    part.checkpoint, part.rate = state.checkpoint, pace.hz
    part.inference_time = state.inference_time if state.chunks else math.nan
    part.chunks, part.failures = float(state.chunks), float(state.failures)
    return part


def player_part(voice: Voice[PlayerState], pace: Pace) -> PlayerSummary:
    """What chunk_player does; `pace` counts its ticks."""
    part, state = blank(PlayerSummary, voice), voice.now
    if state is None:
        part.commander = UNKNOWN
        return part
    known(part, of_player(state)[0], PLAYER, state.state)
    part.commander = COMMANDER.get(state.commander, UNKNOWN)
    part.rate = math.nan if state.state == PlayerState.IDLE else pace.hz
    if state.chunk_age >= 0:
        part.chunk_age, part.inference_time = state.chunk_age, state.inference_time
    part.ticks, part.overruns, part.holds = map(float, (state.tick, state.overruns, state.holds))
    part.refused, part.takeovers = float(state.refused), float(state.takeovers)
    return part
