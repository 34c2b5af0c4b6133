"""A ROS domain for a test's own nodes."""

from aloha_stack.graph import Domain


def free_domain() -> int:
    """One in which no participant is, not even one that an earlier test left to be collected."""
    domain = Domain()
    domain.release()
    return domain.number
