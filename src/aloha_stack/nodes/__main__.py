"""`python -m aloha_stack.nodes NAME …`: a node's process, which can be ended from its first moment.

Loading ROS, torch or MuJoCo takes seconds, in which Python would answer SIGINT with a traceback
from wherever it just is. There is nothing to end in order before a node has been made: until then
the signal simply ends the process, and the exit status says so.
"""

import importlib
import signal
import sys


def run_named() -> int:
    """The node that the first word names; the others are its own."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    name, *words = sys.argv[1:]
    sys.argv = [name, *words]
    return int(importlib.import_module(f"aloha_stack.nodes.{name}").main())


if __name__ == "__main__":
    raise SystemExit(run_named())
