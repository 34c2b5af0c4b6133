"""The plugin's panel. It shows no state yet, and says where that is to be seen."""

from python_qt_binding.QtWidgets import QLabel
from rqt_gui_py.plugin import Plugin

TEXT = """This panel does not show the robot yet.

Arms:           ros2 topic echo /follower_left/status
Teleoperation:  ros2 topic echo /teleop/state
Safety:         ros2 topic echo /safety/state"""


class AlohaPanel(Plugin):
    """A label in rqt's window; it subscribes to nothing."""

    def __init__(self, context) -> None:
        super().__init__(context)
        self.setObjectName("AlohaPanel")
        self._label = QLabel(TEXT)
        self._label.setWindowTitle("ALOHA")
        context.add_widget(self._label)
