"""When an arm may be given currents to float on: only while somebody is there and all is well.

Whatever ends it, the arm is let down, not dropped: the share of the currents fades. An e-stop alone
takes them away at once, as it takes the torque of everything.
"""

import numpy as np

from aloha_stack.robot.description import Limits
from aloha_stack.robot.joints import GRIPPER, JOINTS

PRESENCE_S = 10.0
"""How long a sign of the operator's presence counts."""
FRESH_S = 0.1
"""A reading older than this says nothing of where the arm is."""
RISE_S, FALL_S, QUICK_FALL_S = 1.0, 1.5, 0.3
"""Steady time from nothing to all and back; quickly where currents may do harm themselves."""
LONGEST_STEP_S = 0.05
"""A pause of the caller counts as this much: no share ever jumps."""


NOT_ASKED = "gravity compensation has not been asked for; the service float begins it"


class DeadMan:
    """The share (0…1) of the compensation that is allowed now, and why it is not more.

    Compensation begins when it is asked for (`start`) and goes on while the operator renews the
    presence (`renew`), readings are fresh, the heartbeat is there and no joint is faster than
    `limits.velocity`. What went missing may come back: the share rises again. After an e-stop or a
    joint that ran away it has to be asked for anew. Times are steady, in s: a dead man's condition
    must not hang on a clock that can stand still.
    """

    def __init__(self, limits: Limits, presence_s: float = PRESENCE_S) -> None:
        if not 0.0 < presence_s <= 60.0:
            raise ValueError(f"presence_s is {presence_s}; expected more than 0, up to 60 s")
        self.share, self.reason = 0.0, NOT_ASKED
        self._fastest, self._presence_s = limits.velocity, presence_s
        self._why_ended = self.reason
        self._quickly = False
        self._renewed_s, self._last_s = -np.inf, np.inf

    def start(self, now_s: float) -> None:
        """The operator asks for compensation, which is a sign of presence too."""
        self._why_ended, self._quickly = "", False
        self.renew(now_s)

    def stop(self, why: str = "gravity compensation was ended by the operator") -> None:
        """Lets the arm down; `why` is told until it is asked for again."""
        self._why_ended = self._why_ended or why

    def renew(self, now_s: float) -> None:
        """A sign that the operator is there."""
        self._renewed_s = now_s

    def step(
        self,
        now_s: float,
        *,
        read_age_s: float,
        heartbeat: bool,
        e_stopped: bool,
        velocity: np.ndarray,
    ) -> float:
        """The share for this cycle, from 0 to 1; velocity (7,) rad/s is the last one read."""
        passed = min(max(now_s - self._last_s, 0.0), LONGEST_STEP_S)
        self._last_s = now_s
        if e_stopped:
            self._why_ended, self.share = "the e-stop is latched", 0.0
        elif runaway := self._runaway(velocity):
            self.stop(f"{runaway}; ask for gravity compensation anew")
            self._quickly = True
        stale = not read_age_s <= FRESH_S
        self.reason = self._why_ended or self._missing(now_s, stale, heartbeat)
        if not self.reason:
            self.share = min(1.0, self.share + passed / RISE_S)
        else:
            fall_s = QUICK_FALL_S if stale or self._quickly else FALL_S
            self.share = max(0.0, self.share - passed / fall_s)
        return self.share

    def _missing(self, now_s: float, stale: bool, heartbeat: bool) -> str:
        if stale:
            return f"the last reading of the arm is older than {FRESH_S:g} s"
        if not heartbeat:
            return "there is no heartbeat from the safety node"
        if not now_s - self._renewed_s <= self._presence_s:
            return f"no sign of the operator for {self._presence_s:g} s"
        return ""

    def _runaway(self, velocity: np.ndarray) -> str:
        """The joint that is faster than its limit, or empty. The gripper is the hand's alone."""
        for joint, speed, fastest in zip(JOINTS, velocity, self._fastest, strict=True):
            if joint != GRIPPER and not abs(speed) <= fastest:
                return f"{joint} ran at {abs(speed):.1f} rad/s, {fastest:.1f} are allowed"
        return ""
