"""Judges how a process ended: in order, or as a crash that the exit status must tell."""

import signal
from collections.abc import Set
from dataclasses import dataclass

_SHELL_OFFSET = 128
"""A program that catches a signal and reports it exits with 128 + its number (shells' custom)."""


@dataclass(frozen=True)
class Ending:
    """Whether a process ended in order, and how, in words."""

    orderly: bool
    words: str


def judge(returncode: int, sent: Set[int]) -> Ending:
    """What a return code (as of `subprocess`: minus the signal's number) means.

    `sent` are the signals that the launcher sent. A process that one of them ended did as it was
    told; only SIGKILL is never orderly: it means that the process had to be stopped by force.
    """
    if returncode == 0:
        return Ending(True, "has ended")
    if returncode > 0:
        if returncode - _SHELL_OFFSET in sent - {signal.SIGKILL}:
            return Ending(True, "has ended")
        return Ending(False, f"died with exit code {returncode}")
    number = -returncode
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    if number == signal.SIGKILL and number in sent:
        return Ending(False, "did not end in time and was killed")
    if number in sent:
        return Ending(True, f"was ended by {name}")
    return Ending(False, f"was killed by {name}")
