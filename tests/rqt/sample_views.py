"""Views of a robot that is well."""

from dataclasses import replace
from typing import Any

from python_qt_binding.QtGui import QImage

from aloha_stack.robot.joints import ARMS, SIDES
from rqt_aloha.views import (
    ArmView,
    HealthRow,
    Heard,
    Motion,
    PictureView,
    PlayerView,
    PolicyView,
    RecorderView,
    SafetyView,
    SideView,
    TeleopView,
    View,
)

RECORDER = RecorderView(
    *("IDLE", "", "cube", 0.0, 0, 0, 100.0, ()),
    *("/eps/episode_000000", "success", 1, ""),
)
PLAYER = PlayerView("PLAYING", "POLICY", "", 50.0, 0.05, 0.03, 4, 0, 0, 0)
POLICY = PolicyView("INFERRING", "", "/models/cube", 0.03, 10, 0)


def well(**changes: Any) -> View:
    """A robot in teleoperation, but for `changes`."""
    joints = Heard((0.1, -0.2, 0.3, 0.0, 0.5, -0.6, 0.7))
    image = QImage(64, 48, QImage.Format_RGB888)
    image.fill(0)
    picture = Heard(PictureView(image, 1))
    return replace(
        View(
            arms={
                arm: Heard(ArmView("FOLLOWING", "", True, 100.0, 0.0))
                if arm.startswith("follower")
                else Heard(ArmView("BACK_DRIVEN", "", False, 100.0, 0.0))
                for arm in ARMS
            },
            sides=dict.fromkeys(SIDES, SideView(joints, joints, joints)),
            safety=Heard(SafetyView(False, "", ())),
            teleop=Heard(TeleopView("ENGAGED", "")),
            recorder=Heard(RECORDER),
            motion=dict.fromkeys(SIDES, Motion((0.0, 0.05), (joints.value or (),) * 2)),
            pictures={"cam_high": picture, "cam_low": picture},
            health=(HealthRow("cameras/cam_high", "ok", "all is well", (("rate (Hz)", "50"),)),),
        ),
        **changes,
    )


def recording(**changes: Any) -> View:
    """An episode is in the making."""
    state = replace(RECORDER, state="RECORDING", path="/eps/episode_000001", elapsed_s=61.25)
    return well(recorder=Heard(replace(state, **changes)))
