"""Readying a V4L2 device as the robot file asks: the format that fits, and its controls."""

from collections.abc import Mapping

from aloha_stack.cameras.source import SourceError
from aloha_stack.cameras.v4l2_device import Control, V4l2Device, fourcc_text
from aloha_stack.robot.description import Camera

FORMATS = ("MJPG", "JPEG", "YUYV", "UYVY", "NV12", "YU12", "BGR3", "RGB3", "GREY")
"""Those that are understood, the best first: JPEG is passed on, the others are encoded here."""
JPEGS = ("MJPG", "JPEG")
SAME_RATE = 0.01
"""29.97 images a second are 30."""


def choose_format(device: V4l2Device, camera: Camera) -> str:
    """The best of FORMATS that gives the camera's size and rate.

    Raises SourceError, which names what the device offers.
    """
    offered = {text: code for code in device.formats() if (text := fourcc_text(code)) in FORMATS}
    for text in FORMATS:
        if text not in offered:
            continue
        slack_hz = SAME_RATE * camera.rate_hz
        for low_hz, high_hz in device.rates(offered[text], camera.width, camera.height):
            if low_hz - slack_hz <= camera.rate_hz <= high_hz + slack_hz:
                return text
    wanted = f"{camera.width}x{camera.height} at {camera.rate_hz:g} images/s"
    offers = "; ".join(_offers(device, text, offered[text]) for text in FORMATS if text in offered)
    raise SourceError(
        f"{device.path} ({device.card}) does not give {wanted}; it offers "
        f"{offers or 'no format that is understood here'}: choose one in the robot file"
    )


def _offers(device: V4l2Device, text: str, code: int) -> str:
    sizes = []
    for width, height in device.sizes(code):
        rates = ", ".join(
            f"{low_hz:g}" if low_hz == high_hz else f"{low_hz:g} … {high_hz:g}"
            for low_hz, high_hz in device.rates(code, width, height)
        )
        sizes.append(f"{width}x{height} at {rates or 'unknown rates'}")
    return f"{text} {' | '.join(sizes)}"


def set_controls(device: V4l2Device, wanted: Mapping[str, int]) -> None:
    """Sets controls, and reads them back: switches and menus (automatic modes) first.

    Raises SourceError before the first one is set if a control is unknown or a value impossible;
    after it if a control is held by an automatic mode, or does not keep its value.
    """
    known = device.controls()
    for name, value in wanted.items():
        _check(device, known, name, value)
    for name in sorted(wanted, key=lambda name: not known[name].switch):
        try:
            device.set(known[name], wanted[name])
        except OSError as error:
            # Seldom final: what an automatic mode holds is told below, in better words.
            if not device.controls()[name].inactive:
                raise SourceError(
                    f"{device.path}: control {name} refuses {wanted[name]}: {error.strerror}"
                ) from error
    known = device.controls()
    for name, value in wanted.items():
        _verify(device, known[name], value)


def _check(device: V4l2Device, known: Mapping[str, Control], name: str, value: int) -> None:
    if name not in known:
        raise SourceError(
            f"{device.path} ({device.card}) has no control '{name}'; it has "
            f"{', '.join(known) or 'none'}"
        )
    control = known[name]
    if control.read_only:
        raise SourceError(f"{device.path}: control {name} can only be read: leave it out")
    if not control.allows(value):
        raise SourceError(
            f"{device.path}: control {name} cannot be {value}; expected {control.range()}"
        )


def _verify(device: V4l2Device, control: Control, value: int) -> None:
    if control.inactive:
        raise SourceError(
            f"{device.path}: control {control.name} is held by an automatic mode: switch that off, "
            "too (auto_exposure: 1, white_balance_automatic: 0, focus_automatic_continuous: 0)"
        )
    found = device.value(control)
    if found != value:
        raise SourceError(
            f"{device.path}: control {control.name} was set to {value}, but the camera made it "
            f"{found}: choose a value that it keeps"
        )
