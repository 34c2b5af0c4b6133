"""Examines a checkpoint's stability and writes its certificate."""

from pathlib import Path

from aloha_stack.policies import certificate
from aloha_stack.policies.checkpoint import read
from aloha_stack.policies.policy import PolicyError
from aloha_stack.policies.registry import policy_class
from aloha_stack.policies.snds import SndsPolicy
from aloha_stack.policies.stability import Effort, Findings, Region, examine


def certify(folder: str | Path, effort: Effort | None = None) -> Findings:
    """Whatever was found is written; only a certificate that holds lets the policy be loaded.

    Raises PolicyError for a checkpoint that cannot be read or promises no stability.
    """
    policy = uncertified(folder)
    findings = examine(policy.dynamics, region(policy), effort)
    certificate.write(folder, findings.as_dict(), findings.holds)
    return findings


def uncertified(folder: str | Path) -> SndsPolicy:
    """The policy of a checkpoint folder, to be examined. Raises PolicyError."""
    found = read(folder)
    if policy_class(found.spec.policy) is not SndsPolicy:
        raise PolicyError(f"{folder}: a policy '{found.spec.policy}' promises no stability")
    return SndsPolicy.restore(found.spec, found.config, found.statistics, found.weights)


def region(policy: SndsPolicy) -> Region:
    """Where it is examined: around the demonstrations that it learnt from."""
    motion = policy.motion
    return Region(motion.low, motion.high, policy.spec.dt_s / motion.time_s)
