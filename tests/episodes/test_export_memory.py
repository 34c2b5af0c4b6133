"""Memory does not grow with the number of episodes: measured in a process of its own."""

import subprocess
import sys
from pathlib import Path

from episodes.aloha_files import foreign

PEAK_OF_EXPORT = """
import re, sys
from pathlib import Path
from aloha_stack.episodes import cli
status = cli.main(sys.argv[1:])
peak_kb = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1)
print("peak", status, int(peak_kb) // 1024)
"""
# Not getrusage: its peak counts what the process that started this one had in memory.


def peak_mb(*words: str) -> int:
    command = [sys.executable, "-c", PEAK_OF_EXPORT, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    _, status, peak = done.stdout.splitlines()[-1].split()
    assert status == "0", done.stderr
    return int(peak)


def test_nine_episodes_need_no_more_memory_than_one(tmp_path: Path):
    """An episode's pictures are 14 MB, so that 110 MB more would be seen."""
    folders = {1: tmp_path / "one", 9: tmp_path / "nine"}
    foreign(tmp_path / "file", 60, compress=False, names=("cam_high",), size=(320, 240))
    for count, folder in folders.items():
        folder.mkdir()
        for number in range(count):
            (folder / f"episode_{number}.hdf5").hardlink_to(tmp_path / "file")
    words = ["--task", "x", "--codec", "h264"]
    one, nine = (
        peak_mb("convert", str(folder), "--out", str(tmp_path / f"out{count}"), *words)
        for count, folder in folders.items()
    )
    assert nine < one + 40
    assert nine < 500
