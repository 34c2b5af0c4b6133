"""Silences beside pauses, and stamps of another clock: what rates and skew cannot show."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage

from aloha_stack.episodes import cli
from aloha_stack.episodes.mcap_file import Record
from aloha_stack.episodes.metadata import pause_notes
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.stream_quality import evenness
from aloha_stack.episodes.summary import summarise
from aloha_stack.episodes.thresholds import load_thresholds
from episodes.aloha_files import foreign
from episodes.altered_episodes import altered, with_note
from episodes.sample_episodes import START_NS, image_bytes, write_episode

S = 1_000_000_000
LOW = "/cam_low/image_raw/compressed"


@pytest.mark.parametrize(
    ("silent", "pauses", "gap"),
    [
        ((4.9, 8.9), [(5, 6)], (2.92, 6.0)),
        ((4.9, 99.0), [(5, 6)], (13.98, 6.0)),
        ((-1.0, 6.5), [(5, 6)], (5.0, 0.0)),
        ((4.0, 6.001), [(5, 6)], (1.02, 3.98)),
        ((4.0, 12.001), [(5, 6), (7, 10), (10, 11)], (1.02, 3.98)),
        ((4.0, 99.0), [(5, None)], (1.02, 3.98)),
        ((4.99, 6.001), [(5, 6)], (0.02, 0.0)),
        ((4.99, 6.001), [], (1.04, 4.98)),
    ],
)
def test_a_gap_is_as_long_as_what_of_it_lies_outside_of_pauses(silent, pauses, gap) -> None:
    """Of 20 s at 50 Hz (s)."""
    times = np.arange(0, 20 * S, S // 50)
    kept = times[(times < silent[0] * S) | (times > silent[1] * S)]
    spans = [(begin * S, end if end is None else end * S) for begin, end in pauses]
    even = evenness(kept, 50.0, (0, int(times[-1])), spans)
    assert even.longest_gap_s == pytest.approx(gap[0])
    assert even.gap_at_s == pytest.approx(gap[1])
    assert even.rate_hz == pytest.approx(50.0, abs=0.1) or not pauses


def test_a_camera_that_comes_back_long_after_a_pause_is_told(tmp_path: Path) -> None:
    source = write_episode(tmp_path / "a", seconds=5.0)

    def change(record: Record) -> Record | None:
        at = record.publish_ns - START_NS
        if S < at < 2 * S or (record.topic == LOW and 0.95 * S < at < 3.9 * S):
            return None
        return record

    info = with_note(Episode(source).info, **pause_notes([(START_NS + S, START_NS + 2 * S)]))
    summary = summarise(altered(source, tmp_path / "b", change, info))
    assert summary.verdict == "flawed"
    assert summary.reasons == (f"{LOW} has a gap of 1.90 s at 2.0 s (at most 0.15 s)",)


def _stamped(source: Path, target: Path, later_ms: int) -> Path:
    """The episode with the stamps, but not the arrivals, of one camera moved."""

    def change(record: Record) -> Record:
        if record.topic != LOW:
            return record
        image = deserialize_message(record.data, CompressedImage)
        stamp = record.publish_ns + later_ms * 1_000_000
        return replace(record, data=image_bytes(stamp, bytes(image.data)), publish_ns=stamp)

    return altered(source, target, change)


@pytest.mark.parametrize(
    ("later_ms", "reason"),
    [
        (100, "was stamped 100.0 ms after it arrived, median (at most 10 ms): another clock?"),
        (-60, "arrived 60.0 ms after its stamps, median (at most 50 ms)"),
        (-40, None),
        (4, None),
    ],
)
def test_a_camera_with_a_clock_of_its_own_is_told(tmp_path: Path, later_ms, reason) -> None:
    """To the nearest picture it is never far: the skew cannot show it."""
    path = _stamped(write_episode(tmp_path / "a", seconds=3.0), tmp_path / "b", later_ms)
    summary = summarise(path, replace(load_thresholds(), delay_ms=50.0))
    assert summary.skew.max_ms <= 10
    camera = next(stream for stream in summary.streams if stream.topic == LOW)
    assert camera.delay_ms == pytest.approx(-later_ms)
    assert (summary.verdict, summary.reasons) == (
        ("flawed", (f"{LOW} {reason}",)) if reason else ("good", ())
    )


def test_an_import_has_no_times_of_arrival_to_judge(tmp_path: Path) -> None:
    foreign(tmp_path / "a.hdf5", count=90)
    assert cli.main(["import", str(tmp_path / "a.hdf5"), "--out", str(tmp_path / "out")]) == 0
    summary = summarise(tmp_path / "out" / "episode_000000")
    assert [stream.delay_ms for stream in summary.streams] == [None] * len(summary.streams)
