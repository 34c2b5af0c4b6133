"""One running node: its process, the signals it got, its output."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from aloha_stack.launch.plan import NodePlan
from aloha_stack.launch.screen import LineBuffer

GROUP_GRACE_S = 2.0
"""Time that processes which a node left behind get between SIGTERM and SIGKILL."""


class NodeProcess:
    """A node in a session of its own, so that the keys of a terminal reach only the launcher.

    Its life: running; ended (`returncode` known) while processes that it started may be left; gone.
    """

    def __init__(
        self,
        node: NodePlan,
        index: int,
        command: Sequence[str],
        environment: Mapping[str, str],
        before_exec: Callable[[], None],
    ) -> None:
        """Starts it.

        Raises:
            OSError: the command cannot be started.
        """
        self.node = node
        self.index = index
        self.label = f"{node.label}-{index + 1}"
        self.sent: dict[signal.Signals, float] = {}
        """The signals that it was sent, with the time of the steady clock."""
        self.lines = LineBuffer()
        self.gone = False
        self.reported = False
        self._sweep_from: float | None = None
        self._process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=before_exec,
        )
        assert self._process.stdout is not None
        self._pipe = self._process.stdout
        os.set_blocking(self._pipe.fileno(), False)
        self.pipe_open = True

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its group and session."""
        return self._process.pid

    @property
    def descriptor(self) -> int:
        """Where its output is read."""
        return self._pipe.fileno()

    def poll(self) -> int | None:
        """The return code, or None while it runs."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the node; SIGKILL to everything that it started as well."""
        self.sent[number] = time.monotonic()
        if number == signal.SIGKILL:
            self._signal_group(number)
        elif self._process.poll() is None:
            self._process.send_signal(number)

    def read(self) -> list[bytes]:
        """The lines at hand; at the end of the output also an unfinished one (and it is closed)."""
        lines: list[bytes] = []
        while self.pipe_open:
            try:
                data = os.read(self.descriptor, 65536)
            except BlockingIOError:
                break
            if data:
                lines += self.lines.feed(data)
            else:
                lines += self.close()
        return lines

    def close(self) -> list[bytes]:
        """Gives up reading; returns an unfinished line."""
        self.pipe_open = False
        self._pipe.close()
        return self.lines.flush()

    def sweep(self, now_s: float) -> None:
        """After the node has ended: ends what it left in its group, first kindly, then by force."""
        if self._sweep_from is None:
            self._sweep_from = now_s
            number = signal.SIGTERM
        elif now_s - self._sweep_from > GROUP_GRACE_S:
            self._signal_group(signal.SIGKILL)
            self.gone = True
            return
        else:
            number = None
        self.gone = not self._signal_group(number)

    def _signal_group(self, number: signal.Signals | None) -> bool:
        """Sends to the whole group (None: only looks); False if nobody is in it."""
        try:
            os.killpg(self.pid, number or 0)
        except ProcessLookupError:
            return False
        return True
