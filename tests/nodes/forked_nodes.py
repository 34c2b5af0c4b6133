"""Nodes as processes, started in a fraction of the time: Python's imports are done only once.

Reads a line for each: its ROS domain, the module, and arguments of its main().
Answers with the process ID; what a node prints goes where errors go. It never asks for their exit,
so that no ID is given twice.
"""

import os
import sys

import recording_client

from aloha_stack.nodes import bench_record, recorder

MAINS = {
    "bench_record": bench_record.main,
    "recorder": recorder.main,
    "recording_client": recording_client.main,
}

if __name__ == "__main__":
    for line in iter(sys.stdin.readline, ""):
        domain, module, *arguments = line.split()
        child = os.fork()
        if child == 0:
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the middleware prints its errors
            os.environ["ROS_DOMAIN_ID"] = domain
            os._exit(MAINS[module](arguments))
        print(child, flush=True)
