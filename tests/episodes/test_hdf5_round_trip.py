"""Episode → ALOHA HDF5 → import: the same numbers, the same pictures, the same times."""

from dataclasses import replace
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, JointState

from aloha_stack.episodes import cli
from aloha_stack.episodes.alignment import AlignedEpisode, AlignmentSettings, align
from aloha_stack.episodes.cdr_writing import compressed_image, joint_state
from aloha_stack.episodes.commanders import HUMAN, NOBODY, POLICY
from aloha_stack.episodes.mcap_file import Record
from aloha_stack.episodes.reader import Episode
from aloha_stack.robot.joints import CAMERAS
from episodes.aloha_files import digest, foreign
from episodes.altered_episodes import altered
from episodes.player_states import TOPIC as PLAYER
from episodes.player_states import ticks, with_player
from episodes.sample_episodes import image_bytes, write_episode


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_episode(tmp_path_factory.mktemp("recorded"), camera_delay_ns=2_000_000)


def aligned(path: Path) -> AlignedEpisode:
    return align(Episode(path))


def export(recorded: Path, target: Path, *options: str) -> Path:
    words = ["export", str(recorded), "--format", "hdf5", "--out", str(target), *options]
    assert cli.main(words) == 0
    return target / "episode_0.hdf5"


def imported(file: Path, folder: Path, *options: str) -> Path:
    assert cli.main(["import", str(file), "--out", str(folder), *options]) == 0
    return folder / "episode_000000"


def test_import_gives_back_the_exported_numbers_pictures_and_times(recorded, tmp_path):
    before = digest(recorded)
    file = export(recorded, tmp_path / "aloha", "--compress")
    old, new = aligned(recorded), aligned(imported(file, tmp_path / "back"))

    assert len(new) == len(old)
    np.testing.assert_array_equal(new.time_ns, old.time_ns)
    for name in ("state", "action", "velocity", "effort"):
        np.testing.assert_allclose(getattr(new, name), getattr(old, name), atol=1e-12, err_msg=name)
    assert tuple(new.cameras) == CAMERAS
    for name in CAMERAS:
        frames = [(e.frames[name], e.cameras[name].frame) for e in (old, new)]
        pictures = [[index.picture(i) for i in chosen] for index, chosen in frames]
        assert pictures[0] == pictures[1]
        np.testing.assert_array_equal(
            new.cameras[name].stamp_ns[1:-1], old.cameras[name].stamp_ns[1:-1]
        )
    assert digest(recorded) == before


def test_who_commanded_comes_back_and_a_demonstration_needs_no_word_of_it(recorded, tmp_path):
    said = ticks([(POLICY, 20), (NOBODY, 10), (HUMAN, 15), (POLICY, 5)])
    rollout = with_player(recorded, tmp_path / "rollout", said)
    file = export(rollout, tmp_path / "aloha", "--compress")
    with h5py.File(file) as aloha:
        assert aloha["/commander"].attrs["codes"].tolist() == ["nobody", "policy", "human"]
        np.testing.assert_array_equal(aloha["/commander"], aligned(rollout).commander)
    back = imported(file, tmp_path / "back")
    np.testing.assert_array_equal(aligned(back).commander, aligned(rollout).commander)
    assert PLAYER in Episode(back).topics

    file = export(recorded, tmp_path / "demonstration", "--compress")
    with h5py.File(file, "r+") as aloha:
        assert set(aloha["/commander"]) == {HUMAN}
        del aloha["/commander"]  # as others write it
    back = imported(file, tmp_path / "plain")
    assert set(aligned(back).commander) == {HUMAN}
    assert PLAYER not in Episode(back).topics


@pytest.mark.parametrize(
    ("codes", "values"),
    [
        (["nobody", "policy", "human"], [0, 1, 3]),
        (["nobody", "policy", "human"], [0, 1]),
        (["nobody", "policy", "human"], [0.0, 1.0, 2.0]),
        (["human", "policy", "nobody"], [0, 1, 2]),
        (None, [0, 1, 2]),
    ],
)
def test_commanders_that_are_not_understood_are_named(tmp_path, capsys, codes, values):
    foreign(tmp_path / "a.hdf5", count=3)
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        file["/commander"] = np.array(values)
        if codes is not None:
            file["/commander"].attrs["codes"] = codes
    assert cli.main(["import", str(tmp_path / "a.hdf5"), "--out", str(tmp_path / "back")]) == 2
    assert "a.hdf5: /commander" in capsys.readouterr().err


def test_files_are_laid_out_as_aloha_has_them(recorded, tmp_path):
    steps = aligned(recorded)
    with h5py.File(export(recorded, tmp_path / "raw")) as raw:
        assert not raw.attrs["compress"]
        assert raw.attrs["sim"]
        np.testing.assert_array_equal(raw["/action"], steps.action)
        np.testing.assert_array_equal(raw["/observations/qpos"], steps.state)
        for name in CAMERAS:
            data = raw[f"/observations/images/{name}"]
            assert data.shape == (len(steps), 48, 64, 3)
            assert data.chunks == (1, 48, 64, 3)
            frame = int(steps.cameras[name].frame[7])
            np.testing.assert_array_equal(data[7], steps.frames[name].rgb(frame))
    with h5py.File(export(recorded, tmp_path / "compressed", "--compress")) as compressed:
        lengths = compressed["/compress_len"]
        assert compressed.attrs["compress"]
        assert lengths.shape == (len(CAMERAS), len(steps))
        for row, name in enumerate(sorted(CAMERAS)):
            data = compressed[f"/observations/images/{name}"]
            jpeg = data[7][: lengths[row, 7]].tobytes()
            assert jpeg == steps.frames[name].picture(int(steps.cameras[name].frame[7]))
            assert not data[7][lengths[row, 7] :].any()


@pytest.mark.parametrize(("fps", "step_hz"), [(50, 50), (30, 30), (60, 60), (25, 25), (30, 50)])
@pytest.mark.parametrize("method", [None, "hold"])
def test_imported_actions_stay_with_the_states_of_their_row(tmp_path, fps, step_hz, method):
    """At rates whose period is no whole number of ns, too, and when they are read at another."""
    foreign(tmp_path / "a.hdf5", count=90)
    path = imported(tmp_path / "a.hdf5", tmp_path / "back", "--fps", str(fps))
    new = align(Episode(path), AlignmentSettings(step_hz=step_hz, method=method))
    with h5py.File(tmp_path / "a.hdf5") as file:
        state, action = file["/observations/qpos"][()], file["/action"][()]
    rows = [int(np.abs(state[:, 0] - value).argmin()) for value in new.state[:, 0]]
    np.testing.assert_allclose(new.action, action[rows], atol=1e-6)
    if fps == step_hz:
        assert rows == list(range(90))


@pytest.mark.parametrize("delay_ms", [4, 8])
def test_steps_of_held_samples_come_back_as_they_were(recorded, tmp_path, delay_ms):
    """A picture 8 ms after its step is the next one's: "nearest" would take it for this one's."""

    def later(record: Record) -> Record:
        if "cam_low" not in record.topic:
            return record
        image = deserialize_message(record.data, CompressedImage)
        stamp = record.publish_ns + delay_ms * 1_000_000
        return replace(record, data=image_bytes(stamp, bytes(image.data)), publish_ns=stamp)

    source = altered(recorded, tmp_path / "later", later)
    file = export(source, tmp_path / "aloha", "--compress", "--method", "hold")
    old = align(Episode(source), AlignmentSettings(method="hold"))
    new = aligned(imported(file, tmp_path / "back"))
    assert (len(new), new.settings.method) == (len(old), "hold")
    shown = [
        [steps.frames["cam_low"].picture(int(frame)) for frame in steps.cameras["cam_low"].frame]
        for steps in (old, new)
    ]
    assert shown[0] == shown[1]
    with h5py.File(file, "r+") as foreign_file:
        foreign_file.attrs["method"] = "guessed"
    assert cli.main(["import", str(file), "--out", str(tmp_path / "other")]) == 2


@pytest.mark.parametrize("compress", [True, False])
def test_files_of_aloha_recorders_come_in_with_true_colours(tmp_path, compress):
    pictures = foreign(tmp_path / "theirs.hdf5", compress=compress)
    new = aligned(imported(tmp_path / "theirs.hdf5", tmp_path / "back", "--task", "x"))
    with h5py.File(tmp_path / "theirs.hdf5") as file:
        np.testing.assert_allclose(new.state, file["/observations/qpos"], atol=1e-9)
        np.testing.assert_allclose(new.action, file["/action"], atol=1e-9)
    assert new.task == "x"
    assert new.robot == "aloha"
    for row, name in enumerate(("cam_high", "cam_low", "cam_left_wrist")):
        for step, frame in enumerate(new.cameras[name].frame):
            wanted = np.roll(pictures, row, 0)[step].astype(int)
            assert np.abs(new.frames[name].rgb(int(frame)) - wanted).mean() < 8


def test_exchanged_colours_are_right_for_readers_that_take_imdecode_for_rgb(recorded, tmp_path):
    folder = tmp_path / "theirs"
    foreign(tmp_path / "a.hdf5", compress=False)
    colourful = imported(tmp_path / "a.hdf5", folder)
    file = export(colourful, tmp_path / "out", "--compress", "--exchange-colours")
    steps = aligned(colourful)
    with h5py.File(file) as theirs:
        row = sorted(steps.cameras).index("cam_high")
        data = theirs["/observations/images/cam_high"][5][: theirs["/compress_len"][row, 5]]
        as_act_reads_it = cv2.imdecode(data, 1)
    wanted = steps.frames["cam_high"].rgb(int(steps.cameras["cam_high"].frame[5]))
    assert np.abs(as_act_reads_it.astype(int) - wanted).mean() < 4
    again = aligned(imported(file, tmp_path / "back"))
    found = again.frames["cam_high"].rgb(int(again.cameras["cam_high"].frame[5]))
    assert np.abs(found.astype(int) - wanted).mean() < 5


def test_messages_of_an_import_are_those_that_ros_reads():
    names, numbers = ("waist", "left_finger"), (0.5, -1.25)
    state = deserialize_message(joint_state(3_000_000_007, names, numbers, (), numbers), JointState)
    assert (state.header.stamp.sec, state.header.stamp.nanosec) == (3, 7)
    assert (tuple(state.name), tuple(state.position), tuple(state.effort)) == (
        names,
        numbers,
        numbers,
    )
    assert not state.velocity
    image = deserialize_message(compressed_image(1, "cam_high", b"\xff\xd8!"), CompressedImage)
    assert (image.header.frame_id, bytes(image.data)) == ("cam_high", b"\xff\xd8!")
    assert "jpeg" in image.format
