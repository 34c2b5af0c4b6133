"""What a node's last word on its state says on /diagnostics: findings and values, per message.

Each function takes the node's own state message. A node that has said nothing yet has none: then
`STARTING` is what is known.
"""

import math

from aloha_interfaces.msg import (
    PlayerState,
    PolicyState,
    RecorderState,
    SafetyState,
    TaskState,
    TeleopState,
)

from aloha_stack.nodes._diagnostics import ERROR, WARN, Finding, Findings, number, word

STARTING: Findings = ([(WARN, "nothing is known yet")], {"state": "unknown"})
MS = 1000.0


def names(message: type, *words: str) -> dict[int, str]:
    """The values of a message's constants with these names, and the names as a person reads them.

    Raises AttributeError for a word that is no constant of it.
    """
    return {getattr(message, word): word.lower() for word in words}


POLICY = names(PolicyState, "UNLOADED", "LOADING", "READY", "INFERRING", "STOPPED")
PLAYER = names(
    PlayerState, "IDLE", "STARTING", "RAMPING", "PLAYING", "HOLDING", "MATCHING", "HUMAN"
)
COMMANDER = names(PlayerState, "NOBODY", "POLICY", "OPERATOR")
RECORDER = names(RecorderState, "IDLE", "RECORDING", "PAUSED", "CLOSING")
TELEOP = names(TeleopState, "WAITING", "RAMPING", "MATCHING", "ENGAGED", "STOPPED")


def _worth(condition: object, level: bytes, words: str) -> list[Finding]:
    return [(level, words)] if condition else []


def of_safety(state: SafetyState) -> Findings:
    """An e-stop is an error, with its cause; so is an arm that does not obey it."""
    findings = _worth(state.e_stopped, ERROR, f"e-stop: {state.cause}")
    pending = ", ".join(state.pending)
    findings += _worth(state.e_stopped and pending, ERROR, f"not stopped: {pending}")
    return findings, {
        "e-stopped": word(state.e_stopped),
        "cause": state.cause or "none",
        "acknowledged": ", ".join(state.acknowledged) or "none",
        "pending": pending or "none",
    }


def of_teleop(state: TeleopState) -> Findings:
    """Stopped is worth a warning; to wait, ramp or match is not."""
    stopped = state.state == TeleopState.STOPPED
    findings = _worth(stopped, WARN, state.reason or "stopped")
    return findings, {
        "state": TELEOP.get(state.state, "unknown"),
        "reason": state.reason or "none",
    }


def of_recorder(state: RecorderState) -> Findings:
    """Losses and silent streams matter while it records; a refusal until the next recording."""
    recording = state.state == RecorderState.RECORDING
    silent = ", ".join(state.silent)
    findings = _worth(recording and silent, WARN, f"silent: {silent}")
    findings += _worth(recording and state.lost, WARN, f"{state.lost} messages lost")
    findings += _worth("refused" in state.message, WARN, state.message)
    return findings, {
        "state": RECORDER.get(state.state, "unknown"),
        "episode": state.path or "none",
        "elapsed (s)": number(state.elapsed, 1),
        "messages": str(state.messages),
        "lost": str(state.lost),
        "disk free (GiB)": number(state.free_gib, 2),
        "silent streams": silent or "none",
        "episodes kept": str(state.kept),
        "message": state.message or "none",
    }


def of_policy(state: PolicyState) -> Findings:
    """One that should infer and cannot is a warning; so is a checkpoint that was refused."""
    stopped = state.state == PolicyState.STOPPED
    refused = state.state == PolicyState.UNLOADED and state.reason
    return _worth(stopped or refused, WARN, state.reason or "stopped"), {
        "state": POLICY.get(state.state, "unknown"),
        "reason": state.reason or "none",
        "checkpoint": state.checkpoint or "none",
        "inference time (ms)": number(MS * state.inference_time if state.chunks else math.nan, 1),
        "chunks": str(state.chunks),
        "failures": str(state.failures),
    }


def of_player(state: PlayerState) -> Findings:
    """A hold in a rollout is a warning."""
    holding = state.state == PlayerState.HOLDING
    known = state.chunk_age >= 0
    return _worth(holding, WARN, state.reason or "holding"), {
        "state": PLAYER.get(state.state, "unknown"),
        "commander": COMMANDER.get(state.commander, "unknown"),
        "reason": state.reason or "none",
        "ticks": str(state.tick),
        "overruns": str(state.overruns),
        "holds": str(state.holds),
        "chunk age (s)": number(state.chunk_age if known else math.nan, 3),
        "inference time (ms)": number(MS * state.inference_time if known else math.nan, 1),
        "chunks averaged": str(state.chunks),
        "chunks refused": str(state.refused),
        "takeovers": str(state.takeovers),
    }


def of_replay(state: str) -> Findings:
    """What /replay/state says."""
    return _worth(state.startswith("stopped"), WARN, state), {"state": state}


def of_task(state: TaskState) -> Findings:
    """The twin's world: whether it keeps up with the wall is for people to judge."""
    return [], {
        "task": state.task,
        "seed": str(state.seed),
        "resets": str(state.episode),
        "reward": f"{state.reward} of {state.max_reward}",
        "scripted operator": state.operator_state or "none",
        "real time factor": number(state.real_time_factor, 2),
    }
