"""What an evaluation found: in words, and as the object that `--json` writes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from aloha_stack.analysis.success import rate_in_words, wilson
from aloha_stack.evaluation.plan import Plan
from aloha_stack.evaluation.rollout import Outcome


@dataclass
class Condition:
    """All episodes of one plan, however it is disturbed."""

    name: str  # "" undisturbed
    plan: Plan
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def successes(self) -> int:
        return sum(outcome.success for outcome in self.outcomes)

    def figures(self) -> dict[str, Any]:
        """The part of the report that is about these episodes; they are sorted by seed."""
        ordered = sorted(self.outcomes, key=lambda outcome: outcome.seed)
        return {
            "disturb": self.name or None,
            "episodes": len(ordered),
            "successes": self.successes,
            "rate": self.successes / len(ordered),
            "interval": list(wilson(self.successes, len(ordered))),
            "holds": sum(outcome.holds for outcome in ordered),
            "refused": sum(outcome.refused for outcome in ordered),
            "beyond_limits": sum(outcome.beyond_rad > 0 for outcome in ordered),
            "inference_ms": 1e3 * _median([outcome.inference_s for outcome in ordered]),
            "per_episode": [self._row(outcome) for outcome in ordered],
        }

    def _row(self, outcome: Outcome) -> dict[str, Any]:
        position = self.plan.worlds().position(outcome.seed)
        return outcome.row() | ({} if position is None else {"position": asdict(position)})

    def by_point(self) -> str:
        """Successes of episodes at each point of the task's line; empty where there are none."""
        points: dict[str, list[bool]] = {}
        for outcome in self.outcomes:
            position = self.plan.worlds().position(outcome.seed)
            if position is not None and position.name:
                points.setdefault(position.name, []).append(outcome.success)
        return ", ".join(f"{name} {sum(of)} of {len(of)}" for name, of in sorted(points.items()))

    def words(self) -> str:
        """Successes of episodes, the rate, and how sure it is."""
        text = rate_in_words(self.successes, len(self.outcomes))
        text += f"; {points}" if (points := self.by_point()) else ""
        if beyond := sum(outcome.beyond_rad > 0 for outcome in self.outcomes):
            text += f"; joints were beyond their limits in {beyond}"
        return f"{self.name}: {text}" if self.name else text


def report(conditions: Sequence[Condition], seeds: Sequence[int], seconds: float) -> dict[str, Any]:
    """For `--json`. What is on top is the last condition's; `conditions` has all, if several."""
    plan = conditions[-1].plan
    top = conditions[-1].figures()
    whole = {
        "task": plan.task,
        "variation": plan.worlds().text,
        "model": plan.model,
        **{key: top[key] for key in ("episodes", "successes", "rate", "interval")},
        "seeds": list(seeds),
        "per_episode": top["per_episode"],
        "seconds": seconds,
        "disturb": top["disturb"],
    }
    if not plan.is_operator:
        whole["execution"] = asdict(plan.execution)
        whole |= {key: top[key] for key in ("holds", "refused", "beyond_limits", "inference_ms")}
    if len(conditions) > 1:
        whole["conditions"] = [condition.figures() for condition in conditions]
    return whole


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
