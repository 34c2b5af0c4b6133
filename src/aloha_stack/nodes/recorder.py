"""The recorder: joint streams, executed commands and pictures of a robot into episodes.

It listens from its activation on, so that a recording starts with the next message, and it never
decodes one. A goal that cannot be met is accepted and aborted at once: only a result carries words.
A recording is watched by a thread of the recorder, whoever asked for it: a goal, or the grippers.
"""

import json
import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from aloha_interfaces.action import RecordEpisode
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.folder import check_folder
from aloha_stack.episodes.metadata import EpisodeInfo
from aloha_stack.episodes.recording import INTERRUPTED, Ending, Recording
from aloha_stack.episodes.streams import robot_streams
from aloha_stack.episodes.writer import EpisodeWriter
from aloha_stack.nodes._chosen_cameras import with_chosen_cameras
from aloha_stack.nodes._executor import LeanExecutor
from aloha_stack.nodes._node import ManagedNode, logged, run
from aloha_stack.nodes._parameters import declare
from aloha_stack.nodes._recorder_grippers import GripperControl
from aloha_stack.nodes._recorder_kept import KeptEpisodes
from aloha_stack.nodes._recorder_requests import Requests
from aloha_stack.nodes._recorder_take import Take, Wanted, words
from aloha_stack.nodes._recorder_taps import Taps
from aloha_stack.nodes._recorder_watch import Watch, WatchSettings
from aloha_stack.nodes._recorder_world import seed_of_episode
from aloha_stack.robot.description import load_robot

FEEDBACK_S = 0.2
CLOSING_S = 4.0
"""Steady time in which an episode has to be closed when the node ends (5 s are allowed to it)."""


class Recorder(ManagedNode):
    """See the module."""

    def __init__(self, **options: Any) -> None:
        super().__init__("recorder", **options)
        name = declare(self, "robot", "aloha", "robot to record: a name in config/robots or a file")
        cameras = declare(
            self, "cameras", True, "record the robot's cameras; no recording starts without them"
        )
        directory = declare(self, "directory", "~/aloha/episodes", "folder that takes the episodes")
        self._min_free_gib = declare(
            self, "min_free_gib", 1.0, "no recording starts below so much space, GiB", (0.0, 1e6)
        )
        self._timeout_s = declare(
            self,
            "stream_timeout",
            1.0,
            "a required stream that was silent for longer (s, steady) refuses a recording",
            (0.05, 60.0),
        )
        by_grippers = declare(
            self,
            "start_on_engage",
            False,
            "engaging teleoperation (closing the leader grippers) begins an episode",
        )
        stop_hold_s = declare(
            self,
            "stop_hold",
            2.0,
            "with start_on_engage: s for which both leader grippers are held closed to end an "
            "episode and disengage, so that closing them anew begins the next; 0: never",
            (0.0, 60.0),
        )
        task = declare(self, "task", "", "task of the episodes that the grippers begin")
        described = ParameterDescriptor(
            description="more topics: /NAME, /NAME:package/msg/Type or that with :best_effort",
            read_only=True,
        )
        extra = self.declare_parameter("extra_topics", [""], described).value
        self._directory = Path(directory).expanduser().absolute()
        self._robot = with_chosen_cameras(self, load_robot(name))
        self._cameras = {c.name: c.topic for c in self._robot.cameras.values()} if cameras else {}
        streams = robot_streams(self._robot, [text for text in extra if text], cameras)
        self.taps = Taps(self, streams, self.time.now_ns)
        self.episodes = KeptEpisodes(self._directory)
        self.take: Take | None = None
        self._folder_fault = ""
        self._beginning = threading.Lock()
        grippers = GripperControl(self._robot, self.taps, stop_hold_s) if by_grippers else None
        settings = WatchSettings(self._directory, self._min_free_gib, self._timeout_s, task)
        self._watch = Watch(self, settings, grippers)
        group = ReentrantCallbackGroup()
        self._action = ActionServer(
            self,
            RecordEpisode,
            "~/record_episode",
            self._record,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=group,
        )
        self._requests = Requests(self, group)
        self._leaving = threading.Event()
        self._watcher = self.start_thread(self._run_watch, "watch")

    # -- life -------------------------------------------------------------------------------

    @logged
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._folder_fault = ""
        self._check_folder()
        return super().on_configure(state)

    @logged
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.taps.open()
        if self._check_folder():
            self.get_logger().info(
                f"ready to record {len(self.taps.all)} topics into {self._directory}"
            )
        return super().on_activate(state)

    @logged
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        until_s = time.monotonic() + CLOSING_S
        take = self.settled_take(CLOSING_S)
        if take is not None:
            self.end(take, Ending(INTERRUPTED, problem="the recorder was deactivated"))
            if not take.over.wait(max(0.0, until_s - time.monotonic())):
                path = take.recording.path
                self.get_logger().error(f"{path} could not be closed in {CLOSING_S} s")
        self.taps.close()
        return super().on_deactivate(state)

    def close(self) -> None:
        super().close()
        self._leaving.set()
        self._watcher.join()

    def _check_folder(self) -> bool:
        """Whether the folder takes episodes. Why not is said once, until the reason changes."""
        try:
            check_folder(self._directory, self._min_free_gib)
        except EpisodeError as error:
            said, self._folder_fault = self._folder_fault, str(error)
            if self._folder_fault != said:
                self.get_logger().error(f"no recording will start: {error}")
            return False
        self._folder_fault = ""
        return True

    def _run_watch(self) -> None:
        while not self._leaving.is_set():
            pause_s = self._watch.look()
            take = self.take
            if take is None:
                self._leaving.wait(pause_s)
            else:
                take.recording.wait(pause_s)

    # -- beginning and ending ---------------------------------------------------------------

    def begin(self, wanted: Wanted) -> Take | str:
        """Starts a recording; why not, if that is not possible now."""
        with self._beginning:
            begun = self.refusal(wanted) or self._begin(wanted)
        if isinstance(begun, str):
            self.get_logger().error(f"recording refused: {begun}")
            self._watch.refused(begun)
        return begun

    def refusal(self, wanted: Wanted) -> str:
        """Why no recording can start now; empty if one can."""
        if self.state != "active":
            return f"the recorder is {self.state}; activate it first"
        if self.take is not None:
            name = self.take.recording.path.name
            return f"{name} is being recorded; stop it first (/recorder/stop)"
        silent = self.taps.silent(self._timeout_s)
        if silent:
            return (
                f"nothing was received for {self._timeout_s:g} s on {', '.join(silent)}; check "
                "that the bridges and cameras are running and active"
            )
        try:
            check_folder(self._directory, self._min_free_gib)
        except EpisodeError as error:
            return str(error)
        return self._watch.room().shortage(wanted.duration_s)

    def _begin(self, wanted: Wanted) -> Take | str:
        info = EpisodeInfo(
            task=wanted.task,
            seed=seed_of_episode(wanted.seed, self.taps),
            labels=wanted.labels,
            robot=self._robot.name,
            notes={
                "recorded_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                "cameras": json.dumps(self._cameras),
            },
        )
        try:
            writer = EpisodeWriter(self._directory, self.taps.topics(), info)
            if self.state != "active":  # the disk took its time, and nobody listens any more
                writer.discard()
                return f"the recorder is {self.state}; activate it first"
        except OSError as error:
            return f"no episode can be made in {self._directory}: {error}; check the disk"
        now_ns = self.time.now_ns()
        take = Take(wanted, Recording(writer, now_ns))
        for tap in self.taps.all:
            tap.heard_ns = tap.stamp_ns = now_ns
        self._watch.began()
        self.take, self.taps.recording = take, take.recording
        self.get_logger().info(f"recording {take.recording.path}")
        return take

    def end(self, take: Take, ending: Ending) -> bool:
        """Asks for the end of the recording; False if it is ending already."""
        return take.recording.end(ending, self.time.now_ns())

    def settled_take(self, timeout_s: float = -1.0) -> Take | None:
        """The recording that is on, also one that is just being started: that is waited for, but
        no longer than `timeout_s` of steady time unless that is -1."""
        settled = self._beginning.acquire(timeout=timeout_s)
        try:
            return self.take
        finally:
            if settled:
                self._beginning.release()

    def conclude(self, take: Take) -> None:
        """The recording is closed: the next may begin."""
        kept = take.recording.wait(0)
        assert kept is not None
        take.recording.timeline.end(self.time.now_ns())  # if its writer has ended it
        if kept.path is not None:
            self.episodes.add(kept.path, kept.outcome)
        self.taps.recording = None
        self.take = None  # last: from here on the next may begin, and hook itself to the taps
        self.get_logger().info(
            f"{take.recording.path.name} {'discarded' if kept.path is None else 'kept'}: "
            f"{kept.messages} messages, {kept.lost_messages} lost {words(kept)}".rstrip()
        )
        take.finish(kept)

    # -- requests ---------------------------------------------------------------------------

    def _record(self, goal: ServerGoalHandle) -> RecordEpisode.Result:
        take = self.begin(Wanted.by_goal(goal.request))
        if isinstance(take, str):
            goal.abort()
            return RecordEpisode.Result(message=take)
        next_feedback_s = time.monotonic()
        while not take.over.wait(FEEDBACK_S / 2):
            if goal.is_cancel_requested:
                self.end(take, Ending())
            if self._leaving.is_set():  # nobody closes it any more
                goal.abort()
                name = take.recording.path.name
                return RecordEpisode.Result(message=f"the recorder ended before {name} was closed")
            if time.monotonic() >= next_feedback_s:
                next_feedback_s += FEEDBACK_S
                goal.publish_feedback(self._feedback(take))
        if take.kept is not None and take.kept.problem:
            goal.abort()
        elif goal.is_cancel_requested:
            goal.canceled()
        else:
            goal.succeed()
        return take.result()

    def _feedback(self, take: Take) -> RecordEpisode.Feedback:
        return RecordEpisode.Feedback(
            elapsed=take.recorded_s(self.time.now_ns()),
            messages=take.recording.messages,
            lost=take.recording.lost,
            free_gib=self._watch.room().free_gib,
        )


def main(args: list[str] | None = None) -> int:
    """The process `recorder`."""
    return run(Recorder, args, executor=lambda: LeanExecutor(workers=8), images=True)


if __name__ == "__main__":
    raise SystemExit(main())
