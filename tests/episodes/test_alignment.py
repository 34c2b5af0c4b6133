"""An episode as steps: the right numbers and pictures, or an error that says what is missing."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState

from aloha_stack.episodes.alignment import AlignmentSettings, align
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.joint_numbers import NAMES
from aloha_stack.episodes.metadata import EpisodeInfo, pause_notes
from aloha_stack.episodes.reader import Episode
from aloha_stack.robot.description import load_robot
from aloha_stack.robot.gripper import finger_velocity
from aloha_stack.robot.joints import FOLLOWERS, STATE_JOINTS
from episodes.altered_episodes import altered, with_note
from episodes.sample_episodes import START_NS, joint_bytes, jpeg, motion, stamped, write_episode

ROBOT = load_robot("twin", {"ALOHA_PORTS": "ports"})


def test_every_step_has_state_action_and_pictures(tmp_path: Path) -> None:
    aligned = align(Episode(write_episode(tmp_path)))
    steps = len(aligned)
    np.testing.assert_array_equal(aligned.time_ns, START_NS + 20_000_000 * np.arange(steps))
    assert steps == 49  # the command one step after the 50th was not recorded
    assert not aligned.segment.any()
    for column in (aligned.state, aligned.velocity, aligned.effort, aligned.action, aligned.leader):
        assert column is not None
        assert column.shape == (steps, 14) == (steps, len(NAMES))
        assert column.dtype == np.float64
    for k in (0, 7, 48):
        now, then = motion(2 * k, 9), motion(2 * k + 2, 7)
        np.testing.assert_allclose(aligned.state[k, :6], now[:6])
        np.testing.assert_allclose(aligned.state[k, 7:13], now[:6])
        np.testing.assert_allclose(aligned.action[k, 7:13], then[:6])
        for camera in aligned.cameras.values():
            assert aligned.frames[camera.name].picture(camera.frame[k]) == jpeg(2 * k)
    assert (aligned.task, aligned.seed, aligned.robot) == ("transfer_cube", 3, "twin")
    assert aligned.remarks == ()


def test_grippers_are_normalised_by_finger_as_state_and_by_joint_as_action(tmp_path: Path) -> None:
    aligned = align(Episode(write_episode(tmp_path, seconds=0.5)))
    for column, arm in zip((6, 13), FOLLOWERS, strict=True):
        gripper = ROBOT.arms[arm].gripper
        finger, joint = motion(20, 9)[7], motion(22, 7)[6]
        assert aligned.state[10, column] == pytest.approx(gripper.normalise_finger(finger))
        assert aligned.action[10, column] == pytest.approx(gripper.normalise_joint(joint))
    assert aligned.leader is not None
    handle = ROBOT.arms["leader_left"].gripper
    assert aligned.leader[10, 6] == pytest.approx(handle.normalise_joint(motion(20, 9)[6]))


def test_a_driver_without_fingers_and_velocities_gives_the_joint_and_nan(tmp_path: Path) -> None:
    def only_seven(record):
        if record.topic == "/follower_left/joint_states":
            step = (record.publish_ns - START_NS) // 10_000_000
            return replace(record, data=joint_bytes(record.publish_ns, motion(step, 7)))
        return record

    path = altered(write_episode(tmp_path / "a", seconds=0.5), tmp_path / "b", only_seven)
    aligned = align(Episode(path))
    gripper = ROBOT.arms["follower_left"].gripper
    from_joint = gripper.normalise_finger(
        gripper.linkage.crank_m * np.sin(motion(20, 7)[6])
        + np.sqrt(
            gripper.linkage.rod_m**2 - (gripper.linkage.crank_m * np.cos(motion(20, 7)[6])) ** 2
        )
    )
    assert aligned.state[10, 6] == pytest.approx(from_joint)
    assert np.isnan(aligned.velocity).all()


def test_the_grippers_velocity_is_its_fingers_in_openings_per_second(tmp_path: Path) -> None:
    def with_velocity(record):
        if record.topic == "/follower_right/joint_states":
            message = JointState(name=list(STATE_JOINTS), position=[0.3] * 9)
            message.velocity = [0.0] * 6 + [2.0, 0.0, 0.0]  # as xs_sdk: none for the fingers
            message = stamped(message, record.publish_ns)
            return replace(record, data=bytes(serialize_message(message)))
        return record

    path = altered(write_episode(tmp_path / "a", seconds=0.5), tmp_path / "b", with_velocity)
    gripper = ROBOT.arms["follower_right"].gripper
    travel = gripper.finger_open_m - gripper.finger_close_m
    expected = finger_velocity(0.3, 2.0, gripper.linkage) / travel
    assert align(Episode(path)).velocity[5, 13] == pytest.approx(expected)


def test_the_true_times_of_all_samples_are_kept(tmp_path: Path) -> None:
    aligned = align(Episode(write_episode(tmp_path, camera_delay_ns=4_000_000)))
    for camera in aligned.cameras.values():
        np.testing.assert_array_equal(camera.stamp_ns, aligned.time_ns + camera.skew_ns)
    assert (aligned.cameras["cam_high"].skew_ns == 0).all()  # the steps are at its exposures
    assert (aligned.joint_age_ns["/follower_left/joint_states"] == 4_000_000).all()
    # The command in force 20 ms later was given 4 ms before that.
    assert (aligned.joint_age_ns["/follower_left/command_executed"] == -16_000_000).all()


def test_hold_takes_nothing_from_the_future(tmp_path: Path) -> None:
    episode = Episode(write_episode(tmp_path, camera_delay_ns=7_000_000))
    aligned = align(episode, AlignmentSettings(method="hold", step_hz=30.0, action_lead_steps=0.0))
    assert all((camera.skew_ns <= 0).all() for camera in aligned.cameras.values())
    assert all((age >= 0).all() for age in aligned.joint_age_ns.values())


def test_a_lost_camera_leaves_its_steps_out_and_begins_a_segment(tmp_path: Path) -> None:
    def gap(record):
        dead = 0.4 < (record.publish_ns - START_NS) * 1e-9 < 0.7
        return None if dead and record.topic.startswith("/cam_low") else record

    path = altered(write_episode(tmp_path / "a"), tmp_path / "b", gap)
    aligned = align(Episode(path))
    seconds = (aligned.time_ns - START_NS) * 1e-9
    assert not ((seconds > 0.4501) & (seconds < 0.6499)).any()
    assert list(np.unique(aligned.segment)) == [0, 1]
    assert (np.diff(aligned.time_ns)[np.diff(aligned.segment) == 0] == 20_000_000).all()


def test_a_pause_begins_a_segment(tmp_path: Path) -> None:
    begin, end = START_NS + 300_000_000, START_NS + 520_000_000
    source = write_episode(tmp_path / "a")
    info = with_note(Episode(source).info, **pause_notes([(begin, end)]))
    aligned = align(Episode(altered(source, tmp_path / "b", info=info)))
    assert not ((aligned.time_ns >= begin - 20_000_000) & (aligned.time_ns <= end)).any()
    assert aligned.segment[-1] == 1


def test_leaders_may_be_missing_or_silent_for_a_while(tmp_path: Path) -> None:
    def silent(record):
        dead = record.publish_ns > START_NS + 500_000_000
        return None if dead and record.topic == "/leader_left/joint_states" else record

    source = write_episode(tmp_path / "a")
    leader = align(Episode(altered(source, tmp_path / "b", silent))).leader
    assert leader is not None
    assert np.isfinite(leader[:25]).all()
    assert np.isnan(leader[35:, :7]).all()
    assert np.isfinite(leader[:, 7:]).all()
    without = altered(
        source, tmp_path / "c", lambda r: None if r.topic.startswith("/leader") else r
    )
    assert align(Episode(without)).leader is None


def test_stamps_that_come_out_of_order_are_sorted(tmp_path: Path) -> None:
    held: list = []

    def swapped(record):
        """Two and two messages of one arm change places, in the file and not in their stamps."""
        if record.topic != "/follower_left/joint_states":
            return record
        held.append(record)
        return None if len(held) % 2 else held[-1]

    source = write_episode(tmp_path / "a", seconds=0.5)
    late = {"/follower_left/joint_states": []}
    altered(source, tmp_path / "b", swapped)
    late["/follower_left/joint_states"] = [(r.publish_ns, r.data) for r in held[0::2]]
    held.clear()
    path = altered(source, tmp_path / "c", swapped, extra=late)
    np.testing.assert_array_equal(align(Episode(path)).state, align(Episode(source)).state)


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ("/follower_right/command_executed", "nothing of /follower_right/command_executed; it has"),
        ("/cam_low", r"no picture came of cam_low \(/cam_low/image_raw/compressed\)"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, gone: str, words: str) -> None:
    source = write_episode(tmp_path / "a", seconds=0.3)
    path = altered(source, tmp_path / "b", lambda r: None if r.topic.startswith(gone) else r)
    with pytest.raises(EpisodeError, match=f"{path.name} cannot be aligned: .*{words}"):
        align(Episode(path))


def test_other_joints_are_named(tmp_path: Path) -> None:
    def renamed(record):
        if record.topic == "/follower_left/joint_states":
            names = [f"j{i}" for i in range(7)]
            return replace(record, data=joint_bytes(record.publish_ns, range(7), names))
        return record

    path = altered(write_episode(tmp_path / "a", seconds=0.3), tmp_path / "b", renamed)
    with pytest.raises(EpisodeError, match="follower_left/joint_states has the joints j0"):
        align(Episode(path))


def test_clocks_that_do_not_agree_are_named(tmp_path: Path) -> None:
    path = write_episode(tmp_path, seconds=0.3, camera_delay_ns=3_600_000_000_000)
    with pytest.raises(EpisodeError, match=r"has no step: .* before .* do their clocks agree"):
        align(Episode(path))


def test_an_unknown_robot_is_told_and_the_real_ones_constants_are_used(tmp_path: Path) -> None:
    aligned = align(Episode(write_episode(tmp_path, info=EpisodeInfo(robot="marvin"))))
    assert aligned.robot == "aloha"
    (remark,) = aligned.remarks
    assert "marvin" in remark
    assert "gripper constants of aloha are used" in remark


def test_the_note_says_which_topic_is_which_camera(tmp_path: Path) -> None:
    source = write_episode(tmp_path / "a", seconds=0.3)
    topics = {"overhead": "/cam_high/image_raw/compressed"}
    info = with_note(Episode(source).info, cameras=json.dumps(topics))
    episode = Episode(altered(source, tmp_path / "b", info=info))
    assert episode.camera_topics == topics
    assert list(align(episode).cameras) == ["overhead"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "average"},
        {"step_hz": 0.0},
        {"tolerance_s": -1.0},
        {"action_lead_steps": -1.0},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AlignmentSettings(**wrong)
