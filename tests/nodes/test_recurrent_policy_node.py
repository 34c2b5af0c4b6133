"""The policy's node with a network that has a memory."""

from pathlib import Path

import numpy as np
from aloha_interfaces.msg import PolicyState

from aloha_stack.nodes._chunks import ALONE, read_chunk
from aloha_stack.nodes._conversions import stamp_ns
from aloha_stack.policies.checkpoint import Checkpoint, save
from nodes.test_policy_node import DT_NS, policy_rig
from policies import small_recurrent as small


def written(folder: Path, rate_hz: float = 50.0) -> Path:
    made = small.checkpoint(small.policy("points"))
    spec = made.spec.as_dict() | {"rate_hz": rate_hz}
    save(
        folder,
        Checkpoint(made.spec.from_dict(spec), made.config, made.statistics, made.weights),
        "# A test\n",
    )
    return folder


def test_its_chunks_take_over_alone_and_the_other_arm_stays_where_it_was(tmp_path: Path) -> None:
    folder = written(tmp_path / "model")
    with policy_rig(checkpoint=str(folder), options="input_param=0.5") as (robot, node):
        robot.says(PolicyState.READY)
        assert node.inference is not None
        assert node.inference.policy.input_param == 0.5  # type: ignore[union-attr]
        robot.run()
        robot.more(5)
        robot.says(PolicyState.INFERRING)
        assert {chunk.header.frame_id for chunk in robot.chunks} == {ALONE}
        rows = np.stack([read_chunk(chunk, DT_NS)[1] for chunk in robot.chunks])
        np.testing.assert_allclose(rows[..., :6], np.tile(rows[0, 0, :6], (*rows.shape[:2], 1)))
        assert (rows[:, 1:] == rows[:, 1:2]).all()


def test_of_a_policy_of_10_hz_the_player_gets_its_own_rows(tmp_path: Path) -> None:
    folder = written(tmp_path / "model", 10.0)
    with policy_rig() as (robot, _):
        answer = robot.load(folder)
        assert answer.success, answer.message
        assert (answer.chunk, answer.rate) == (26, 50.0)
        robot.run()
        robot.more(4)
        stamps = [stamp_ns(chunk.header.stamp) for chunk in robot.chunks]
        assert min(np.diff(stamps)) > 60_000_000
        _, rows = read_chunk(robot.chunks[-1], DT_NS)
        assert rows.shape == (26, 14)
        np.testing.assert_allclose(rows[:6, 9], np.linspace(rows[0, 9], rows[5, 9], 6), atol=1e-9)


def test_options_that_it_does_not_have_are_told_when_it_is_loaded(tmp_path: Path) -> None:
    with policy_rig(options="input_param=2") as (robot, _):
        answer = robot.load(written(tmp_path / "model"))
        assert not answer.success
        assert "input_param: expected a number of 0 … 1, found '2'" in answer.message
