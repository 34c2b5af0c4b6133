"""The robot at a glance: nothing that is not heard any more looks alive."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from aloha_interfaces.msg import (
    ArmStatus,
    ArmSummary,
    NodeSummary,
    PlayerState,
    PolicyState,
    RecorderState,
    RobotSummary,
    SafetyState,
    SafetySummary,
    TeleopState,
)
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from aloha_stack.control.arm_modes import Mode
from aloha_stack.nodes import _heard, _summary_arm
from aloha_stack.nodes._conversions import set_stamp
from aloha_stack.nodes._heard import Pace, Voice
from aloha_stack.nodes._summary import MOST_NAMES, Diagnostics, commander, judge
from aloha_stack.nodes._summary_arm import ArmWatch
from aloha_stack.nodes._summary_parts import (
    camera_part,
    player_part,
    policy_part,
    recorder_part,
    safety_part,
    teleop_part,
)

OK, WARN, ERROR, STALE = (
    RobotSummary.OK,
    RobotSummary.WARN,
    RobotSummary.ERROR,
    RobotSummary.STALE,
)


class SteadyTime:
    """Stands in for the module time, and passes when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SteadyTime:
    made = SteadyTime()
    monkeypatch.setattr(_heard, "time", made)
    monkeypatch.setattr(_summary_arm, "time", made)
    return made


def heard(message: Any) -> Voice[Any]:
    voice = Voice[Any](1.5)
    voice.hear(message)
    return voice


def said(name: str, level: int = OK, message: str = "", **values: str) -> DiagnosticStatus:
    pairs = [KeyValue(key=key.replace("_", " "), value=value) for key, value in values.items()]
    return DiagnosticStatus(
        name=name, level=level.to_bytes(1, "little"), message=message, values=pairs
    )


def arm_status(**given: Any) -> ArmStatus:
    return ArmStatus(arm="follower_left", mode=int(Mode.FOLLOWING), torque=True, **given)


PARTS: dict[str, tuple[Any, Callable[[Voice[Any]], Any]]] = {
    "safety": (SafetyState(e_stopped=True, cause="a hand", pending=["leader_left"]), safety_part),
    "teleop": (TeleopState(state=TeleopState.ENGAGED), teleop_part),
    "recorder": (
        RecorderState(
            state=RecorderState.RECORDING,
            path="episodes/episode_000003",
            task="cube",
            elapsed=12.5,
            messages=900,
            lost=2,
            free_gib=40.0,
            silent=["cam_high"],
            kept=3,
        ),
        recorder_part,
    ),
    "policy": (
        PolicyState(state=PolicyState.INFERRING, checkpoint="act", inference_time=0.02, chunks=10),
        lambda voice: policy_part(voice, Pace()),
    ),
    "player": (
        PlayerState(
            state=PlayerState.PLAYING, commander=PlayerState.POLICY, chunk_age=0.1, tick=500
        ),
        lambda voice: player_part(voice, Pace()),
    ),
    "camera": ("an image", lambda voice: camera_part("cam_high", 50.0, voice, Pace(), None)),
}


def unknown(part: Any) -> dict[str, Any]:
    """The fields of a part that look as if something were known, but for names and ages."""
    kinds = part.get_fields_and_field_types()
    constant = {"name", "age", "level", "stale", "state", "reason", "expected_rate", "commander"}
    left = {}
    for field, kind in kinds.items():
        value = getattr(part, field)
        nothing = math.isnan(value) if kind == "double" else value in (-1, 255, "", "unknown", [])
        if field not in constant and not nothing:
            left[field] = value
    return left


@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_falls_silent_is_unknown_in_every_field(name: str, clock: SteadyTime) -> None:
    message, part_of = PARTS[name]
    voice = heard(message)
    fresh = part_of(voice)
    assert not fresh.stale
    assert fresh.age == 0.0
    assert fresh.state != "unknown"
    clock.now_s += 1.6
    silent = part_of(voice)
    assert silent.stale
    assert silent.level == STALE
    assert silent.state == "unknown"
    assert silent.age == pytest.approx(1.6)
    assert unknown(silent) == {}
    voice.hear(message)
    assert part_of(voice).state == fresh.state, "it is back"


@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_was_never_there_is_missing(name: str) -> None:
    part = PARTS[name][1](Voice[Any](1.5))
    assert part.stale
    assert part.level == STALE
    assert math.isnan(part.age)
    assert getattr(part, "reason", "missing") == "missing"
    assert unknown(part) == {}


def test_a_stop_is_an_error_and_without_a_heartbeat_nobody_knows(clock: SteadyTime) -> None:
    voice = heard(PARTS["safety"][0])
    part = safety_part(voice)
    assert (part.level, part.state, part.e_stopped) == (ERROR, "e-stopped", SafetySummary.YES)
    assert (part.cause, part.pending) == ("a hand", ["leader_left"])
    voice.hear(SafetyState())
    assert safety_part(voice).e_stopped == SafetySummary.NO
    clock.now_s += 2
    assert safety_part(voice).e_stopped == SafetySummary.UNKNOWN


# -- an arm


def test_an_arm_shows_its_hottest_servo_its_rate_and_the_age_of_commands(clock: SteadyTime) -> None:
    watch = ArmWatch("follower_left", 1.5)
    for k in range(5):
        message = arm_status(cycles=100 + 10 * k, overruns=7)
        set_stamp(message.header.stamp, 10**9 + k * 10**8)
        watch.hear_status(message)
    watch.command.hear("a command")
    clock.now_s += 0.3
    servo = "follower_left: servo {} ({})"
    statuses = {
        one.name: one
        for one in (
            said("follower_left: bridge", cycles="9"),
            DiagnosticStatus(
                name=servo.format(2, "shoulder"),
                values=[
                    KeyValue(key="temperature (C)", value="51"),
                    KeyValue(key="voltage (V)", value="11.9"),
                ],
            ),
            DiagnosticStatus(
                name=servo.format(4, "elbow"),
                values=[
                    KeyValue(key="temperature (C)", value="unknown"),
                    KeyValue(key="voltage (V)", value="11.4"),
                ],
            ),
            DiagnosticStatus(
                name="follower_right: servo 2 (shoulder)",
                values=[KeyValue(key="temperature (C)", value="70")],
            ),
        )
    }
    part = watch.part(statuses)
    assert (part.hottest, part.temperature) == ("servo 2 (shoulder)", 51.0)
    assert part.voltage == 11.4
    assert part.rate == pytest.approx(100.0)
    assert part.overruns == 7
    assert part.command_age == pytest.approx(0.3)
    assert (part.level, part.state, part.torque) == (OK, "following", ArmSummary.YES)
    without = watch.part({})
    assert (without.hottest, math.isnan(without.temperature)) == ("unknown", True)


@pytest.mark.parametrize(
    ("mode", "reason", "level"),
    [
        (Mode.HOLDING, "waiting for commands", OK),
        (Mode.HOLDING, "no heartbeat of the safety node", WARN),
        (Mode.E_STOPPED, "the service /e_stop was called", ERROR),
        (Mode.FAULT, "the port was lost", ERROR),
        (Mode.BACK_DRIVEN, "", OK),
    ],
)
def test_an_arm_is_as_bad_as_its_mode(mode: Mode, reason: str, level: int) -> None:
    watch = ArmWatch("follower_left", 1.5)
    watch.hear_status(ArmStatus(mode=int(mode), reason=reason))
    part = watch.part({})
    assert (part.level, part.state) == (level, mode.name.lower())
    assert part.last_fault == ("" if level == OK else reason)


def test_a_servo_that_is_worse_than_its_arm_is_what_is_told() -> None:
    watch = ArmWatch("follower_left", 1.5)
    watch.hear_status(ArmStatus(mode=int(Mode.HOLDING), reason="waiting for commands"))
    hot = said("follower_left: servo 2 (shoulder)", WARN, "66 degrees C, 65 is warm")
    part = watch.part({hot.name: hot})
    assert (part.level, part.reason) == (WARN, "66 degrees C, 65 is warm")


def test_the_last_fault_stays_with_its_age_and_silence_is_one(clock: SteadyTime) -> None:
    watch = ArmWatch("follower_left", 1.5)
    assert (watch.part({}).last_fault, math.isnan(watch.part({}).last_fault_age)) == ("", True)
    watch.hear_status(ArmStatus(mode=int(Mode.FAULT), reason="the port was lost"))
    watch.part({})
    clock.now_s += 1
    watch.hear_status(arm_status())
    part = watch.part({})
    assert (part.level, part.last_fault, part.last_fault_age) == (OK, "the port was lost", 1.0)
    clock.now_s += 5
    gone = watch.part({})
    assert (gone.mode, gone.torque) == (ArmSummary.MODE_UNKNOWN, ArmSummary.UNKNOWN)
    assert (gone.last_fault, gone.last_fault_age) == ("silent", 0.0)


# -- diagnostics


def test_nodes_are_told_by_what_they_say_and_those_that_are_needed_are_missed(
    clock: SteadyTime,
) -> None:
    diagnostics = Diagnostics(3.5)
    servo = said("follower_left: servo 1 (waist)", ERROR, "does not answer", age="1")
    bridge = said("follower_left: bridge", rate="100")
    camera = said("cameras/cam_high", WARN, "no image yet", rate="unknown")
    empty = said("somebody: else")
    diagnostics.hear(DiagnosticArray(status=[servo, bridge, camera, empty]))
    nodes = diagnostics.nodes(["follower_left"], ["safety", "follower_left/arm_bridge"])
    rows = {node.name: (node.level, node.state, node.reason) for node in nodes}
    assert rows == {
        "camera": (WARN, "warning", "no image yet"),
        "follower_left/arm_bridge": (ERROR, "error", "does not answer"),
        "safety": (STALE, "unknown", "missing"),
        "somebody": (OK, "no values", ""),
    }
    clock.now_s += 4
    nodes = diagnostics.nodes(["follower_left"], ["safety"])
    assert {(node.state, node.stale) for node in nodes} == {("unknown", True)}
    assert diagnostics.now() == {}


def test_made_up_names_take_no_memory_for_ever() -> None:
    diagnostics = Diagnostics(3.5)
    for k in range(3 * MOST_NAMES):
        diagnostics.hear(DiagnosticArray(status=[said(f"name {k}: x")]))
    assert len(diagnostics.now()) == MOST_NAMES


def test_a_camera_that_is_slow_or_broken_says_why() -> None:
    pace = Pace()
    for k in range(5):
        pace.saw(k, k * 0.05)
    part = camera_part("cam_high", 50.0, heard("an image"), pace, None)
    assert (part.state, part.level, part.rate) == ("slow", WARN, pytest.approx(20.0))
    broken = said("cameras/cam_high", ERROR, "no such device", dropped="12", damaged="none")
    part = camera_part("cam_high", 50.0, Voice[Any](1.5), Pace(), broken)
    assert (part.stale, part.reason, part.lost) == (True, "no such device", 12.0)
    assert math.isnan(part.damaged)


# -- the whole


def whole(clock: SteadyTime) -> RobotSummary:
    """A robot of one arm that is well, and nothing beside."""
    watch = ArmWatch("follower_left", 1.5)
    watch.hear_status(arm_status())
    nobody = Voice[Any](1.5)
    return RobotSummary(
        safety=safety_part(heard(SafetyState())),
        arms=[watch.part({})],
        cameras=[camera_part("cam_high", 50.0, nobody, Pace(), None)],
        teleop=teleop_part(nobody),
        replay=Diagnostics(1.0).node("replay"),
        recorder=recorder_part(nobody),
        policy=policy_part(nobody, Pace()),
        player=player_part(nobody, Pace()),
    )


def judged(summary: RobotSummary) -> tuple[int, str]:
    judge(summary)
    return summary.level, summary.message


def test_what_was_never_started_is_no_fault_and_what_is_gone_is_one(clock: SteadyTime) -> None:
    summary = whole(clock)
    assert judged(summary) == (OK, "all is well")
    summary.recorder = recorder_part(heard(RecorderState()))
    assert judged(summary) == (OK, "all is well")
    gone = heard(RecorderState())
    clock.now_s += 2
    summary.recorder = recorder_part(gone)
    assert judged(summary) == (ERROR, "recorder: silent")


def test_the_stop_comes_first_and_nothing_at_all_is_stale(clock: SteadyTime) -> None:
    summary = whole(clock)
    summary.arms[0].level, summary.arms[0].reason = ERROR, "the port was lost"
    summary.safety = safety_part(heard(SafetyState(e_stopped=True, cause="a hand")))
    assert judged(summary) == (ERROR, "safety: a hand (and 1 more)")
    summary = whole(clock)
    summary.safety = safety_part(Voice[Any](1.0))
    assert judged(summary) == (ERROR, "safety: no heartbeat")
    summary.arms = [ArmWatch("follower_left", 1.5).part({})]
    assert judged(summary) == (STALE, "nothing is heard of the robot")


def test_who_moves_the_followers_is_who_says_so(clock: SteadyTime) -> None:
    summary = whole(clock)
    assert commander(summary) == "nobody"
    summary.arms[0].command_age = 0.1
    assert commander(summary) == "unknown", "commands come, and nobody says that they are his"
    summary.replay = NodeSummary(state="playing")
    assert commander(summary) == "replay"
    summary.teleop = teleop_part(heard(TeleopState(state=TeleopState.ENGAGED)))
    assert commander(summary) == "teleop"
    playing = PlayerState(state=PlayerState.HUMAN, commander=PlayerState.OPERATOR)
    summary.player = player_part(heard(playing), Pace())
    assert commander(summary) == "operator"
