"""The panels' node: hears the graph in a thread of its own, and tells the GUI by Qt signals.

Ten times a second it looks at what has come, instead of waking for each message, and makes a View.
Of views there is one at a time: while the GUI has not taken it, no other is made, so that a GUI
that hangs piles up nothing. Sending requests waits for nothing and is done at once.
"""

import itertools
import os
import threading
import time
from contextlib import ExitStack, suppress

import rclpy
from python_qt_binding.QtCore import QObject, Signal
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from aloha_stack.nodes._executor import LookingExecutor, take_rest
from aloha_stack.robot.description import Robot
from aloha_stack.transport import udp_alone
from rqt_aloha.asking import Asking
from rqt_aloha.hearing import Hearing
from rqt_aloha.previews import Previews
from rqt_aloha.views import View

NUMBERS = itertools.count(1)
"""Of the panels of this process: rqt may open several, and again."""

LOOK_HZ = 10.0
OLD_S = 0.5
"""Steady time after which a view that nobody has taken is not shown any more."""


class _PanelNode(Node):
    """`looked` is called by the executor after each look."""

    def __init__(self, link: "Link") -> None:
        super().__init__(f"rqt_aloha_{os.getpid()}_{next(NUMBERS)}", use_global_arguments=False)
        self._link = link

    def looked(self) -> None:
        self._link.looked()


class Link(QObject):
    """Made, and closed, in the GUI's thread.

    `news`: there is a view to take. `told(words)`: how a request ended.
    """

    news = Signal()
    told = Signal(str)

    def __init__(self, robot: Robot) -> None:
        super().__init__()
        self._ending = ExitStack()
        if not rclpy.ok():
            with udp_alone(os.environ):  # who stops this process holds up nobody's shared memory
                rclpy.init(args=[])
                self._node = _PanelNode(self)
            self._ending.callback(rclpy.try_shutdown)
        else:  # within rqt, whose context it is
            self._node = _PanelNode(self)
        self._hearing = Hearing(self._node, robot)
        self.previews = Previews(self._node, robot)
        self.asking = Asking(self._node, tuple(robot.arms), self.told.emit)
        self._lock = threading.Lock()
        self._view: tuple[View, float] | None = None
        self.made = 0
        """Views so far."""
        self._executor = LookingExecutor(LOOK_HZ)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="rqt_aloha", daemon=True)
        self._thread.start()

    # -- the GUI's thread -------------------------------------------------------------------

    def watch(self, width: int) -> None:
        """Pictures are shown `width` px wide; 0: the panels are hidden, and no view is made."""
        self.previews.width = width

    def take(self) -> View | None:
        """The view that `news` told of; None if it has become old by now."""
        with self._lock:
            view, self._view = self._view, None
        if view is None or time.monotonic() - view[1] > OLD_S:
            return None
        return view[0]

    def close(self) -> None:
        """Ends thread and node."""
        self._executor.shutdown(timeout_sec=0)
        self._thread.join()
        self._executor.release()
        self.asking.close()
        self._node.destroy_node()
        self._ending.close()

    # -- the link's thread ------------------------------------------------------------------

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):  # rqt ends
            self._executor.spin()

    def looked(self) -> None:
        """After each look."""
        take_rest(self._hearing.diagnostics)
        safety = self._hearing.safety.now
        self.asking.look(e_stopped=safety is not None and safety.e_stopped)
        self.previews.follow()
        if not self.previews.width:
            return
        with self._lock:
            if self._view is not None and time.monotonic() - self._view[1] <= OLD_S:
                return
        view = self._hearing.view(self.previews.views())
        self.made += 1
        with self._lock:
            waiting = self._view is not None  # now: the GUI may have taken it meanwhile
            self._view = view, time.monotonic()
        if not waiting:
            self.news.emit()
