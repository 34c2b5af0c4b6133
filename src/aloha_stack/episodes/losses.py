"""Lost messages, counted from the gaps in publication sequence numbers."""

from dataclasses import dataclass


@dataclass
class SequenceCounter:
    """Counts what is missing in the numbered messages of one publisher.

    A publisher numbers its messages 1, 2, 3, …; the middleware hands the number over with each.
    rclpy does not tell the publisher of a message, so one publisher per topic is assumed; a number
    that does not grow is a publisher that was started anew (its own losses before are unknown).
    """

    last: int | None = None
    lost: int = 0

    def saw(self, sequence: int | None) -> int:
        """Notes the arrival of `sequence`; returns how many were missed just before it."""
        if sequence is None:
            return 0
        missed = sequence - self.last - 1 if self.last is not None and sequence > self.last else 0
        self.last = sequence
        self.lost += missed
        return missed
