"""The recorder: start, pause, stop and keep, discard, label; how the episode in the making is."""

from collections.abc import Callable

from python_qt_binding.QtCore import Signal
from python_qt_binding.QtWidgets import QGridLayout, QHBoxLayout, QSizePolicy

from rqt_aloha.parts import AskingButton, Panel, button, clock, field, label, name_of, put
from rqt_aloha.theme import colours
from rqt_aloha.views import MISSING, Heard, RecorderView

LOW_DISK_GIB = 5.0


class RecorderPanel(Panel):
    """Signals name what is wanted, and of which episode: never of one that came meanwhile."""

    start = Signal(str, str)  # task, labels
    pause = Signal()
    resume = Signal()
    stop = Signal(str, str)  # path, outcome
    discard = Signal(str)
    relabel = Signal(str, str)  # path, outcome
    set_aside = Signal()

    def __init__(self) -> None:
        super().__init__("recorder")
        self.heard: Heard[RecorderView] = MISSING
        self.state, self.elapsed, self.figures = label("", "title"), label("", "title"), label("")
        self.words, self.last = label("", "dim"), label("", "dim")
        for one in (self.words, self.last, self.figures):
            one.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        self.task, self.labels = field("task"), field("labels, with commas")
        line = QHBoxLayout()
        line.addWidget(self.state, 1)
        line.addWidget(self.elapsed)
        fields = QHBoxLayout()
        fields.addWidget(self.task, 2)
        fields.addWidget(self.labels, 3)
        self.start_button = button("● Start", "Begins an episode (Space)", self.begin)
        self.pause_button = button("Pause", "Writes nothing for a while (P)", self.pause_or_resume)
        self.success_button = button(
            "Keep: success", "Ends and keeps it (Space, S)", lambda: self.end("success")
        )
        self.failure_button = button(
            "Keep: failure", "Ends and keeps it (F)", lambda: self.end("failure")
        )
        self.stop_button = button("Stop, keep", "Ends it, no outcome", lambda: self.end(""))
        self.discard_button = AskingButton(
            "Discard", "Discard? Again", "Deletes the episode; click twice (D twice)", self._discard
        )
        grid = QGridLayout()
        grid.setSpacing(4)
        row = (
            *(self.start_button, self.pause_button, self.stop_button),
            *(self.success_button, self.failure_button, self.discard_button),
        )
        for index, one in enumerate(row):
            grid.addWidget(one, index // 3, index % 3)
        self.label_buttons = {
            outcome: button(words, f"Labels the last episode: {words}", self._labeller(outcome))
            for outcome, words in (("success", "success"), ("failure", "failure"), ("", "none"))
        }
        self.aside_button = AskingButton(
            "Set aside", "Set aside? Again", "Moves the last episode away; click twice", self._aside
        )
        below = QHBoxLayout()
        below.addWidget(self.last, 1)
        for one in (*self.label_buttons.values(), self.aside_button):
            below.addWidget(one)
        for part in (line, fields, grid, below):
            self.body.addLayout(part)
            if part is line:
                self.body.addWidget(self.figures)
                self.body.addWidget(self.words)

    # -- what is wanted -----------------------------------------------------------------------

    def begin(self) -> None:
        self.start.emit(self.task.text().strip(), self.labels.text().strip())

    def begin_or_keep(self) -> None:
        """What the space bar means now."""
        if self.start_button.isEnabled():
            self.begin()
        elif self.success_button.isEnabled():
            self.end("success")

    def end(self, outcome: str) -> None:
        if self.heard.value is not None and self.success_button.isEnabled():
            self.stop.emit(self.heard.value.path, outcome)

    def pause_or_resume(self) -> None:
        if self.heard.value is not None and self.pause_button.isEnabled():
            (self.resume if self.heard.value.state == "PAUSED" else self.pause).emit()

    def _discard(self) -> None:
        if self.heard.value is not None:
            self.discard.emit(self.heard.value.path)

    def _aside(self) -> None:
        self.set_aside.emit()

    def _labeller(self, outcome: str) -> Callable[[], None]:
        def act() -> None:
            if self.heard.value is not None:
                self.relabel.emit(self.heard.value.last_path, outcome)

        return act

    # -- what is so ---------------------------------------------------------------------------

    def show_recorder(self, heard: Heard[RecorderView]) -> None:
        before, now = self.heard.value, heard.value
        if before is None or now is None or before.path != now.path:
            self.discard_button.disarm()
        if before is None or now is None or before.last_path != now.last_path:
            self.aside_button.disarm()
        self.heard = heard
        c = colours(self)
        on = now is not None and now.state in ("RECORDING", "PAUSED")
        idle = now is not None and now.state == "IDLE"
        if now is None:
            put(self.state, f"recorder: {heard.absence}", c.bad)
            put(self.elapsed, "")
            put(self.figures, "–")
            put(self.words, "")
            put(self.last, "")
        else:
            self._show_known(now, on=on)
        self.start_button.setEnabled(idle)
        for one in (self.stop_button, self.success_button, self.failure_button):
            one.setEnabled(on)
        self.discard_button.setEnabled(on)
        self.pause_button.setEnabled(on)
        paused = now is not None and now.state == "PAUSED"
        if self.pause_button.text() != ("Resume" if paused else "Pause"):
            self.pause_button.setText("Resume" if paused else "Pause")
        for one in (*self.label_buttons.values(), self.aside_button):
            one.setEnabled(now is not None and bool(now.last_path))

    def _show_known(self, now: RecorderView, *, on: bool) -> None:
        c = colours(self)
        tone = {"RECORDING": c.bad, "PAUSED": c.warn, "CLOSING": c.busy}.get(now.state, c.text)
        name = f"  {name_of(now.path)}" if on else ""
        put(self.state, f"{'● ' if now.state == 'RECORDING' else ''}{now.state}{name}", tone)
        put(self.elapsed, clock(now.elapsed_s) if on else "")
        low = now.free_gib < LOW_DISK_GIB
        figures = f"{now.messages} messages, {now.lost} lost, {now.free_gib:.1f} GiB free"
        put(self.figures, figures, c.warn if low or now.lost else "")
        silent = f"silent: {', '.join(now.silent)}" if now.silent else ""
        words = "; ".join(one for one in (silent, now.message) if one)
        put(self.words, words, c.warn if silent else "")
        kept = f"{now.kept} kept; last {name_of(now.last_path)}: {now.last_outcome or 'no outcome'}"
        put(self.last, kept if now.last_path else f"{now.kept} kept")
