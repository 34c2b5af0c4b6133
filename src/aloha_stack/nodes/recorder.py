"""The recorder: joint streams, executed commands and pictures of a robot into episodes.

It listens from its activation on, so that a recording starts with the next message, and it never
decodes one. A goal that cannot be met is accepted and aborted at once: only a result carries words.
"""

import importlib
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, cast

from aloha_interfaces.action import RecordEpisode
from aloha_interfaces.srv import StopRecording
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from aloha_stack.episodes import schema
from aloha_stack.episodes.cdr import stamp_ns
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.folder import check_folder, free_gib
from aloha_stack.episodes.losses import SequenceCounter
from aloha_stack.episodes.metadata import EpisodeInfo, Topic, silences
from aloha_stack.episodes.qos import Qos
from aloha_stack.episodes.recording import INTERRUPTED, Ending, Recording
from aloha_stack.episodes.streams import QUEUE_DEPTH, Stream, robot_streams
from aloha_stack.episodes.writer import EpisodeWriter
from aloha_stack.nodes._node import ManagedNode, logged, run
from aloha_stack.nodes._parameters import declare
from aloha_stack.robot.description import load_robot

FEEDBACK_S = 0.2
OUTCOMES = ("success", "failure", "")
SILENT_S = 3.0
"""Steady time after which a stream that should come counts as silent during a recording."""

STOP_S = 60.0
"""Steady time for which /recorder/stop waits until the disk has taken what is queued."""

CLOSING_S = 4.0
"""Steady time in which an episode has to be closed when the node ends (5 s are allowed to it)."""


class Tap:
    """One subscribed stream: when it was last heard, and what it misses."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.definition = schema.definition(stream.type)
        self.type_hash = schema.type_hash(stream.type)
        self.stamped = schema.starts_with_header(stream.type)
        self.counter = SequenceCounter()
        self.heard_s = -float("inf")
        self.heard_ns = 0  # ROS time, while a recording is on


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
        described = ParameterDescriptor(
            description="more topics: /NAME, /NAME:package/msg/Type or that with :best_effort",
            read_only=True,
        )
        extra = self.declare_parameter("extra_topics", [""], described).value
        self._directory = Path(directory).expanduser().absolute()
        self._robot = load_robot(name)
        self._streams = robot_streams(self._robot, [text for text in extra if text], cameras)
        self._taps: tuple[Tap, ...] = ()
        self._taken: list[Any] = []
        self._recording: Recording | None = None
        self._began_ns = self._ended_ns = 0
        self._starting = threading.Lock()
        self._idle = threading.Event()
        self._idle.set()
        group = ReentrantCallbackGroup()
        self._action = ActionServer(
            self,
            RecordEpisode,
            "~/record_episode",
            self._record,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=group,
        )
        self.create_service(StopRecording, "~/stop", self._stop, callback_group=group)

    # -- life -------------------------------------------------------------------------------

    @logged
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._taps = tuple(Tap(stream) for stream in self._streams)
        try:
            check_folder(self._directory, self._min_free_gib)
        except EpisodeError as error:
            self.get_logger().error(f"no recording will start: {error}")
        return super().on_configure(state)

    @logged
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        for tap in self._taps:
            self._taken.append(
                self.create_subscription(
                    _message_class(tap.stream.type),
                    tap.stream.name,
                    cast(Any, self._listener(tap)),  # rclpy's hint knows no message info
                    _subscription_qos(tap.stream.qos),
                    raw=True,
                )
            )
        self.get_logger().info(f"ready to record {len(self._taps)} topics into {self._directory}")
        return super().on_activate(state)

    @logged
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        recording = self._recording
        if recording is not None:
            self._end(recording, Ending(INTERRUPTED, problem="the recorder was deactivated"))
            if recording.wait(CLOSING_S) is None:
                self.get_logger().error(f"{recording.path} could not be closed in {CLOSING_S} s")
            self._idle.wait(0.5)
        taken, self._taken = self._taken, []
        for subscription in taken:
            self.destroy_subscription(subscription)
        return super().on_deactivate(state)

    # -- messages ---------------------------------------------------------------------------

    def _listener(self, tap: Tap) -> Callable[[bytes, dict[str, Any]], None]:
        name = tap.stream.name

        def on_message(data: bytes, about: dict[str, Any]) -> None:
            sequence = about["publication_sequence_number"]
            missed = tap.counter.saw(sequence)
            tap.heard_s = time.monotonic()
            recording = self._recording
            if recording is None:
                return
            now_ns = tap.heard_ns = self.time.now_ns()
            if missed:
                recording.missed(name, missed)
            published_ns = stamp_ns(data) if tap.stamped else now_ns
            recording.add(name, data, now_ns, published_ns, sequence or 0)

        return on_message

    # -- recording --------------------------------------------------------------------------

    def _record(self, goal: ServerGoalHandle) -> RecordEpisode.Result:
        with self._starting:
            recording = self._refusal() or self._begin(goal.request)
        if isinstance(recording, str):
            self.get_logger().error(f"recording refused: {recording}")
            goal.abort()
            return RecordEpisode.Result(message=recording)
        try:
            return self._follow(goal, recording)
        finally:
            self._recording = None
            self._idle.set()

    def _refusal(self) -> str:
        """Why no recording can start now; empty if one can."""
        if self.state != "active":
            return f"the recorder is {self.state}; activate it first"
        if self._recording is not None:
            return f"{self._recording.path.name} is being recorded; stop it first (/recorder/stop)"
        now_s = time.monotonic()
        silent = [
            tap.stream.name
            for tap in self._taps
            if tap.stream.required and now_s - tap.heard_s > self._timeout_s
        ]
        if silent:
            return (
                f"nothing was received for {self._timeout_s:g} s on {', '.join(silent)}; check "
                "that the bridges and cameras are running and active"
            )
        try:
            check_folder(self._directory, self._min_free_gib)
        except EpisodeError as error:
            return str(error)
        return ""

    def _begin(self, request: RecordEpisode.Goal) -> Recording | str:
        """Starts the recording; why not, if that fails."""
        topics = [self._topic(tap) for tap in self._taps]
        info = EpisodeInfo(
            task=request.task,
            seed=request.seed,
            labels=tuple(request.labels),
            robot=self._robot.name,
            notes={"recorded_at": datetime.now(timezone.utc).isoformat(timespec="seconds")},
        )
        try:
            recording = Recording(EpisodeWriter(self._directory, topics, info))
        except OSError as error:
            return f"no episode can be made in {self._directory}: {error}; check the disk"
        self._idle.clear()
        self._began_ns = self.time.now_ns()
        for tap in self._taps:
            tap.heard_ns = self._began_ns
        self._recording = recording
        self.get_logger().info(f"recording {recording.path}")
        return recording

    def _topic(self, tap: Tap) -> Topic:
        publishers = self.get_publishers_info_by_topic(tap.stream.name)
        if len(publishers) > 1:
            self.get_logger().warning(
                f"{tap.stream.name} has {len(publishers)} publishers: its losses cannot be counted "
                "reliably; end all but one"
            )
        offered = tuple(_offered(publisher.qos_profile) for publisher in publishers)
        qos = offered or (tap.stream.qos,)
        return Topic(tap.stream.name, tap.stream.type, tap.definition, tap.type_hash, qos)

    def _follow(self, goal: ServerGoalHandle, recording: Recording) -> RecordEpisode.Result:
        """Until the recording has ended: feedback, the goal's duration, cancelling, the disk."""
        duration_s = goal.request.duration
        next_feedback_s = time.monotonic()
        pause_s = 0.0
        while (kept := recording.wait(pause_s)) is None:
            elapsed_s = (self.time.now_ns() - self._began_ns) * 1e-9
            free = free_gib(self._directory)
            self._note_silence(recording)
            if recording.problem:
                self._end(recording, Ending(INTERRUPTED))
            elif free < 0.1 * self._min_free_gib:
                full = f"only {free:.2f} GiB are left in {self._directory}; make room on the disk"
                self._end(recording, Ending(INTERRUPTED, problem=full))
            elif goal.is_cancel_requested or (duration_s > 0 and elapsed_s >= duration_s):
                self._end(recording, Ending())
            if time.monotonic() >= next_feedback_s:
                next_feedback_s += FEEDBACK_S
                goal.publish_feedback(
                    RecordEpisode.Feedback(
                        elapsed=elapsed_s,
                        messages=recording.messages,
                        lost=recording.lost,
                        free_gib=free,
                    )
                )
            # ROS time never runs faster than the wall: what is left of it cannot be overslept.
            left_s = duration_s - elapsed_s if duration_s > 0 else FEEDBACK_S
            pause_s = min(max(left_s, 0.005), FEEDBACK_S / 2)
        result = RecordEpisode.Result(
            kept=kept.path is not None,
            path=str(kept.path or ""),
            outcome=kept.outcome,
            duration=max(self._ended_ns - self._began_ns, 0) * 1e-9,
            messages=kept.messages,
            lost=kept.lost_messages,
            message="; ".join(filter(None, (kept.problem, *silences(kept.silent)))),
        )
        self.get_logger().info(
            f"{recording.path.name} {'kept' if result.kept else 'discarded'}: "
            f"{kept.messages} messages, {kept.lost_messages} lost {result.message}".rstrip()
        )
        if kept.problem:
            goal.abort()
        elif goal.is_cancel_requested:
            goal.canceled()
        else:
            goal.succeed()
        return result

    def _note_silence(self, recording: Recording) -> None:
        """Required streams that went silent: the recording goes on, but nobody may miss it.

        Only while ROS time runs: in a world that stands still there is nothing to be heard.
        """
        now_s, now_ns = time.monotonic(), self.time.now_ns()
        for tap in self._taps:
            silent_s = now_s - tap.heard_s
            if not tap.stream.required or silent_s < SILENT_S or now_ns - tap.heard_ns < 1e8:
                continue
            if recording.silent(tap.stream.name, silent_s):
                self.get_logger().warning(
                    f"{tap.stream.name} is silent for {silent_s:.1f} s: {recording.path.name} "
                    "goes on without it; check its camera or bridge"
                )

    def _end(self, recording: Recording, ending: Ending) -> bool:
        """Asks for the end of the recording; False if it is ending already."""
        if not recording.ending:
            self._ended_ns = self.time.now_ns()
        return recording.end(ending)

    def _stop(
        self, request: StopRecording.Request, response: StopRecording.Response
    ) -> StopRecording.Response:
        with self._starting:  # a recording that is just being started is stopped, too
            recording = self._recording
        if request.outcome not in OUTCOMES:
            response.message = (
                f"outcome {request.outcome!r} is not known; expected success, failure or nothing"
            )
        elif recording is None:
            response.message = "nothing is being recorded"
        elif not self._end(
            recording, Ending(request.outcome, tuple(request.labels), request.discard)
        ):
            response.message = f"{recording.path.name} is ending already"
        else:
            kept = recording.wait(STOP_S)
            if kept is None:
                response.message = f"{recording.path} is not closed after {STOP_S:g} s"
                return response
            response.success = not kept.problem
            response.message = "; ".join(filter(None, (kept.problem, *silences(kept.silent))))
            response.path = str(kept.path or "")
            self._idle.wait(1.0)  # so that the next recording can start as soon as we have answered
        return response


def _message_class(type_name: str) -> Any:
    package, kind, name = type_name.split("/")
    return getattr(importlib.import_module(f"{package}.{kind}"), name)


def _subscription_qos(offered: Qos) -> QoSProfile:
    """Matches the publisher; deep enough for whatever keeps this process busy for a while.

    Volatile: what was published before the recording is not part of it.
    """
    return QoSProfile(
        depth=QUEUE_DEPTH,
        reliability=ReliabilityPolicy[offered.reliability.upper()],
        durability=DurabilityPolicy.VOLATILE,
    )


def _offered(profile: QoSProfile) -> Qos:
    # Discovery does not tell the history; rosbag2 then writes "unknown", too.
    known = profile.history in (HistoryPolicy.KEEP_LAST, HistoryPolicy.KEEP_ALL)
    history = profile.history.name.lower() if known else "unknown"
    return Qos(
        profile.reliability.name.lower(),
        profile.durability.name.lower(),
        history,
        profile.depth,
    )


def main(args: list[str] | None = None) -> int:
    """The process `recorder`."""
    return run(Recorder, args)


if __name__ == "__main__":
    raise SystemExit(main())
