"""The record bench: what it counts of an episode, its bars, and that its graph records one."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from mcap.records import Schema

from aloha_stack.bench.footage import footage
from aloha_stack.bench.record import main, outcome_rows
from aloha_stack.bench.record_graph import Closing, Outcome, measure
from aloha_stack.bench.record_losses import Counted, counted
from aloha_stack.episodes.aligned_steps import recorded_steps
from aloha_stack.episodes.alignment import AlignmentSettings
from aloha_stack.episodes.hdf5_writing import write_hdf5
from aloha_stack.episodes.mcap_file import Record
from aloha_stack.episodes.summary import EpisodeSummary

PERIOD_NS = 20_000_000
SCHEMA = Schema(1, b"", "std_msgs/msg/String", "ros2msg")


def records(topic, sequences):
    """Messages of a topic at 50 Hz that sent 1, 2, … of which `sequences` came."""
    stamps = [number * PERIOD_NS for number in sequences]
    return [
        Record(topic, SCHEMA.name, stamp, stamp, number, b"", SCHEMA)
        for number, stamp in zip(sequences, stamps, strict=True)
    ]


def test_gaps_in_the_numbers_of_each_topic_are_messages_lost():
    found = counted([*records("/a", [7, 8, 11]), *records("/b", [1, 2, 3])], {"/a": 50.0}, 0.1)
    assert found == Counted(messages=6, missing=2, unsent=0)


def test_what_was_never_sent_is_told_apart_where_the_rate_is_known():
    late = [replace(one, publish_ns=one.publish_ns * 2) for one in records("/a", [1, 2, 3])]
    assert counted(late, {"/a": 50.0}, 0.1) == Counted(3, 0, 2)
    assert counted(late, {}, 0.1) == Counted(3, 0, 0)


def test_a_topic_that_dies_early_or_never_comes_was_not_sent():
    rates = {"/a": 50.0, "/early": 50.0, "/never": 50.0}
    found = counted([*records("/a", range(1, 501)), *records("/early", range(1, 51))], rates, 10.0)
    assert found == Counted(550, 0, 448 + 498)


GOOD = Outcome(
    closing=Closing(0.1, 0.3, 0.9, 5.0, same=True),
    summary=EpisodeSummary("episode_000000"),
    told_messages=1000,
    told_lost=0,
    file=Counted(1000, 0, 0),
    file_bytes=10**8,
    raw_bytes=10**9,
    resident_mb=np.linspace(100.0, 105.0, 50),
    cpu_percent={"camera node": 10.0, "recorder": 30.0},
)


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({}, []),
        ({"file": Counted(1000, 1, 0)}, ["lost of 1000 messages, by numbers"]),
        ({"file": Counted(1000, 0, 1)}, ["camera node: frames never sent"]),
        ({"told_lost": 1}, ["lost, as the recorder counts"]),
        ({"told_messages": 1001}, ["told as written, and not in the file"]),
        ({"closing": Closing(0.3, 0.3, 0.1, 5.0, True)}, ["end asked to closed and listed"]),
        ({"closing": Closing(0.1, 0.1, 0.1, 5.0, False)}, ["  the two rows differ"]),
        ({"resident_mb": np.r_[np.full(49, 299.0), 301.0]}, ["recorder: resident, most"]),
        ({"resident_mb": np.linspace(100.0, 130.0, 50)}, ["recorder: resident, last 1/5"]),
    ],
)
def test_each_bar_is_about_what_it_says(change, missed):
    rows = outcome_rows(replace(GOOD, **change))
    assert [row.metric for row in rows if row.holds is False] == missed


def test_an_episode_of_all_streams_is_recorded_counted_and_listed(tmp_path):
    said = []
    pictures = footage(tmp_path / "footage", count=3)
    found = measure(2.0, pictures, tmp_path, lambda text, part: said.append((text, part)))
    assert len(found.summary.streams) == 4 + 4 + 2 + 2 * 4 + 4  # as in docs/architecture.md
    assert len(found.summary.cameras) == 4
    assert found.file.messages == found.told_messages == found.summary.messages > 2 * 600
    assert 0 < found.closing.row_s < found.closing.command_s
    assert found.closing.same
    assert len(found.resident_mb) >= 5
    assert found.resident_mb.min() > 10
    assert all(percent > 0 for percent in found.cpu_percent.values())
    assert any(text == "recording 2 s" and 0 < part < 1 for text, part in said)
    assert found.file_bytes > 2 * 4 * 40 * 50_000
    steps = next(iter(recorded_steps(tmp_path / "out/episode_000000", AlignmentSettings())))
    written = tmp_path / "raw.hdf5"
    write_hdf5(steps, written)
    share = len(steps.time_ns) / found.summary.steps  # a gap begins another file
    assert written.stat().st_size == pytest.approx(share * found.raw_bytes, rel=0.02)


def test_a_disk_without_room_is_told_before_anything_is_started(tmp_path, capsys, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    assert main(["--seconds", "60", "--folder", str(tmp_path)]) == 2
    assert "1.0 GB left; make room" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_bench_that_is_ended_leaves_no_folder(tmp_path, number):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from aloha_stack.bench.scratch import scratch_folder\n"
        "with scratch_folder(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'episode').write_text('half'); print('there', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout.readline() == "there\n"
    assert len(os.listdir(tmp_path)) == 1
    process.send_signal(number)
    process.communicate()
    assert process.returncode != 0
    assert os.listdir(tmp_path) == []
