"""The board by real clicks and keys, shown views of robots that are well, ill and silent."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from python_qt_binding.QtCore import Qt
from python_qt_binding.QtTest import QTest

from aloha_stack.robot.joints import JOINTS
from rqt.conftest import BOUNDS
from rqt.sample_views import PLAYER, POLICY, RECORDER, recording, well
from rqt_aloha.banner import BAD, BUSY, OK, WARN, banner
from rqt_aloha.board import ANSWERS, Board
from rqt_aloha.views import (
    ArmView,
    ChunkView,
    HealthRow,
    Heard,
    PictureView,
    SafetyView,
    SideView,
    TeleopView,
    View,
)
from rqt_aloha.widgets_joints import JointTable

STOPPED = Heard(SafetyView(True, "/e_stop was called", ("follower_left",)))
Until = Callable[[Callable[[], Any], str], None]


def click(widget: Any) -> None:
    QTest.mouseClick(widget, Qt.LeftButton)


def noted(signal: Any) -> list[Any]:
    """What a signal tells from now on."""
    told: list[Any] = []
    signal.connect(lambda *values: told.append(values))
    return told


# ---- the e-stop


def test_the_e_stop_acts_when_the_button_goes_down(board: Board) -> None:
    told = noted(board.top.e_stop)
    QTest.mousePress(board.top.stop_button, Qt.LeftButton)
    assert len(told) == 1
    QTest.mouseRelease(board.top.stop_button, Qt.LeftButton)
    assert len(told) == 1


@pytest.mark.parametrize("key", [Qt.Key_Escape, Qt.Key_E])
def test_keys_stop_too_and_escape_even_while_somebody_types(board: Board, key: int) -> None:
    told = noted(board.top.e_stop)
    QTest.keyClick(board, key)
    assert len(told) == 1
    click(board.recorder.task)
    QTest.keyClick(board.recorder.task, key)
    assert len(told) == (2 if key == Qt.Key_Escape else 1)


def test_the_e_stop_can_be_pressed_whatever_is_silent(board: Board) -> None:
    board.show_view(View())
    assert board.top.stop_button.isEnabled()
    assert board.top.stop_button.isVisible()


def test_the_reset_asks_again_and_only_while_stopped(board: Board) -> None:
    told = noted(board.top.reset)
    board.show_view(well())
    click(board.top.reset_button)
    assert not told
    board.show_view(well(safety=STOPPED))
    click(board.top.reset_button)
    assert not told
    assert "again" in board.top.reset_button.text()
    click(board.top.reset_button)
    assert len(told) == 1


def test_the_question_of_a_reset_is_forgotten_when_the_stop_ends(board: Board) -> None:
    told = noted(board.top.reset)
    board.show_view(well(safety=STOPPED))
    click(board.top.reset_button)
    board.show_view(well())
    board.show_view(well(safety=STOPPED))
    click(board.top.reset_button)
    assert not told


# ---- the recorder


def test_space_begins_and_keeps_an_episode(board: Board) -> None:
    begun, ended = noted(board.recorder.start), noted(board.recorder.stop)
    board.show_view(well())
    QTest.keyClicks(board.recorder.task, "cube")
    QTest.keyClicks(board.recorder.labels, "demo, left")
    QTest.keyClick(board, Qt.Key_Space)
    assert begun == [("cube", "demo, left")]
    board.show_view(recording())
    QTest.keyClick(board, Qt.Key_Space)
    assert ended == [("/eps/episode_000001", "success")]
    assert begun == [("cube", "demo, left")]


def test_a_space_in_a_field_is_a_space(board: Board) -> None:
    begun = noted(board.recorder.start)
    board.show_view(well())
    click(board.recorder.task)
    QTest.keyClicks(board.recorder.task, "a b")
    assert board.recorder.task.text() == "a b"
    assert not begun


def test_buttons_of_the_recorder_name_the_episode(board: Board) -> None:
    told = {name: noted(getattr(board.recorder, name)) for name in ("stop", "pause", "resume")}
    labelled, aside = noted(board.recorder.relabel), noted(board.recorder.set_aside)
    board.show_view(recording())
    click(board.recorder.failure_button)
    click(board.recorder.stop_button)
    assert told["stop"] == [("/eps/episode_000001", "failure"), ("/eps/episode_000001", "")]
    click(board.recorder.pause_button)
    board.show_view(recording(state="PAUSED"))
    click(board.recorder.pause_button)
    assert (len(told["pause"]), len(told["resume"])) == (1, 1)
    board.show_view(well())
    click(board.recorder.label_buttons["failure"])
    assert labelled == [("/eps/episode_000000", "failure")]
    click(board.recorder.aside_button)
    assert not aside
    click(board.recorder.aside_button)
    assert len(aside) == 1


def test_a_discard_is_never_of_an_episode_that_came_meanwhile(board: Board) -> None:
    told = noted(board.recorder.discard)
    board.show_view(recording())
    click(board.recorder.discard_button)
    board.show_view(recording(path="/eps/episode_000002"))
    click(board.recorder.discard_button)
    assert not told
    click(board.recorder.discard_button)
    assert told == [("/eps/episode_000002",)]


def test_the_recorder_shows_time_losses_disk_and_who_is_silent(board: Board) -> None:
    board.show_view(recording(lost=3, free_gib=2.5, silent=("/cam_low/image",), messages=12))
    panel = board.recorder
    assert panel.elapsed.text() == "1:01.2"
    assert panel.figures.text() == "12 messages, 3 lost, 2.5 GiB free"
    assert "/cam_low/image" in panel.words.text()


# ---- silence


def test_what_is_silent_shows_no_old_value(board: Board) -> None:
    board.show_view(well(player=Heard(PLAYER), policy=Heard(POLICY)))
    assert board.joints.tables["left"].texts()[1] == ["-0.200", "-0.200", "-0.200", "+0.000"]
    assert board.policy.values["tick rate"].text() == "50.0 Hz"
    gone: Heard[Any] = Heard(None, "silent for 4 s")
    silent = well(
        arms=dict.fromkeys(well().arms, gone),
        sides={"left": SideView(gone, gone, gone), "right": SideView(gone, gone, gone)},
        pictures={"cam_high": gone, "cam_low": gone},
        recorder=gone,
        policy=gone,
        player=gone,
    )
    board.show_view(silent)
    assert board.joints.tables["left"].texts() == [["–"] * 4] * 7
    assert board.joints.modes["left"]["follower"].text() == "follower_left: silent for 4 s"
    assert board.cameras.pictures["cam_high"].heard == gone
    assert board.recorder.state.text() == "recorder: silent for 4 s"
    assert board.recorder.elapsed.text() == ""
    assert not board.recorder.start_button.isEnabled()
    shown = {name: one.text() for name, one in board.policy.values.items()}
    assert shown["policy"] == shown["player"] == "silent for 4 s"
    assert {shown[n] for n in ("tick rate", "inference", "chunk age", "counts")} == {"–"}


def test_a_board_that_is_shown_nothing_new_says_so(board: Board, until: Until) -> None:
    board.show_view(well())
    until(lambda: "HEARS NOTHING" in board.top.title, "the board notices")
    assert board.joints.tables["left"].texts() == [["–"] * 4] * 7
    assert board.top.stop_button.isEnabled()
    board.show_view(well())
    assert board.top.title == "TELEOPERATION: ENGAGED"


def test_a_status_that_fell_silent_or_is_gone_loses_its_words(board: Board) -> None:
    parts = (HealthRow("arm: bridge", "ok", "all is well"), HealthRow("arm: waist", "ok", "fine"))
    board.show_view(well(health=parts))
    assert board.health.line("arm") == ("ok", "2 parts are well")
    stale = HealthRow("arm: bridge", "stale", "silent for 9 s")
    board.show_view(well(health=(stale, parts[1])))
    assert board.health.line("arm: bridge") == ("stale", "silent for 9 s")
    assert board.health.line("arm") == ("stale", "bridge: silent for 9 s")
    board.show_view(well(health=()))
    assert board.health.tree.topLevelItemCount() == 0


# ---- who commands


def holding(reason: str) -> dict[str, Heard[ArmView]]:
    return {"follower_left": Heard(ArmView("HOLDING", reason, True, 100.0, 0.0))}


@pytest.mark.parametrize(
    ("view", "level", "title", "words"),
    [
        (View(), BAD, "SAFETY NODE: missing", "heartbeat"),
        (well(safety=STOPPED), BAD, "E-STOPPED", "follower_left"),
        (well(), BUSY, "TELEOPERATION: ENGAGED", ""),
        (well(player=Heard(PLAYER)), BUSY, "POLICY COMMANDS", "playing"),
        (
            well(player=Heard(replace(PLAYER, commander="OPERATOR", state="HUMAN"))),
            *(BUSY, "HUMAN COMMANDS", ""),
        ),
        (
            well(player=Heard(replace(PLAYER, state="HOLDING", reason="no chunk"))),
            *(WARN, "POLICY COMMANDS", "no chunk"),
        ),
        (well(commander=Heard("replay")), BUSY, "REPLAY COMMANDS", ""),
        (
            well(arms={"follower_left": Heard(ArmView("FAULT", "hot", True, 100.0, 0.0))}),
            *(WARN, "TELEOPERATION: ENGAGED", "follower_left: FAULT hot"),
        ),
        (
            well(teleop=Heard(TeleopView("WAITING", "")), arms=holding("late")),
            *(OK, "TELEOPERATION: WAITING", ""),
        ),
        (
            well(teleop=Heard(TeleopView("WAITING", "")), arms=holding("the bus is silent")),
            *(WARN, "TELEOPERATION: WAITING", "follower_left: HOLDING the bus is silent"),
        ),
        (well(arms=holding("late")), WARN, "TELEOPERATION: ENGAGED", "HOLDING late"),
        (well(arms={"leader_left": Heard()}), WARN, "TELEOPERATION", "leader_left: missing"),
    ],
)
def test_the_banner_says_who_commands_and_what_is_wrong(
    view: View, level: str, title: str, words: str
) -> None:
    told = banner(view)
    assert told.level == level
    assert told.title.startswith(title)
    assert words in " ".join(told.details)


# ---- rollouts, pictures, memory


def test_buttons_of_a_rollout(board: Board) -> None:
    panel = board.policy
    begun, ended = noted(panel.rollout), noted(panel.end)
    taken, given = noted(panel.takeover), noted(panel.release)
    idle = well(player=Heard(replace(PLAYER, state="IDLE", commander="NOBODY")))
    board.show_view(idle)
    QTest.keyClicks(panel.checkpoint, "models/cube")
    click(panel.record)
    click(panel.start_button)
    assert begun == [("models/cube", panel.record.isChecked())]
    board.show_view(well(player=Heard(PLAYER)))
    click(panel.start_button)
    click(panel.end_button)
    QTest.keyClick(board, Qt.Key_T)
    QTest.keyClick(board, Qt.Key_G)
    assert (len(begun), len(ended), len(taken), len(given)) == (1, 1, 1, 0)
    board.show_view(well(player=Heard(replace(PLAYER, state="HUMAN", commander="OPERATOR"))))
    QTest.keyClick(board, Qt.Key_G)
    assert len(given) == 1


def test_everything_can_be_painted_and_a_stale_chunk_is_not(board: Board) -> None:
    rows = tuple((0.1 * k,) * 7 for k in range(100))
    chunk = ChunkView(tuple(0.02 * k for k in range(100)), {"left": rows, "right": rows})
    board.show_view(well(chunk=Heard(chunk), player=Heard(PLAYER)))
    with_chunk = board.policy.plot.grab().toImage()
    board.show_view(well(chunk=Heard(None, "silent for 2 s"), player=Heard(PLAYER)))
    assert board.policy.plot.grab().toImage() != with_chunk
    assert board.grab().width() == board.width()


def test_a_picture_is_painted_and_its_absence_instead_of_it(board: Board) -> None:
    picture = well().pictures["cam_high"].value
    assert picture is not None
    red = picture.image.copy()
    red.fill(Qt.red)
    camera = board.cameras.pictures["cam_high"]
    board.show_view(well(pictures={"cam_high": Heard(PictureView(red, 2))}))
    middle = camera.rect().center()
    assert camera.grab().toImage().pixelColor(middle).red() > 200
    board.show_view(well(pictures={"cam_high": Heard(None, "silent for 2 s")}))
    assert camera.grab().toImage().pixelColor(5, camera.height() - 5).red() < 50


def test_no_joint_is_painted_outside_of_its_limits(application: Any) -> None:
    table = JointTable(JOINTS, BOUNDS["left"])
    far = Heard((9.0, -9.0, 3.0, -3.0, 0.0, 1e9, -1e9))
    table.show_side(SideView(far, far, far))
    assert table.grab().width() == table.width()


def test_answers_do_not_grow_without_end(board: Board) -> None:
    for count in range(3 * ANSWERS):
        board.show_told(f"answer {count}")
    assert board.answers.lines.blockCount() == ANSWERS


def test_the_panel_knows_the_last_episode(board: Board) -> None:
    board.show_view(well(recorder=Heard(replace(RECORDER, last_outcome=""))))
    assert board.recorder.last.text() == "1 kept; last episode_000000: no outcome"
