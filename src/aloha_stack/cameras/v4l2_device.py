"""Asking a V4L2 device what it is, what it offers, and setting its controls, by ioctl.

Requests and structures: include/uapi/linux/videodev2.h of the Linux kernel. A request holds the
size of its structure, which a test compares.
"""

import errno
import fcntl
import os
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from aloha_stack.cameras.source import SourceError

Ioctl = Callable[[int, int, bytearray], Any]
"""The seam: what a test replaces. Raises OSError, changes the bytes in place, as fcntl.ioctl."""

QUERYCAP, CAPABILITY = 0x80685600, struct.Struct("=16s32s32s6I")
ENUM_FMT, FMTDESC = 0xC0405602, struct.Struct("=3I32s5I")
ENUM_FRAMESIZES, FRMSIZE = 0xC02C564A, struct.Struct("=11I")
ENUM_FRAMEINTERVALS, FRMIVAL = 0xC034564B, struct.Struct("=13I")
QUERYCTRL, QUERY = 0xC0445624, struct.Struct("=2I32s4i3I")
QUERYMENU, MENU = 0xC02C5625, struct.Struct("=2I32sI")
G_CTRL, S_CTRL, CONTROL = 0xC008561B, 0xC008561C, struct.Struct("=Ii")

_CAPTURE, _DEVICE_CAPS = 0x1, 0x8000_0000
_VIDEO_CAPTURE = 1
"""V4L2_BUF_TYPE_VIDEO_CAPTURE."""
_DISCRETE = 1
_NEXT = 0x8000_0000
_DISABLED, _READ_ONLY, _INACTIVE = 0x1, 0x4, 0x10
_INTEGER, _BOOLEAN, _MENU, _INTEGER_MENU = 1, 2, 3, 9
_SETTABLE = (_INTEGER, _BOOLEAN, _MENU, _INTEGER_MENU)


@dataclass(frozen=True)
class Control:
    """One control, named as `v4l2-ctl -l` does. `menu`: the words of the values it can take."""

    id: int
    name: str
    switch: bool
    minimum: int
    maximum: int
    step: int
    menu: dict[int, str]
    read_only: bool
    inactive: bool

    def allows(self, value: int) -> bool:
        if not self.minimum <= value <= self.maximum:
            return False
        if self.menu:
            return value in self.menu
        return (value - self.minimum) % max(1, self.step) == 0

    def range(self) -> str:
        """The values it takes, in words."""
        if self.menu:
            return ", ".join(f"{value} ({words})" for value, words in self.menu.items())
        step = f" in steps of {self.step}" if self.step > 1 else ""
        return f"{self.minimum} … {self.maximum}{step}"


class V4l2Device:
    """The device at `path`, open for questions (a context manager). Raises SourceError."""

    def __init__(self, path: str, ioctl: Ioctl = fcntl.ioctl) -> None:
        self.path, self._ioctl = path, ioctl
        self._file = _opened(path)
        try:
            self._check()
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> "V4l2Device":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    # -- what it is -------------------------------------------------------------------------

    def _check(self) -> None:
        try:
            _, card, _, _, capabilities, own, *_ = self._ask(QUERYCAP, CAPABILITY)
        except OSError as error:
            raise SourceError(
                f"{self.path} is no V4L2 device ({error.strerror}): correct the source"
            ) from error
        self.card = _words(card)
        if not (own if capabilities & _DEVICE_CAPS else capabilities) & _CAPTURE:
            raise SourceError(
                f"{self.path} ({self.card}) gives no pictures: it is another node of the camera; "
                'choose the one with `ATTR{index}=="0"` in the udev rules'
            )

    # -- what it offers ---------------------------------------------------------------------

    def formats(self) -> Iterator[int]:
        """The four-character codes of its pixel formats, as numbers."""
        for *_, code in self._list(
            lambda i: self._ask(ENUM_FMT, FMTDESC, i, _VIDEO_CAPTURE, 0, b"", 0)[:5]
        ):
            yield code

    def sizes(self, code: int) -> list[tuple[int, int]]:
        """Width and height of what a format offers; of a range both ends."""
        sizes = []
        for _, _, kind, width, height, *more in self._list(
            lambda i: self._ask(ENUM_FRAMESIZES, FRMSIZE, i, code)
        ):
            if kind == _DISCRETE:
                sizes.append((width, height))
            else:  # least, greatest and step of the width, then of the height
                return [(width, more[1]), (height, more[2])]
        return sizes

    def rates(self, code: int, width: int, height: int) -> list[tuple[float, float]]:
        """Least and greatest images a second at a size; both the same where there are steps."""
        rates = []
        for _, _, _, _, kind, *interval in self._list(
            lambda i: self._ask(ENUM_FRAMEINTERVALS, FRMIVAL, i, code, width, height)
        ):
            shortest_s = interval[0] / (interval[1] or 1)
            longest_s = shortest_s if kind == _DISCRETE else interval[2] / (interval[3] or 1)
            if shortest_s > 0 and longest_s > 0:
                rates.append((1 / longest_s, 1 / shortest_s))
            if kind != _DISCRETE:
                break
        return rates

    # -- controls ---------------------------------------------------------------------------

    def controls(self) -> dict[str, Control]:
        """Its controls that hold one number, by name."""
        found: dict[str, Control] = {}
        last = 0
        while True:
            try:
                answer = self._ask(QUERYCTRL, QUERY, last | _NEXT)
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.ENOTTY):
                    return found
                raise
            last, kind, name, low, high, step, _, flags, *_ = answer
            if kind not in _SETTABLE or flags & _DISABLED:
                continue
            menu = dict(self._menu(last, low, high, kind)) if kind in (_MENU, _INTEGER_MENU) else {}
            control = Control(
                id=last,
                name=control_name(_words(name)),
                switch=kind != _INTEGER,
                minimum=low,
                maximum=high,
                step=step,
                menu=menu,
                read_only=bool(flags & _READ_ONLY),
                inactive=bool(flags & _INACTIVE),
            )
            found[control.name] = control

    def _menu(self, control: int, low: int, high: int, kind: int) -> Iterator[tuple[int, str]]:
        for index in range(low, high + 1):
            try:
                _, _, words, _ = self._ask(QUERYMENU, MENU, control, index)
            except OSError:  # menus have holes
                continue
            number = int.from_bytes(words[:8], "little", signed=True)
            yield index, str(number) if kind == _INTEGER_MENU else _words(words)

    def value(self, control: Control) -> int:
        return int(self._ask(G_CTRL, CONTROL, control.id)[1])

    def set(self, control: Control, value: int) -> None:
        self._ask(S_CTRL, CONTROL, control.id, value)

    # -- the wire ---------------------------------------------------------------------------

    def _list(self, ask: Callable[[int], tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        """The answers for 0, 1, 2 … until there is none."""
        for index in range(256):
            try:
                yield ask(index)
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.ENOTTY):
                    return
                raise

    def _ask(self, request: int, layout: struct.Struct, *fields: Any) -> tuple[Any, ...]:
        """The structure after the request; fields that are not given are zero."""
        content = bytearray(layout.size)
        blank = list(layout.unpack(content))
        layout.pack_into(content, 0, *fields, *blank[len(fields) :])
        self._ioctl(self._file, request, content)
        return layout.unpack(content)


def fourcc(text: str) -> int:
    """The number of a four-character code."""
    return int.from_bytes(text.encode("ascii"), "little")


def fourcc_text(code: int) -> str:
    return code.to_bytes(4, "little").decode("ascii", "replace").strip()


def control_name(words: str) -> str:
    """'Exposure Time, Absolute' as v4l2-ctl writes it: exposure_time_absolute."""
    letters = "".join(c.lower() if c.isascii() and c.isalnum() else " " for c in words)
    return "_".join(letters.split())


def _opened(path: str) -> int:
    """A descriptor of the device. Raises SourceError, which says how to mend it."""
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISCHR(mode):
            raise SourceError(f"{path} is no device: correct the source in the robot file")
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise SourceError(
            f"{path} does not exist: plug the camera in, or correct the source; "
            "config/udev/99-aloha.rules gives cameras names that stay"
        ) from error
    except PermissionError as error:
        raise SourceError(
            f"{path} may not be opened by this user: sudo usermod -aG video $USER, then log in "
            "again"
        ) from error
    except OSError as error:
        raise SourceError(f"{path} does not open: {error.strerror}") from error


def _words(text: bytes) -> str:
    return text.split(b"\0")[0].decode("utf-8", "replace").strip()
