"""Watches the recording that is on, and tells what the recorder does on /recorder/state."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aloha_interfaces.msg import RecorderState
from std_srvs.srv import Trigger

from aloha_stack.episodes.folder import free_gib
from aloha_stack.episodes.recording import INTERRUPTED, Ending
from aloha_stack.episodes.room import ByteRate, Room, minutes
from aloha_stack.nodes._conversions import set_stamp
from aloha_stack.nodes._diagnostics import Findings, NodeDiagnostics
from aloha_stack.nodes._qos import STATE
from aloha_stack.nodes._recorder_grippers import GripperControl
from aloha_stack.nodes._recorder_silences import Silences
from aloha_stack.nodes._recorder_take import Take, Wanted
from aloha_stack.nodes._state_diagnostics import STARTING, of_recorder

if TYPE_CHECKING:
    from aloha_stack.nodes.recorder import Recorder

LOOK_S = 0.05
STATE_S = 0.2
CROWD_S = 2.0
"""Steady time between two looks, two states, two looks at who publishes."""

RESERVE = 0.1
"""The part of min_free_gib at which a recording that is on ends, so that it can be closed."""

DISENGAGE = "/teleop/disengage"

GESTURE = "gesture_began_ns"
"""The note that says from when on (ROS time) the handles were held closed to end the episode."""


@dataclass(frozen=True)
class WatchSettings:
    """See the recorder's parameters; `task` is that of the episodes that the grippers begin."""

    directory: Path
    min_free_gib: float
    timeout_s: float
    task: str


class Watch:
    """For the recorder's watching thread, which calls look() again and again."""

    def __init__(
        self, recorder: "Recorder", settings: WatchSettings, grippers: GripperControl | None
    ) -> None:
        self._recorder, self._settings, self._grippers = recorder, settings, grippers
        self._silences = Silences(recorder.get_logger(), recorder.taps, settings.timeout_s)
        self._rate = ByteRate()
        self._publisher = recorder.create_publisher(RecorderState, "~/state", STATE)
        self._published_s = self._crowd_s = -float("inf")
        self._shown: tuple[object, ...] = ()
        self._crowded: list[str] = []
        self._remark = ""
        self._paused = False
        self._engaged = False  # while the last episode was still being closed
        self._said: RecorderState | None = None
        self._diagnostics = NodeDiagnostics(recorder, "recording", self._diagnose)
        self._disengage = recorder.create_client(Trigger, DISENGAGE) if grippers else None

    def refused(self, why: str) -> None:
        """Says so until a recording begins."""
        self._remark = f"recording refused: {why}"

    def began(self) -> None:
        """A recording begins."""
        self._remark, self._paused = "", False
        self._silences.begin(time.monotonic())
        if self._grippers is not None:
            self._grippers.begin()

    def room(self) -> Room:
        """On the disk, by what the streams have brought in the last seconds."""
        least = RESERVE * self._settings.min_free_gib
        try:
            free = free_gib(self._settings.directory)
        except OSError:  # a disk that does not answer has room for nothing
            free = 0.0
        return Room(free, least, self._rate.per_s)

    def look(self) -> float:
        """Does what is due; for how long (s) nothing will be."""
        take = self._recorder.take
        now_s, now_ns = time.monotonic(), self._recorder.time.now_ns()
        room = self.room()
        pause_s = LOOK_S
        if take is not None:
            pause_s = self._look_after(take, room, now_s, now_ns)
        self._follow_grippers(take, now_ns)
        self._publish(room, now_s, now_ns)
        return pause_s

    # -- the recording ----------------------------------------------------------------------

    def _look_after(self, take: Take, room: Room, now_s: float, now_ns: int) -> float:
        recording = take.recording
        if recording.wait(0) is not None:
            self._recorder.conclude(take)
            return 0.0
        if recording.problem:
            self._recorder.end(take, Ending(INTERRUPTED))
        elif room.free_gib < room.reserve_gib:
            where = self._settings.directory
            full = f"only {room.free_gib:.2f} GiB are left in {where}; make room on the disk"
            self._recorder.end(take, Ending(INTERRUPTED, problem=full))
        left_s = take.left_s(now_ns)
        if left_s == 0.0:
            self._recorder.end(take, Ending())
        paused, self._paused = self._paused, recording.timeline.paused
        if paused and not self._paused:
            self._silences.go_on(now_s)
        if not self._paused and not recording.ending:
            self._silences.look(recording, now_s, now_ns)
        # ROS time never runs faster than the wall: what is left of it cannot be overslept.
        return LOOK_S if not left_s else min(max(left_s, 0.005), LOOK_S)

    def _follow_grippers(self, take: Take | None, now_ns: int) -> None:
        if self._grippers is None:
            return
        engaged = self._grippers.engaged() or self._engaged
        self._engaged = engaged and take is not None and take.recording.ending
        if take is None:
            if engaged and self._recorder.state == "active":
                self._recorder.begin(Wanted(self._settings.task))
            return
        if take.recording.ending or take.recording.timeline.paused:
            return
        began_ns = self._grippers.ends(now_ns)
        if began_ns is not None:
            self._recorder.get_logger().info("the leader grippers are held closed: it ends")
            self._recorder.end(take, Ending(notes={GESTURE: str(began_ns)}))
            self._let_go()

    def _let_go(self) -> None:
        """Disengages, so that the hands which ended this episode can begin the next one: by opening
        and closing the handles again."""
        assert self._disengage is not None
        if self._disengage.service_is_ready():
            self._disengage.call_async(Trigger.Request())
        else:
            self._recorder.get_logger().warning(
                f"nobody answers to {DISENGAGE}: disengage by hand before the next episode"
            )

    # -- what is told -----------------------------------------------------------------------

    def _publish(self, room: Room, now_s: float, now_ns: int) -> None:
        """At 5 Hz, and at once when something else than a figure has changed."""
        if now_s - self._crowd_s >= CROWD_S:
            self._crowd_s = now_s
            self._look_at_publishers()
        take, last = self._recorder.take, self._recorder.episodes.last
        silent = self._recorder.taps.silent(self._settings.timeout_s)
        shown = (take, _stage(take), last, self._remark, tuple(silent))
        if shown == self._shown and now_s - self._published_s < STATE_S:
            return
        self._shown, self._published_s = shown, now_s
        self._rate.saw(now_ns, self._recorder.taps.bytes)
        message = RecorderState(
            state=_stage(take),
            free_gib=room.free_gib,
            silent=silent,
            kept=len(self._recorder.episodes),
            message="; ".join(self._words(take, room, now_s, now_ns)),
        )
        set_stamp(message.header.stamp, now_ns)
        if last is not None:
            message.last_path, message.last_outcome = str(last.path), last.outcome
        if take is not None:
            message.path, message.task = str(take.recording.path), take.wanted.task
            message.elapsed = take.recorded_s(now_ns)
            message.messages, message.lost = take.recording.messages, take.recording.lost
        self._publisher.publish(message)
        self._said = message

    def _diagnose(self) -> Findings:
        return STARTING if self._said is None else of_recorder(self._said)

    def _words(self, take: Take | None, room: Room, now_s: float, now_ns: int) -> list[str]:
        """What the operator should know, the most urgent first."""
        words = [self._remark] if self._remark else []
        if self._recorder.state != "active":
            words.append(f"the recorder is {self._recorder.state}")
        seconds = room.seconds
        if take is not None:
            words += self._silences.words(now_s)
            left_s = take.left_s(now_ns)
            if left_s is not None and seconds is not None and seconds < left_s:
                words.append(
                    f"the disk will be full in {minutes(seconds)}, before the episode ends"
                )
        return [*words, *self._crowded, *([str(room)] if seconds is not None else [])]

    def _look_at_publishers(self) -> None:
        crowded = self._recorder.taps.crowded() if self._recorder.state == "active" else []
        for sentence in crowded:
            if sentence not in self._crowded:
                self._recorder.get_logger().warning(
                    f"{sentence}; until then its losses cannot be counted"
                )
        self._crowded = crowded


def _stage(take: Take | None) -> int:
    if take is None:
        return int(RecorderState.IDLE)
    if take.recording.ending:
        return int(RecorderState.CLOSING)
    paused = take.recording.timeline.paused
    return int(RecorderState.PAUSED if paused else RecorderState.RECORDING)
