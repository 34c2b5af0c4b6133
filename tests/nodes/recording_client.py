"""Asks a recorder to record, and says when it does: a process of its own, off shared memory.

A recorder that begins while a client takes over a port that a killed recorder left may write to the
old one for ever. Our own clients keep off shared memory for that, as this one does; within a
process that had a node before, this is too late.
"""

import os
import time
from pathlib import Path

import rclpy
from aloha_interfaces.action import RecordEpisode
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor

from aloha_stack.transport import udp_alone

AGAIN_S = 0.5


def main(arguments: list[str]) -> int:
    """Makes the file that it is told, with the time in it (ns), once the recorder records."""
    began = Path(*arguments)
    with udp_alone(os.environ):
        rclpy.init(args=[])
        node = rclpy.create_node("client")
    client = ActionClient(node, RecordEpisode, "/recorder/record_episode")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    heard: list[object] = []
    next_s = 0.0
    while not heard:
        executor.spin_once(timeout_sec=0.05)
        # Again and again: it may not hear everything yet, and a request or an answer may be lost
        # while client and server find each other.
        if time.monotonic() > next_s and client.server_is_ready():
            next_s = time.monotonic() + AGAIN_S
            goal = RecordEpisode.Goal(task="transfer_cube", seed=3)
            client.send_goal_async(goal, heard.append)
    written = began.with_suffix(".part")
    written.write_text(str(time.time_ns()))
    written.rename(began)
    return 0
