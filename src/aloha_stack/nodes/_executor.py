"""An executor whose messages cost little and never wait behind a service."""

import time
from asyncio import iscoroutine
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import chain
from typing import Any

from rclpy.executors import Executor, ExternalShutdownException
from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from rclpy.subscription import Subscription
from rclpy.task import Task


class LeanExecutor(Executor):
    """rclpy's executor for nodes that hear hundreds of messages a second.

    - Subscription callbacks run at once in the thread that spins: no task, no coroutine, and the
      wait set is kept instead of being made anew for each message. They must be quick, and they
      ignore their callback groups. /clock is such a message: time goes on whatever services do.
    - All other callbacks (services, actions, clients, timers) run in a small pool of threads, as in
      rclpy's MultiThreadedExecutor, and their callback groups hold. They may take their time.

    An exception in any callback ends spin() with that exception.
    """

    def __init__(self, workers: int = 3) -> None:
        super().__init__()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="callbacks")
        self._held = ExitStack()
        self._waited: list[Any] = []
        self._wait_set: Any = None
        self._failure: BaseException | None = None

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Waits until something is ready, and serves all that is."""
        if self._failure is not None:
            raise self._failure
        self._resume_tasks()
        nodes = self.get_nodes()
        subscriptions = [sub for node in nodes for sub in node.subscriptions]
        timers = self._free(chain.from_iterable(node.timers for node in nodes))
        clients = self._free(chain.from_iterable(node.clients for node in nodes))
        services = self._free(chain.from_iterable(node.services for node in nodes))
        waitables = self._free(chain.from_iterable(node.waitables for node in nodes))
        ready = self._wait(subscriptions, timers, clients, services, waitables, timeout_sec)
        if ready is None:
            return
        for waitable in waitables:
            if waitable.is_ready(self._wait_set):
                self._start(waitable, self._take_waitable)
        pointers = ready["subscription"]
        for sub in subscriptions:
            if sub.handle.pointer in pointers:
                _serve(sub)
        for timer in timers:
            if timer.handle.pointer in ready["timer"] and timer.handle.is_timer_ready():
                self._start(timer, self._take_timer)
        for client in clients:
            if client.handle.pointer in ready["client"]:
                self._start(client, self._take_client)
        for service in services:
            if service.handle.pointer in ready["service"]:
                self._start(service, self._take_service)

    def spin_once_until_future_complete(self, future: Any, timeout_sec: Any = None) -> None:
        future.add_done_callback(lambda _: self.wake())
        if not future.done():
            self.spin_once(getattr(timeout_sec, "timeout", timeout_sec))

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """To be called after spin() has returned, or to make it return."""
        done = super().shutdown(timeout_sec)
        self._pool.shutdown(wait=timeout_sec is None, cancel_futures=True)
        return done

    def finish_tasks(self, limit_s: float) -> None:
        """Waits, while another thread spins, until what create_task() asked for is done: goals of
        actions, and their results."""
        end_s = time.monotonic() + limit_s
        while time.monotonic() < end_s:
            with self._tasks_lock:
                if all(task.done() for task, *_ in self._tasks):
                    return
            time.sleep(0.01)

    def release(self) -> None:
        """Lets go of the entities that were waited for, so that their node can be destroyed."""
        self._wait_set = None
        self._waited = []
        self._held.close()

    # -- parts ------------------------------------------------------------------------------

    def _free(self, entities: Iterable[Any]) -> list[Any]:
        """Those whose callback group lets them run now."""
        return [entity for entity in entities if self.can_execute(entity)]

    def _wait(
        self,
        subscriptions: list[Any],
        timers: list[Any],
        clients: list[Any],
        services: list[Any],
        waitables: list[Any],
        timeout_sec: float | None,
    ) -> dict[str, Any] | None:
        """The ready entities by kind; None after a shutdown, or if an entity is gone by now."""
        kinds = (subscriptions, timers, clients, services, waitables)
        entities = list(chain.from_iterable(kinds))
        try:
            if entities != self._waited or self._wait_set is None:
                self._hold(entities, *kinds)
            if not self._fill(*kinds):
                return None
        except _rclpy.InvalidHandle:  # a callback has destroyed one of them in the meantime
            self.release()
            return None
        wait_set = self._wait_set
        wait_set.wait(-1 if timeout_sec is None or timeout_sec < 0 else int(timeout_sec * 1e9))
        if self._is_shutdown:
            return None
        if not self.context.ok():
            raise ExternalShutdownException
        names = ("subscription", "timer", "client", "service")
        return {name: wait_set.get_ready_entities(name) for name in names}

    def _fill(self, *kinds: list[Any]) -> bool:
        """Puts the entities into the wait set; False after a shutdown."""
        wait_set = self._wait_set
        wait_set.clear_entities()
        subscriptions, timers, clients, services, waitables = kinds
        for sub in subscriptions:
            wait_set.add_subscription(sub.handle)
        for timer in timers:
            wait_set.add_timer(timer.handle)
        for client in clients:
            wait_set.add_client(client.handle)
        for service in services:
            wait_set.add_service(service.handle)
        for guard in (self._guard, self._sigint_gc):
            if guard is None:
                return False
            wait_set.add_guard_condition(guard.handle)
        for waitable in waitables:
            waitable.add_to_wait_set(wait_set)
        return True

    def _hold(self, entities: list[Any], *kinds: list[Any]) -> None:
        """A new wait set; its entities are kept from being destroyed while it may wait for them."""
        self.release()
        subscriptions, timers, clients, services, waitables = kinds
        for entity in chain(subscriptions, timers, clients, services):
            self._held.enter_context(entity.handle)
        for guard in (self._guard, self._sigint_gc):
            if guard is not None:  # shutdown() destroys them while spin() may be waiting for them
                self._held.enter_context(guard.handle)
        counts = [len(subscriptions), 2, len(timers), len(clients), len(services), 0]
        for waitable in waitables:
            self._held.enter_context(waitable)
            more = waitable.get_num_entities()
            counts = [
                counts[0] + more.num_subscriptions,
                counts[1] + more.num_guard_conditions,
                counts[2] + more.num_timers,
                counts[3] + more.num_clients,
                counts[4] + more.num_services,
                counts[5] + more.num_events,
            ]
        self._wait_set = _rclpy.WaitSet(*counts, self.context.handle)
        self._waited = entities

    def _take_waitable(self, waitable: Any) -> Any:
        """As in rclpy, where a waitable alone is an error if it was destroyed in the meantime."""
        try:
            return super()._take_waitable(waitable)  # type: ignore[no-untyped-call]
        except _rclpy.InvalidHandle:
            return None

    def _start(self, entity: Any, take: Any) -> None:
        if not self._is_shutdown:
            # The node is only used to filter tasks by node, which this executor never does.
            self._submit(self._make_handler(entity, None, take))  # type: ignore[arg-type]

    def _submit(self, task: Task) -> None:
        try:
            self._pool.submit(self._run, task)
        except RuntimeError:  # the pool takes nothing any more
            if not self._is_shutdown:
                raise
            # shutdown() was called since this was found ready: nobody waits for it any more.
            if iscoroutine(task._handler):
                task._handler.close()

    def _resume_tasks(self) -> None:
        """Starts what create_task() asked for, and goes on with coroutines that wait."""
        if not self._tasks:
            return
        with self._tasks_lock:
            self._tasks = [entry for entry in self._tasks if not entry[0].done()]
            tasks = [task for task, entity, _ in self._tasks if not task.executing()]
        for task in tasks:
            self._submit(task)

    def _run(self, task: Task) -> None:
        task()
        if task.done() and task.exception() is not None:
            self._failure = task.exception()
            self.wake()


class LookingExecutor(LeanExecutor):
    """A LeanExecutor that looks `rate_hz` times a second instead of waking for each message.

    With a subscription depth of 1 its node gets the newest message of each stream per look; those
    between cost it little. After each look the node's method `looked` is called.
    """

    def __init__(self, rate_hz: float) -> None:
        super().__init__(workers=1)
        self._period_s = 1.0 / rate_hz
        self._due_s = time.monotonic()

    def spin_once(self, timeout_sec: float | None = None) -> None:
        super().spin_once(0)
        for node in self.get_nodes():
            node.looked()  # type: ignore[attr-defined]
        late_s = time.monotonic() - self._due_s
        self._due_s += self._period_s * (1 + late_s // self._period_s)  # a look missed is left out
        time.sleep(max(self._due_s - time.monotonic(), 0.0))


def take_rest(sub: Subscription) -> None:
    """Serves all messages that still wait: for a stream of which none may be left out, in a node
    that only looks now and then."""
    while _serve(sub):
        pass


def _serve(sub: Subscription) -> bool:
    """Takes one message and calls back; False if there is none."""
    found = sub.handle.take_message(sub.msg_type, sub.raw)
    if found is None:
        return False
    if sub._callback_type is Subscription.CallbackType.MessageOnly:
        sub.callback(found[0])
    else:
        sub.callback(*found)
    return True
