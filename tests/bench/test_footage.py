"""Pictures for benches: as heavy as a camera's, moving, and the same each time."""

import cv2

from aloha_stack.bench.footage import footage


def test_frames_are_as_heavy_as_those_of_a_camera_and_all_different(tmp_path):
    files = sorted(footage(tmp_path, count=5).iterdir())
    assert [file.name for file in files] == [f"{index:04d}.jpg" for index in range(5)]
    contents = [file.read_bytes() for file in files]
    assert len(set(contents)) == 5
    assert all(60_000 < len(content) < 110_000 for content in contents)
    assert cv2.imread(str(files[0])).shape == (480, 640, 3)


def test_the_same_arguments_give_the_same_pictures_and_another_seed_gives_others(tmp_path):
    def contents(place, seed):
        made = footage(tmp_path / place, count=2, width=64, height=48, seed=seed)
        return [file.read_bytes() for file in sorted(made.iterdir())]

    assert contents("a", 3) == contents("b", 3)
    assert contents("a", 3) != contents("a", 4)


def test_what_is_there_is_not_made_again(tmp_path):
    made = footage(tmp_path, count=2, width=64, height=48)
    before = [file.stat().st_mtime_ns for file in sorted(made.iterdir())]
    assert footage(tmp_path, count=2, width=64, height=48) == made
    assert [file.stat().st_mtime_ns for file in sorted(made.iterdir())] == before
    assert [one.name for one in tmp_path.iterdir()] == [made.name]
