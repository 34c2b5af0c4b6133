"""docs/reference is what the code says: in a process of its own, for making every node once changes
what all nodes of a process have in common (what is logged, whose contexts there are)."""

import os
import subprocess
import sys
from pathlib import Path

CHECKS = Path(__file__).with_name("reference_checks.py")


def test_the_reference_is_what_the_code_says_and_it_says_enough() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CHECKS)]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
