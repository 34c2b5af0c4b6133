"""Runs the nodes of a plan to their end: one thread, one loop.

A request to end (SIGINT or SIGTERM) becomes one SIGINT to every node; a node that is still there
after its `sigterm_timeout` gets SIGTERM, and after its `sigkill_timeout` more SIGKILL. An arm that
is parking needs that time, so asking again hastens nothing.
"""

import os
import select
import selectors
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from aloha_stack.launch.ending import judge
from aloha_stack.launch.linux import bind_to_parent
from aloha_stack.launch.plan import NodePlan, parameter_document, ros_arguments
from aloha_stack.launch.process import NodeProcess
from aloha_stack.launch.screen import Screen

_POLL_S = 0.05
"""Pace at which leftovers of an ended node are looked for: their end raises no signal here."""

_ORPHAN_FLUSH_S = 1.0
"""How long output is still written at the end when the launcher has been killed."""

END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LAUNCHER_GONE = signal.SIGHUP
"""Sent by the kernel when the launcher was killed; everything is then ended in order."""


class Supervisor:
    """Starts, watches and ends the processes; `run` returns the exit status of the launch."""

    def __init__(
        self,
        nodes: Sequence[NodePlan],
        executables: Sequence[Sequence[str]],
        environment: Mapping[str, str],
        screen: Screen,
    ) -> None:
        """`executables` are the words that start each node, `environment` that of the launch."""
        self._nodes = list(zip(nodes, executables, strict=True))
        self._environment = environment
        self._screen = screen
        self._processes: list[NodeProcess] = []
        self._ending_since: float | None = None
        self._orphaned_since: float | None = None
        self._faults: list[str] = []
        self._selector = selectors.PollSelector()

    def run(self) -> int:
        """Runs until every node has ended: 0 if all ended in order, 1 otherwise."""
        wake_read, wake_write = os.pipe()
        for descriptor in (wake_read, wake_write):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in (*END_SIGNALS, signal.SIGCHLD):
            signal.signal(number, _ignore)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, END_SIGNALS)
        self._selector.register(wake_read, selectors.EVENT_READ)
        with tempfile.TemporaryDirectory(prefix="aloha_launch_") as folder:
            self._start_all(Path(folder), wake_read)
            while not all(process.gone for process in self._processes):
                self._wait(wake_read)
                self._watch()
        if self._faults:
            self._screen.say(f"not all ended in order: {'; '.join(self._faults)}")
        self._write_rest()
        return 1 if self._faults else 0

    def _start_all(self, folder: Path, wake_read: int) -> None:
        before_exec = bind_to_parent(os.getpid(), signal.SIGINT)
        for index, (node, executable) in enumerate(self._nodes):
            self._take_signals(wake_read)
            if self._ending_since is not None:
                return
            command = [*executable, *ros_arguments(node, _parameter_files(node, folder, index))]
            environment = {**self._environment, **node.environment}
            environment.setdefault("PYTHONUNBUFFERED", "1")  # a pipe would hold lines back
            try:
                process = NodeProcess(node, index, command, environment, before_exec)
            except OSError as problem:
                self._fault(f"{node.label}-{index + 1} could not be started: {problem}")
                self._end_all("a node could not be started")
                return
            self._processes.append(process)
            self._selector.register(process.descriptor, selectors.EVENT_READ, process)
            self._screen.say(f"{process.label} started as process {process.pid}")

    def _wait(self, wake_read: int) -> None:
        """Waits for output, a signal or the next time-out, then takes in what is there."""
        self._follow_screen()
        for key, _ in self._selector.select(self._patience_s()):
            if key.fd == self._screen.descriptor and key.data is self._screen:
                self._screen.write_some()
            elif isinstance(key.data, NodeProcess):
                self._show(key.data)
        self._take_signals(wake_read)

    def _follow_screen(self) -> None:
        """Asks for the screen's readiness only while there is something to write."""
        registered = self._screen.descriptor in self._selector.get_map()
        if self._screen.waiting and not registered:
            self._selector.register(self._screen.descriptor, selectors.EVENT_WRITE, self._screen)
        elif registered and not self._screen.waiting:
            self._selector.unregister(self._screen.descriptor)

    def _patience_s(self) -> float | None:
        now_s = time.monotonic()
        waits = [_POLL_S for process in self._unswept()]
        waits += [due_s - now_s for process in self._running() for due_s, _ in self._due(process)]
        return max(0.0, min(waits)) if waits else None

    def _running(self) -> list[NodeProcess]:
        return [process for process in self._processes if process.poll() is None]

    def _unswept(self) -> list[NodeProcess]:
        return [p for p in self._processes if p.poll() is not None and not p.gone]

    def _due(self, process: NodeProcess) -> list[tuple[float, signal.Signals]]:
        """The signals that a node is still to get, with the time of the steady clock."""
        if self._ending_since is None:
            return []
        sigterm_s = self._ending_since + process.node.sigterm_timeout_s
        # A machine that stood still sends it late, and the node has its time from there.
        heard_s = process.sent.get(signal.SIGTERM, sigterm_s)
        steps = [
            (self._ending_since, signal.SIGINT),
            (sigterm_s, signal.SIGTERM),
            (heard_s + process.node.sigkill_timeout_s, signal.SIGKILL),
        ]
        return [(due_s, number) for due_s, number in steps if number not in process.sent]

    def _take_signals(self, wake_read: int) -> None:
        try:
            numbers = os.read(wake_read, 4096)
        except BlockingIOError:
            return
        for number in numbers:
            if number == LAUNCHER_GONE:
                self._orphaned_since = time.monotonic()
            if number in END_SIGNALS:
                self._end_all(_reason(number))

    def _end_all(self, reason: str) -> None:
        """Begins the end, or says who is being waited for."""
        running = self._running()
        if self._ending_since is None:
            self._ending_since = time.monotonic()
            self._screen.say(f"{reason}: ending {len(running)} nodes, arms park first")
        elif running:
            now_s = time.monotonic()
            left = [
                f"{p.label} ({max(0.0, self._due(p)[-1][0] - now_s):.0f} s)"
                for p in running
                if self._due(p)
            ]
            if left:
                self._screen.say(f"{reason}: already ending; waiting at most for {', '.join(left)}")

    def _watch(self) -> None:
        """Reports ends, sends the signals that are due, clears up behind ended nodes."""
        now_s = time.monotonic()
        for process in self._processes:
            if process.gone:
                continue
            if process.poll() is None:
                self._send_due(process, now_s)
            else:
                self._finish(process, now_s)

    def _send_due(self, process: NodeProcess, now_s: float) -> None:
        for due_s, number in self._due(process)[:1]:
            if due_s <= now_s:
                if number != signal.SIGINT:
                    waited_s = now_s - (self._ending_since or now_s)
                    self._screen.say(
                        f"{process.label} still runs {waited_s:.0f} s after SIGINT: {number.name}"
                    )
                process.send(number)

    def _finish(self, process: NodeProcess, now_s: float) -> None:
        if not process.reported:
            process.reported = True
            self._show(process)
            ending = judge(process.poll() or 0, set(process.sent))
            where = f" ({process.node.full_name})" if process.node.full_name else ""
            report = f"{process.label}{where} {ending.words}"
            if ending.orderly:
                self._screen.say(report)
            else:
                self._fault(report)
            if process.node.shutdown_on_exit and self._ending_since is None:
                self._end_all(f"{process.label} has ended")
        process.sweep(now_s)
        if process.gone and process.pipe_open:
            self._show(process)
            self._close(process)

    def _show(self, process: NodeProcess) -> None:
        descriptor = process.descriptor if process.pipe_open else None
        for line in process.read():
            self._screen.line(process.label, line, process.index)
        if descriptor is not None and not process.pipe_open:
            self._selector.unregister(descriptor)

    def _close(self, process: NodeProcess) -> None:
        """Gives up an output that a process outside the node's group still holds open."""
        if process.pipe_open:
            self._selector.unregister(process.descriptor)
            for line in process.close():
                self._screen.line(process.label, line, process.index)

    def _fault(self, report: str) -> None:
        self._faults.append(report)
        self._screen.say(report)

    def _write_rest(self) -> None:
        """Shows what is left; if the launcher was killed only for a moment, so as to end too."""
        poller = select.poll()
        poller.register(self._screen.descriptor, select.POLLOUT)
        begun_s = time.monotonic()
        while self._screen.waiting:
            if self._orphaned_since is not None and time.monotonic() - begun_s > _ORPHAN_FLUSH_S:
                return
            if poller.poll(100):
                self._screen.write_some()


def _parameter_files(node: NodePlan, folder: Path, index: int) -> list[Path]:
    files = []
    for number, part in enumerate(node.parameters):
        if isinstance(part, Path):
            files.append(part)
        else:
            file = folder / f"{index + 1}_{node.label}_{number}.yaml"
            file.write_text(yaml.safe_dump(parameter_document(node, part)), encoding="utf-8")
            files.append(file)
    return files


def _reason(number: int) -> str:
    if number == LAUNCHER_GONE:
        return "the launcher was killed"
    return f"{signal.Signals(number).name} received"


def _ignore(_number: int, _frame: object) -> None:
    """Signals are read from the wake-up pipe; a handler only keeps the default from happening."""
