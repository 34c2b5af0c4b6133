"""Why the policy's node could not be configured: tried again each second, told once."""

from aloha_interfaces.msg import PolicyState


class Refusal:
    """`why` it was refused last, empty if it was not; `before` is set while it is tried again."""

    def __init__(self) -> None:
        self.why = self.before = ""

    def try_again(self) -> None:
        """It is being configured, perhaps not for the first time."""
        self.before = self.why

    def over(self) -> None:
        """It is configured."""
        self.why = self.before = ""

    def was_told(self, state: PolicyState) -> bool:
        """Whether `state` is on the way to the refusal that was told before, or is that."""
        unloaded = state.state in (PolicyState.UNLOADED, PolicyState.LOADING)
        return self.before != "" and unloaded and state.reason in ("", self.before)

    def words(self, what: str) -> str:
        """`what` is not possible, and why."""
        return f"{what}: {self.why}" if self.why else what
