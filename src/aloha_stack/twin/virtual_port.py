"""A virtual arm behind a serial port: a pseudo-terminal, opened like any /dev/ttyUSB0."""

import contextlib
import os
import select
import threading
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from aloha_stack.twin.virtual_arm import VirtualArm


class VirtualPort:
    """The port folder/name, answered by `arm`. Nothing here waits: one loop may serve many ports.

    `last_request_s` is the steady time at which bytes came last (-inf before), for who paces the
    world by its users.
    """

    def __init__(self, folder: str | Path, name: str, arm: VirtualArm) -> None:
        self.arm = arm
        self.last_request_s = float("-inf")
        self.path = Path(folder) / name
        self._was_in_use = False
        self._fd, user_end = os.openpty()
        try:
            tty.setraw(user_end)
            os.set_blocking(self._fd, False)
            self._slave = os.ttyname(user_end)
            _link(self.path, self._slave)
        except OSError:
            os.close(self._fd)
            raise
        finally:
            # Closed here, so that the port hangs up whenever no user has it open.
            os.close(user_end)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def fileno(self) -> int:
        """To be polled for POLLIN; it hangs up (POLLHUP) while nobody has the port open."""
        return self._fd

    @property
    def in_use(self) -> bool:
        """Whether some program has the port open."""
        if self._fd < 0:
            return False
        return not any(events & select.POLLHUP for _, events in self._poll.poll(0))

    def service(self, now_s: float) -> bool:
        """Answers all waiting bytes in one write, at model time `now_s`; True if there were any."""
        self.arm.advance(now_s)
        try:
            data = os.read(self._fd, 4096)
        except BlockingIOError:
            self._was_in_use = True
            return False
        except OSError:  # EIO: nobody has the port open
            if self._was_in_use:
                self.arm.line.forget()
            self._was_in_use = False
            return False
        self.last_request_s = time.monotonic()
        self._was_in_use = True
        reply = self.arm.handle(data)
        if reply:
            self._send(reply)
        return True

    def _send(self, reply: bytes) -> None:
        """At once: the wire time of a real line would be waited for here."""
        # A full line loses bytes, and so does one that was closed meanwhile, as on metal.
        with contextlib.suppress(OSError):
            os.write(self._fd, reply)

    def close(self) -> None:
        """Takes the port away: who has it open sees it hang up. May be called twice."""
        if self._fd < 0:
            return
        with contextlib.suppress(OSError):
            if os.readlink(self.path) == self._slave:
                self.path.unlink()
        self._poll.unregister(self._fd)
        os.close(self._fd)
        self._fd = -1


def wait_for_bytes(ports: Sequence[VirtualPort], timeout_s: float) -> None:
    """Sleeps until one of the ports that are in use has bytes, or the time is up."""
    poll = select.poll()
    for port in ports:
        fd = port.fileno()
        if port.in_use:  # else it hangs up all the time, and poll() would never sleep
            poll.register(fd, select.POLLIN)
    poll.poll(timeout_s * 1000)


@contextlib.contextmanager
def serving(
    ports: Sequence[VirtualPort], clock: Callable[[], float] = time.monotonic
) -> Iterator[None]:
    """Answers on `ports` from a thread of its own while the block runs, then closes them."""
    stopped = threading.Event()

    def serve() -> None:
        while not stopped.is_set():
            wait_for_bytes(ports, 0.005)
            now_s = clock()
            for port in ports:
                port.service(now_s)

    thread = threading.Thread(target=serve, name="virtual ports")
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
