"""The machine around the nodes: DDS profile, domain, discovery, processor."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

from aloha_stack.doctor.finding import OK, RED, WARN, Finding

PROFILES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
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


def check_ros(environment: Mapping[str, str], profile: Path) -> Iterator[Finding]:
    """What the environment says of ROS 2; `profile` is the project's own DDS profile."""
    yield _dds(environment, profile)
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


def _dds(environment: Mapping[str, str], profile: Path) -> Finding:
    subject = "DDS profile"
    middleware = environment.get("RMW_IMPLEMENTATION", "") or "rmw_fastrtps_cpp"
    if not middleware.startswith("rmw_fastrtps"):
        return Finding(
            WARN, subject, f"{middleware} is in use; the project is tested with rmw_fastrtps_cpp"
        )
    named = next((key for key in PROFILES if environment.get(key)), None)
    if named is None:
        return Finding(
            WARN,
            subject,
            f"{PROFILES[0]} is not set: Fast DDS uses its own buffers and transports",
            f"export {PROFILES[0]}={profile}" if profile.is_file() else "",
        )
    path = Path(environment[named])
    try:
        ElementTree.parse(path)
    except OSError as error:
        return Finding(
            RED,
            subject,
            f"{named}={path}: {error.strerror}",
            "correct the path; Fast DDS ignores it",
        )
    except ElementTree.ParseError as error:
        return Finding(RED, subject, f"{path} is no valid XML: {error}", "correct the file")
    return Finding(OK, subject, f"{path}")


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
