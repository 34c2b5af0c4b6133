"""A virtual arm behind a serial port: a pseudo-terminal, opened like any /dev/ttyUSB0."""

import contextlib
import errno
import math
import os
import select
import threading
import time
import tty
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from aloha_stack.twin.disturbances import Disturbances
from aloha_stack.twin.faults import Fault
from aloha_stack.twin.virtual_arm import VirtualArm
from aloha_stack.twin.wire import Wire

IDLE_S = 0.005
"""The longest sleep: Bus Watchdogs count, and a port that is opened is noticed."""

SPIN_S = 60e-6
"""The end of a wait that is not slept but spun: about as late as the kernel wakes a thread."""


class VirtualPort:
    """The port folder/name, answered by `arm`. Nothing here waits: one loop may serve many ports.

    wire_time: bytes take the time that they take on a line at the arm's baud rate, in the clock
    that service() is given; else answers come at once (and the time of a real line is missing).
    Servos obey and answer for the moment in which the host's bytes come, not for that, up to some
    ms later, in which these would have passed the line.
    seed: of what faults leave to chance.

    `last_request_s` is the steady time at which bytes came last (-inf before), for who paces the
    world by its users.
    """

    def __init__(
        self,
        folder: str | Path,
        name: str,
        arm: VirtualArm,
        *,
        wire_time: bool = False,
        seed: int = 0,
    ) -> None:
        self.arm = arm
        self.last_request_s = float("-inf")
        self.path = Path(folder) / name
        self._wire_time = wire_time
        self._wire = Wire(arm.arm.baud)
        self._disturbances = Disturbances(arm, f"{seed} {name}")
        self._orders: deque[Fault | None] = deque()
        self._fd = -1
        self._closed = self._starved = False
        self._poll = select.poll()
        self._plug_in()

    def _plug_in(self) -> None:
        """A new pseudo-terminal behind the link."""
        fd, user_end = os.openpty()
        try:
            tty.setraw(user_end)
            os.set_blocking(fd, False)
            self._slave = os.ttyname(user_end)
            _link(self.path, self._slave)
        except OSError:
            os.close(fd)
            raise
        finally:
            # Closed here, so that the port hangs up whenever no user has it open.
            os.close(user_end)
        self._fd = fd
        self._was_in_use = False
        self._poll.register(fd, select.POLLIN)

    def _unplug(self) -> None:
        """Takes the port away: who has it open sees it hang up."""
        with contextlib.suppress(OSError):
            if os.readlink(self.path) == self._slave:
                self.path.unlink()
        self._poll.unregister(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._forget()

    def fileno(self) -> int:
        """To be polled for POLLIN; it hangs up (POLLHUP) while nobody has the port open.

        -1 while it is unplugged or closed.
        """
        return self._fd

    @property
    def in_use(self) -> bool:
        """Whether some program has the port open."""
        if self._fd < 0:
            return False
        return not any(events & select.POLLHUP for _, events in self._poll.poll(0))

    @property
    def due_s(self) -> float:
        """When service() has bytes to hand over next, in its clock; infinite if there are none."""
        return self._wire.due_s

    @property
    def keeps_waiting(self) -> bool:
        """Whether the user waits for bytes: for some that are on their way, or for some that were
        lost and never come."""
        return self._starved or self._wire.due_s < math.inf

    # -- the loop -------------------------------------------------------------------------------

    def service(self, now_s: float) -> bool:
        """Answers all waiting bytes, at time `now_s` of the arm's clock; True if there were any.

        Faults begin and end here.
        """
        began_s = time.monotonic()
        self._hand_over(now_s)  # first: it is due
        self.arm.advance(now_s)
        self._follow_orders(now_s)
        if self._fd < 0:
            return False
        data = self._receive()
        if data:
            self.last_request_s = time.monotonic()
            if self._wire_time:  # bytes that came since the caller looked at the clock count later
                now_s += self.last_request_s - began_s
            self._answer(data, now_s)
            self._hand_over(now_s)
        return bool(data)

    def _hand_over(self, now_s: float) -> None:
        """What has come through the line by now."""
        if self._wire.due_s < math.inf:
            self._send(self._wire.arrived(now_s))

    def _receive(self) -> bytes:
        try:
            data = os.read(self._fd, 4096)
        except BlockingIOError:
            data = b""
        except OSError:  # EIO: nobody has the port open
            if self._was_in_use:
                self._forget()
            self._was_in_use = False
            return b""
        self._was_in_use = True
        return data

    def _answer(self, data: bytes, now_s: float) -> None:
        disturbances = self._disturbances
        reply = disturbances.burst(self.arm.handle(data))
        self._starved = self.arm.line.unanswered or disturbances.harms_answers
        slowness = disturbances.slowness
        if self._wire_time or slowness > 1.0 or self._wire.due_s < math.inf:
            self._wire.slowness = slowness if slowness > 1.0 or self._wire_time else 0.0
            self._wire.ask(now_s, len(data))
            self._wire.answer(reply)
        else:
            self._send(reply)

    def _send(self, reply: bytes) -> None:
        if not reply or self._fd < 0:
            return
        # A full line loses bytes, and so does one that was closed meanwhile, as on metal.
        with contextlib.suppress(OSError):
            os.write(self._fd, reply)

    def _forget(self) -> None:
        """The user has gone: half a packet, and what is on its way, reach nobody."""
        self.arm.line.forget()
        self._wire.forget()
        self._disturbances.forget()
        self._starved = False

    # -- faults ---------------------------------------------------------------------------------

    def inject(self, fault: Fault) -> None:
        """Lets `fault` begin at the next service(). Any thread may call this. FaultError if the
        arm has no such servo."""
        self._disturbances.check(fault)
        self._orders.append(fault)

    def clear(self) -> None:
        """Ends, at the next service(), every fault that lasts. Any thread may call this.

        Servos that have restarted or stand in hardware error stay as they are: the host must mend
        that, as on metal.
        """
        self._orders.append(None)

    def _follow_orders(self, now_s: float) -> None:
        disturbances = self._disturbances
        while self._orders:
            fault = self._orders.popleft()
            if fault is None:
                disturbances.clear()
            else:
                disturbances.begin(fault, now_s)
        disturbances.advance(now_s)
        if disturbances.unplugged:
            if self._fd >= 0:
                self._unplug()
        elif self._fd < 0 and not self._closed:
            self._plug_in()

    def close(self) -> None:
        """Takes the port away for good. May be called twice."""
        self._closed = True
        if self._fd >= 0:
            self._unplug()


def wait_for_bytes(ports: Sequence[VirtualPort], timeout_s: float) -> None:
    """Sleeps until one of the ports that are in use has bytes, or the time is up (to the µs)."""
    # A port that nobody has open hangs up all the time, and would never let anybody sleep.
    used = [port for port in ports if port.in_use]
    try:
        select.select(used, (), (), max(0.0, timeout_s))
    except (OSError, ValueError) as error:  # ValueError: a negative descriptor
        if getattr(error, "errno", errno.EBADF) != errno.EBADF:
            raise
        # Somebody took a port away between the two lines: the next look leaves it out.


def serve(
    ports: Sequence[VirtualPort],
    stopped: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Answers on `ports` until `stopped`. Answers of ports with wire time leave when they are due:
    what is computed for them is done before, while their bytes would still be on the line."""
    while not stopped():
        left_s = min(port.due_s for port in ports) - clock()
        if left_s > SPIN_S:
            wait_for_bytes(ports, min(left_s - SPIN_S, IDLE_S))
        elif left_s > 0.0:  # on the steady clock: the other may stand still
            end_s = time.monotonic() + left_s
            while time.monotonic() < end_s:
                pass
        for port in ports:
            port.service(clock())


@contextlib.contextmanager
def serving(
    ports: Sequence[VirtualPort], clock: Callable[[], float] = time.monotonic
) -> Iterator[None]:
    """Answers on `ports` from a thread of its own while the block runs, then closes them."""
    stopped = threading.Event()
    thread = threading.Thread(
        target=serve, args=(ports, stopped.is_set, clock), name="virtual ports"
    )
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
        for port in ports:
            port.close()


def _link(path: Path, target: str) -> None:
    """path -> target, in place of an older link; a FileExistsError if something else is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_symlink():
        raise FileExistsError(f"{path} exists and is no link: choose another port folder")
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(path)
