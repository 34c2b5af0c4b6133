"""A camera's calibration, as ROS' camera_calibration writes it and camera_info_manager reads it."""

from dataclasses import dataclass
from pathlib import Path

from aloha_stack.robot.description import Camera
from aloha_stack.robot.yaml_section import Section, read_yaml

KEYS = (
    *("image_width", "image_height", "camera_name", "camera_matrix", "distortion_model"),
    *("distortion_coefficients", "rectification_matrix", "projection_matrix"),
)
COEFFICIENTS = {"plumb_bob": (4, 5), "rational_polynomial": (8,), "equidistant": (4,)}
"""How many each model has (sensor_msgs/distortion_models.hpp)."""


@dataclass(frozen=True)
class Calibration:
    """sensor_msgs/CameraInfo's numbers: the models and matrices described there.

    d: (n,) by the model; k (3x3), r (3x3), p (3x4), row by row.
    """

    distortion_model: str
    d: tuple[float, ...]
    k: tuple[float, ...]
    r: tuple[float, ...]
    p: tuple[float, ...]


def load_calibration(camera: Camera) -> Calibration | None:
    """The camera's calibration; None if the robot file gives none.

    Raises RobotConfigError, which names file and key, if there is no such file, or it is of another
    size of images, or its numbers cannot be.
    """
    if camera.calibration is None:
        return None
    path = Path(camera.calibration)
    section = Section(read_yaml(path), path)
    section.check_keys(KEYS)
    for key, size in (("image_width", camera.width), ("image_height", camera.height)):
        if (found := section.integer(key, 1, 65535)) != size:
            section.complain(
                key,
                f"{found}, but {camera.name} gives images of {camera.width}x{camera.height}: "
                "calibrate it at that size",
            )
    model = section.choice("distortion_model", tuple(COEFFICIENTS))
    k = _matrix(section, "camera_matrix", 3, 3)
    for index, what in ((0, "fx"), (4, "fy")):
        if k[index] <= 0:
            section.complain("camera_matrix", f"{what} = {k[index]:g}, expected more than 0")
    return Calibration(
        distortion_model=model,
        d=_coefficients(section, model),
        k=k,
        r=_matrix(section, "rectification_matrix", 3, 3),
        p=_matrix(section, "projection_matrix", 3, 4),
    )


def _coefficients(section: Section, model: str) -> tuple[float, ...]:
    counts = COEFFICIENTS[model]
    columns = section.section("distortion_coefficients").integer("cols", 0, 14)
    if columns not in counts:
        section.complain(
            "distortion_coefficients",
            f"{columns} columns, but {model} has {' or '.join(map(str, counts))}",
        )
    return _matrix(section, "distortion_coefficients", 1, columns)


def _matrix(section: Section, key: str, rows: int, columns: int) -> tuple[float, ...]:
    matrix = section.section(key)
    matrix.check_keys(("rows", "cols", "data"))
    matrix.integer("rows", rows, rows)
    matrix.integer("cols", columns, columns)
    return matrix.numbers("data", rows * columns)
