"""Tasks and their rewards are gym-aloha's own."""

import mujoco
import numpy as np
import pytest

from aloha_stack.twin.tasks import (
    TASKS,
    UnknownTaskError,
    find_task,
    load_reward,
    load_scene,
    sample_objects,
)


def test_an_unknown_task_is_named_with_those_that_exist() -> None:
    with pytest.raises(UnknownTaskError, match="no task 'juggling'; there is transfer_cube, ins"):
        find_task("juggling")


@pytest.mark.parametrize("name", TASKS)
def test_the_scene_has_the_tasks_objects_in_their_order(name: str) -> None:
    model = load_scene(find_task(name))
    joints = [model.joint(i).name for i in range(model.njnt)]
    assert joints[16:] == list(find_task(name).objects)
    assert model.opt.timestep == 0.002


@pytest.mark.parametrize("name", TASKS)
def test_rewards_agree_with_gym_aloha_over_dm_control(name: str) -> None:
    """The judge sees the same through our few names as through dm_control's physics."""
    from dm_control import mujoco as dm_mujoco
    from gym_aloha.constants import ASSETS_DIR
    from gym_aloha.tasks import sim

    task = find_task(name)
    model = load_scene(task)
    data = mujoco.MjData(model)
    ours = load_reward(task, model, data)
    physics = dm_mujoco.Physics.from_xml_path(str(ASSETS_DIR / task.scene))
    judge = getattr(sim, task.reward_class)()
    finger = model.geom("vx300s_right/10_right_gripper_finger").id
    seen = set()
    data.qpos[:16] = [0, -0.96, 1.16, 0, -0.3, 0, 0.04, -0.04] * 2
    for height in (-0.02, 0.0, 0.03, 0.3):
        for near_finger in (False, True):
            data.qpos[16:] = sample_objects(task, 1).ravel()
            mujoco.mj_forward(model, data)
            if near_finger:
                data.qpos[16:19] = data.geom_xpos[finger]
            data.qpos[18] += height
            mujoco.mj_forward(model, data)
            physics.data.qpos[:] = data.qpos
            physics.forward()
            assert ours.evaluate() == judge.get_reward(physics)
            seen.add(ours.evaluate())
    assert ours.maximum == judge.max_reward == 4
    assert len(seen) > 1 or name == "insertion"


def test_samples_depend_on_the_seed_only() -> None:
    task = find_task("transfer_cube")
    assert np.array_equal(sample_objects(task, 4), sample_objects(task, 4))
    assert not np.array_equal(sample_objects(task, 4), sample_objects(task, 5))
