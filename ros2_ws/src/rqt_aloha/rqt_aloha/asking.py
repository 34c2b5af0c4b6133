"""What the panels ask of the graph: the operator's requests, and those of a rollout."""

from collections.abc import Sequence
from typing import Any

from action_msgs.srv import CancelGoal
from aloha_interfaces.action import RecordEpisode, Rollout
from rclpy.action import ActionClient
from rclpy.node import Node
from std_srvs.srv import Trigger

from aloha_stack.nodes._operator_requests import Requests, Tell

ROLLOUT = "/chunk_player/rollout"
CANCEL = f"{ROLLOUT}/_action/cancel_goal"
HANDS = ("/chunk_player/takeover", "/chunk_player/release")


class Asking(Requests):
    """Sends; nothing here waits, so that the GUI's thread may call it. Answers come to `tell`."""

    def __init__(self, node: Node, arms: Sequence[str], tell: Tell) -> None:
        super().__init__(node, arms, tell)
        self._clients |= {name: node.create_client(Trigger, name) for name in HANDS}
        self._player: Any = ActionClient(node, Rollout, ROLLOUT)
        self._cancel: Any = node.create_client(CancelGoal, CANCEL)

    def close(self) -> None:
        """What would stay behind when its node is destroyed."""
        super().close()
        self._player.destroy()

    def record(self, task: str, labels: Sequence[str]) -> None:
        """An episode, until it is stopped."""
        self.start(RecordEpisode.Goal(task=task, seed=-1, labels=list(labels)))

    def roll_out(self, checkpoint: str, record: bool) -> None:
        """A rollout until it is ended; without a name, of the checkpoint that is loaded."""
        if not self._player.server_is_ready():
            self._tell(f"nobody answers to {ROLLOUT}: is chunk_player running?")
            return
        goal = Rollout.Goal(checkpoint=checkpoint, seed=-1, record=record)

        def accepted(future: Any) -> None:
            if future.result().accepted:
                self._tell("asked for a rollout")
                future.result().get_result_async().add_done_callback(self._rolled_out)
            else:
                self._tell("chunk_player refused the goal; its log says why")

        self._player.send_goal_async(goal).add_done_callback(accepted)

    def end_rollout(self) -> None:
        """Whoever began it: all goals of the action are cancelled."""
        if not self._cancel.service_is_ready():
            self._tell(f"nobody answers to {CANCEL}: is chunk_player running?")
            return

        def answered(future: Any) -> None:
            ended = len(future.result().goals_canceling)
            self._tell("the rollout is being ended" if ended else "there is no rollout to end")

        self._cancel.call_async(CancelGoal.Request()).add_done_callback(answered)

    def _rolled_out(self, future: Any) -> None:
        result = future.result().result
        outcome = f", {result.outcome}" if result.outcome else ""
        end = f"{result.ticks} ticks in {result.duration:.1f} s{outcome}"
        self._tell(f"rollout: {end}{': ' + result.message if result.message else ''}")
