"""A serial port for dynamixel_sdk that sleeps while it waits, and that one process holds alone."""

import errno
import fcntl
import os
import select
import termios
import time

from dynamixel_sdk import PortHandler

from aloha_stack.dynamixel.errors import PortBusy, PortClosed, PortDenied, PortLost, PortMissing

REPLY_TIMEOUT_MS = 34.0
"""How long a reply may take beyond its time on the wire: dynamixel_sdk's own margin."""

_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL


class PollingPort(PortHandler):  # type: ignore[misc]
    """dynamixel_sdk's PortHandler, on poll(), a read buffer and the monotonic clock.

    The SDK's own handler spins while it waits (a whole core for one arm) and measures time-outs on
    the wall clock. `owner` stands in front of every error message (the arm's name).
    """

    def __init__(self, path: str, baud: int, owner: str = "") -> None:
        super().__init__(path)
        self.baudrate = baud
        self.tx_time_per_byte = 10_000.0 / baud
        self.owner = owner
        self._fd = -1
        self._poll = select.poll()
        self._buffer = bytearray()

    # -- opening ----------------------------------------------------------------------------

    def openPort(self) -> bool:
        """Opens the port for this process alone: PortMissing, PortDenied, PortBusy or PortLost."""
        self.closePort()
        speed = getattr(termios, f"B{self.baudrate}", None)
        if speed is None:
            raise ValueError(f"{self._name()}: {self.baudrate} baud is no speed of a serial port")
        try:
            fd = os.open(self.port_name, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise self._open_error(error) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _set_raw(fd, speed)
        except OSError as error:
            os.close(fd)
            raise self._open_error(error) from error
        except termios.error as error:
            os.close(fd)
            raise PortLost(f"{self._name()}: is no serial port; check the path") from error
        self._fd = fd
        self._poll.register(fd, select.POLLIN)
        self.is_open, self.is_using = True, False
        return True

    def closePort(self) -> None:
        if self._fd >= 0:
            self._poll.unregister(self._fd)
            os.close(self._fd)
        self._fd = -1
        self._buffer.clear()
        self.is_open = False

    def setBaudRate(self, baudrate: int) -> bool:
        self.baudrate = baudrate
        self.tx_time_per_byte = 10_000.0 / baudrate
        return self.openPort()

    # -- bytes ------------------------------------------------------------------------------

    def clearPort(self) -> None:
        """Throws away what has arrived and was not read."""
        self.drain()
        self._buffer.clear()

    def getBytesAvailable(self) -> int:
        self.drain()
        return len(self._buffer)

    def readPort(self, length: int) -> bytes:
        """Up to `length` bytes, as soon as there are any; b"" once the packet's time is up."""
        if length <= 0:
            return b""
        if not self._buffer:
            left_ms = self.packet_timeout - self.getTimeSinceStart()
            if self.wait(left_ms / 1000):
                self.drain()
        data = bytes(self._buffer[:length])
        del self._buffer[:length]
        return data

    def await_silence(self, quiet_s: float, limit_s: float = 0.1) -> bool:
        """Throws away what comes until nothing came for `quiet_s`; False if the time is up."""
        deadline = time.monotonic() + limit_s
        while self.wait(quiet_s):
            self.clearPort()
            if time.monotonic() > deadline:
                return False
        return True

    def take(self) -> bytes:
        """What has arrived, without waiting: bytes of earlier, and what one read gives."""
        data = bytes(self._buffer) + self._read()
        self._buffer.clear()
        return data

    def wait(self, timeout_s: float) -> bool:
        """Sleeps until bytes arrive or the time is up; True if there are bytes."""
        self._check_open()
        for _, events in self._poll.poll(max(0.0, timeout_s) * 1000):
            if events & _GONE:
                raise self._lost()
            return True
        return False

    def drain(self) -> None:
        """Moves all that has arrived into the buffer; one read may give only a part of it."""
        while chunk := self._read():
            self._buffer += chunk

    def _read(self) -> bytes:
        """What one read gives, maybe not all that has arrived."""
        self._check_open()
        try:
            return os.read(self._fd, 4096)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._lost() from error

    def writePort(self, packet: bytes) -> int:
        """Writes a whole packet; PortLost if the line does not take it."""
        self._check_open()
        data, deadline = bytes(packet), time.monotonic() + 0.1
        sent = 0
        while sent < len(data):
            try:
                sent += os.write(self._fd, data[sent:])
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise self._lost() from None
                time.sleep(0.0005)
            except OSError as error:
                raise self._lost() from error
        return sent

    # -- time -------------------------------------------------------------------------------

    def setPacketTimeout(self, packet_length: int) -> None:
        self.setPacketTimeoutMillis(self.tx_time_per_byte * packet_length + REPLY_TIMEOUT_MS)

    def getCurrentTime(self) -> float:
        """Milliseconds on the monotonic clock."""
        return time.monotonic() * 1000.0

    # -- words ------------------------------------------------------------------------------

    def _name(self) -> str:
        return f"{self.owner}: port {self.port_name}" if self.owner else f"port {self.port_name}"

    def _check_open(self) -> None:
        if self._fd < 0:
            self.is_using = False  # the SDK takes the port before it touches it
            raise PortClosed(f"{self._name()}: is not open; call open() first")

    def _lost(self) -> PortLost:
        self.is_using = False
        return PortLost(
            f"{self._name()}: was lost; check the USB cable, the adapter's power and dmesg, "
            "then open it again"
        )

    def _open_error(self, error: OSError) -> Exception:
        if error.errno in (errno.EWOULDBLOCK, errno.EBUSY):
            return PortBusy(
                f"{self._name()}: is in use by another process; stop the bridge or the Dynamixel "
                f"tool that holds it (find it with: fuser {self.port_name})"
            )
        if error.errno in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
            return PortMissing(
                f"{self._name()}: does not exist; check that the arm is plugged in and powered, "
                "that its udev rule is installed, or that the twin is running"
            )
        if error.errno in (errno.EACCES, errno.EPERM):
            return PortDenied(
                f"{self._name()}: may not be opened by this user; add the user to the group "
                "dialout and log in again, or install the udev rules"
            )
        return PortLost(f"{self._name()}: cannot be opened ({error.strerror}); check the adapter")


def _set_raw(fd: int, speed: int) -> None:
    """8N1, raw, reads that never wait (VMIN 0: with more, the last bytes may never wake poll())."""
    attributes = termios.tcgetattr(fd)
    control = attributes[6]
    control[termios.VMIN], control[termios.VTIME] = 0, 0
    cflag = termios.CS8 | termios.CREAD | termios.CLOCAL
    attributes[:6] = [0, 0, cflag, 0, speed, speed]
    termios.tcsetattr(fd, termios.TCSANOW, attributes)
    termios.tcflush(fd, termios.TCIOFLUSH)
