"""Whatever a dead recorder left is made whole; nothing that can be read is lost."""

import fcntl
import shutil
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aloha_stack.episodes.cli import main
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.metadata import EpisodeInfo, read_metadata
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.repair import DONE, REPAIRABLE, WHOLE, repair
from aloha_stack.episodes.writer import EpisodeWriter
from episodes.broken_files import Written, mcap_of, read, write
from episodes.sample_episodes import topic


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write(tmp_path_factory.mktemp("written"))


def broken(written: Written, data: bytes, outcome: str = "recording") -> Path:
    """A copy of the episode, in a folder of its own, whose file has only `data`."""
    episode = Path(tempfile.mkdtemp(dir=written.path.parent)) / written.path.name
    shutil.copytree(written.path, episode)
    mcap_of(episode).write_bytes(data)
    metadata = (episode / "metadata.yaml").read_text()
    (episode / "metadata.yaml").write_text(
        metadata.replace("outcome: success", f"outcome: {outcome}")
    )
    return episode


def contents(folder: Path) -> dict[str, bytes]:
    return {item.name: item.read_bytes() for item in folder.iterdir()}


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_cut_off_at_any_byte_every_whole_message_is_kept(
    written: Written, data: st.DataObject
) -> None:
    whole = written.file.read_bytes()
    size = data.draw(st.integers(1, len(whole) - 1))
    episode = broken(written, whole[:size])
    done = repair(episode)
    expected = [m for m, end in zip(written.messages, written.ends, strict=True) if end <= size]
    assert read(mcap_of(episode)) == expected
    assert (done.state, done.messages, done.saved) == (DONE, len(expected), None)
    information = read_metadata(episode)
    assert information["message_count"] == len(expected)
    info = Episode(episode).info
    outcome = "success" if size >= written.note_end else "interrupted"
    assert (info.task, info.seed, info.outcome) == ("transfer_cube", 3, outcome)
    assert "cut off" in info.notes["repaired"]
    assert [record.data for record in Episode(episode).records()] == expected
    assert Episode(episode).closed
    before = contents(episode)
    assert repair(episode).state == WHOLE
    assert contents(episode) == before


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_zeros_that_a_loss_of_power_left_are_no_data(written: Written, data: st.DataObject) -> None:
    whole = written.file.read_bytes()
    size = data.draw(st.integers(1, len(whole)))
    block = data.draw(st.sampled_from((512, 4096)))
    begin = data.draw(st.integers(0, size - 1)) // block * block
    episode = broken(written, whole[:begin] + bytes(size - begin))
    repair(episode)
    assert read(mcap_of(episode)) == [
        m for m, end in zip(written.messages, written.ends, strict=True) if end <= begin
    ]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_hole_of_zeros_ends_the_file_and_what_follows_is_saved(
    written: Written, data: st.DataObject
) -> None:
    whole = written.file.read_bytes()
    first, last = written.ends[0], written.ends[-1] - 1024
    begin = data.draw(st.integers(first, last)) // 512 * 512 + 512
    damaged = whole[:begin] + bytes(512) + whole[begin + 512 : written.ends[-1]]
    episode = broken(written, damaged)
    done = repair(episode)
    kept = read(mcap_of(episode))
    assert kept == list(written.messages[: len(kept)])
    assert len(kept) >= sum(end <= begin for end in written.ends) - 1
    assert done.saved is not None
    assert damaged.endswith(done.saved.read_bytes())
    assert len(done.saved.read_bytes()) == done.cut


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_flipped_bits_never_pass_for_messages(written: Written, data: st.DataObject) -> None:
    whole = bytearray(written.file.read_bytes()[: written.ends[-1]])
    place = data.draw(st.integers(written.ends[0], written.ends[40]))
    whole[place] ^= 1 << data.draw(st.integers(0, 7))
    episode = broken(written, bytes(whole))
    repair(episode)
    kept = read(mcap_of(episode))
    assert kept == list(written.messages[: len(kept)])


def test_a_repair_that_was_itself_interrupted_can_be_done_again(written: Written) -> None:
    whole = written.file.read_bytes()
    expected = list(written.messages[:31])
    one = broken(written, whole[: written.ends[31] - 1])
    repair(one)
    repaired = mcap_of(one).read_bytes()
    for size in range(written.ends[30], len(repaired), 97):
        two = broken(written, repaired[:size])
        repair(two)
        assert read(mcap_of(two)) == expected


def test_a_whole_episode_is_not_touched(written: Written) -> None:
    before = contents(written.path)
    assert repair(written.path).state == WHOLE
    assert contents(written.path) == before


def test_a_dry_run_touches_nothing_and_says_what_would_be_kept(
    written: Written, capsys: pytest.CaptureFixture[str]
) -> None:
    episode = broken(written, written.file.read_bytes()[: written.ends[19] + 5])
    before = contents(episode)
    assert main(["repair", "--dry-run", str(episode)]) == 0
    assert contents(episode) == before
    said = capsys.readouterr().out
    assert "episode_000000: to be repaired, the recording was cut off; 5 bytes" in said
    assert "; 40 of the 60 messages told of in metadata.yaml are gone; kept 20 messages" in said
    assert repair(episode, dry_run=True).state == REPAIRABLE


def test_metadata_that_is_gone_or_half_is_written_anew_from_the_file(written: Written) -> None:
    for text in (None, "", "rosbag2_bagfile_information:\n  versi"):
        for size in (written.ends[29], None):
            episode = broken(written, written.file.read_bytes()[:size])
            (episode / "metadata.yaml").unlink()
            if text is not None:
                (episode / "metadata.yaml").write_text(text)
            repair(episode)
            info = Episode(episode).info
            assert (info.task, info.seed, info.robot) == ("transfer_cube", 3, "twin")
            assert info.labels == ("a", "b")
            assert info.outcome == ("success" if size is None else "interrupted")
            assert "metadata.yaml was missing or broken" in info.notes["repaired"]
            bag = yaml.safe_load((written.path / "metadata.yaml").read_text())
            expected = bag["rosbag2_bagfile_information"]
            got = read_metadata(episode)
            assert got["relative_file_paths"] == expected["relative_file_paths"]
            if size is None:
                for key in ("message_count", "duration", "topics_with_message_count", "files"):
                    assert got[key] == expected[key]


def test_a_recorder_that_died_after_closing_the_file_had_finished(written: Written) -> None:
    episode = broken(written, written.file.read_bytes())
    before = mcap_of(episode).read_bytes()
    done = repair(episode)
    assert (done.state, done.what) == (DONE, "metadata.yaml had not been completed")
    assert Episode(episode).info.outcome == "success"
    assert mcap_of(episode).read_bytes() == before


def test_the_outcome_of_an_episode_that_could_not_be_closed_is_kept(written: Written) -> None:
    episode = broken(written, written.file.read_bytes()[: written.ends[29]], "failure")
    repair(episode)
    assert Episode(episode).info.outcome == "failure"


def test_an_episode_that_is_being_recorded_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = EpisodeWriter(tmp_path, [topic("/a")], EpisodeInfo())
    writer.write("/a", b"one", 1, 1)
    writer.flush()
    before = contents(writer.path)
    for words in (["repair"], ["repair", "--dry-run"]):
        assert main([*words, str(tmp_path)]) == 1
        assert "episode_000000 is being recorded" in capsys.readouterr().err
    assert contents(writer.path) == before
    writer.finish("success")
    assert main(["repair", str(tmp_path)]) == 0
    assert "1 episode: 1 whole" in capsys.readouterr().out


@pytest.mark.parametrize("missing", [True, False])
@pytest.mark.parametrize("dry", [["--dry-run"], []])
def test_without_a_byte_of_messages_nothing_is_repaired_or_touched(
    written: Written, capsys: pytest.CaptureFixture[str], missing: bool, dry: list[str]
) -> None:
    """The file may have been moved away for a moment: its metadata stays what it is."""
    episode = broken(written, b"", "success")
    if missing:
        mcap_of(episode).unlink()
    before = contents(episode)
    assert main(["repair", *dry, str(episode)]) == 1
    said = capsys.readouterr()
    assert f"{episode} has nothing that could be repaired" in said.err
    assert f"metadata.yaml tells of {len(written.messages)} messages" in said.err
    assert "1 episode: 0 whole, 0 repaired, 1 not repaired" in said.out
    assert contents(episode) == before


def test_two_repairs_at_once_do_not_meet(written: Written) -> None:
    episode = broken(written, written.file.read_bytes()[: written.ends[9]])
    with mcap_of(episode).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(EpisodeError, match="being recorded or repaired"):
            repair(episode)


def test_a_folder_is_repaired_episode_by_episode_and_foreign_things_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, cut, empty = (write(tmp_path, count=10) for _ in range(3))
    cut.file.write_bytes(cut.file.read_bytes()[: cut.ends[4]])
    shutil.rmtree(empty.path)
    empty.path.mkdir()
    foreign = tmp_path / "episode_000007"
    foreign.mkdir()
    (foreign / "run.mcap").write_bytes(b"something else")
    hers = tmp_path / "episode_000008"
    hers.mkdir()
    (hers / "notes.txt").write_text("mine")
    before = contents(whole.path)
    assert main(["repair", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "5 episodes: 1 whole, 1 repaired, 3 not repaired" in said.out
    assert "run.mcap is not an MCAP file" in said.err
    assert "episode_000008 is not an episode: it has no MCAP file, but notes.txt" in said.err
    assert contents(whole.path) == before
    assert len(read(cut.file)) == 5
    assert "episode_000002 has nothing that could be repaired: it has no MCAP file;" in said.err
    assert contents(empty.path) == {}
    assert contents(foreign) == {"run.mcap": b"something else"}
    assert contents(hers) == {"notes.txt": b"mine"}


def test_what_is_no_folder_of_episodes_is_an_error_of_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["repair", str(tmp_path / "nothing")]) == 2
    assert "no folder of episodes" in capsys.readouterr().err
