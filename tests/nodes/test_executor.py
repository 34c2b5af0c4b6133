"""The executor of all nodes at its end.

Regressions pinned: a callback that became ready while shutdown() was under way ended the process
with "cannot schedule new futures after shutdown", status 1; one whose subscription was destroyed by
a callback between two waits ended with "cannot use Destroyable because destruction was requested".
"""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import Trigger

from aloha_stack.nodes import _executor
from aloha_stack.nodes._executor import LeanExecutor, LookingExecutor
from nodes.arm_rig import ros


class ShutDownBefore(LeanExecutor):
    """Is shut down by somebody else just before it does `what`, once something is ready."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.came_to_it = False
        do = getattr(self, what)

        def do_after_shutdown(*given: Any) -> Any:
            self.came_to_it = True
            self.shutdown(timeout_sec=0)
            return do(*given)

        setattr(self, what, do_after_shutdown)


@pytest.fixture
def server() -> Iterator[Node]:
    with ros():
        node = Node("server")
        node.create_service(Trigger, "serve", lambda _, response: response)
        yield node
        node.destroy_node()


@pytest.mark.parametrize("what", ["_start", "_submit"])
def test_what_becomes_ready_during_the_shutdown_ends_it_quietly(server: Node, what: str) -> None:
    failures: list[RuntimeError] = []
    executor = ShutDownBefore(what)
    executor.add_node(server)

    def spin() -> None:
        try:
            executor.spin()
        except RuntimeError as error:
            failures.append(error)

    thread = threading.Thread(target=spin)
    thread.start()
    client = server.create_client(Trigger, "serve")
    assert client.wait_for_service(5.0)
    client.call_async(Trigger.Request())
    thread.join(10.0)
    assert not thread.is_alive()
    assert executor.came_to_it
    assert not failures
    executor.release()


def test_what_is_submitted_to_a_pool_that_ended_for_another_reason_is_an_error(
    server: Node,
) -> None:
    executor = LeanExecutor()
    executor._pool.shutdown()
    task = executor.create_task(lambda: None)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor._submit(task)
    executor.shutdown(timeout_sec=0)


class DestroyedBefore(LeanExecutor):
    """A callback in another thread destroys `ear` just before `what` is done the second time: what
    is waited for was found and held before."""

    def __init__(self, node: Node, ear: Any, what: str) -> None:
        super().__init__()
        self.times = 0
        do = getattr(self, what)

        def do_after_destruction(*given: Any) -> Any:
            self.times += 1
            if self.times == 2:
                node.destroy_subscription(ear)
            return do(*given)

        setattr(self, what, do_after_destruction)


@pytest.mark.parametrize("what", ["_wait", "_fill"])
def test_a_subscription_destroyed_between_two_waits_is_no_longer_waited_for(
    server: Node, what: str
) -> None:
    heard: list[str] = []
    ear = server.create_subscription(String, "news", lambda message: heard.append("destroyed"), 1)
    server.create_subscription(String, "news", lambda message: heard.append("kept"), 1)
    mouth = server.create_publisher(String, "news", 1)
    executor = DestroyedBefore(server, ear, what)
    executor.add_node(server)
    while executor.times < 4:
        executor.spin_once(0.05)
    heard.clear()
    mouth.publish(String(data="news"))
    for _ in range(100):
        executor.spin_once(0.05)
        if heard:
            break
    assert heard == ["kept"]
    executor.shutdown(timeout_sec=0)
    executor.release()


def test_an_event_of_a_subscription_that_is_destroyed_before_it_is_taken_is_dropped(
    server: Node,
) -> None:
    ear = server.create_subscription(String, "news", lambda message: None, 1)
    (event, *_) = ear.event_handlers
    event._ready_to_take_data = True
    server.destroy_subscription(ear)
    executor = LeanExecutor()
    assert executor._take_waitable(event) is None
    executor.shutdown(timeout_sec=0)


class Clock:
    """Instead of the module time: it passes only where somebody works or sleeps."""

    def __init__(self) -> None:
        self.now_s = 5.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, length_s: float) -> None:
        self.now_s += length_s


@pytest.mark.parametrize(
    ("works_s", "looks"),
    [
        ([0.0, 0.01, 0.03], [0.0, 0.05, 0.1, 0.15]),  # what a look takes moves no other
        ([0.12, 0.0], [0.0, 0.15, 0.2]),  # those that were missed are left out
    ],
)
def test_looks_keep_their_rate_whatever_they_do(
    monkeypatch: pytest.MonkeyPatch, works_s: list[float], looks: list[float]
) -> None:
    clock, looked = Clock(), []

    class Looking(Node):
        def looked(self) -> None:
            looked.append(clock.now_s - 5.0)
            clock.now_s += works_s[len(looked) - 1] if len(looked) <= len(works_s) else 0.0

    with ros():
        monkeypatch.setattr(_executor, "time", clock)
        executor, node = LookingExecutor(20.0), Looking("looking")
        executor.add_node(node)
        for _ in looks:
            executor.spin_once()
        monkeypatch.undo()
        executor.shutdown(timeout_sec=0)
        executor.release()
        node.destroy_node()
    assert looked == pytest.approx(looks)
