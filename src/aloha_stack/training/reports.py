"""What a training tells meanwhile: a live line with rate and remaining time, and TensorBoard."""

import time
from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from aloha_stack.progress import Progress

WINDOW_S = 20.0
"""The rate that is shown is that of the last so many seconds, or more."""


class Reports:
    """Of one training, of `batch` samples a step and `steps` steps (None: time says)."""

    def __init__(
        self, folder: Path, progress: Progress, batch: int, steps: int | None, step: int = 0
    ) -> None:
        """Goes on after `step`: events of a training that got further before it was killed are
        hidden."""
        self._writer = SummaryWriter(str(folder), purge_step=step or None)
        self._progress, self._batch, self._steps = progress, batch, steps
        self._marks = [(time.monotonic(), step)]
        self._loss, self._validation = 0.0, ""

    def learnt(self, step: int, terms: Mapping[str, float], norm: float, lr: float) -> None:
        """Mean terms of the loss since the last time, gradient's norm, step size."""
        self._loss = sum(terms.values())
        values = {"loss": self._loss, **terms, "gradient_norm": norm, "lr": lr}
        values["samples_per_s"] = self._rate(step)
        for name, value in values.items():
            self._writer.add_scalar(f"train/{name}", value, step)

    def show(self, step: int, done: float, left_s: float | None) -> None:
        """The live line; `left_s` until the end."""
        of = f"/{self._steps}" if self._steps is not None else ""
        left = f", {clock(left_s)} left" if left_s is not None else ""
        rate = f"{self._rate(step):.3g} samples/s"
        self._progress.show(
            f"step {step}{of}  loss {self._loss:.4f}{self._validation}  {rate}{left}", done
        )

    def validated(
        self, step: int, losses: Mapping[str, float], judged: float, best: float | None
    ) -> None:
        """After a validation; `judged` is the loss that chooses."""
        for name, value in losses.items():
            self._writer.add_scalar(f"validation/{name}", value, step)
        self._validation = f"  validation {judged:.4f} (best {best:.4f})"
        self._writer.flush()

    def close(self) -> None:
        """Writes what is still in memory."""
        self._progress.clear()
        self._writer.close()

    def _rate(self, step: int) -> float:
        """Samples a second, validations and saves included."""
        now = time.monotonic()
        if now - self._marks[-1][0] > 1.0:
            self._marks.append((now, step))
        while len(self._marks) > 2 and now - self._marks[1][0] > WINDOW_S:
            self._marks.pop(0)
        then, before = self._marks[0]
        return self._batch * (step - before) / max(now - then, 1e-9)


def clock(seconds: float) -> str:
    """M:SS or H:MM:SS."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
