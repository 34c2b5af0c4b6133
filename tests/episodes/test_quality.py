"""The quality gate: each fault of an episode is told with its figure; nothing else is a fault."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from aloha_interfaces.msg import ArmStatus
from rclpy.serialization import serialize_message

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.mcap_file import Record
from aloha_stack.episodes.metadata import EpisodeInfo, pause_notes
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.summary import EpisodeSummary, summarise
from aloha_stack.episodes.thresholds import Thresholds, load_thresholds
from aloha_stack.robot.joints import STATE_JOINTS
from aloha_stack.robot.share import share_folder
from episodes.altered_episodes import altered, with_note
from episodes.sample_episodes import (
    START_NS,
    image_bytes,
    joint_bytes,
    jpeg,
    stamped,
    write_episode,
)

STATUS = "/follower_left/status"
LEFT = "/follower_left/joint_states"
LOW, WRIST = "/cam_low/image_raw/compressed", "/cam_left_wrist/image_raw/compressed"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_episode(tmp_path_factory.mktemp("whole"), seconds=2.0)


def seconds(record: Record) -> float:
    return (record.publish_ns - START_NS) * 1e-9


def at_step(record: Record) -> int:
    return round(seconds(record) * 100)


def without(topic: str, begin: float, end: float) -> Callable[[Record], Record | None]:
    return lambda r: None if r.topic == topic and begin < seconds(r) < end else r


def frozen(topic: str, begin: float, end: float, every: int = 1) -> Callable[[Record], Record]:
    """The picture of `begin` again and again, save for each `every`-th."""

    def change(record: Record) -> Record:
        if record.topic != topic or not begin < seconds(record) < end:
            return record
        step = at_step(record) // 2
        shown = round(begin * 100) if every == 1 else step - step % every
        return replace(record, data=image_bytes(record.publish_ns, jpeg(shown)))

    return change


def still(record: Record, arms: tuple[str, ...] = ("left", "right")) -> Record:
    if record.topic in [f"/follower_{arm}/joint_states" for arm in arms]:
        return replace(record, data=joint_bytes(record.publish_ns, [0.1] * 9, STATE_JOINTS))
    return record


def status(clamped: list[int]) -> dict[str, list[tuple[int, bytes]]]:
    messages = []
    for number, count in enumerate(clamped):
        stamp = START_NS + number * 100_000_000
        message = stamped(ArmStatus(arm="follower_left", clamped_commands=count), stamp)
        messages.append((stamp, bytes(serialize_message(message))))
    return {STATUS: messages}


def judged(whole: Path, tmp_path: Path, change: Callable, **kwargs: object) -> EpisodeSummary:
    return summarise(altered(whole, tmp_path, change, **kwargs))


def same(record: Record) -> Record:
    return record


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        (
            without(LOW, 0.8, 1.2),
            [
                f"{LOW} has a gap of 0.40 s at 0.8 s (at most 0.15 s)",
                f"{LOW} came at 40.4 Hz (at least 47.5 Hz)",
            ],
        ),
        (without(LOW, 1.5, 9.9), [f"{LOW} has a gap of 0.49 s at 1.5 s (at most 0.15 s)"]),
        (without(LEFT, -0.1, 0.3), [f"{LEFT} has a gap of 0.30 s at 0.0 s (at most 0.1 s)"]),
        (
            frozen(WRIST, 0.5, 1.1),
            [
                "cam_left_wrist froze at 0.5 s: the same picture during 0.58 s of motion (at most "
                "0.3 s)",
                "29.3 % of the pictures of cam_left_wrist in motion repeat the one before (at most "
                "5 %)",
            ],
        ),
        (
            frozen(LOW, -1.0, 9.0, every=4),
            ["75.8 % of the pictures of cam_low in motion repeat the one before (at most 5 %)"],
        ),
        (
            lambda r: None if r.topic == LEFT and at_step(r) % 4 == 1 else r,
            [
                f"{LEFT} came at 74.9 Hz (at least 95.0 Hz)",
                f"33.6 % of {LEFT} came late (at most 10 %)",
            ],
        ),
        (
            lambda r: (
                replace(r, data=joint_bytes(r.publish_ns, [float("nan")] * 9, STATE_JOINTS))
                if r.topic == LEFT and at_step(r) in (3, 4)
                else r
            ),
            [f"2 messages of {LEFT} hold positions that are no numbers"],
        ),
        (
            lambda r: (
                replace(r, data=image_bytes(r.publish_ns, jpeg(0)[:-9]))
                if r.topic == LOW and at_step(r) == 40
                else r
            ),
            ["1 pictures of cam_low are not whole, the first at 0.4 s"],
        ),
        (without(LEFT, 0.75, 9.9), [f"{LEFT} has a gap of 1.24 s at 0.8 s (at most 0.1 s)"]),
    ],
)
def test_each_fault_is_told_with_its_figure(
    whole: Path, tmp_path: Path, change: Callable, reasons: list[str]
) -> None:
    summary = judged(whole, tmp_path, change)
    assert (summary.verdict, list(summary.reasons)) == ("flawed", reasons)


def test_what_is_whole_is_good(whole: Path) -> None:
    summary = summarise(whole)
    assert (summary.verdict, summary.reasons, summary.segments) == ("good", (), 1)


def test_a_pause_is_neither_gap_nor_late(whole: Path, tmp_path: Path) -> None:
    begin, end = START_NS + 600_000_000, START_NS + 1_100_000_000
    info = with_note(Episode(whole).info, **pause_notes([(begin, end)]))
    paused = judged(whole, tmp_path, lambda r: None if 0.6 < seconds(r) < 1.1 else r, info=info)
    assert (paused.verdict, paused.reasons, paused.segments) == ("good", (), 2)
    assert paused.paused_s == pytest.approx(0.5)
    assert paused.duration_s == pytest.approx(1.49)
    camera = next(s for s in paused.streams if s.topic == LOW)
    assert camera.rate_hz == pytest.approx(50.0)


def test_a_still_scene_may_repeat_itself(whole: Path, tmp_path: Path) -> None:
    def change(record: Record) -> Record:
        return still(frozen(LOW, -1.0, 9.0)(record))

    assert judged(whole, tmp_path, change).reasons == ()


def test_a_wrist_camera_may_be_still_while_the_other_arm_moves(whole: Path, tmp_path: Path) -> None:
    def change(record: Record) -> Record:
        return still(frozen(WRIST, -1.0, 9.0)(record), ("left",))

    assert judged(whole, tmp_path / "a", change).reasons == ()

    def other(record: Record) -> Record:
        return still(frozen(LOW, -1.0, 9.0)(record), ("left",))

    assert "cam_low froze" in judged(whole, tmp_path / "b", other).reasons[0]


def test_skew_between_pictures_and_states_is_told(tmp_path: Path) -> None:
    source = write_episode(tmp_path / "a", seconds=2.0)

    def sparse(record: Record) -> Record | None:
        """States of one arm at 20 Hz: up to 25 ms from a picture."""
        return None if record.topic == LEFT and at_step(record) % 5 else record

    reasons = summarise(altered(source, tmp_path / "b", sparse)).reasons
    assert any("20.0 Hz (at least 95.0 Hz)" in reason for reason in reasons)
    strict = replace(load_thresholds(), skew_median_ms=1.0, skew_p99_ms=9.0)
    late = summarise(write_episode(tmp_path / "c", 2.0, camera_delay_ns=4_000_000), strict)
    assert late.reasons == ("pictures and joint states are 4.0 ms apart, median (at most 1 ms)",)


@pytest.mark.parametrize(
    ("counts", "clamped"),
    [([7] * 20, 0), ([7, 9, 30], 23), ([500, 3, 4], 4), ([5], 0), ([0, 19, 0, 4], 23)],
)
def test_clamped_commands_are_counted_from_the_bridges_own_counter(
    whole: Path, tmp_path: Path, counts: list[int], clamped: int
) -> None:
    kinds = {STATUS: "aloha_interfaces/msg/ArmStatus"}
    summary = judged(whole, tmp_path, same, types=kinds, extra=status(counts))
    assert [figures.clamped for figures in summary.commands] == [clamped]
    told = [reason for reason in summary.reasons if "clamped" in reason]
    share = clamped / summary.steps
    assert bool(told) == (share > 0.05)
    if told:
        assert told == [
            "23 commands of follower_left were clamped, 23.2 % of the steps (at most 5 %)"
        ]


def test_a_slip_of_the_finger_is_told(tmp_path: Path) -> None:
    summary = summarise(write_episode(tmp_path, seconds=0.5))
    assert summary.reasons == ("it lasts 0.49 s (at least 1 s)",)


def test_losses_may_be_allowed(tmp_path: Path) -> None:
    path = write_episode(tmp_path, seconds=2.0, lost={LOW: 3})
    assert summarise(path, replace(load_thresholds(), lost_share=0.03)).verdict == "good"
    strict = summarise(path, replace(load_thresholds(), lost_share=0.01))
    assert strict.reasons == (f"3 lost on {LOW} (2.91 %, 1 % allowed)",)


def test_without_cameras_an_episode_can_be_good(whole: Path, tmp_path: Path) -> None:
    info = with_note(Episode(whole).info, cameras="{}")
    blind = judged(whole, tmp_path, lambda r: None if r.topic.startswith("/cam") else r, info=info)
    assert (blind.verdict, blind.skew, blind.steps) == ("good", None, 99)


def test_a_camera_that_the_note_names_and_nobody_recorded_is_missing(
    whole: Path, tmp_path: Path
) -> None:
    info = with_note(Episode(whole).info, cameras='{"cam_extra": "/cam_extra/image_raw"}')
    summary = judged(whole, tmp_path, same, info=info)
    assert (summary.verdict, summary.reasons[0]) == (
        "incomplete",
        "nothing was received on /cam_extra/image_raw",
    )


def test_a_repaired_episode_says_so(whole: Path, tmp_path: Path) -> None:
    info = with_note(Episode(whole).info, repaired="2026-11-21: 1.2 s cut")
    assert judged(whole, tmp_path, same, info=info).repaired == "2026-11-21: 1.2 s cut"


@pytest.mark.parametrize(
    "notes",
    [{"pauses": "soon"}, {"cameras": "[1]"}, {"silent_streams": "[]"}],
)
def test_notes_that_cannot_be_read_are_named(whole: Path, tmp_path: Path, notes: dict) -> None:
    info = with_note(Episode(whole).info, **notes)
    path = altered(whole, tmp_path, info=info)
    with pytest.raises(EpisodeError, match=r"metadata.yaml.*note"):
        summarise(path)


def test_a_rate_is_judged_by_the_robots_own_cameras(tmp_path: Path) -> None:
    """The twin's cameras have 50 Hz; of a robot that is not known camera_hz is taken."""
    thresholds = replace(load_thresholds(), camera_hz=30.0)
    for robot, nominal_hz in (("twin", 50.0), ("marvin", 30.0)):
        path = write_episode(tmp_path, seconds=2.0, info=EpisodeInfo(robot=robot))
        summary = summarise(path, thresholds)
        assert [stream.nominal_hz for stream in summary.cameras] == [nominal_hz] * 4
        assert summary.verdict == "good"


def test_an_imported_episode_is_judged_by_the_rate_of_its_steps(
    whole: Path, tmp_path: Path
) -> None:
    def each_step(record: Record) -> Record | None:
        return None if at_step(record) % 2 else record

    for steps_hz, verdict in (("50", "good"), ("100", "flawed")):
        info = with_note(Episode(whole).info, steps_hz=steps_hz)
        assert judged(whole, tmp_path / steps_hz, each_step, info=info).verdict == verdict
    info = with_note(Episode(whole).info, steps_hz="often")
    with pytest.raises(EpisodeError, match=r"'steps_hz' is 'often'"):
        judged(whole, tmp_path / "wrong", each_step, info=info)


def test_the_shipped_thresholds_are_read() -> None:
    thresholds = load_thresholds()
    assert isinstance(thresholds, Thresholds)
    assert 0.0 <= thresholds.late_share <= 1.0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("late_share:", "lateness:", "lateness: unknown; expected one of joint_hz, camera_hz"),
        ("lost_share: 0", "lost_share: none", "lost_share: expected a finite number, found 'none'"),
        ("lost_share: 0", "lost_share: -1", "lost_share: -1 is outside 0"),
        ("rate_share: 0.95", "rate_share: 95", "rate_share: 95 is outside 0 … 1"),
        ("camera_hz: 50", "camera_hz: 0", "camera_hz: 0 is no rate"),
        ("shortest_s: 1.0", "# shortest", "shortest_s: missing"),
        ("joint_hz: 100", "joint_hz: 100\njoint_hz: 50", "stands twice"),
    ],
)
def test_thresholds_that_cannot_be_are_named_by_file_and_key(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    text = (share_folder() / "config/quality.yaml").read_text()
    assert old in text
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace(old, new))
    with pytest.raises(EpisodeError, match="mine") as raised:
        load_thresholds(file)
    assert words in str(raised.value)
