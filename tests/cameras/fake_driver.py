"""A V4L2 driver that answers ioctls, byte for byte as videodev2.h says; no images come of it."""

import errno
import struct
from dataclasses import dataclass, field

from aloha_stack.cameras.v4l2_device import fourcc

QUERYCAP, ENUM_FMT, ENUM_FRAMESIZES, ENUM_FRAMEINTERVALS = (
    0x80685600,
    0xC0405602,
    0xC02C564A,
    0xC034564B,
)
QUERYCTRL, QUERYMENU, G_CTRL, S_CTRL = 0xC0445624, 0xC02C5625, 0xC008561B, 0xC008561C
INTEGER, BOOLEAN, MENU, BUTTON = 1, 2, 3, 4
CAMERA, USER = 0x009A0900, 0x00980900
READ_ONLY, INACTIVE = 0x4, 0x10


@dataclass
class FakeControl:
    words: str
    kind: int
    low: int
    high: int
    value: int
    step: int = 1
    flags: int = 0
    menu: dict[int, str] = field(default_factory=dict)
    held_by: tuple[int, int] | None = None
    """The control that holds this one unless it has that value."""
    coarse: int = 1
    """The camera rounds to multiples of this, unasked."""


def webcam() -> "FakeDriver":
    """Much like a Logitech C922."""
    auto, balance = CAMERA + 1, USER + 12
    return FakeDriver(
        formats={
            "YUYV": {(640, 480): [30, 24, 15], (1280, 720): [10]},
            "MJPG": {(640, 480): [60, 30], (1280, 720): [60]},
            "H264": {(640, 480): [90]},
        },
        controls={
            USER + 0: FakeControl("Brightness", INTEGER, 0, 255, 128),
            balance: FakeControl("White Balance, Automatic", BOOLEAN, 0, 1, 1),
            USER + 19: FakeControl("Gain", INTEGER, 0, 255, 12, coarse=4),
            USER + 26: FakeControl(
                "White Balance Temperature", INTEGER, 2000, 6500, 4000, held_by=(balance, 0)
            ),
            USER + 24: FakeControl(
                "Power Line Frequency",
                MENU,
                0,
                2,
                2,
                menu={0: "Disabled", 1: "50 Hz", 2: "60 Hz"},
            ),
            auto: FakeControl(
                "Auto Exposure", MENU, 0, 3, 3, menu={1: "Manual Mode", 3: "Aperture Priority Mode"}
            ),
            CAMERA + 2: FakeControl(
                "Exposure Time, Absolute", INTEGER, 3, 2047, 250, held_by=(auto, 1)
            ),
            CAMERA + 10: FakeControl("Focus, Absolute", INTEGER, 0, 250, 0, step=5),
            CAMERA + 40: FakeControl("Privacy", BOOLEAN, 0, 1, 0, flags=READ_ONLY),
            CAMERA + 41: FakeControl("Reset", BUTTON, 0, 0, 0),
        },
    )


class FakeDriver:
    """Give `ioctl` to a V4l2Device. `written`: the controls set, in order."""

    def __init__(
        self,
        formats: dict[str, dict[tuple[int, int], list[float]]],
        controls: dict[int, FakeControl],
        capabilities: int = 0x8420_0001,
        own: int = 0x0420_0001,
    ) -> None:
        self.formats, self.controls = formats, dict(sorted(controls.items()))
        self.capabilities, self.own = capabilities, own
        self.written: list[tuple[str, int]] = []
        self.unplugged = False

    def ioctl(self, file: int, request: int, content: bytearray) -> int:
        # The kernel takes the size from the request.
        assert len(content) == request >> 16 & 0x3FFF
        if self.unplugged:
            raise OSError(errno.ENODEV, "No such device")
        answers = {
            QUERYCAP: self._capability,
            ENUM_FMT: self._format,
            ENUM_FRAMESIZES: self._size,
            ENUM_FRAMEINTERVALS: self._interval,
            QUERYCTRL: self._control,
            QUERYMENU: self._menu,
            G_CTRL: self._get,
            S_CTRL: self._set,
        }
        answers[request](content)
        return 0

    def _capability(self, content: bytearray) -> None:
        struct.pack_into(
            "16s32s32sIII", content, 0, b"uvcvideo", b"Webcam C9", b"usb-1", 1, self.capabilities,
            self.own,
        )  # fmt: skip

    def _format(self, content: bytearray) -> None:
        index, kind = struct.unpack_from("II", content)
        assert kind == 1
        code = _nth(list(self.formats), index)
        struct.pack_into("I", content, 44, fourcc(code))

    def _size(self, content: bytearray) -> None:
        index, code = struct.unpack_from("II", content)
        struct.pack_into("III", content, 8, 1, *_nth(list(self._sizes(code)), index))

    def _interval(self, content: bytearray) -> None:
        index, code, width, height = struct.unpack_from("4I", content)
        rate = _nth(self._sizes(code).get((width, height), []), index)
        if isinstance(rate, tuple):  # a range: continuous
            slow, fast = rate
            struct.pack_into("7I", content, 16, 2, 1, fast, 1, slow, 0, 0)
        else:
            struct.pack_into("3I", content, 16, 1, 1000, round(rate * 1000))

    def _sizes(self, code: int) -> dict[tuple[int, int], list[float]]:
        return next(sizes for text, sizes in self.formats.items() if fourcc(text) == code)

    def _control(self, content: bytearray) -> None:
        (asked,) = struct.unpack_from("I", content)
        assert asked & 0x8000_0000
        following = [number for number in self.controls if number > asked & 0x7FFF_FFFF]
        number = _nth(following, 0)
        control = self.controls[number]
        flags = control.flags | (INACTIVE if self._held(control) else 0)
        struct.pack_into(
            "II32siiiiI", content, 0, number, control.kind, control.words.encode(), control.low,
            control.high, control.step, 0, flags,
        )  # fmt: skip

    def _held(self, control: FakeControl) -> bool:
        if control.held_by is None:
            return False
        holder, free = control.held_by
        return self.controls[holder].value != free

    def _menu(self, content: bytearray) -> None:
        number, index = struct.unpack_from("II", content)
        if index not in self.controls[number].menu:
            raise OSError(errno.EINVAL, "Invalid argument")
        struct.pack_into("32s", content, 8, self.controls[number].menu[index].encode())

    def _get(self, content: bytearray) -> None:
        (number,) = struct.unpack_from("I", content)
        struct.pack_into("i", content, 4, self.controls[number].value)

    def _set(self, content: bytearray) -> None:
        number, value = struct.unpack_from("Ii", content)
        control = self.controls[number]
        if self._held(control):
            raise OSError(errno.EACCES, "Permission denied")
        control.value = value // control.coarse * control.coarse
        self.written.append((control.words, value))


def _nth(values, index):
    if index >= len(values):
        raise OSError(errno.EINVAL, "Invalid argument")
    return values[index]
