"""The life of a process with one node: spin, start by itself, end in order on a signal."""

import functools
import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import FrameType
from typing import Any, TypeVar

import rclpy
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from aloha_stack.nodes._executor import LeanExecutor
from aloha_stack.nodes._parameters import declare, refuse_unknown_parameters
from aloha_stack.nodes._time import RosTime
from aloha_stack.shared_memory import heal_ports
from aloha_stack.transport import udp_alone

RETRY_S = 1.0
"""Steady time between two attempts of an autostart."""

TASKS_S = 1.0
"""Steady time for which goals of actions are waited for at the end, once the node is closed."""

Transition = TypeVar("Transition", bound=Callable[..., TransitionCallbackReturn])


class Stop:
    """The wish that this process ends. Set by signals; loops sleep on `event`."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self._listeners: list[Callable[[], None]] = []

    def on_request(self, callback: Callable[[], None]) -> None:
        """`callback` is called once, inside the signal handler: it must only set things."""
        self._listeners.append(callback)

    def request(self) -> None:
        """Asks for the end. Further requests change nothing: who is parking goes on parking."""
        if not self.event.is_set():
            self.event.set()
            for callback in self._listeners:
                callback()


class Ending:
    """For nodes with threads of their own: one of them may end the process, well or not."""

    finished = False
    failure: BaseException | None = None

    def finish(self) -> None:
        """Asks for the orderly end of this process: its work is done."""
        self.finished = True

    def fail(self, error: BaseException) -> None:
        """Asks for the end of this process, in order but with status 1; `error` is logged."""
        self.failure = error
        self.finished = True
        lines = "".join(traceback.format_exception(error))
        self.get_logger().fatal(f"ending after a failure:\n{lines}")  # type: ignore[attr-defined]

    def start_thread(self, work: Callable[[], None], name: str) -> threading.Thread:
        """Does `work` in a thread of its own; what it raises ends this process (see `fail`)."""

        def guarded() -> None:
            try:
                work()
            except BaseException as error:
                self.fail(error)
                raise

        thread = threading.Thread(target=guarded, name=name)
        thread.start()
        return thread


class SimpleNode(Ending, Node):
    """A node without life cycle: it works from its making until close()."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.time = RosTime(self)

    def on_process(self) -> None:
        """Called before it spins if it has a process of its own, and may change that."""

    def close(self) -> None:
        """Ends the node's own threads. Time and messages still go on while this runs."""


class ManagedNode(Ending, LifecycleNode):
    """A lifecycle node that can start by itself and says in the log what went wrong.

    Subclasses override on_configure, on_activate, on_deactivate, on_cleanup, on_shutdown, decorated
    with `logged`, and raise what goes wrong.
    """

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.time = RosTime(self)
        self.autostart = declare(
            self,
            "autostart",
            True,
            "configure (again each second until it succeeds) and activate once, unasked",
        )

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """A transition that raised leaves the node unconfigured, to be tried again."""
        return TransitionCallbackReturn.SUCCESS

    @property
    def state(self) -> str:
        """unconfigured, inactive, active, finalized, or a transition's name."""
        return str(self._state_machine.current_state[1])

    def transition(self, name: str) -> bool:
        """configure, activate, deactivate, cleanup or shutdown; True if it succeeded.

        Takes its turn with the transitions that come by service. False if it is not possible now.
        """
        group, holder = self.default_callback_group, self._service_change_state
        while not group.beginning_execution(holder):
            threading.Event().wait(0.01)
        try:
            possible = {label for _, label, *_ in self._state_machine.available_transitions}
            if name not in possible:
                return False
            result = getattr(self, f"trigger_{name}")()
            return bool(result == TransitionCallbackReturn.SUCCESS)
        finally:
            group.ending_execution(holder)
            if self.executor is not None:
                self.executor.wake()

    def start_by_itself(self, stop: Stop) -> None:
        """Configures, trying again each second, and activates once."""
        while self.state == "unconfigured" and not stop.event.is_set():
            if self.transition("configure"):
                break
            stop.event.wait(RETRY_S)
        if self.state == "inactive" and not stop.event.is_set():
            self.transition("activate")

    def close(self) -> None:
        """Ends in order, from any state. Time and messages still go on while this runs."""
        # Each waits for its turn: what a service has begun, parking for one, comes to its end.
        self.transition("deactivate")
        self.transition("shutdown")


def logged(callback: Transition) -> Transition:
    """For lifecycle callbacks: rclpy swallows their exceptions, so that they are logged here."""

    @functools.wraps(callback)
    def wrapper(self: Node, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return callback(self, state)
        except Exception:
            self.get_logger().error(f"{callback.__name__} failed:\n{traceback.format_exc()}")
            raise

    return wrapper  # type: ignore[return-value]


def run(
    make_node: Callable[[], SimpleNode | ManagedNode],
    args: Sequence[str] | None = None,
    *,
    executor: Callable[[], Any] = LeanExecutor,
    images: bool = False,
) -> int:
    """Runs one node until SIGINT or SIGTERM, then closes it in order; returns the exit status.

    Nodes that send or hear `images` do so through shared memory; all others stay off it.

    0 after an orderly end, 1 if a callback or a thread failed, 2 for wrong or unknown parameters
    and arguments. `--help` tells of the node and starts nothing. A ManagedNode with `autostart`
    starts by itself. Signals that come while the node closes are ignored.
    """
    words = sys.argv[1:] if args is None else list(args)
    own = words[: words.index("--ros-args")] if "--ros-args" in words else words
    if "-h" in own or "--help" in own:
        from aloha_stack.nodes._help import help_text  # only here: a start needs none of it

        print(help_text(make_node))
        return 0
    if own:
        known = "a node takes --ros-args only, and --help"
        print(f"'{own[0]}' is not understood: {known}", file=sys.stderr)
        return 2
    stop = Stop()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.request()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    with ExitStack() as stack:
        if images:
            heal_ports()
        else:
            stack.enter_context(udp_alone(os.environ))
        rclpy.init(
            args=None if args is None else list(args),
            signal_handler_options=SignalHandlerOptions.NO,
        )
        stack.callback(rclpy.try_shutdown)
        try:
            node = _make(make_node)
        except (ValueError, TypeError, rclpy.exceptions.ParameterException) as error:
            print(error, file=sys.stderr)
            return 2
        spare_started()
        if isinstance(node, SimpleNode):
            node.on_process()
        return _live(node, stop, executor())


def spare_started() -> None:
    """Python's collector looks no more at what there is by now, modules above all.

    It stops every thread meanwhile: a full collection in chunk_player, of 39,000 objects, took
    30 ms, longer than a tick.
    """
    gc.collect()
    gc.freeze()


def _make(make_node: Callable[[], SimpleNode | ManagedNode]) -> SimpleNode | ManagedNode:
    """The node; one that was given parameters which it has not is closed again: ValueError."""
    node = make_node()
    try:
        refuse_unknown_parameters(node)
    except ValueError:
        node.close()
        node.time.close()
        node.destroy_node()
        raise
    return node


def _live(node: SimpleNode | ManagedNode, stop: Stop, executor: Any) -> int:
    failed = threading.Event()

    def spin() -> None:
        try:
            executor.spin()
        except BaseException:
            failed.set()
            stop.request()
            raise

    executor.add_node(node)
    spinner = threading.Thread(target=spin, name="messages")
    spinner.start()
    try:
        if isinstance(node, ManagedNode) and node.autostart:
            node.start_by_itself(stop)
        # In slices: a signal handler runs only when the main thread gets to run Python.
        while not stop.event.wait(0.2) and not node.finished:
            pass
        node.close()
        # Who sent a goal hears how it ended: later there is nobody left to say so.
        if isinstance(executor, LeanExecutor):
            executor.finish_tasks(TASKS_S)
    finally:
        executor.shutdown(timeout_sec=0)
        spinner.join()
        if isinstance(executor, LeanExecutor):
            executor.release()
        node.time.close()
        node.destroy_node()
    return 1 if failed.is_set() or node.failure is not None else 0
