"""What a launch says at its end of what was recorded in it."""

import os
import sys
from pathlib import Path

import pytest

from aloha_stack.launch.evaluate import make_plan
from aloha_stack.launch.packages import find_launch_file
from aloha_stack.launch.session_report import SessionReport

SOURCE = str(Path(__file__).resolve().parents[2] / "src")


def session(name: str, folder: Path) -> SessionReport:
    given = {"directory": str(folder)} if name != "robot" else {"robot": "aloha"}
    return SessionReport(make_plan(find_launch_file(name), given, os.environ))


@pytest.mark.parametrize("name", ["teleop_record", "rollout"])
def test_the_command_is_said_for_the_episodes_of_this_session(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "episodes"
    (folder / "episode_000000").mkdir(parents=True)
    report = session(name, folder)
    report.tell({}, make=False)
    assert capsys.readouterr().out == ""
    for number in (1, 2):
        (folder / f"episode_00000{number}").mkdir()
    report.tell({}, make=False)
    told = capsys.readouterr().out
    assert told == f"launch: 2 episodes recorded: ./aloha report {folder} --last 2\n"


def test_a_session_that_records_nothing_has_nothing_to_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session("robot", tmp_path).tell({}, make=True)
    session("rollout", tmp_path / "none").tell({}, make=True)
    assert capsys.readouterr().out == ""


def test_where_a_person_is_there_the_page_is_made_by_a_process_of_its_own(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    report = session("rollout", tmp_path)
    (tmp_path / "episode_000003").mkdir()
    report.tell({**os.environ, "PYTHONPATH": SOURCE}, make=True)
    (page,) = tmp_path.glob("report_*.html")
    assert "episode_000003" in page.read_text()
    assert str(page) in capfd.readouterr().out


def test_where_the_page_cannot_be_made_the_command_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    report = session("rollout", tmp_path)
    (tmp_path / "episode_000003").mkdir()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    report.tell({}, make=True)
    assert f"1 episode recorded: ./aloha report {tmp_path} --last 1" in capfd.readouterr().out
