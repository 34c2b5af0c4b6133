"""Steps back into an episode as the recorder writes it: joint states, commands, pictures."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from aloha_stack.episodes import schema
from aloha_stack.episodes.cdr_states import player_state
from aloha_stack.episodes.cdr_writing import compressed_image, joint_state
from aloha_stack.episodes.commanders import HUMAN, NOBODY, POLICY
from aloha_stack.episodes.metadata import EpisodeInfo, Topic
from aloha_stack.episodes.pictures import encode_jpeg
from aloha_stack.episodes.qos import Qos
from aloha_stack.episodes.reader import (
    CAMERAS_NOTE,
    COMPRESSED_IMAGE,
    JOINT_STATE,
    STEPS_HZ,
    STEPS_METHOD,
)
from aloha_stack.episodes.steps import EpisodeSteps, Pictures
from aloha_stack.episodes.streams import IMAGE_QOS, JOINT_QOS, KNOWN
from aloha_stack.episodes.writer import EpisodeWriter
from aloha_stack.robot.arm import Arm
from aloha_stack.robot.description import Robot
from aloha_stack.robot.gripper import finger_velocity, joint_from_finger
from aloha_stack.robot.joints import FOLLOWERS, JOINTS, STATE_JOINTS

IMPORTED = "imported"
"""The outcome of an imported episode, and the note that names what it was made from."""

QUALITY = 95
"""Of pictures that were no JPEGs, or had their colours exchanged: encoded once."""

FASTEST_RAD_S = 20.0
"""No gripper servo turns faster: where its linkage hardly moves the finger, a finger's velocity
says nothing about the servo's."""

NS = 1_000_000_000


def import_steps(
    steps: EpisodeSteps,
    directory: Path,
    robot: Robot,
    tell: Callable[[int], None] = lambda pictures: None,
) -> Path:
    """Makes the next episode in `directory`, in units of `robot`; returns its folder.

    The command of a step is stamped one step after it, where alignment looks for it. A picture
    keeps its time of exposure, the first and the last apart; without one it has its step's. Who
    commanded is said as a chunk player says it, unless a human did all through: that is what an
    episode without a player means. Raises EpisodeError and OSError; nothing is left then.
    """
    images = {name: f"/{name}/image_raw/compressed" for name in steps.cameras}
    joints = [f"/{arm}/{kind}" for arm in FOLLOWERS for kind in ("joint_states", _COMMANDS)]
    topics = [_topic(name, JOINT_STATE, JOINT_QOS) for name in joints]
    topics += [_topic(name, COMPRESSED_IMAGE, IMAGE_QOS) for name in images.values()]
    rollout = bool((steps.commander != HUMAN).any())
    if rollout:
        topics.append(_topic(_PLAYER, *KNOWN[_PLAYER]))
    notes = {
        IMPORTED: steps.source,
        STEPS_HZ: str(steps.fps),
        CAMERAS_NOTE: json.dumps(images),
    }
    if steps.method:
        notes[STEPS_METHOD] = steps.method
    info = EpisodeInfo(task=steps.task, robot=robot.name, notes=notes)
    numbers = {arm: _arm_numbers(steps, robot.arm(arm), i) for i, arm in enumerate(FOLLOWERS)}
    stamps = {name: _stamps(steps, name) for name in steps.cameras}
    writer = EpisodeWriter(directory, topics, info)
    try:
        for step, time in enumerate(steps.time_ns):
            at, until = int(time), int(time) + round(NS / steps.fps)
            if rollout:
                commander = int(steps.commander[step])
                said = player_state(at, _STATES[commander], commander)
                writer.write(_PLAYER, said, at, at, step + 1)
            for arm, (position, velocity, effort, target) in numbers.items():
                state = joint_state(at, STATE_JOINTS, position[step], velocity[step], effort[step])
                writer.write(f"/{arm}/joint_states", state, at, at, step + 1)
                command = joint_state(until, JOINTS, target[step])
                writer.write(f"/{arm}/{_COMMANDS}", command, until, until, step + 1)
            for name, pictures in steps.cameras.items():
                exposed = int(stamps[name][step])
                if not step or exposed != stamps[name][step - 1]:
                    image = compressed_image(exposed, name, _jpeg(pictures, step))
                    writer.write(images[name], image, exposed, exposed)
                tell(1)
        return writer.finish(IMPORTED)
    except BaseException:
        if not writer.closed:
            writer.discard()
        raise


_COMMANDS = "command_executed"
_PLAYER = "/chunk_player/state"
_STATES = {NOBODY: 4, POLICY: 3, HUMAN: 6}
"""PlayerState's HOLDING, PLAYING and HUMAN: what a player does when these command."""


def _topic(name: str, kind: str, qos: Qos) -> Topic:
    return Topic(name, kind, schema.definition(kind), schema.type_hash(kind), (qos,))


def _jpeg(pictures: Pictures, step: int) -> bytes:
    kept = pictures.jpeg(step)
    return kept if kept is not None else encode_jpeg(pictures.rgb(step), QUALITY)


def _stamps(steps: EpisodeSteps, camera: str) -> np.ndarray:
    """Exposures (T,); those at the ends are the steps', so that alignment finds every step."""
    stamps = steps.capture_ns.get(camera, steps.time_ns).copy()
    stamps[-1] = max(stamps[-1], steps.time_ns[-1])
    stamps[0] = steps.time_ns[0]
    return stamps


def _arm_numbers(
    steps: EpisodeSteps, arm: Arm, side: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Position, velocity, effort (T, 9) and target (T, 7) of an arm: `joint_numbers` undone.

    Velocity and effort are (T, 0) where they are not known.
    """
    columns, gripper = slice(7 * side, 7 * side + 7), arm.gripper
    state, target = steps.state[:, columns], steps.action[:, columns].copy()
    target[:, 6] = gripper.unnormalise_joint(target[:, 6])
    finger = gripper.unnormalise_finger(state[:, 6])
    angle = joint_from_finger(finger, gripper.linkage)
    position = np.column_stack([state[:, :6], angle, finger, -finger])
    nothing = np.zeros((len(state), 0))
    velocity = effort = nothing
    if steps.velocity is not None:
        own = steps.velocity[:, columns]
        speed = own[:, 6] * (gripper.finger_open_m - gripper.finger_close_m)
        slope = finger_velocity(angle, np.ones(len(angle)), gripper.linkage)
        turning = np.divide(speed, slope, out=np.zeros(len(slope)), where=slope != 0)
        turning = np.clip(turning, -FASTEST_RAD_S, FASTEST_RAD_S)
        velocity = np.column_stack([own[:, :6], turning, speed, -speed])
    if steps.effort is not None:
        own = steps.effort[:, columns]
        effort = np.column_stack([own, np.zeros((len(own), 2))])
    return position, velocity, effort, target
