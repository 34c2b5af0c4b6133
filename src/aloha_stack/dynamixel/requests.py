"""One servo at a time, through dynamixel_sdk's packet handler: for set-up and rare commands."""

from collections.abc import Sequence
from typing import Any

from dynamixel_sdk import COMM_RX_TIMEOUT, COMM_SUCCESS, Protocol2PacketHandler

from aloha_stack.dynamixel import words
from aloha_stack.dynamixel.control_table import ALERT, STATUS_ERRORS, register_of
from aloha_stack.dynamixel.errors import AnswerDamaged, ServoRefused, ServoSilent
from aloha_stack.dynamixel.packets import PING, READ, REBOOT, WRITE
from aloha_stack.dynamixel.patience import QUIET_S, START_S, Patience
from aloha_stack.dynamixel.port import PollingPort
from aloha_stack.robot.description import Arm, Servo

TRIES = 3
"""How often something is asked before a servo counts as silent."""
BAD_REQUEST = 3
"""The error number of a servo that found a wrong checksum in the request."""


class PacketHandler(Protocol2PacketHandler):  # type: ignore[misc]
    """dynamixel_sdk's handler, whose requests go out stuffed: its own forgets what it stuffed."""

    def addStuffing(self, packet: list[int]) -> list[int]:
        packet[:] = super().addStuffing(packet)
        return packet


class Requests:
    """Registers, pings and reboots of single servos of one arm.

    Everything is tried three times. Raises ServoSilent, AnswerDamaged, ServoRefused and the errors
    of the port; a ValueError lists the servos or registers that exist.
    """

    def __init__(self, arm: Arm, port: PollingPort, patience: Patience) -> None:
        self._arm, self._port, self._patience = arm, port, patience
        self._servos = {servo.id: servo for servo in arm.servos}
        self._sdk = PacketHandler()
        self._uneasy = False
        """After an answer that did not come, or not whole: it may come late, before the next."""

    def servo(self, servo_id: int) -> Servo:
        """The servo with this ID."""
        if servo_id not in self._servos:
            raise ValueError(
                f"{self._arm.name} has no servo {servo_id}; it has "
                f"{', '.join(map(str, self._servos))}"
            )
        return self._servos[servo_id]

    def read(self, servo_id: int, name: str) -> int:
        """The value of a register."""
        register = register_of(self.servo(servo_id).model, name)
        window = [*register.address.to_bytes(2, "little"), register.size, 0]
        data = self._ask(servo_id, READ, window, register.size, f"reading {name}")
        return register.decode(data)

    def write(self, servo_id: int, name: str, value: int) -> None:
        """Writes a register; the servo's answer says that it took it."""
        register = register_of(self.servo(servo_id).model, name)
        data = [*register.address.to_bytes(2, "little"), *register.encode(value)]
        self._ask(servo_id, WRITE, data, 0, f"writing {name} = {value}")

    def ping(self, servo_id: int) -> int:
        """The servo's model number."""
        return int.from_bytes(self._ask(servo_id, PING, (), 3, "a ping")[:2], "little")

    def is_there(self, servo_id: int) -> bool:
        """Whether it answers to a single ping."""
        return self._once(servo_id, PING, (), 3)[1] == COMM_SUCCESS

    def reboot(self, servo_id: int) -> None:
        """Restarts the servo. It may be too busy to answer, so nothing is known by its silence."""
        self._once(servo_id, REBOOT, (), 0)

    def _ask(
        self, servo_id: int, code: int, parameters: Sequence[int], size: int, doing: str
    ) -> bytes:
        """The `size` bytes that the servo answers with."""
        damaged = False
        for _ in range(TRIES):
            data, result, error = self._once(servo_id, code, parameters, size)
            if result == COMM_SUCCESS and error != BAD_REQUEST:
                break
            damaged |= result != COMM_RX_TIMEOUT
        else:
            if damaged:
                raise AnswerDamaged(words.damaged(self._arm, [servo_id]), (servo_id,))
            raise ServoSilent(words.silent(self._arm, [servo_id]), (servo_id,))
        if error:
            raise ServoRefused(
                f"{words.where(self._arm)}: {words.call(self._arm, servo_id)} refused {doing}: "
                f"{STATUS_ERRORS.get(error, f'error {error}')}",
                (servo_id,),
                error,
            )
        return data

    def _once(
        self, servo_id: int, code: int, parameters: Sequence[int], size: int
    ) -> tuple[bytes, Any, int]:
        """(data, the SDK's result, error number); leaves the line quiet behind it."""
        length = len(parameters) + 3
        request = [0, 0, 0, 0, servo_id, length & 0xFF, length >> 8, code, *parameters, 0, 0]
        if self._patience.debts:  # single answers bear nothing that tells old from new
            self._port.await_silence(START_S + self._patience.slack_s)
            self._patience.debts.forget()
        self._port.is_using = False  # an error may have thrown the SDK out in mid-packet
        try:
            answer, result, error = self._sdk.txRxPacket(self._port, request)
            while result == COMM_SUCCESS and self._goes_on():
                # What came first was late, or strayed here: the last word counts.
                answer, result = self._sdk.rxPacket(self._port, False)
                error = answer[8] if result == COMM_SUCCESS else 0
        except IndexError:  # the SDK trusts the length that a damaged packet gives itself
            answer, result, error = [], None, 0
        if result == COMM_SUCCESS:
            data = bytes(answer[9 : 5 + (answer[5] | answer[6] << 8)])
            if answer[4] == servo_id and (error & ~ALERT or len(data) == size):
                self._uneasy = False
                return data, result, error & ~ALERT
            result = None  # an answer to something else
        self._uneasy = True
        if result != COMM_RX_TIMEOUT:
            self._port.await_silence(QUIET_S + self._patience.slack_s)
        return b"", result, 0

    def _goes_on(self) -> bool:
        """Whether more comes behind an answer; waited for only if that answer may be a late one."""
        wait_s = QUIET_S + self._patience.slack_s if self._uneasy else 0.0
        return self._port.getBytesAvailable() > 0 or self._port.wait(wait_s)
