"""A virtual arm at the wire time of 1 Mbaud, in a process of its own, as metal would be.

    python -m aloha_stack.bench.emulator FOLDER ARM [--spin]

With --spin it never sleeps: a UART needs no waking up, and that of the emulator would count against
the host. So would the time that bytes take through the pseudo-terminal, which no UART has: answers
may leave by `lead` earlier (line_check.py measures it, and that no answer is early for it).

Its standard input takes one order a line, {"kind": …, "servo": …} for a fault or {"lead_s": …};
each is answered by a line on standard output, as is the beginning. It ends when its input does.
"""

import gc
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aloha_stack.robot.description import Arm, Robot, load_robot
from aloha_stack.twin.faults import Fault
from aloha_stack.twin.virtual_bench import BenchArm
from aloha_stack.twin.virtual_port import VirtualPort, serve


def bench_robot(folder: str | Path) -> Robot:
    """The twin's robot file, with its ports in `folder`."""
    return load_robot("twin", {"ALOHA_PORTS": str(folder)})


class Emulator:
    """The process, for as long as the block runs; it answers on the arm's port."""

    def __init__(self, folder: str | Path, arm: Arm, spins: bool = False) -> None:
        how = ["--spin"] if spins else []
        self._command = [sys.executable, "-m", __name__, str(folder), arm.name, *how]

    def __enter__(self) -> "Emulator":
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._hear()
        return self

    def inject(self, fault: Fault) -> None:
        """Returns once the fault is under way."""
        self._order({"kind": fault.kind, "servo": fault.servo})

    def lead(self, seconds: float) -> None:
        """From now on answers leave by so much earlier; only of an emulator that spins."""
        self._order({"lead_s": seconds})

    def _order(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        print(json.dumps(order), file=self._process.stdin, flush=True)
        self._hear()

    def _hear(self) -> None:
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise RuntimeError(f"the emulator ended with status {self._process.wait()}")

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class Spinner:
    """As serve(), without sleep."""

    def __init__(self, port: VirtualPort) -> None:
        self._port, self.lead_s = port, 0.0

    def serve(self, stopped: Callable[[], bool]) -> None:
        """Answers until `stopped`."""
        port = self._port
        while not stopped():
            ahead_s = time.monotonic() + self.lead_s
            if port.due_s <= ahead_s:
                port.service(ahead_s)
            elif select.select([port], (), (), 0.0)[0]:
                port.service(time.monotonic())
            else:
                os.sched_yield()  # to the kernel's thread that carries the pseudo-terminal's bytes


def main(argv: Sequence[str]) -> int:
    """The process."""
    folder, name, *how = argv
    arm = bench_robot(folder).arm(name)
    port = VirtualPort(folder, Path(arm.port).name, BenchArm(arm), wire_time=True)
    spinner, ended = Spinner(port), threading.Event()

    def hear_orders() -> None:
        for line in sys.stdin:
            order = json.loads(line)
            if "lead_s" in order:
                spinner.lead_s = order["lead_s"]
            else:
                port.inject(Fault(order["kind"], order["servo"]))
            print("done", flush=True)
        ended.set()

    threading.Thread(target=hear_orders, name="orders", daemon=True).start()
    print("ready", flush=True)
    gc.disable()  # for minutes only, and a pause of it would count against the host
    try:
        if how:
            spinner.serve(ended.is_set)
        else:
            serve([port], ended.is_set)
    finally:
        port.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
