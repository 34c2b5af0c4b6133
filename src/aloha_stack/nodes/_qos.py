"""Quality of service, one name per kind of stream (docs/architecture.md, the table of topics)."""

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

JOINTS = QoSProfile(depth=5)
"""Joint states and executed commands: reliable."""

COMMAND = QoSProfile(depth=1)
"""Commands: reliable, and only the newest counts."""

STATE = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""What something is doing now: late joiners get the last word."""

IMAGES = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Images and what goes with them: never waited for."""

TRANSFORMS = QoSProfile(depth=100)
"""/tf, as tf2 offers it: reliable."""

CLOCK = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
"""/clock."""
