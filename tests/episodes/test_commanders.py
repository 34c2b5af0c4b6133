"""Who commanded at each step of an episode, from what the chunk player said."""

from pathlib import Path

import numpy as np
import pytest
from aloha_interfaces.msg import PlayerState
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.episodes.alignment import AlignmentSettings, align
from aloha_stack.episodes.cli import main
from aloha_stack.episodes.commanders import (
    COMMANDERS,
    HUMAN,
    IDLE,
    NOBODY,
    POLICY,
    SILENT_NS,
    counted,
    in_words,
    latest,
)
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.summary import summarise
from episodes.player_states import STAGES, TICK_NS, TOPIC, player_bytes, ticks, with_player
from episodes.sample_episodes import START_NS, write_episode

CODE = st.sampled_from([NOBODY, POLICY, HUMAN])


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_episode(tmp_path_factory.mktemp("plain"), seconds=1.2)


def commanders(path: Path, settings: AlignmentSettings | None = None) -> list[int]:
    return align(Episode(path), settings).commander.tolist()


def test_codes_are_those_of_the_player() -> None:
    assert (NOBODY, POLICY, HUMAN) == (PlayerState.NOBODY, PlayerState.POLICY, PlayerState.OPERATOR)
    assert IDLE == PlayerState.IDLE
    assert len(COMMANDERS) == 3


def test_a_demonstration_is_a_humans_all_through(plain: Path, tmp_path: Path) -> None:
    aligned = align(Episode(plain))
    assert aligned.commander.dtype == np.uint8
    assert set(aligned.commander.tolist()) == {HUMAN}
    idle = [(at, player_bytes(at, NOBODY, IDLE)) for at in (START_NS, START_NS + 500_000_000)]
    beside = with_player(plain, tmp_path, idle)  # a player runs, but nobody asked it for anything
    assert set(commanders(beside)) == {HUMAN}
    summary = summarise(beside)
    assert summary.commanded == {"human": summary.steps}
    assert summary.human_share is None


def test_each_step_has_the_commander_of_its_tick(plain: Path, tmp_path: Path) -> None:
    parts = [(POLICY, 20), (NOBODY, 10), (HUMAN, 15), (NOBODY, 5), (POLICY, 10)]
    path = with_player(plain, tmp_path, ticks(parts))
    expected = [commander for commander, count in parts for _ in range(count)][:-1]
    assert commanders(path) == expected  # the last step's action was not recorded
    summary = summarise(path)
    assert summary.commanded == {"nobody": 15, "policy": 29, "human": 15}
    assert summary.human_share == pytest.approx(15 / 59)


@given(late_ns=st.integers(2_000, TICK_NS - 2_000), parts=st.lists(CODE, min_size=1))
def test_between_ticks_the_latest_counts_and_never_the_next(late_ns: int, parts: list[int]) -> None:
    """A tick some ms after each step, which is the following step's."""
    steps = START_NS + TICK_NS * np.arange(len(parts) + 1)
    said = np.array([[STAGES[commander], commander] for commander in parts])
    assert latest(steps[:-1] + late_ns, said, steps).tolist() == [NOBODY, *parts]
    assert latest(steps[:-1] - late_ns, said, steps).tolist() == [*parts, parts[-1]]


def test_before_the_first_word_and_after_a_player_is_gone_nobody_commands() -> None:
    stamps = START_NS + TICK_NS * np.arange(3)
    said = np.full((3, 2), (STAGES[POLICY], POLICY))
    times = [stamps[0] - 5_000, stamps[-1] + SILENT_NS, stamps[-1] + SILENT_NS + 1]
    assert latest(stamps, said, np.array(times)).tolist() == [NOBODY, POLICY, NOBODY]


def test_at_the_end_of_a_rollout_nobody_commands(plain: Path, tmp_path: Path) -> None:
    said = ticks([(POLICY, 30)])
    said.append((said[-1][0] + TICK_NS, player_bytes(said[-1][0] + TICK_NS, NOBODY, IDLE)))
    assert commanders(with_player(plain, tmp_path, said)) == [POLICY] * 30 + [NOBODY] * 29


def test_words_of_any_length_and_ticks_in_any_order_are_read(plain: Path, tmp_path: Path) -> None:
    said = ticks([(POLICY, 30), (HUMAN, 30)])
    at = said[40][0]
    said[40] = (at, player_bytes(at, HUMAN, reason="elbow " * 1000))
    path = with_player(plain, tmp_path, [*said[30:], *said[:30]])
    assert commanders(path) == [POLICY] * 30 + [HUMAN] * 29


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (player_bytes(START_NS, POLICY)[:14], "fit its type"),
        (b"nonsense", "fit its type"),
        (player_bytes(START_NS, POLICY)[:18] + b"\x09", "9 commands"),
    ],
)
def test_what_no_player_says_is_named(plain: Path, tmp_path: Path, data: bytes, words: str) -> None:
    path = with_player(plain, tmp_path, [(START_NS, data)])
    with pytest.raises(EpisodeError, match=f"{TOPIC}.* {words}"):
        align(Episode(path))


def test_steps_are_counted_by_name() -> None:
    counts = counted(np.array([HUMAN, POLICY, POLICY], np.uint8))
    assert counts == {"policy": 2, "human": 1}
    assert in_words(counts) == "human 1, policy 2"


def test_the_list_tells_the_human_s_share_of_a_rollout(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_player(plain, tmp_path, ticks([(POLICY, 30), (HUMAN, 15), (POLICY, 15)]))
    main(["list", str(tmp_path)])
    titles, _, row, *_ = capsys.readouterr().out.splitlines()
    assert row[titles.index("human") :].split()[0] == "25%"
    main(["list", str(plain.parent)])
    titles, _, row, *_ = capsys.readouterr().out.splitlines()
    assert row[titles.index("human") :].split()[0] == "-"
