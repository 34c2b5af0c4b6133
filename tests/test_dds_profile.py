"""The DDS profiles in a process with a node: the memory that it has, and whom it may hear."""

import json
import os
import subprocess
import sys

import pytest

from aloha_stack.doctor.dds import segment_bytes
from aloha_stack.graph import Domain
from aloha_stack.robot.share import share_folder
from aloha_stack.transport import without_shared_memory

OURS = share_folder() / "config/fastdds.xml"
NODE = """
import contextlib, json, os, rclpy
rclpy.init()
node = rclpy.create_node("looked_at")
mapped = {line.split()[-1] for line in open("/proc/self/maps") if "/dev/shm/fastrtps_" in line}
opened = set()
for descriptor in os.listdir("/proc/self/fd"):
    with contextlib.suppress(FileNotFoundError):  # closed meanwhile
        opened.add(os.readlink(f"/proc/self/fd/{descriptor}"))
rows = [line.split() for line in list(open("/proc/net/udp"))[1:]]
ports = [int(row[1].split(":")[1], 16) for row in rows if f"socket:[{row[9]}]" in opened]
print(json.dumps({"segments": [os.stat(file).st_size for file in mapped], "ports": ports}))
rclpy.shutdown()
"""


@pytest.fixture(scope="module", name="node")
def node_with_images():
    return started(images=True)


@pytest.fixture(scope="module", name="control_node")
def node_without_images():
    return started(images=False)


def started(images):
    """What a node under the project's profile holds, and the first UDP port of its domain."""
    domain = Domain()
    try:
        environment = {
            **os.environ,
            "FASTRTPS_DEFAULT_PROFILES_FILE": str(OURS),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "ROS_DOMAIN_ID": str(domain.number),
        }
        if not images:
            environment |= without_shared_memory(environment)
        command = [sys.executable, "-c", NODE]
        output = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout
    finally:
        domain.release()
    return json.loads(output) | {"first_port": 7400 + 250 * domain.number}


def test_a_process_has_the_profiles_segment(node):
    assert segment_bytes(OURS) <= max(node["segments"]) < 1.2 * segment_bytes(OURS)


def test_without_images_it_has_no_memory_in_common_with_others(control_node):
    assert control_node["segments"] == []


@pytest.mark.parametrize("kind", ["node", "control_node"])
def test_the_range_of_discovery_is_obeyed_only_this_hosts_port_is_listened_to(kind, request):
    node = request.getfixturevalue(kind)
    multicast, unicast = node["first_port"], node["first_port"] + 10  # RTPS 2.2, section 9.6.1.1
    assert unicast in node["ports"]
    assert multicast not in node["ports"]
