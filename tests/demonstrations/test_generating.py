"""Generated demonstrations are the recorder's episodes: good, aligned, whole, made once."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from aloha_stack.control.arm_modes import Mode
from aloha_stack.demonstrations import generating
from aloha_stack.demonstrations.generated_folder import GeneratedFolder
from aloha_stack.demonstrations.settings import Request
from aloha_stack.demonstrations.take import Take, perform
from aloha_stack.demonstrations.writing import TakeWriter
from aloha_stack.episodes.alignment import align
from aloha_stack.episodes.cdr_states import safety_state
from aloha_stack.episodes.errors import FolderError
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.streams import robot_streams
from aloha_stack.episodes.summary import summarise
from aloha_stack.episodes.world_notes import NotedPosition, noted_position, noted_variation
from aloha_stack.evaluation.numbers import RobotNumbers
from aloha_stack.twin.direct import DirectArms
from aloha_stack.twin.direct_cameras import decode
from aloha_stack.twin.operator_manner import STEADY
from aloha_stack.twin.world import World

REQUEST = Request("transfer_cube", ("cam_high", "cam_left_wrist"), (64, 48))
SECOND_NS = 1_000_000_000


@pytest.fixture(scope="module")
def take() -> Take:
    return perform(REQUEST, 3)


@pytest.fixture(scope="module")
def written(take: Take, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of its episode."""
    return write(take, tmp_path_factory.mktemp("generated"))


def write(take: Take, folder: Path) -> Path:
    writer = TakeWriter(REQUEST, folder)
    writer.write(take)
    writer.close()
    return folder


def beginning(take: Take) -> Take:
    """Its first second: pictures take longer than all the rest."""
    begin_ns, _ = take.states[0]
    messages = [message for message in take.messages if message[0] < begin_ns + SECOND_NS]
    states = [state for state in take.states if state[0] < begin_ns + SECOND_NS]
    return replace(take, messages=messages, states=states)


def test_an_episode_is_good_by_the_quality_gate_and_tells_what_it_is(written: Path) -> None:
    path = written / "episode_000003"
    summary = summarise(path)
    assert (summary.verdict, summary.reasons) == ("good", ())
    assert (summary.task, summary.seed, summary.outcome) == ("transfer_cube", 3, "success")
    assert summary.best_reward == summary.max_reward == 4
    assert summary.lost == 0
    notes = Episode(path).info.notes
    assert notes["simulated"] == "true"
    assert "aloha episodes generate" in notes["generated"]


def test_it_has_every_stream_of_the_recorder_at_its_rate(written: Path) -> None:
    episode = Episode(written / "episode_000003")
    rates = {stream.topic: stream.rate_hz for stream in summarise(episode).streams}
    assert set(rates) == {stream.name for stream in robot_streams(REQUEST.robot())}
    assert rates["/leader_left/joint_states"] == pytest.approx(100)
    assert rates["/follower_right/command_executed"] == pytest.approx(100)
    assert rates["/cam_high/image_raw/compressed"] == pytest.approx(50)
    assert rates["/cam_left_wrist/camera_info"] == pytest.approx(50)
    assert rates["/task/state"] == pytest.approx(50)
    assert rates["/safety/state"] == pytest.approx(20)
    assert rates["/follower_left/status"] == rates["/teleop/state"] == pytest.approx(10)


def test_steps_hold_moving_arms_whose_commands_lead_and_pictures_of_the_size_asked_for(
    written: Path,
) -> None:
    episode = Episode(written / "episode_000003")
    steps = align(episode)
    assert len(steps) > 250
    assert set(steps.cameras) == {"cam_high", "cam_left_wrist"}
    assert not np.isnan(steps.state).any()
    assert not np.isnan(steps.leader).any()
    moved = np.ptp(steps.state, axis=0)
    assert moved[7:].max() > 0.5
    # A leader is ahead of the command that it causes, which is ahead of the arm.
    right = slice(7, 13)
    lag = [
        np.abs(steps.action[: -k or None, right] - steps.state[k:, right]).mean() for k in range(6)
    ]
    assert 1 <= int(np.argmin(lag)) <= 4
    jpegs = [record.data for record in episode.records(["/cam_high/image_raw/compressed"])]
    picture = jpegs[0][jpegs[0].index(b"\xff\xd8") :]
    assert cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR).shape == (48, 64, 3)


def test_it_begins_as_a_rollout_does(written: Path) -> None:
    steps = align(Episode(written / "episode_000003"))
    robot = REQUEST.robot()
    world = World("transfer_cube", 3, robot, "start")
    arms, numbers = DirectArms(world, robot), RobotNumbers(robot)
    arms.cycle()
    state = numbers.state(arms.measured())
    command = numbers.joined({name: e.position for name, e in arms.executed().items()})
    assert steps.state[0] == pytest.approx(state, abs=0.02)
    assert numbers.angles(steps.action[:1])[0] == pytest.approx(command, abs=0.02)


def test_the_arms_followed_all_the_time(take: Take) -> None:
    assert take.success
    statuses = [data for _, topic, data in take.messages if topic == "/follower_left/status"]
    assert all(int(Mode.FOLLOWING) in data[28:40] for data in statuses)


def test_the_same_seed_makes_the_same_bytes(take: Take, tmp_path: Path) -> None:
    again = perform(REQUEST, 3)
    assert again.messages == take.messages
    np.testing.assert_array_equal(again.states[-1][1], take.states[-1][1])
    files = []
    for name, each in (("one", take), ("again", again)):
        (tmp_path / name).mkdir()
        folder = write(beginning(each), tmp_path / name)
        files.append((folder / "episode_000003/episode_000003_0.mcap").read_bytes())
    assert files[0] == files[1]
    assert len(files[0]) > 100_000


def test_a_steady_hand_makes_other_motions(take: Take) -> None:
    steady = perform(Request("transfer_cube", ("cam_high",), (64, 48), STEADY), 3)
    assert steady.messages != take.messages


def test_a_varied_world_is_shown_and_noted(tmp_path: Path) -> None:
    request = Request("pick_place", ("cam_low",), (64, 48), variation="untaught,background")
    world = World("pick_place", 5, request.robot(), "start", request.variation)
    writer = TakeWriter(request, tmp_path)
    writer.write(Take(5, True, 4, [(9, "/safety/state", safety_state(9))], [(0, world.qpos())]))
    writer.close()
    episode = Episode(tmp_path / "episode_000005")
    assert noted_variation(episode.info) == "untaught,background"
    assert noted_position(episode.info) == NotedPosition(
        "D", pytest.approx(0.75, abs=0.03), pytest.approx(0.11, abs=0.005)
    )
    (jpeg,) = (record.data for record in episode.records(["/cam_low/image_raw/compressed"]))
    picture = decode(jpeg[jpeg.index(b"\xff\xd8") :])
    assert np.ptp(picture[-4, 4].astype(int)) > 20, "a table that is not grey"
    with pytest.raises(FolderError, match="made otherwise"):
        GeneratedFolder(tmp_path, replace(request, variation="untaught")).__enter__()


def test_a_write_that_fails_leaves_nothing(
    take: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = TakeWriter(REQUEST, tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer._cameras, "pictures", full)
    with pytest.raises(OSError, match="No space"):
        writer.write(take)
    writer.close()
    assert list(tmp_path.iterdir()) == []


def test_the_command_goes_on_where_it_was_ended(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--task", "insertion", "--directory", str(tmp_path), "--jobs", "1"]
    words += ["--cameras", "cam_high", "--size", "32x24", "--seed", "20"]
    assert generating.main([*words, "--episodes", "1"]) == 0
    first = next(tmp_path.glob("episode_*"))
    before = first.stat().st_mtime_ns
    half_done = TakeWriter(Request("insertion", ("cam_high",), (32, 24)), tmp_path)
    half_done._directory.joinpath("episode_000900").mkdir()
    assert generating.main([*words, "--episodes", "1"]) == 0
    assert "(1 were there): 0 of 0 attempts" in capfd.readouterr().out
    assert first.stat().st_mtime_ns == before
    assert sorted(path.name for path in tmp_path.glob("episode_*")) == [first.name]


def test_a_folder_of_other_episodes_is_refused(written: Path, tmp_path: Path) -> None:
    other = Request("transfer_cube", ("cam_high",), (64, 48))
    with pytest.raises(FolderError, match=r"made otherwise \(transfer_cube, cam_high, cam_left"):
        GeneratedFolder(written, other).__enter__()
    with GeneratedFolder(written, REQUEST) as folder:
        assert folder.done == {3}
        with pytest.raises(FolderError, match="somebody generates episodes"):
            GeneratedFolder(written, REQUEST).__enter__()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--seed", "1000"], "1000 is reserved: worlds of seed 1000 and above are for evaluation"),
        (["--cameras", "cam_top"], "no camera 'cam_top'; there is cam_high"),
        (["--size", "big"], "'big' is no size; expected WxH"),
        (["--size", "8x8"], "8x8 is outside"),
        (["--variation", "taught"], "transfer_cube has no variation 'taught'"),
        (["--task", "juggling"], "invalid choice: 'juggling'"),
    ],
)
def test_a_request_that_cannot_be_is_refused_by_name(
    words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status: object = generating.main(["--directory", str(tmp_path / "out"), *words])
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    assert says in capsys.readouterr().err
