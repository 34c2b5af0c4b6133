"""Recorders as processes, started in a fraction of the time: Python's imports are done only once.

Reads a line of arguments for each, starts the recorder's main() with them in a process of its own,
and answers with its process ID. It never asks for their exit, so that no ID is given twice.
"""

import os
import sys

from aloha_stack.nodes.recorder import main

if __name__ == "__main__":
    for line in iter(sys.stdin.readline, ""):
        child = os.fork()
        if child == 0:
            os._exit(main(line.split()))
        print(child, flush=True)
