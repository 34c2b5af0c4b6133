"""Tasks by name; what is gym-aloha's of them is gym-aloha's own."""

import mujoco
import numpy as np
import pytest

from aloha_stack.twin.gym_aloha_tasks import INSERTION, TRANSFER_CUBE, GymAlohaTask, scene_path
from aloha_stack.twin.tasks import TASKS, UnknownTaskError, find_task

GYM_ALOHA = pytest.mark.parametrize("task", [TRANSFER_CUBE, INSERTION], ids=lambda task: task.name)


def test_an_unknown_task_is_named_with_those_that_exist() -> None:
    with pytest.raises(UnknownTaskError, match="no task 'juggling'; there is transfer_cube, ins"):
        find_task("juggling")


@pytest.mark.parametrize("name", TASKS)
def test_the_scene_has_the_tasks_objects_in_their_order(name: str) -> None:
    task = find_task(name)
    model = task.load_scene()
    joints = [model.joint(i).name for i in range(model.njnt)]
    assert joints[16:] == list(task.objects)
    assert model.opt.timestep == 0.002


@GYM_ALOHA
def test_rewards_agree_with_gym_aloha_over_dm_control(task: GymAlohaTask) -> None:
    """The judge sees the same through our few names as through dm_control's physics."""
    from dm_control import mujoco as dm_mujoco
    from gym_aloha.tasks import sim

    model = task.load_scene()
    data = mujoco.MjData(model)
    ours = task.load_reward(model, data)
    physics = dm_mujoco.Physics.from_xml_path(str(scene_path(task.file)))
    judge = getattr(sim, task.reward_class)()
    finger = model.geom("vx300s_right/10_right_gripper_finger").id
    seen = set()
    data.qpos[:16] = [0, -0.96, 1.16, 0, -0.3, 0, 0.04, -0.04] * 2
    for height in (-0.02, 0.0, 0.03, 0.3):
        for near_finger in (False, True):
            data.qpos[16:] = task.sample("", 1).ravel()
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
    assert len(seen) > 1 or task is INSERTION


@GYM_ALOHA
def test_samples_depend_on_the_seed_only(task: GymAlohaTask) -> None:
    assert np.array_equal(task.sample("", 4), task.sample("", 4))
    assert not np.array_equal(task.sample("", 4), task.sample("", 5))
