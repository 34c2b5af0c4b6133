"""Board and link put together: what rqt's plugin and the stand-alone window both show."""

from python_qt_binding.QtCore import QObject

from aloha_stack.robot.description import Robot, load_unopened_robot
from aloha_stack.robot.joints import JOINTS, side_of
from rqt_aloha.board import Board
from rqt_aloha.failures import stop_telling, tell_failures
from rqt_aloha.link import Link
from rqt_aloha.views import Bounds


class Desk(QObject):
    """The board of a robot, alive until close(). RobotConfigError, a ValueError, names the file."""

    def __init__(self, robot: str) -> None:
        super().__init__()
        described = load_unopened_robot(robot)
        self.board = Board(JOINTS, side_bounds(described), tuple(described.cameras))
        self.link = Link(described)
        self.link.news.connect(self._show)
        self.link.told.connect(self.board.show_told)
        self.board.watched.connect(self.link.watch)
        self._wire()
        tell_failures(self.board.show_told)

    def close(self) -> None:
        """Ends what is not Qt's."""
        stop_telling(self.board.show_told)
        self.link.close()

    def _show(self) -> None:
        view = self.link.take()
        if view is not None:
            self.board.show_view(view)

    def _wire(self) -> None:
        board, ask = self.board, self.link.asking
        board.top.e_stop.connect(self._e_stop)
        board.top.reset.connect(lambda: ask.ask("/e_stop_reset"))
        recorder = board.recorder
        recorder.start.connect(self._record)
        recorder.pause.connect(lambda: ask.ask("/recorder/pause"))
        recorder.resume.connect(lambda: ask.ask("/recorder/resume"))
        recorder.stop.connect(lambda path, outcome: ask.stop(path, outcome))
        recorder.discard.connect(lambda path: ask.stop(path, discard=True))
        recorder.relabel.connect(self._label)
        recorder.set_aside.connect(lambda: ask.ask("/recorder/discard_last"))
        policy = board.policy
        policy.rollout.connect(ask.roll_out)
        policy.end.connect(ask.end_rollout)
        policy.takeover.connect(lambda: ask.ask("/chunk_player/takeover"))
        policy.release.connect(lambda: ask.ask("/chunk_player/release"))

    def _e_stop(self) -> None:
        self.board.show_told("E-STOP asked for")
        self.link.asking.e_stop()

    def _record(self, task: str, labels: str) -> None:
        safety = self.board.view.safety.value
        if safety is not None and safety.e_stopped:
            self.board.show_told("not recorded: the e-stop is in force; reset it first")
            return
        self.link.asking.record(task, self._labels(labels))

    def _label(self, path: str, outcome: str) -> None:
        labels = self._labels(self.board.recorder.labels.text())
        self.link.asking.label(outcome, labels, path)

    @staticmethod
    def _labels(text: str) -> list[str]:
        return [label.strip() for label in text.split(",") if label.strip()]


def side_bounds(robot: Robot) -> dict[str, Bounds]:
    """The followers' limits, by side."""
    return {
        side_of(arm.name): Bounds(
            tuple(arm.limits.lower.tolist()), tuple(arm.limits.upper.tolist())
        )
        for arm in robot.followers
    }
