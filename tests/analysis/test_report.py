"""`./aloha report`: a session on one page, with every episode on it, whatever state it is in."""

import base64
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloha_stack.analysis.commander_band import COLOURS
from aloha_stack.analysis.joint_panels import NEAR, POINTS, kept_points, path_data
from aloha_stack.analysis.report_episode import TILE
from aloha_stack.analysis.reporting import main
from aloha_stack.episodes.commanders import HUMAN, POLICY
from aloha_stack.episodes.metadata import EpisodeInfo
from aloha_stack.robot.version import software
from analysis.page_reader import PageReader
from episodes.player_states import ticks, with_player
from episodes.sample_episodes import write_episode

PER_EPISODE = 150_000
NASTY = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A success, a failure, a rollout, a damaged one and one without anything; one discarded."""
    folder = tmp_path_factory.mktemp("reported") / "episodes"
    write_episode(folder, 0.6)
    write_episode(folder, 0.2, EpisodeInfo(task=NASTY, labels=(NASTY,)), outcome="failure")
    said = ticks([(POLICY, 20), (HUMAN, 10)])
    rollout = with_player(folder / "episode_000000", folder.parent / "rollout", said)
    shutil.move(rollout, folder / "episode_000002")
    shutil.copytree(folder / "episode_000001", folder / "episode_000003")
    next((folder / "episode_000003").glob("*.mcap")).write_bytes(b"?" * 99)
    (folder / "episode_000004").mkdir()
    shutil.copytree(folder / "episode_000001", folder / "discarded" / "episode_000005")
    return folder


def written(folder: Path, *more: str) -> Path:
    if "--out" in more:
        return Path(more[more.index("--out") + 1])
    one = folder.name.startswith("episode_0")
    return folder.with_suffix(".html") if one else folder / "report.html"


def report(folder: Path, *more: str) -> PageReader:
    assert main([str(folder), *more]) == 0
    page = PageReader(written(folder, *more).read_text())
    assert not page.open
    return page


@pytest.fixture(scope="module")
def page(session: Path) -> PageReader:
    return report(session)


def test_a_page_needs_nothing_outside_of_it_and_is_small(session: Path, page: PageReader) -> None:
    assert all(source.startswith(("data:image/jpeg;base64,", "#")) for source in page.sources)
    assert (session / "report.html").stat().st_size < 5 * PER_EPISODE
    text = (session / "report.html").read_text()
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert "://" not in text


def test_every_episode_is_on_it_in_the_table_and_as_a_part_of_its_own(page: PageReader) -> None:
    for number in range(5):
        name = f"episode_{number:06d}"
        assert page.words.count(name) >= 2
        assert f"#{name}" in page.sources
        assert name in page.ids
    assert "2 damaged" in page.words
    assert "no metadata.yaml" in page.words
    assert f"written by{software()}" in page.words


def test_successes_are_counted_by_kind_with_how_sure_they_are(page: PageReader) -> None:
    assert "demonstrations of transfer_cube1 of 1 succeeded (100 %; 95 % interval 21" in page.words
    assert f"demonstrations of {NASTY}0 of 1 succeeded (0 %; 95 % interval 0 to 79" in page.words
    assert "rollouts of transfer_cube1 of 1 succeeded" in page.words
    assert "discarded1" in page.words


def test_joints_are_drawn_and_who_commanded(session: Path) -> None:
    page = report(session / "episode_000002")
    assert {kind: page.kinds.count(kind) for kind in ("leader", "command", "follower")} == {
        "leader": 14 + 1,  # and in the legend
        "command": 14 + 1,
        "follower": 14 + 1,
    }
    text = written(session / "episode_000002").read_text()
    for code, count in ((POLICY, 14 + 1), (HUMAN, 14 + 1)):
        assert text.count(f'fill="{COLOURS[code]}"') == count


def test_pictures_are_those_of_each_camera_at_its_moments(session: Path) -> None:
    """Picture n of the sample is uniformly of shade 2 n."""
    page = report(session / "episode_000000")
    jpegs = [source.partition(",")[2] for source in page.sources if source.startswith("data:")]
    seen = [cv2.imdecode(np.frombuffer(base64.b64decode(j), np.uint8), 0) for j in jpegs]
    assert {picture.shape[1] for picture in seen} == {TILE}
    shades = np.array([picture.mean() for picture in seen]).reshape(4, 5)
    assert shades == pytest.approx(np.tile([0, 14, 28, 44, 58], (4, 1)), abs=3)


def test_only_the_last_ones_where_so_many_are_asked_for(session: Path, tmp_path: Path) -> None:
    page = report(session, "--last", "2", "--out", str(tmp_path / "new" / "last.html"))
    assert [name for name in page.ids if name] == ["episode_000003", "episode_000004"]
    assert "left out3 older ones" in page.words


def test_a_folder_without_episodes_is_said_to_be_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_episode(tmp_path / "rollouts", 0.1)
    page = report(tmp_path)
    assert "none in this folder" in page.words
    assert "in its folders rollouts" in page.words
    assert f"no episodes in {tmp_path}; there are some in its rollouts" in capsys.readouterr().out


def test_what_cannot_be_read_or_written_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none")]) == 2
    assert f"no folder of episodes at {tmp_path / 'none'}" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main([str(tmp_path), "--out", str(tmp_path / "file" / "page.html")]) == 2
    assert f"cannot write {tmp_path / 'file'}" in capsys.readouterr().err


@settings(max_examples=40)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=40), st.integers(1, 20))
def test_a_drawn_line_is_near_all_samples(levels: list[float], each: int) -> None:
    y = np.repeat(levels, each) + np.sin(np.arange(len(levels) * each))
    x = np.arange(len(y), dtype=float)
    kept = kept_points(x, y)
    assert len(kept) <= POINTS
    assert kept[0] == 0
    assert kept[-1] == len(y) - 1
    if len(kept) < POINTS // 2:
        assert np.abs(np.interp(x, x[kept], y[kept]) - y).max() <= NEAR + 1e-9


def test_a_sample_that_is_no_number_breaks_the_line(tmp_path: Path) -> None:
    x, y = np.arange(5.0), np.array([1.0, np.nan, 3.0, 4.0, np.inf])
    assert path_data(x, y) == "M0 1M2 3l1 1"
