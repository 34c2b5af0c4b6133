"""The policy: what is loaded, how fast it thinks, what it wants to do, and a rollout's buttons."""

import math
from collections.abc import Sequence

from python_qt_binding.QtCore import Qt, Signal
from python_qt_binding.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout

from rqt_aloha.parts import Panel, button, field, label, name_of, put
from rqt_aloha.theme import colours
from rqt_aloha.views import View
from rqt_aloha.widgets_plot import ChunkPlot

CAPTIONS = ("policy", "checkpoint", "player", "tick rate", "inference", "chunk age", "counts")


class PolicyPanel(Panel):
    """`rollout(checkpoint, record)`, `end`, `takeover` and `release` tell what is wanted."""

    rollout = Signal(str, bool)
    end = Signal()
    takeover = Signal()
    release = Signal()

    def __init__(self, joints: Sequence[str], sides: Sequence[str]) -> None:
        super().__init__("policy")
        put(self.note, "executed (blue), predicted chunk (amber), rad over s")
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(1)
        self.values = {caption: label("") for caption in CAPTIONS}
        places = ((0, 0, 1), (0, 2, 3), (1, 0, 5), (2, 0, 1), (2, 2, 1), (2, 4, 1), (3, 0, 5))
        for (caption, value), (row, column, span) in zip(self.values.items(), places, strict=True):
            grid.addWidget(label(caption, "dim"), row, column)
            grid.addWidget(value, row, column + 1, 1, span)
        for column in (1, 3, 5):
            grid.setColumnStretch(column, 1)
        self.body.addLayout(grid)
        self.plot = ChunkPlot(joints, sides)
        self.body.addWidget(self.plot, 1)
        self.checkpoint = field("folder of a checkpoint; empty: the one that is loaded")
        self.record = QCheckBox("record")
        self.record.setFocusPolicy(Qt.NoFocus)
        self.start_button = button("Roll out", "Starts a rollout", self._start)
        self.end_button = button("End rollout", "Ends it; the followers hold", self.end.emit)
        self.take_button = button("Take over", "A human commands (T)", self.takeover.emit)
        self.give_button = button("Give back", "The policy goes on (G)", self.release.emit)
        wanted, row = QHBoxLayout(), QHBoxLayout()
        wanted.addWidget(self.checkpoint, 1)
        wanted.addWidget(self.record)
        for one in (self.start_button, self.end_button, self.take_button, self.give_button):
            row.addWidget(one)
        self.body.addLayout(wanted)
        self.body.addLayout(row)

    def _start(self) -> None:
        self.rollout.emit(self.checkpoint.text().strip(), self.record.isChecked())

    def show_view(self, view: View) -> None:
        c = colours(self)
        policy, player = view.policy.value, view.player.value
        if policy is None:
            put(self.values["policy"], view.policy.absence, c.dim)
            put(self.values["checkpoint"], "–", c.dim)
        else:
            bad = policy.state in ("STOPPED", "UNLOADED") and bool(policy.reason)
            words = f"{policy.state}  {policy.reason}".strip()
            put(self.values["policy"], words, c.level("warn" if bad else "ok"))
            put(self.values["checkpoint"], name_of(policy.checkpoint) or "none")
            self.values["checkpoint"].setToolTip(policy.checkpoint)
        if player is None:
            put(self.values["player"], view.player.absence, c.dim)
        else:
            words = f"{player.state}, {player.commander.lower()} commands  {player.reason}".strip()
            put(
                self.values["player"], words, c.level("warn" if player.state == "HOLDING" else "ok")
            )
        rolling = player is not None and player.state != "IDLE"
        known = player is not None and rolling
        put(self.values["tick rate"], _unit(player.hz if known else math.nan, 1, "Hz"))  # type: ignore[union-attr]
        inference_s = policy.inference_s if policy is not None else math.nan
        put(self.values["inference"], _unit(1000 * inference_s or math.nan, 0, "ms"))
        age_s = player.chunk_age_s if known else -1.0  # type: ignore[union-attr]
        put(self.values["chunk age"], _unit(1000 * age_s if age_s >= 0 else math.nan, 0, "ms"))
        put(self.values["counts"], self._counts(view) if rolling else "–")
        self.plot.show_motion(view.motion, view.chunk)
        self.start_button.setEnabled(player is not None and not rolling)
        self.end_button.setEnabled(rolling)
        human = known and player.state in ("MATCHING", "HUMAN")  # type: ignore[union-attr]
        self.take_button.setEnabled(rolling and not human)
        self.give_button.setEnabled(bool(human))

    @staticmethod
    def _counts(view: View) -> str:
        player, policy = view.player.value, view.policy.value
        assert player is not None
        made = f"{policy.chunks} chunks, {policy.failures} failures, " if policy is not None else ""
        return (
            f"{made}{player.overruns} late ticks, {player.holds} holds, "
            f"{player.takeovers} takeovers"
        )


def _unit(value: float, digits: int, unit: str) -> str:
    return f"{value:.{digits}f} {unit}" if math.isfinite(value) else "–"
