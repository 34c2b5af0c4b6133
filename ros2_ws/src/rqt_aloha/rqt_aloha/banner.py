"""Who commands, and what is wrong: one line of state, from everything that is known."""

from dataclasses import dataclass

from aloha_stack.control.commands import lacks_only_commands
from rqt_aloha.views import ArmView, View

OK, BUSY, WARN, BAD = "ok", "busy", "warn", "bad"

WRONG = ("HOLDING", "FAULT", "E_STOPPED")
"""Modes of an arm that somebody has to look at."""


@dataclass(frozen=True)
class Banner:
    """`level` is one of ok, busy (something moves or is recorded), warn, bad."""

    level: str
    title: str
    details: tuple[str, ...] = ()


def banner(view: View) -> Banner:
    """The worst first: no safety node, the e-stop, arms, then who commands."""
    safety = view.safety.value
    level, title, details = commander(view)
    troubles = arm_troubles(view, commanded=level == BUSY)
    if safety is None:
        absent = f"SAFETY NODE: {view.safety.absence}"
        return Banner(BAD, absent, ("arms hold still without its heartbeat", *troubles))
    if safety.e_stopped:
        pending = [f"not yet acknowledged: {', '.join(safety.pending)}"] if safety.pending else []
        return Banner(BAD, "E-STOPPED", (safety.cause or "no cause told", *pending))
    if troubles:
        return Banner(worse(level, WARN), title, (*troubles, *details))
    return Banner(level, title, details)


def commander(view: View) -> tuple[str, str, tuple[str, ...]]:
    """Level, title and details of who decides where the followers go."""
    player, teleop = view.player.value, view.teleop.value
    if view.commander.value == "replay":
        return BUSY, "REPLAY COMMANDS", ()
    if player is not None and player.state != "IDLE":
        who = {"POLICY": "POLICY COMMANDS", "OPERATOR": "HUMAN COMMANDS"}
        title = who.get(player.commander, f"ROLLOUT: {player.state}")
        waits = player.state in ("STARTING", "HOLDING", "MATCHING")
        return (WARN if waits else BUSY), title, _given(f"{player.state.lower()}", player.reason)
    if teleop is not None and teleop.state == "ENGAGED":
        return BUSY, "TELEOPERATION: ENGAGED", _given(teleop.reason)
    if teleop is not None:
        stopped = teleop.state == "STOPPED"
        return (WARN if stopped else OK), f"TELEOPERATION: {teleop.state}", _given(teleop.reason)
    followed = [n for n, arm in _live(view) if arm.mode == "FOLLOWING" and n.startswith("follower")]
    if player is None and followed:
        return BUSY, "FOLLOWERS FOLLOW", (f"{', '.join(followed)}: no teleoperation is heard",)
    return OK, "NOBODY COMMANDS", ()


def arm_troubles(view: View, commanded: bool) -> tuple[str, ...]:
    """What arms complain about, and which are not heard; alike words are said once."""
    said: dict[str, list[str]] = {}
    for name, arm in view.arms.items():
        if arm.value is None:
            said.setdefault(arm.absence, []).append(name)
        elif in_trouble(arm.value, commanded):
            words = f"{arm.value.mode} {arm.value.reason}".strip()
            said.setdefault(words, []).append(name)
    return tuple(f"{', '.join(names)}: {words}" for words, names in said.items())


def in_trouble(arm: ArmView, commanded: bool = False) -> bool:
    """Whether somebody has to look at it. One that holds for want of commands is as it should be
    while nobody commands."""
    if arm.mode == "HOLDING" and lacks_only_commands(arm.reason):
        return commanded
    return arm.mode in WRONG or bool(arm.reason)


def worse(one: str, other: str) -> str:
    """The worse of two levels."""
    order = (OK, BUSY, WARN, BAD)
    return max(one, other, key=order.index)


def _live(view: View) -> list[tuple[str, ArmView]]:
    return [(name, arm.value) for name, arm in view.arms.items() if arm.value is not None]


def _given(*words: str) -> tuple[str, ...]:
    return tuple(word for word in words if word)
