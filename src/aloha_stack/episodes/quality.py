"""The quality gate: what is wrong with an episode, in plain sentences with figure and threshold."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from aloha_stack.episodes.picture_quality import CameraFigures
from aloha_stack.episodes.standstill import E_STOPPED, Standstill
from aloha_stack.episodes.stream_quality import Evenness
from aloha_stack.episodes.thresholds import Thresholds

GOOD, FLAWED, INCOMPLETE, DAMAGED = "good", "flawed", "incomplete", "damaged"
VERDICTS = (GOOD, FLAWED, INCOMPLETE, DAMAGED)

MOMENT_S = 0.005
"""What is shorter is 0.00 s in words."""


@dataclass(frozen=True)
class Verdict:
    """`good`: within every threshold. `flawed`: whole, but beyond one. `incomplete`: something is
    not there at all. `damaged`: cannot be read. `reasons` is empty for a good one only."""

    name: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class StreamFigures:
    """One topic."""

    topic: str
    messages: int
    lost: int
    is_camera: bool
    evenness: Evenness
    delay_ms: float | None = None  # median, from stamp to arrival; None where it is not known


@dataclass(frozen=True)
class Skew:
    """Distance in time between the pictures and the joint states that belong to the same step."""

    median_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True)
class CommandFigures:
    """What one bridge counted during the episode."""

    arm: str
    clamped: int
    rejected: int


@dataclass(frozen=True)
class Figures:
    """All that the gate looks at. `missing` are sentences about what is not there."""

    missing: tuple[str, ...]
    streams: Sequence[StreamFigures]  # joint states, commands and pictures
    cameras: Mapping[str, CameraFigures]
    skew: Skew | None
    commands: Sequence[CommandFigures]
    standstills: Sequence[Standstill]
    not_finite: Mapping[str, int]  # topic -> messages with positions that are no numbers
    steps: int
    recorded_s: float  # pauses left out


def judge(figures: Figures, thresholds: Thresholds) -> Verdict:
    """The verdict on an episode that could be read."""
    flaws = tuple(_flaws(figures, thresholds))
    if figures.missing:
        return Verdict(INCOMPLETE, figures.missing + flaws)
    return Verdict(FLAWED, flaws) if flaws else Verdict(GOOD)


def _flaws(figures: Figures, limits: Thresholds) -> Iterator[str]:
    """The gravest first: what is wrong comes before what is late."""
    if figures.recorded_s < limits.shortest_s:
        yield f"it lasts {figures.recorded_s:.2f} s (at least {limits.shortest_s:g} s)"
    for still in figures.standstills:
        yield from _standstill(still, limits)
    for topic, count in figures.not_finite.items():
        yield f"{count} messages of {topic} hold positions that are no numbers"
    for camera, found in figures.cameras.items():
        yield from _pictures(camera, found, limits)
    for check in (_gap, _loss, _rate, _delay):
        for stream in figures.streams:
            yield from check(stream, limits)
    if figures.skew is not None:
        yield from _skew(figures.skew, limits)
    for arm in figures.commands:
        yield from _commands(arm, figures.steps, limits)


def _standstill(still: Standstill, limits: Thresholds) -> Iterator[str]:
    most = limits.e_stopped_s if still.how == E_STOPPED else limits.held_s
    if still.seconds > most:
        length = f"{still.seconds:.2f} s" if still.seconds >= MOMENT_S else "a moment"
        yield (
            f"{still.who} was {still.how} for {length}, from {still.at_s:.1f} s on"
            + (f" (at most {most:g} s)" if most else "")
        )


def _gap(stream: StreamFigures, limits: Thresholds) -> Iterator[str]:
    even, topic = stream.evenness, stream.topic
    longest = limits.camera_gap_s if stream.is_camera else limits.joint_gap_s
    if even.longest_gap_s is not None and even.longest_gap_s > longest:
        yield (
            f"{topic} has a gap of {even.longest_gap_s:.2f} s at {even.gap_at_s:.1f} s (at most "
            f"{longest:g} s)"
        )
    if even.backwards:
        yield f"{even.backwards} stamps of {topic} are earlier than the one before"


def _loss(stream: StreamFigures, limits: Thresholds) -> Iterator[str]:
    everything = stream.messages + stream.lost
    if stream.lost > limits.lost_share * everything:
        allowed = f", {_percent(limits.lost_share)} allowed" if limits.lost_share else ""
        share = _percent(stream.lost / everything)
        yield f"{stream.lost} lost on {stream.topic} ({share}{allowed})"


def _rate(stream: StreamFigures, limits: Thresholds) -> Iterator[str]:
    even, topic = stream.evenness, stream.topic
    if even.nominal_hz is not None and even.rate_hz is not None:
        lowest = limits.rate_share * even.nominal_hz
        if even.rate_hz < lowest:
            yield f"{topic} came at {even.rate_hz:.1f} Hz (at least {lowest:.1f} Hz)"
    if even.late_share is not None and even.late_share > limits.late_share:
        yield (
            f"{_percent(even.late_share)} of {topic} came late (at most "
            f"{_percent(limits.late_share)})"
        )


def _delay(stream: StreamFigures, limits: Thresholds) -> Iterator[str]:
    found = stream.delay_ms
    if found is None:
        return
    if found < -limits.ahead_ms:
        yield (
            f"{stream.topic} was stamped {-found:.1f} ms after it arrived, median (at most "
            f"{limits.ahead_ms:g} ms): another clock?"
        )
    elif found > limits.delay_ms:
        yield (
            f"{stream.topic} arrived {found:.1f} ms after its stamps, median (at most "
            f"{limits.delay_ms:g} ms)"
        )


def _skew(skew: Skew, limits: Thresholds) -> Iterator[str]:
    for name, found, most in (
        ("median", skew.median_ms, limits.skew_median_ms),
        ("99th percentile", skew.p99_ms, limits.skew_p99_ms),
    ):
        if found > most:
            yield (
                f"pictures and joint states are {found:.1f} ms apart, {name} (at most {most:g} ms)"
            )


def _pictures(camera: str, found: CameraFigures, limits: Thresholds) -> Iterator[str]:
    if found.broken:
        yield (
            f"{found.broken} pictures of {camera} are not whole, the first at "
            f"{found.broken_at_s:.1f} s"
        )
    if found.frozen_s > limits.frozen_s:
        yield (
            f"{camera} froze at {found.frozen_at_s:.1f} s: the same picture during "
            f"{found.frozen_s:.2f} s of motion (at most {limits.frozen_s:g} s)"
        )
    if found.repeated_share > limits.repeated_share:
        yield (
            f"{_percent(found.repeated_share)} of the pictures of {camera} in motion repeat the "
            f"one before (at most {_percent(limits.repeated_share)})"
        )


def _commands(arm: CommandFigures, steps: int, limits: Thresholds) -> Iterator[str]:
    for what, count, most in (
        ("clamped", arm.clamped, limits.clamped_share),
        ("rejected", arm.rejected, limits.rejected_share),
    ):
        if steps and count / steps > most:
            yield (
                f"{count} commands of {arm.arm} were {what}, {_percent(count / steps)} of the "
                f"steps (at most {_percent(most)})"
            )


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
