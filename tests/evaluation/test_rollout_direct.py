"""A rollout without ROS puts what a policy says where and when it means it."""

import numpy as np
import pytest

from aloha_stack.evaluation import rollout
from aloha_stack.evaluation.disturbances import Disturbances
from aloha_stack.evaluation.execution import Execution
from aloha_stack.evaluation.pictures import PolicyPictures
from aloha_stack.evaluation.plan import twin
from aloha_stack.evaluation.rollout import Outcome, roll_out
from aloha_stack.policies.policy import ChunkError, Observation, ObservationError
from aloha_stack.twin.direct import DirectArms
from aloha_stack.twin.looks import Look, look_of
from aloha_stack.twin.world import World
from evaluation.replayed import Demonstration, Replay, demonstrated, in_policy_units

TASK, SEED = "transfer_cube", 1003
EXECUTIONS = {
    "paper": Execution(),
    "latest": Execution("latest", query=10),
    "slow": Execution(inference=5),
    "very slow": Execution("latest", inference=15),
}


class Noting(DirectArms):
    """Keeps what is executed at each tick, (T, 14) rad."""

    rows: list[np.ndarray]

    def cycle(self, targets: object = None) -> None:
        super().cycle(targets)
        if targets is not None:
            executed = self.executed()
            self.rows.append(np.concatenate([executed[name].position for name in executed]))


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    monkeypatch.setattr(rollout, "DirectArms", Noting)
    Noting.rows = []
    return Noting.rows


@pytest.fixture(scope="module")
def cube() -> Demonstration:
    return demonstrated(TASK, SEED, twin())


def played(
    policy: Replay, execution: Execution = EXECUTIONS["paper"], kinds: str = "", ticks: int = 400
) -> Outcome:
    task = policy.spec.task
    world = World(task, SEED, twin(), "start")
    pictures = PolicyPictures(task, twin(), policy.spec, (64, 48))
    disturbances = Disturbances(kinds.split(), SEED)
    try:
        return roll_out(world, twin(), policy, pictures, execution, disturbances, ticks)
    finally:
        pictures.close()


def swaying(ticks: int) -> np.ndarray:
    """Waists and grippers to and fro, slowly, (ticks, 14) rad, from the start pose."""
    start = np.concatenate([arm.start_pose for arm in twin().followers])
    rows = np.tile(start, (ticks, 1))
    swing = (1 - np.cos(np.arange(ticks) * 0.02 * 2 * np.pi / 3)) / 2
    for column, width in ((0, 0.4), (7, -0.3), (6, 0.6), (13, 0.8)):
        rows[:, column] += width * swing
    return rows


@pytest.mark.parametrize("execution", EXECUTIONS.values(), ids=EXECUTIONS)
def test_row_k_is_executed_where_training_saw_it(
    execution: Execution, executed: list[np.ndarray]
) -> None:
    """The action of a step is the command executed one step later."""
    rows = swaying(150)
    outcome = played(Replay(in_policy_units(rows, twin())), execution, ticks=140)
    assert (outcome.holds, outcome.refused, outcome.reward) == (0, 0, 0)
    begin = 45  # until then it fades in from a hold
    error = [
        np.abs(np.array(executed)[begin:] - rows[begin - 1 + late : 139 + late]).max()
        for late in (-1, 0, 1)
    ]
    assert error[1] < 0.004
    assert error[1] < 0.3 * min(error[0], error[2])


@pytest.mark.parametrize("execution", EXECUTIONS.values(), ids=EXECUTIONS)
def test_the_operators_own_commands_succeed_again(
    cube: Demonstration, execution: Execution
) -> None:
    outcome = played(Replay(cube.action), execution)
    assert (outcome.success, outcome.reward, outcome.holds, outcome.refused) == (True, 4, 0, 0)
    assert 100 < outcome.ticks < 300


def test_the_policy_sees_the_world_as_it_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    worn: list[Look] = []
    monkeypatch.setattr(PolicyPictures, "dress", lambda _, look: worn.append(look))
    world = World(TASK, SEED, twin(), "start", "background,light")
    policy = Replay(np.zeros((4, 14)), cameras=("cam_low",), image_size=(24, 32))
    pictures = PolicyPictures(TASK, twin(), policy.spec, (64, 48))
    roll_out(world, twin(), policy, pictures, Execution(), Disturbances((), SEED), ticks=1)
    pictures.close()
    assert worn == [look_of(("background", "light"), SEED)]


def test_insertion_succeeds_likewise() -> None:
    demonstration = demonstrated("insertion", SEED, twin())
    assert played(Replay(demonstration.action, "insertion"), Execution(query=5)).success


def test_commands_for_another_world_fail() -> None:
    other = demonstrated(TASK, SEED + 5, twin())
    outcome = played(Replay(other.action), Execution(query=10), ticks=260)
    assert (outcome.success, outcome.ticks) == (False, 0)


def test_a_state_is_what_was_measured_at_its_stamp(cube: Demonstration) -> None:
    policy = Replay(cube.action)
    played(policy, ticks=100)
    stamps = [observation.stamp_ns for observation in policy.observations]
    assert np.diff(stamps).tolist() == [20_000_000] * 99
    seen = np.array([observation.state for observation in policy.observations])
    arms = np.r_[0:6, 7:13]
    late = [
        np.abs(seen[60:99, arms] - cube.measured[60 + by : 99 + by, arms]).mean()
        for by in (-2, -1, 0, 1, 2)
    ]
    assert int(np.argmin(late)) in (1, 2), "the limits' second pass takes a few ms"
    fingers = seen[:, [6, 13]]
    assert fingers.min() > -0.05
    assert fingers.max() < 1.05


def test_velocity_and_effort_are_there_for_those_who_learnt_from_them(cube: Demonstration) -> None:
    names = Replay(cube.action).spec.state_names
    everything = tuple(f"{name}{part}" for part in ("", "_velocity", "_effort") for name in names)
    policy = Replay(cube.action, state_names=everything)
    played(policy, ticks=60)
    state = np.array([observation.state for observation in policy.observations])
    assert state.shape == (60, 42)
    way, velocity = np.diff(state[:, 8]), state[:, 14 + 8]
    assert np.corrcoef(way / 0.02, (velocity[:-1] + velocity[1:]) / 2)[0, 1] > 0.95
    assert np.abs(state[:, 28:]).max() > 1.0


class Watching(Replay):
    """With two cameras."""

    def __init__(self, action: np.ndarray, size: tuple[int, int] | None) -> None:
        super().__init__(action, cameras=("cam_high", "cam_low"), image_size=size)


def test_pictures_have_the_size_of_training_and_show_what_moves(cube: Demonstration) -> None:
    policy = Watching(cube.action, (24, 32))
    played(policy, Execution(query=30), ticks=100)
    first, last = (policy.observations[index].images for index in (0, -1))
    assert {camera: image.shape for camera, image in first.items()} == {
        "cam_high": (24, 32, 3),
        "cam_low": (24, 32, 3),
    }
    for camera, image in first.items():
        assert image.dtype == np.uint8
        assert np.abs(image.astype(int) - last[camera]).max() > 30


def test_disturbances_are_felt_and_seen(cube: Demonstration, executed: list[np.ndarray]) -> None:
    calm, dark = Watching(cube.action, None), Watching(cube.action, None)
    played(calm, Execution(query=20), ticks=41)
    undisturbed = np.array(executed)
    executed.clear()
    played(dark, Execution(query=20), "light delay", ticks=41)
    seen = [policy.observations[0].images["cam_high"].mean() for policy in (calm, dark)]
    assert seen[1] / seen[0] == pytest.approx(Disturbances(("light",), SEED).light, abs=0.01)
    late = np.array(executed)
    assert np.abs(late[23:] - undisturbed[20:-3]).max() < 0.004, "60 ms"
    assert np.abs(late[20:] - undisturbed[20:]).max() > 0.02


def test_a_push_moves_an_arm_and_ends(cube: Demonstration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aloha_stack.evaluation.disturbances.WITHIN_S", 0.4)
    rests = np.tile(in_policy_units(swaying(1), twin()), (60, 1))
    states = []
    for kinds in ("", "push"):
        policy = Replay(rests)
        played(policy, Execution(), kinds, ticks=50)
        states.append([observation.state for observation in policy.observations])
    moved = np.abs(np.subtract(*states)).max(axis=1)
    assert moved.max() > 0.006
    assert moved[-1] < 0.002


class Breaking(Replay):
    """Whose network gives no numbers from its third chunk to its fifth."""

    calls = 0

    def act(self, observation: Observation) -> np.ndarray:
        self.calls += 1
        if 3 <= self.calls <= 5:
            raise ChunkError("the policy gave no number (NaN or infinite) for left_waist")
        return super().act(observation)


def test_a_chunk_that_is_none_ends_in_a_hold_and_is_told() -> None:
    outcome = played(
        Breaking(in_policy_units(swaying(150), twin())), Execution(query=20), ticks=140
    )
    assert (outcome.refused, outcome.holds) == (3, 1)
    assert "left_waist" in outcome.remark


def test_a_policy_that_asks_too_seldom_holds_in_between() -> None:
    outcome = played(Replay(in_policy_units(swaying(150), twin())), Execution(query=60), ticks=140)
    assert (outcome.holds, outcome.refused) == (2, 0)


class Blind(Replay):
    """Which wants what it does not get."""

    def act(self, observation: Observation) -> np.ndarray:
        raise ObservationError("cameras: missing cam_top")


def test_a_policy_that_wants_what_is_not_there_is_an_error(cube: Demonstration) -> None:
    with pytest.raises(ObservationError, match="cam_top"):
        played(Blind(cube.action))
