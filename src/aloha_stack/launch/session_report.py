"""The page about what a session recorded: made once all nodes have ended, where a person is there.

It is a short process of its own, for no node and no arm waits for it, and Ctrl-C leaves it out.
Where nobody looks on (a demo, an evaluation, a test) the command is said instead.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from aloha_stack.launch.plan import NodePlan

RECORDER = "recorder"


class SessionReport:
    """Of the episodes that come into the recorder's folder from now on."""

    def __init__(self, nodes: Sequence[NodePlan]) -> None:
        self._folder = _folder(nodes)
        self._before = self._episodes()

    def tell(self, environment: Mapping[str, str], make: bool) -> None:
        """Makes the page of this session, or only says how; nothing where nothing was recorded."""
        new = self._episodes() - self._before
        if self._folder is None or not new:
            return
        words = ["report", str(self._folder), "--last", str(len(new))]
        if make:
            now = datetime.now().strftime("%Y%m%d_%H%M%S")
            out = ["--out", str(self._folder / f"report_{now}.html")]
            command = [sys.executable, "-m", "aloha_stack.cli", *words, *out]
            print(f"launch: a page about {_episodes(len(new))}; Ctrl-C leaves it out", flush=True)
            try:
                if subprocess.run(command, check=False, env=environment).returncode == 0:
                    return
            except KeyboardInterrupt:
                pass  # a child in the same terminal has heard it, too
        print(f"launch: {_episodes(len(new))} recorded: ./aloha {' '.join(words)}", flush=True)

    def _episodes(self) -> set[str]:
        if self._folder is None or not self._folder.is_dir():
            return set()
        return {path.name for path in self._folder.glob("episode_*") if path.is_dir()}


def _folder(nodes: Sequence[NodePlan]) -> Path | None:
    """Where the session's recorder writes; None if there is none."""
    for node in nodes:
        if node.executable == RECORDER:
            for parameters in node.parameters:
                if isinstance(parameters, dict) and "directory" in parameters:
                    return Path(str(parameters["directory"]))
    return None


def _episodes(count: int) -> str:
    return "1 episode" if count == 1 else f"{count} episodes"
