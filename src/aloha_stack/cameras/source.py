"""What a camera is to the rest of the stack: something that hands over JPEG images with a stamp."""

from dataclasses import dataclass, field
from typing import Protocol


class SourceError(RuntimeError):
    """A camera source cannot deliver. The message says what to do about it."""


class UnknownSourceError(SourceError, ValueError):
    """The configuration names a source, or a camera of it, that does not exist."""


@dataclass(frozen=True)
class Frame:
    """One image as the camera gave it: baseline JPEG of `width` x `height` pixels.

    stamp_ns: time of exposure, ns; on the machine's clock, from the twin in model time.
    sequence: counts from 0 per opened source; a gap is a frame that was lost on the way.
    """

    stamp_ns: int
    sequence: int
    jpeg: bytes
    width: int
    height: int


PASSTHROUGH = "passthrough"
"""The camera's own JPEG, its bytes untouched."""
ENCODED = "encoded"
"""Made into JPEG here, once."""


@dataclass
class SourceHealth:
    """What a source can tell of itself while it is open; counted since it was opened.

    mode: PASSTHROUGH or ENCODED. damaged: images that were not whole and not handed over, `damage`
    is what was wrong with the last of them. remarks: what somebody should know, each once.
    """

    mode: str
    damaged: int = 0
    damage: str = ""
    remarks: list[str] = field(default_factory=list)

    def remark(self, words: str) -> None:
        if words not in self.remarks:
            self.remarks.append(words)


class CameraSource(Protocol):
    """One camera. `open` and `close` may be called again; one thread at a time may call `read`.

    None of them takes longer than 4 s plus its time-out, whatever the camera does.
    """

    health: SourceHealth

    def open(self) -> None:
        """Readies the camera. Raises SourceError if it cannot, or if it is open already."""

    def read(self, timeout_s: float) -> Frame | None:
        """The next frame, or None if there was none within `timeout_s` of wall time.

        Frames come in the order of their stamps, each once. Raises SourceError if the source is
        closed, or is broken for good (a None means: it may still come).
        """

    def close(self) -> None:
        """Lets go of the camera. Closing a closed source does nothing."""
