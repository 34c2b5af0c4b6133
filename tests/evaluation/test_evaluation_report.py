"""What an evaluation says: counts, how sure they are, and the keys that others read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.analysis.success import wilson
from aloha_stack.evaluation.execution import Execution
from aloha_stack.evaluation.plan import Plan
from aloha_stack.evaluation.report import Condition, report
from aloha_stack.evaluation.rollout import Outcome

PLAN = Plan("models/act", "transfer_cube", Execution("latest", query=20))
OUTCOMES = [
    Outcome(1002, True, 4, 180, inference_s=0.004),
    Outcome(1000, False, 2, 0, holds=2, refused=1, inference_s=0.006),
    Outcome(1001, True, 4, 200, inference_s=0.005),
]


@pytest.mark.parametrize(
    ("successes", "number", "low", "high"),
    [
        # Agresti and Coull, The American Statistician 52 (1998): 0 and 10 of 10.
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (98, 100, 0.9300, 0.9945),
    ],
)
def test_the_interval_is_wilsons(successes: int, number: int, low: float, high: float) -> None:
    assert wilson(successes, number) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_rate(pair: tuple[int, int]) -> None:
    successes, number = pair
    low, high = wilson(successes, number)
    assert 0 <= low <= successes / number + 1e-12
    assert successes / number - 1e-12 <= high <= 1
    assert low < high


def test_the_report_has_what_the_design_promises_sorted_by_seed() -> None:
    found = report([Condition("", PLAN, OUTCOMES)], [1000, 1001, 1002], 12.5)
    assert json.loads(json.dumps(found)) == found
    assert found["per_episode"] == [
        {"seed": 1000, "success": False, "reward": 2, "ticks": 0},
        {"seed": 1001, "success": True, "reward": 4, "ticks": 200},
        {"seed": 1002, "success": True, "reward": 4, "ticks": 180},
    ]
    assert (found["task"], found["model"]) == ("transfer_cube", "models/act")
    assert (found["episodes"], found["successes"], found["rate"]) == (3, 2, 2 / 3)
    assert (found["seeds"], found["seconds"]) == ([1000, 1001, 1002], 12.5)
    assert (found["holds"], found["refused"]) == (2, 1)
    assert found["inference_ms"] == pytest.approx(5)
    assert found["execution"]["mode"] == "latest"
    assert "conditions" not in found


def test_each_disturbance_is_told_and_the_last_is_on_top() -> None:
    conditions = [Condition("push", PLAN, OUTCOMES), Condition("all", PLAN, OUTCOMES[1:2])]
    found = report(conditions, [1000], 1.0)
    assert (found["disturb"], found["successes"]) == ("all", 0)
    told = [(part["disturb"], part["successes"]) for part in found["conditions"]]
    assert told == [("push", 2), ("all", 0)]
    assert conditions[0].words() == ("push: 2 of 3 succeeded (67 %; 95 % interval 21 to 94 %)")


def test_successes_are_told_by_the_point_at_which_the_object_lay() -> None:
    condition = Condition("", Plan("models/x", "pick_place", variation="untaught,light"), OUTCOMES)
    assert condition.words().endswith("94 %); B 1 of 2, D 1 of 1")
    found = report([condition], [1000, 1001, 1002], 1.0)
    assert found["variation"] == "untaught,light"
    assert [row["position"]["name"] for row in found["per_episode"]] == ["B", "D", "B"]
    assert found["per_episode"][1]["position"]["share"] == pytest.approx(0.75, abs=0.03)
    anywhere = Condition("", Plan("models/x", "pick_place"), OUTCOMES)
    assert anywhere.words().endswith("94 %)")
    assert 0 < anywhere.figures()["per_episode"][0]["position"]["share"] < 1


def test_the_operators_report_has_no_policy_in_it() -> None:
    found = report([Condition("", Plan("operator", "insertion"), OUTCOMES)], [1000], 1.0)
    assert not {"execution", "holds", "inference_ms"} & set(found)
