"""How every bench begins and ends: what a person hears of it, and its exit status."""

import shutil
import sys
from pathlib import Path
from typing import Any

from aloha_stack.bench.report import FAILED, Report, busy, machine
from aloha_stack.progress import Progress


def begin(bench: str) -> tuple[Progress, dict[str, Any]]:
    """What it tells its progress to, and the machine; a busy one is warned of."""
    progress, found = Progress(), machine()
    if warning := busy(found):
        progress.say(f"aloha bench {bench}: {warning}")
    return progress, found


def give_up(bench: str, progress: Progress, why: object) -> int:
    """The exit status of one that broke down."""
    progress.say(f"aloha bench {bench}: {why}")
    return FAILED


def finish(report: Report, progress: Progress, file: Path | None) -> int:
    """Shows the figures, writes them to `file`, if that is wanted; the exit status."""
    progress.say(report.table())
    if file:
        report.write(file)
    return report.status


def has_room(bench: str, folder: Path, needed: float) -> bool:
    """Whether `folder` can take an episode of `needed` bytes, and something besides; else it is
    said."""
    free = shutil.disk_usage(folder).free
    if free >= 1.5 * needed:
        return True
    print(
        f"aloha bench {bench}: the episode takes {needed / 1e9:.1f} GB, and {folder} has "
        f"{free / 1e9:.1f} GB left; make room, or give another folder with --folder",
        file=sys.stderr,
    )
    return False
