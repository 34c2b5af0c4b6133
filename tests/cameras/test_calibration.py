"""Calibration files of ROS' camera_calibration, and those that cannot be."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from aloha_stack.cameras.calibration import load_calibration
from aloha_stack.robot.description import Camera, RobotConfigError

CAMERA = Camera("cam_high", "v4l2:/dev/null", 640, 480, 60.0, 90)
K = [610.5, 0, 320.1, 0, 611.2, 240.7, 0, 0, 1]
P = [600.0, 0, 321.0, 0, 0, 605.0, 241.0, 0, 0, 0, 1, 0]
EYE = [1, 0, 0, 0, 1, 0, 0, 0, 1]


def matrix(rows: int, columns: int, data: list[float]) -> dict[str, Any]:
    return {"rows": rows, "cols": columns, "data": data}


def values() -> dict[str, Any]:
    return {
        "image_width": 640,
        "image_height": 480,
        "camera_name": "head_camera",
        "camera_matrix": matrix(3, 3, K),
        "distortion_model": "plumb_bob",
        "distortion_coefficients": matrix(1, 5, [0.1, -0.2, 0.001, 0.002, 0.0]),
        "rectification_matrix": matrix(3, 3, EYE),
        "projection_matrix": matrix(3, 4, P),
    }


def camera_with(path: Path, content: Any) -> Camera:
    path.write_text(yaml.safe_dump(content))
    return replace(CAMERA, calibration=str(path))


def test_a_calibration_is_read_number_by_number(tmp_path: Path) -> None:
    calibration = load_calibration(camera_with(tmp_path / "high.yaml", values()))
    assert calibration is not None
    assert calibration.distortion_model == "plumb_bob"
    assert calibration.d == (0.1, -0.2, 0.001, 0.002, 0.0)
    assert calibration.k == tuple(K)
    assert calibration.r == tuple(EYE)
    assert calibration.p == tuple(P)


def test_without_a_file_a_camera_is_not_calibrated() -> None:
    assert load_calibration(CAMERA) is None


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda v: v.update(image_width=1280),
            r"image_width: 1280, but cam_high gives images of 640x480",
        ),
        (lambda v: v.update(distortion_model="fisheye"), "'fisheye' is none of plumb_bob"),
        (
            lambda v: v.update(distortion_coefficients=matrix(1, 8, [0.0] * 8)),
            "8 columns, but plumb_bob has 4 or 5",
        ),
        (
            lambda v: v["camera_matrix"].update(data=K[:8]),
            "camera_matrix.data: expected a list of 9 numbers",
        ),
        (
            lambda v: v["camera_matrix"].update(data=[float("nan"), *K[1:]]),
            r"camera_matrix.data\[0\]: expected a finite number",
        ),
        (lambda v: v["camera_matrix"].update(data=[0.0] * 9), "camera_matrix: fx = 0"),
        (lambda v: v["projection_matrix"].update(rows=4), "projection_matrix.rows: 4 is outside"),
        (lambda v: v.pop("rectification_matrix"), "rectification_matrix: missing"),
        (lambda v: v.update(baseline=3), "baseline: unknown"),
    ],
)
def test_a_calibration_that_cannot_be_is_refused_by_file_and_key(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any], complaint: str
) -> None:
    content = values()
    change(content)
    with pytest.raises(RobotConfigError, match=r"high\.yaml: .*" + complaint):
        load_calibration(camera_with(tmp_path / "high.yaml", content))


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    camera = replace(CAMERA, calibration=str(tmp_path / "none.yaml"))
    with pytest.raises(RobotConfigError, match=r"none\.yaml cannot be read"):
        load_calibration(camera)
