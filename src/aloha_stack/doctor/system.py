"""The machine around the nodes: domain, discovery, processor."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from aloha_stack.doctor.finding import OK, RED, WARN, Finding

HIGHEST_DOMAIN = 101
"""Above it, DDS' ports meet those that Linux gives to clients (ROS 2 documentation)."""
RANGES = {
    "LOCALHOST": (OK, "only this machine's nodes are heard", ""),
    "SUBNET": (
        WARN,
        "every machine of the network may command the arms",
        "ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST, unless nodes run elsewhere on purpose",
    ),
    "OFF": (RED, "nodes do not find each other", "ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST"),
    "SYSTEM_DEFAULT": (OK, "as the DDS profile says", ""),
}


def check_ros(environment: Mapping[str, str]) -> Iterator[Finding]:
    """What the environment says of ROS 2's domain and reach."""
    domain = environment.get("ROS_DOMAIN_ID", "0") or "0"
    if domain.isdigit() and int(domain) <= HIGHEST_DOMAIN:
        yield Finding(OK, "ROS_DOMAIN_ID", f"{int(domain)}")
    else:
        mend = f"choose 0 … {HIGHEST_DOMAIN}, the same for all nodes of this robot"
        yield Finding(RED, "ROS_DOMAIN_ID", f"'{domain}' is no domain", mend)
    reach = environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "") or "SUBNET"
    level, text, mend = RANGES.get(
        reach, (RED, "is no range", f"choose one of {', '.join(RANGES)}")
    )
    yield Finding(level, "ROS_AUTOMATIC_DISCOVERY_RANGE", f"{reach}: {text}", mend)


def check_processor(sysfs: Path = Path("/sys")) -> Iterator[Finding]:
    """The frequency governor: one that saves power wakes a 100 Hz loop late."""
    files = sorted(sysfs.glob("devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor"))
    governors = sorted({file.read_text().strip() for file in files})
    if not governors:
        yield Finding(OK, "processor", f"{os.cpu_count()} cores, no frequency governor")
    elif governors == ["performance"]:
        yield Finding(OK, "processor", f"{os.cpu_count()} cores, governor performance")
    else:
        yield Finding(
            WARN,
            "processor",
            f"{os.cpu_count()} cores, governor {', '.join(governors)}: loops may wake late",
            "sudo cpupower frequency-set -g performance",
        )
