"""`./aloha episodes inspect`: pictures and one page of an episode, as much as there is of it."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from aloha_stack.analysis.camera_strip import DPI, PAPER
from aloha_stack.analysis.commander_band import COLOURS
from aloha_stack.episodes.cli import main
from aloha_stack.episodes.commanders import HUMAN, NOBODY, POLICY
from aloha_stack.episodes.metadata import pause_notes
from aloha_stack.episodes.reader import Episode
from analysis.page_reader import PageReader
from episodes.altered_episodes import altered, with_note
from episodes.player_states import ticks, with_player
from episodes.sample_episodes import START_NS, write_episode

DRAWN = ["joints", "rates", "agreement", "cameras"]


def inspect(path: Path, out: Path) -> PageReader:
    assert main(["inspect", str(path), "--out", str(out)]) == 0
    page = PageReader((out / "inspect.html").read_text())
    assert not page.open
    return page


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PageReader]:
    folder = tmp_path_factory.mktemp("inspected")
    out = folder / "out" / "deep"
    return out, inspect(write_episode(folder / "data", seconds=1.2), out)


def test_a_good_episode_is_drawn_and_its_page_needs_no_other_file(
    drawn: tuple[Path, PageReader],
) -> None:
    out, page = drawn
    for name in DRAWN:
        picture = cv2.imread(str(out / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
        assert picture is not None
        assert picture.shape[1] > 1000
        assert len(np.unique(picture)) > 20
    assert len(page.sources) == len(DRAWN)
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    for words in ("good", "transfer_cube", "/follower_left/command_executed", "late_share"):
        assert words in page.words


def test_a_rollout_s_band_has_the_colour_of_who_commanded(tmp_path: Path, capsys) -> None:
    said = ticks([(POLICY, 30), (HUMAN, 20), (NOBODY, 10)])
    path = with_player(write_episode(tmp_path / "a", seconds=1.2), tmp_path / "b", said)
    page = inspect(path, tmp_path / "out")
    assert "steps commanded by: human 20, policy 30, nobody 9" in capsys.readouterr().out
    assert "human 20, policy 30, nobody 9" in page.words
    for name in ("joints", "agreement"):
        picture = cv2.imread(str(tmp_path / "out" / f"{name}.png"))
        wide = {
            commander: int((picture == bgr(colour)).all(axis=2).sum(axis=1).max())
            for commander, colour in COLOURS.items()
        }  # of the longest row of each colour, px
        assert wide[POLICY] / wide[HUMAN] == pytest.approx(0.60 / 0.40, rel=0.05)
        assert wide[HUMAN] / wide[NOBODY] == pytest.approx(0.40 / 0.19, rel=0.05)


def test_a_demonstration_has_no_band(drawn: tuple[Path, PageReader]) -> None:
    picture = cv2.imread(str(drawn[0] / "joints.png"))
    for colour in COLOURS.values():
        assert (picture == bgr(colour)).all(axis=2).sum(axis=1).max() < 10


def bgr(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))[::-1]


def test_the_strip_shows_what_each_camera_saw_then(drawn: tuple[Path, PageReader]) -> None:
    """Picture n of the sample is uniformly of shade 2 n, on a white page."""
    picture = cv2.imread(str(drawn[0] / "cameras.png"), cv2.IMREAD_GRAYSCALE)
    shades, counts = np.unique(picture, return_counts=True)
    large = {int(shade) for shade, count in zip(shades, counts, strict=True) if count > 40_000}
    for shade in (round(n * 59 / 7) * 2 for n in range(8)):
        assert any(abs(shade - found) <= 2 for found in large)


def test_no_picture_stands_where_a_camera_took_none(tmp_path: Path) -> None:
    """Moments lie 0.17 s apart; cam_low has none from 0.3 to 0.9 s: at 0.34, 0.51, 0.67, 0.84."""

    def dead(record):
        gone = 0.3 < (record.publish_ns - START_NS) * 1e-9 < 0.9
        return None if gone and record.topic.startswith("/cam_low") else record

    path = altered(write_episode(tmp_path / "a", seconds=1.2), tmp_path / "b", dead)
    inspect(path, tmp_path / "out")
    picture = cv2.imread(str(tmp_path / "out/cameras.png"))
    blank = np.all(picture == tuple(bytes.fromhex(PAPER[1:]))[::-1], axis=2)
    left, width = 1.35 * DPI, 1.66 * DPI
    cells = [blank[:, round(left + n * width) :][:, : round(width)].mean() for n in range(8)]
    assert [n for n, share in enumerate(cells) if share > 0.1] == [2, 3, 4, 5]
    assert max(cells) < 0.25  # of one camera in four
    assert min(cells) == 0.0


def test_faults_and_pauses_are_on_the_page_and_all_words_are_text(tmp_path: Path) -> None:
    source = write_episode(tmp_path / "a", seconds=1.5)
    begin, end = START_NS + 500_000_000, START_NS + 700_000_000
    noted = with_note(Episode(source).info, **pause_notes([(begin, end)]))
    info = replace(noted, task="<script>alert(1)</script>")

    def change(record):
        if begin < record.publish_ns < end:
            return None
        late = record.publish_ns > START_NS + 1_000_000_000
        return None if late and record.topic.startswith("/cam_low") else record

    page = inspect(altered(source, tmp_path / "b", change, info=info), tmp_path / "out")
    assert "flawed" in page.words
    assert "/cam_low/image_raw/compressed has a gap of" in page.words
    assert "paused 0.20 s" in page.words
    assert "<script>alert(1)</script>" in page.words


def test_what_cannot_be_aligned_is_drawn_as_far_as_it_goes(tmp_path: Path) -> None:
    def blind(record):
        return None if record.topic.startswith(("/cam", "/follower_left")) else record

    path = altered(write_episode(tmp_path / "a"), tmp_path / "b", blind)
    page = inspect(path, tmp_path / "out")
    drawn = sorted(file.stem for file in (tmp_path / "out").glob("*.png"))
    assert drawn == ["joints", "rates"]
    assert "incomplete" in page.words


@pytest.mark.parametrize("make", ["nothing", "file", "damaged"])
def test_what_is_no_episode_is_named(
    tmp_path: Path, make: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "episode_000000"
    if make == "file":
        path.touch()
    elif make == "damaged":
        write_episode(tmp_path, seconds=0.1)
        next(path.glob("*.mcap")).write_bytes(b"?" * 99)
    assert main(["inspect", str(path), "--out", str(tmp_path / "out")]) == 2
    assert "episode_000000" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_episode(tmp_path, seconds=0.1)
    (tmp_path / "out").touch()
    assert main(["inspect", str(path), "--out", str(tmp_path / "out")]) == 2
    assert f"cannot write {tmp_path / 'out'}" in capsys.readouterr().err
