"""What the operator's tool asks of the graph. Nothing here waits: answers come when they come."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from action_msgs.msg import GoalStatus
from aloha_interfaces.action import RecordEpisode
from aloha_interfaces.srv import LabelEpisode, StopRecording
from rclpy.action import ActionClient
from rclpy.node import Node
from std_srvs.srv import Trigger

ANSWER_S = 10.0
CLOSING_S = 65.0
"""Steady time for which an answer is waited for; of one that waits for a slow disk."""

FIND_S = 2.0
"""Steady time in which the recorder's action must be found: its state may be heard before that."""

E_STOP_S = 0.5
"""Steady time in which the safety node has to show the e-stop; else each arm is asked itself."""

Tell = Callable[[str], None]
Then = Callable[[], None]
TRIGGERS = (
    *("/recorder/pause", "/recorder/resume", "/recorder/discard_last"),
    *("/teleop/disengage", "/e_stop", "/e_stop_reset"),
)
RECORD = "/recorder/record_episode"


@dataclass(frozen=True)
class Pending:
    """A request without an answer."""

    name: str
    since_s: float
    limit_s: float


class Requests:
    """Sends requests; `tell` hears in words how each ended."""

    def __init__(self, node: Node, arms: Sequence[str], tell: Tell) -> None:
        self._tell = tell
        self._arms = [f"/{arm}/e_stop" for arm in arms]
        self._clients: dict[str, Any] = {
            name: node.create_client(Trigger, name) for name in (*TRIGGERS, *self._arms)
        }
        self._clients["/recorder/stop"] = node.create_client(StopRecording, "/recorder/stop")
        self._clients["/recorder/label"] = node.create_client(LabelEpisode, "/recorder/label")
        self._recorder: Any = ActionClient(node, RecordEpisode, RECORD)
        self._lock = threading.Lock()
        self._pending: dict[int, Pending] = {}
        self._count = 0
        self._e_stop_s: float | None = None
        self._wanted: tuple[RecordEpisode.Goal, int, float] | None = None
        """A recording whose action is not found yet, its request's number, since when."""

    def close(self) -> None:
        """What would stay behind when its node is destroyed: rclpy leaves action clients alone."""
        self._recorder.destroy()

    # -- recorder ---------------------------------------------------------------------------

    def start(self, goal: RecordEpisode.Goal) -> None:
        """A recording. Its end is told, too, whoever ends it."""
        if self.waits_for(RECORD):
            return
        with self._lock:
            self._wanted = goal, self._number(RECORD, ANSWER_S), time.monotonic()
        self._seek()

    def _seek(self) -> None:
        """Sends the goal that is wanted, once there is somebody to send it to."""
        with self._lock:
            wanted = self._wanted
            if wanted is None:
                return
            goal, number, since_s = wanted
            found = self._recorder.server_is_ready()
            if not found and time.monotonic() - since_s <= FIND_S:
                return
            self._wanted = None
        if not found:
            self._end(number)
            self._tell(f"nobody answers to {RECORD}: is the recorder running?")
            return
        sent = self._recorder.send_goal_async(goal)

        def accepted(future: Any) -> None:
            self._end(number)
            if future.result().accepted:
                self._tell("asked for a recording")
                future.result().get_result_async().add_done_callback(self._recorded)
            else:
                self._tell("the recorder refused the goal; its log says why")

        sent.add_done_callback(accepted)

    def _recorded(self, future: Any) -> None:
        answer = future.result()
        result = answer.result
        name = result.path.rpartition("/")[2]
        aborted = answer.status == GoalStatus.STATUS_ABORTED
        if not result.kept:
            self._tell(f"not recorded: {result.message}" if aborted else result.message)
            return
        outcome = result.outcome or "no outcome: s or f labels it"
        self._tell(
            f"{name} kept, {result.duration:.1f} s, {result.lost} lost, {outcome}"
            + (f": {result.message}" if result.message else "")
        )

    def stop(
        self, path: str, outcome: str = "", *, discard: bool = False, then: Then | None = None
    ) -> None:
        """Ends the recording of the episode `path`, and of no other that began meanwhile."""
        request = StopRecording.Request(path=path, outcome=outcome, discard=discard)
        self.ask("/recorder/stop", request, then, CLOSING_S)

    def label(self, outcome: str, labels: Sequence[str], path: str) -> None:
        """Labels the episode `path`."""
        request = LabelEpisode.Request(path=path, outcome=outcome, labels=list(labels))
        self.ask("/recorder/label", request)

    # -- all --------------------------------------------------------------------------------

    def ask(
        self,
        name: str,
        request: Any = None,
        then: Then | None = None,
        limit_s: float = ANSWER_S,
    ) -> None:
        """Calls a service; `then` is called after a success."""
        client = self._clients[name]
        if not client.service_is_ready():
            self._tell(f"nobody answers to {name}: is its node running?")
            return
        number = self._begin(name, limit_s)
        future = client.call_async(Trigger.Request() if request is None else request)

        def answered(future: Any) -> None:
            if not self._end(number):
                return  # it was given up, and that was told
            response = future.result()
            words = response.message or ("done" if response.success else "it failed")
            self._tell(f"{name}: {words}")
            if response.success and then is not None:
                then()

        future.add_done_callback(answered)

    def e_stop(self) -> None:
        """The robot's e-stop; if the safety node does not act at once, that of every arm."""
        if self._clients["/e_stop"].service_is_ready():
            self._e_stop_s = time.monotonic()
            self.ask("/e_stop")
        else:
            self._stop_arms("nobody answers to /e_stop")

    def look(self, *, e_stopped: bool) -> None:
        """To be called often; `e_stopped`: whether the safety node says that it is."""
        self._seek()
        now_s = time.monotonic()
        if self._e_stop_s is not None and (e_stopped or now_s - self._e_stop_s > E_STOP_S):
            self._e_stop_s = None
            if not e_stopped:
                self._stop_arms("the safety node does not act")
        with self._lock:
            late = {n: p for n, p in self._pending.items() if now_s - p.since_s > p.limit_s}
            for number in late:
                del self._pending[number]
        for pending in late.values():
            self._tell(f"{pending.name} has not answered in {pending.limit_s:.0f} s")

    def waiting(self) -> list[Pending]:
        """Requests without an answer."""
        with self._lock:
            return list(self._pending.values())

    def waits_for(self, name: str) -> bool:
        """Whether a request of this name has no answer yet."""
        return any(pending.name == name for pending in self.waiting())

    def _stop_arms(self, why: str) -> None:
        ready = [name for name in self._arms if self._clients[name].service_is_ready()]
        self._tell(f"E-STOP: {why}; {len(ready)} of {len(self._arms)} arms are stopped one by one")
        for name in ready:
            self.ask(name)

    def _begin(self, name: str, limit_s: float) -> int:
        with self._lock:
            return self._number(name, limit_s)

    def _number(self, name: str, limit_s: float) -> int:
        """Of a new request; the lock is held."""
        self._count += 1
        self._pending[self._count] = Pending(name, time.monotonic(), limit_s)
        return self._count

    def _end(self, number: int) -> bool:
        with self._lock:
            return self._pending.pop(number, None) is not None
