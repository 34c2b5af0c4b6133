"""The images bench: what it counts of pictures, and that its graph runs from camera to episode."""

import shutil

import numpy as np
import pytest

from aloha_stack.bench.footage import footage
from aloha_stack.bench.image_log import Heard, ImageLog, heard, read_log
from aloha_stack.bench.images import main, outcome_rows
from aloha_stack.bench.images_graph import CAMERAS, Outcome, Setting, measure
from aloha_stack.bench.node_processes import BenchFailed

PERIOD_NS = 20_000_000


def stream(sequences, late_ns=3_000_000, first_ns=10**18):
    """(n, 3) notes of a camera at 50 Hz that sent message 1, 2, … of which `sequences` came."""
    stamps = [first_ns + number * PERIOD_NS for number in sequences]
    rows = [(n, stamp, stamp + late_ns) for n, stamp in zip(sequences, stamps, strict=True)]
    return np.array(rows, np.int64)


def test_gaps_in_sequence_numbers_are_lost_frames_of_each_camera_on_its_own():
    found = heard([stream([5, 6, 9, 10]), stream([1, 2, 4])], 50.0, 0.08, np.array([]))
    assert (found.frames, found.lost, found.short) == (7, 3, 0)
    assert found.lost_percent == pytest.approx(30.0)
    assert found.latency_ms == pytest.approx(np.full(7, 3.0))


def test_what_a_camera_never_sent_is_told_apart_from_what_was_lost():
    notes = stream([1, 2, 3, 4])
    notes[2:, 1:] += 3 * PERIOD_NS  # three frames late, and yet the next number
    found = heard([notes], 50.0, 0.08, np.array([]))
    assert (found.lost, found.short) == (0, 3)


def test_a_camera_that_dies_early_or_never_comes_is_short_of_all_the_rest():
    nothing = np.empty((0, 3), np.int64)
    found = heard([stream(range(500)), stream(range(50)), nothing], 50.0, 10.0, np.array([]))
    assert (found.lost, found.short) == (0, 448 + 498)


def test_a_reader_that_heard_nothing_lost_everything():
    assert heard([], 50.0, 1.0, np.array([])).lost_percent == 100.0


def test_a_log_counts_what_was_exposed_and_came_while_it_was_measured(tmp_path):
    log = ImageLog(2)
    assert not log.complete()
    for camera in (0, 1):
        for number in range(10):
            stamp = number * PERIOD_NS
            log.received(camera, number, stamp, stamp + 1_000_000)
            log.decoded(camera, stamp, stamp + 4_000_000)
    assert log.complete()
    log.write(tmp_path / "log.npz", began_ns=2 * PERIOD_NS, ended_ns=6 * PERIOD_NS)
    found = read_log(tmp_path / "log.npz", 50.0)
    assert (found.frames, found.lost) == (2 * 4, 0)
    assert found.decoded_ms == pytest.approx(np.full(8, 4.0))


def outcome(lost, latency_ms):
    got = Heard(100, lost, 0, np.full(100, latency_ms), np.full(100, latency_ms + 2))
    return Outcome(got, got, {"camera node": 10.0})


@pytest.mark.parametrize(
    ("lost", "latency_ms", "missed"),
    [
        (0, 5.0, []),
        (1, 5.0, ["lost of 101 frames"]),
        (0, 19.0, ["exposure to decoded, p99"]),  # 2 ms more than on receipt
    ],
)
def test_the_bars_are_about_loss_and_the_slowest_percent(lost, latency_ms, missed):
    rows = outcome_rows("JPEG", outcome(lost, latency_ms), outcome(50, 30.0), True, 15.0)
    bad = {row.metric.partition(": ")[2] for row in rows if row.holds is False}
    assert bad == set(missed)
    assert all(row.holds is None for row in outcome_rows("raw", *[outcome(9, 99.0)] * 2, False, 15))


def test_pictures_go_from_the_camera_node_to_recorder_and_reader(tmp_path):
    said = []
    pictures = footage(tmp_path / "footage", count=3)
    setting = Setting(raw=False, profile=True, seconds=2.0)
    found = measure(setting, pictures, tmp_path, lambda text, part: said.append((text, part)))
    assert found.recorder.frames > 50 * len(CAMERAS)
    assert len(found.reader.decoded_ms) > 0
    assert set(found.cpu_percent) == {"camera node", "recorder", "reader"}
    assert all(percent > 0 for percent in found.cpu_percent.values())
    assert [one.name for one in tmp_path.iterdir()] == ["footage"]
    assert any(text == "JPEG, config/fastdds.xml: 2 s" and 0 < part < 1 for text, part in said)


def test_a_graph_that_cannot_run_says_why(tmp_path):
    setting = Setting(raw=True, profile=True, seconds=2.0)
    with pytest.raises(BenchFailed, match="no folder or video file"):
        measure(setting, tmp_path / "nothing", tmp_path, lambda *_: None)


def test_a_disk_without_room_is_told_before_anything_is_started(tmp_path, capsys, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    assert main(["--seconds", "60", "--folder", str(tmp_path)]) == 2
    assert "1.0 GB left; make room" in capsys.readouterr().err
