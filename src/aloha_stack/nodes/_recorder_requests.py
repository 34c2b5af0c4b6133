"""What can be asked of the recorder besides a recording: check, stop, pause, resume and more."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aloha_interfaces.srv import LabelEpisode, StopRecording
from rclpy.callback_groups import CallbackGroup
from std_srvs.srv import Trigger

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.recording import Ending, Recording
from aloha_stack.nodes._recorder_kept import check_outcome
from aloha_stack.nodes._recorder_take import Wanted

if TYPE_CHECKING:
    from aloha_stack.nodes.recorder import Recorder

STOP_S = 60.0
"""Steady time for which /recorder/stop waits until the disk has taken what is queued."""

NOTE_S = 5.0
"""Steady time for which a pause waits until the disk has its note."""

NOTHING = "nothing is being recorded"


class Requests:
    """The recorder's services."""

    def __init__(self, recorder: "Recorder", group: CallbackGroup) -> None:
        self._recorder = recorder
        services: list[tuple[Any, str, Callable[[Any, Any], Any]]] = [
            (Trigger, "~/check", self._check),
            (StopRecording, "~/stop", self._stop),
            (Trigger, "~/pause", self._pause),
            (Trigger, "~/resume", self._resume),
            (LabelEpisode, "~/label", self._label),
            (Trigger, "~/discard_last", self._discard_last),
        ]
        for kind, name, serve in services:
            recorder.create_service(kind, name, serve, callback_group=group)

    def _check(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Whether an episode could begin now."""
        response.message = self._recorder.refusal(Wanted())
        response.success = not response.message
        return response

    def _stop(
        self, request: StopRecording.Request, response: StopRecording.Response
    ) -> StopRecording.Response:
        try:
            check_outcome(request.outcome)
        except EpisodeError as error:
            response.message = str(error)
            return response
        take = self._recorder.settled_take()
        ending = Ending(request.outcome, tuple(request.labels), request.discard)
        if take is None:
            response.message = NOTHING
        elif request.path and take.recording.path.parent / request.path != take.recording.path:
            response.message = (
                f"{Path(request.path).name} is not being recorded, but {take.recording.path.name}; "
                "nothing was done"
            )
        elif not self._recorder.end(take, ending):
            response.message = f"{take.recording.path.name} is ending already"
        elif not take.over.wait(STOP_S) or take.kept is None:
            response.message = f"{take.recording.path} is not closed after {STOP_S:g} s"
        else:
            response.success = not take.kept.problem
            response.message = take.told()
            response.path = str(take.kept.path or "")
        return response

    def _pause(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._switch(response, "paused", Recording.pause)

    def _resume(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._switch(response, "going on", Recording.resume)

    def _switch(
        self,
        response: Trigger.Response,
        done: str,
        switch: Callable[[Recording, int], threading.Event | None],
    ) -> Trigger.Response:
        take = self._recorder.settled_take()
        if take is None:
            response.message = NOTHING
            return response
        recording = take.recording
        noted = switch(recording, self._recorder.time.now_ns())
        if noted is None:
            already = "ending" if recording.ending else done
            response.message = f"{recording.path.name} is {already} already"
            return response
        response.success = noted.wait(NOTE_S) and not recording.problem
        response.message = f"{recording.path.name} is {done}"
        if not response.success:
            why = recording.problem or f"the disk has not taken it in {NOTE_S:g} s"
            response.message += f", but this is not noted: {why}"
        self._recorder.get_logger().info(response.message)
        return response

    def _label(
        self, request: LabelEpisode.Request, response: LabelEpisode.Response
    ) -> LabelEpisode.Response:
        try:
            path = self._recorder.episodes.label(request.path, request.outcome, request.labels)
        except (EpisodeError, OSError) as error:
            response.message = str(error)
            return response
        response.success, response.path = True, str(path)
        response.message = f"{path.name} is labelled {request.outcome or 'with no outcome'}"
        self._recorder.get_logger().info(response.message)
        return response

    def _discard_last(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            moved = self._recorder.episodes.discard_last()
        except (EpisodeError, OSError) as error:
            response.message = str(error)
            return response
        response.success, response.message = True, f"{moved.name} was moved to {moved.parent}"
        self._recorder.get_logger().info(response.message)
        return response
