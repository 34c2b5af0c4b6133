"""The operator's screen as lines of text: 80 columns and 24 rows hold all that matters."""

import math
import time
from collections.abc import Iterator

from aloha_interfaces.msg import RecorderState, TeleopState
from diagnostic_msgs.msg import DiagnosticStatus

from aloha_stack.control.arm_modes import Mode
from aloha_stack.control.teleop import TeleopStage
from aloha_stack.nodes._conversions import read_mode
from aloha_stack.nodes._operator_known import Known
from aloha_stack.nodes._operator_requests import Requests
from aloha_stack.nodes._operator_session import KEYS, Session
from aloha_stack.nodes._operator_terminal import Line

BAD_MODES = frozenset({Mode.E_STOPPED, Mode.FAULT})
STAGES = {
    RecorderState.IDLE: "IDLE",
    RecorderState.RECORDING: "RECORDING",
    RecorderState.PAUSED: "PAUSED",
    RecorderState.CLOSING: "CLOSING",
}
PATIENCE_S = 1.0
"""Steady time after which a request without an answer is shown."""

LAST_EPISODES = 3


def screen(
    known: Known, session: Session, requests: Requests, columns: int, rows: int
) -> list[Line]:
    """At most `rows` lines of at most `columns` characters. The last ones, with the keys, stay."""
    top = [*_title(session), *_robot(known), *_recorder(known, session), *_episodes(session)]
    bottom = [*_news(session, requests), *_keys()]
    space = max(0, rows - len(bottom))
    while len(top) > space and ("", "") in top:
        top.remove(("", ""))
    top = top[:space]
    blank: list[Line] = [("", "")] * (space - len(top))
    return [(style, _cut(text, columns)) for style, text in (*top, *blank, *bottom)][-rows:]


def summary(known: Known, session: Session) -> str:
    """The same in one line, without what changes all the time."""
    state, teleop = known.recorder.now, known.teleop.now
    parts = [
        f"recorder: {known.recorder.absence}" if state is None else _stage(state),
        f"teleop: {known.teleop.absence}" if teleop is None else _teleop(teleop),
        f"e-stop: {_safety(known)[1]}",
    ]
    parts += [f"{a}: {v.absence}" for a, v in known.arms.items() if v.now is None]
    if state is not None and state.silent:
        parts.append(f"silent: {', '.join(state.silent)}")
    parts += [words for words in (session.warning,) if words]
    parts.append(_progress(session))
    return " | ".join(parts + [part for part in (session.question or session.notice,) if part])


# -- parts --------------------------------------------------------------------------------------


def _title(session: Session) -> list[Line]:
    task = session.plan.task or "no task"
    return [("bold", f"ALOHA operator   {task}   {_progress(session)}"), ("", "")]


def _progress(session: Session) -> str:
    wanted = session.plan.episodes
    return f"{session.done} of {wanted} episodes" if wanted else f"{session.done} kept"


def _robot(known: Known) -> Iterator[Line]:
    for arm, voice in known.arms.items():
        status, hz = voice.now, known.paces[arm].hz
        if status is None:
            yield "bad", f"{arm:<15} {voice.absence}"
            continue
        mode = read_mode(status.mode)
        rate = "" if math.isnan(hz) else f"{hz:4.0f} Hz"
        style = "bad" if mode in BAD_MODES else ""
        yield style, f"{arm:<15} {mode.name:<12} {rate:<8} {status.reason}".rstrip()
    teleop = known.teleop.now
    words = known.teleop.absence if teleop is None else _teleop(teleop)
    yield "bad" if teleop is None else "", f"{'teleop':<15} {words}"
    style, words = _safety(known)
    yield style, f"{'e-stop':<15} {words}"
    yield _cameras(known)
    yield "", ""


def _teleop(state: TeleopState) -> str:
    try:
        stage = TeleopStage(state.state).name
    except ValueError:
        stage = f"stage {state.state}"
    return f"{stage:<12} {state.reason}".rstrip()


def _safety(known: Known) -> Line:
    safety = known.safety.now
    if safety is None:
        return "bad", f"the safety node is {known.safety.absence}"
    if not safety.e_stopped:
        return "", "not stopped"
    waits = f" (not yet: {', '.join(safety.pending)})" if safety.pending else ""
    return "bad", f"STOPPED: {safety.cause}{waits}"


def _cameras(known: Known) -> Line:
    parts, style = [], ""
    for name, voice in known.cameras.items():
        status = voice.now
        if status is None:
            parts.append(f"{name} {voice.absence}")
            style = "bad"
            continue
        rate = next((v.value for v in status.values if v.key.startswith("rate")), "?")
        well = status.level == DiagnosticStatus.OK
        parts.append(f"{name} {rate} Hz" if well else f"{name} {status.message}")
        style = style if well else "bad"
    return style, f"{'cameras':<15} {', '.join(parts) or 'none tell of themselves'}"


def _stage(state: RecorderState) -> str:
    name = state.path.rpartition("/")[2]
    return f"{STAGES.get(state.state, str(state.state))} {name}".rstrip()


def _recorder(known: Known, session: Session) -> Iterator[Line]:
    state = known.recorder.now
    if state is None:
        yield "bad", f"{'recorder':<15} {known.recorder.absence}"
        return
    figures = ""
    if state.state != RecorderState.IDLE:
        wanted = f" of {session.plan.duration_s:g}" if session.plan.duration_s else ""
        figures = f"{state.elapsed:.1f}{wanted} s   {state.messages} messages   {state.lost} lost"
    on = state.state == RecorderState.RECORDING
    style = "bad" if state.lost else "good" if on else ""
    yield style, f"{'recorder':<15} {_stage(state)}   {figures}".rstrip()
    yield "", f"{'disk':<15} {state.free_gib:.1f} GiB free"
    if state.silent:
        yield "bad", f"{'not heard':<15} {', '.join(state.silent)}"
    if state.message:
        yield "", f"{'':<15} {state.message}"


def _episodes(session: Session) -> Iterator[Line]:
    last = list(session.tallied.episodes.items())[-LAST_EPISODES:]
    if last:
        yield "", ""
    for path, outcome in reversed(last):
        yield "dim", f"{'':<15} {path.rpartition('/')[2]}  {outcome or 'no outcome'}"


def _news(session: Session, requests: Requests) -> Iterator[Line]:
    for pending in requests.waiting():
        waited_s = time.monotonic() - pending.since_s
        if waited_s > PATIENCE_S:
            yield "bad", f"waiting for {pending.name}: {waited_s:.0f} s"
    if session.warning:
        yield "bad", session.warning
    if session.upcoming:
        yield "bold", session.upcoming
    if session.notice:
        yield "", f"> {session.notice}"
    if session.question:
        yield "bold", session.question
    yield "", ""


def _keys() -> Iterator[Line]:
    for row in KEYS:
        yield "bold", "   ".join(f"{key} {does}" for key, does in row)


def _cut(text: str, columns: int) -> str:
    flat = "".join(letter if letter.isprintable() else " " for letter in text)
    return flat if len(flat) <= columns else f"{flat[: columns - 1]}…"
