"""One virtual Dynamixel: a control table that obeys the rules of the metal one.

It knows nothing of packets (protocol.py) and of the eight others on its bus (virtual_arm.py).
Source: ROBOTIS e-manual of the X series: access, Bus Watchdog, Shutdown, Drive Mode, Homing Offset,
Present Position (when the count of turns is lost).
"""

from collections.abc import Iterator, Mapping
from functools import cache

from aloha_stack.dynamixel.control_table import (
    ALERT,
    OPERATING_MODES,
    Register,
    table_for,
)
from aloha_stack.dynamixel.units import WATCHDOG_UNIT_S, ZERO_TICKS
from aloha_stack.robot.servos import TICKS_PER_TURN

OK, FAILED, UNKNOWN_INSTRUCTION, BAD_CRC, OUT_OF_RANGE, TOO_SHORT, OVER_LIMIT, NO_ACCESS = range(8)
"""Error numbers of a status packet."""

TABLE_SIZE = 148
BOOT_S = 0.25
"""How long a servo is silent after a reboot, in model time."""

CURRENT, POSITION, EXTENDED, CURRENT_BASED = 0, 3, 4, 5
_GOALS = ("goal_pwm", "goal_current", "goal_velocity", "goal_position")
_RESET_BY_MODE = (
    "velocity_i_gain", "velocity_p_gain", "position_d_gain", "position_i_gain", "position_p_gain",
    "feedforward_2nd_gain", "feedforward_1st_gain", "profile_acceleration", "profile_velocity",
)  # fmt: skip


@cache
def _by_address(model: str) -> dict[int, Register]:
    return {register.address: register for register in table_for(model).values()}


class VirtualServo:
    """A servo's memory and behaviour. `mounting` is +1 or -1: which way it sits in the arm.

    What tests may do to it: `silent` (the cable is cut), `fail()` (a hardware error) and
    `seat_horn()` (an assembly that is a little off).
    """

    def __init__(self, model: str, servo_id: int, mounting: int = 1) -> None:
        self.model, self.mounting = model, mounting
        self.table = table_for(model)
        self.memory = bytearray(TABLE_SIZE)
        self.silent = False
        self.heard_s = 0.0
        self.boots_until_s = -1.0
        self.registered: tuple[int, bytes, bool] | None = None
        self._by_address = _by_address(model)
        self._shaft_ticks = 0.0
        self._goal_is_fresh = False
        self._crooked_ticks = 0
        self._turns_ticks = 0
        for register in self.table.values():
            self._store(register, register.default)
        self.put("id", servo_id)
        self.put("goal_position", ZERO_TICKS)
        self._cache_hot()

    # -- registers as the servo itself sees them ----------------------------------------------

    def get(self, name: str) -> int:
        """The value of a register."""
        register = self.table[name]
        return register.decode(self.memory[register.address : register.address + register.size])

    def put(self, name: str, value: int) -> None:
        """Sets a register from inside: no access rule applies."""
        self._store(self.table[name], value)

    def load_eeprom(self, values: Mapping[str, int]) -> None:
        """Sets up the servo as a maintainer once did: of `values`, what belongs to the EEPROM."""
        for name, value in values.items():
            if self.table[name].eeprom:
                self.put(name, value)
        self._goals_at_limits()
        self._cache_hot()

    def _goals_at_limits(self) -> None:
        for goal in ("pwm", "current", "velocity"):
            if f"{goal}_limit" in self.table:
                self.put(f"goal_{goal}", self.get(f"{goal}_limit"))

    def _store(self, register: Register, value: int) -> None:
        self.memory[register.address : register.address + register.size] = register.encode(value)

    def _cache_hot(self) -> None:
        """What every cycle asks for, kept out of the byte array."""
        self.id = self.memory[7]
        secondary = self.memory[12]
        self.secondary_id = secondary if secondary <= 252 else -1
        self.direction = self.mounting * (-1 if self.memory[10] & 1 else 1)
        self.mode = self.memory[11]
        self.answers_reads = self.memory[68] >= 1
        self.answers_writes = self.memory[68] >= 2
        self.torque = bool(self.memory[64])
        offset = self.get("homing_offset")
        in_turn = self.mode != POSITION or -1024 <= offset <= 1024  # else ignored (e-manual)
        crooked = self.direction * self._crooked_ticks
        self._offset = offset if in_turn else 0
        self.zero_ticks = ZERO_TICKS + crooked + self._offset - self._turns_ticks
        self.lowest_goal = self.get("min_position_limit")
        self.highest_goal = self.get("max_position_limit")
        self.goal_ticks = self.get("goal_position")

    @property
    def alert(self) -> int:
        """The alert bit of every status while a hardware error stands."""
        return ALERT if self.memory[70] else 0

    # -- the shaft ------------------------------------------------------------------------------

    @property
    def present_ticks(self) -> int:
        """Present position: the shaft, turned round by the drive mode, plus the homing offset."""
        return round(self.zero_ticks + self.direction * self._shaft_ticks)

    def lose_turns(self) -> None:
        """Whole turns are not counted any more: the encoder is within one, as it is by itself.

        The homing offset comes on top, so that Present Position may jump by a turn though nothing
        moves, to below 0 too. So it is on power-up, on a reboot, on the change to position control,
        and whenever torque goes on in it (e-manual, Present Position).
        """
        encoder = self.present_ticks - self._offset
        self._turns_ticks += encoder // TICKS_PER_TURN * TICKS_PER_TURN
        self._cache_hot()
        self.put("present_position", self.present_ticks)

    def show(self, shaft_ticks: float, position: int, velocity: int, current: int) -> None:
        """Fills the present registers; `shaft_ticks` counts along the joint, 0 in its middle."""
        self._shaft_ticks = shaft_ticks
        memory = self.memory
        memory[126:128] = (max(-32768, min(32767, current)) & 0xFFFF).to_bytes(2, "little")
        memory[128:132] = (velocity & 0xFFFFFFFF).to_bytes(4, "little")
        memory[132:136] = (position & 0xFFFFFFFF).to_bytes(4, "little")
        memory[122] = abs(velocity) > int.from_bytes(memory[24:28], "little")

    # -- instructions ---------------------------------------------------------------------------

    def read(self, address: int, length: int) -> tuple[int, bytes]:
        """(error, data). Gaps between registers read as zeros, as tools that read it all expect."""
        if address + length > TABLE_SIZE:
            return NO_ACCESS, bytes(length)
        return OK, bytes(self.memory[address : address + length])

    def write(self, address: int, data: bytes, secondary: bool = False) -> int:
        """Writes whole registers, all or none; returns the error number.

        `secondary`: the packet was addressed to the Secondary ID, which opens the RAM only.
        """
        if address == 116 and len(data) == 4 and self._take_goal(data):
            return OK
        changes = []
        for register, value in self._registers_in(address, data):
            if register is None:
                return value
            error = self._check(register, value, secondary)
            if error:
                return error
            changes.append((register, value))
        for register, value in changes:
            self._take(register, value)
        if changes:
            self._cache_hot()
            self.put("present_position", self.present_ticks)
        return OK

    def _take_goal(self, data: bytes) -> bool:
        """The write of every cycle, quickly; False where the rules must decide."""
        ticks = int.from_bytes(data, "little", signed=True)
        if self.mode != POSITION or not self.lowest_goal <= ticks <= self.highest_goal:
            return False
        if self.memory[98] == 0xFF:
            return False
        self.memory[116:120] = data
        self.goal_ticks = ticks
        self._goal_is_fresh = True
        return True

    def _registers_in(self, address: int, data: bytes) -> Iterator[tuple[Register | None, int]]:
        """The registers that `data` covers and their new values, or (None, error)."""
        at = 0
        while at < len(data):
            register = self._by_address.get(address + at)
            if register is None:
                yield None, NO_ACCESS
                return
            if at + register.size > len(data):
                yield None, TOO_SHORT
                return
            yield register, register.decode(data[at : at + register.size])
            at += register.size

    def _check(self, register: Register, value: int, secondary: bool) -> int:
        name = register.name
        if not register.writable or (register.eeprom and (secondary or self.torque)):
            return NO_ACCESS
        if name in _GOALS and self.memory[98] == 0xFF:
            return OUT_OF_RANGE  # the Bus Watchdog has tripped: goals are read-only
        if register.low is not None and value < register.low:
            return OUT_OF_RANGE
        if register.high is not None and value > register.high:
            return OUT_OF_RANGE
        if name == "operating_mode" and value not in OPERATING_MODES[self.model]:
            return OUT_OF_RANGE
        if name == "torque_enable" and value and self._is_shut_down():
            return FAILED
        if name in _GOALS:
            low, high = self._goal_limits(name)
            return OK if low <= value <= high else OVER_LIMIT
        return OK

    def _goal_limits(self, name: str) -> tuple[int, int]:
        if name == "goal_position":
            if self.mode != POSITION:
                return -1_048_575, 1_048_575
            return self.lowest_goal, self.highest_goal
        limit = self.get(name.removeprefix("goal_") + "_limit")
        return -limit, limit

    def _take(self, register: Register, value: int) -> None:
        name = register.name
        self._store(register, value)
        if name == "goal_position":
            self._goal_is_fresh = True
        elif name == "torque_enable" and not value:
            self._goal_is_fresh = False
        elif name == "torque_enable" and not self.torque:
            if self.mode == POSITION:
                self.lose_turns()
            # Torque holds the arm where it is. A goal that was written since the torque went off
            # counts, though: a host that leaves an old one there would see its arm jump.
            if not self._goal_is_fresh:
                self.put("goal_position", self.present_ticks)
            self.torque = True
        elif name == "operating_mode":
            for each in _RESET_BY_MODE:
                self.put(each, self.table[each].default)
            if value == POSITION:
                self.lose_turns()
        elif name in ("pwm_limit", "current_limit", "velocity_limit"):
            self.put("goal_" + name.removesuffix("_limit"), value)

    # -- life -----------------------------------------------------------------------------------

    def watch(self, now_s: float) -> None:
        """Trips the Bus Watchdog where nothing was heard for its time (20 ms units) under torque.

        A tripped watchdog holds a position mode where the servo is, and takes the current away.
        """
        units = self.memory[98]
        if not self.torque or not 0 < units <= 127:
            return
        if now_s - self.heard_s > units * WATCHDOG_UNIT_S + 1e-9:
            self.put("bus_watchdog", -1)
            self.put("goal_position", self.present_ticks)
            if self.mode == CURRENT:
                self.put("goal_current", 0)
            self._cache_hot()

    def fail(self, bits: int) -> None:
        """A hardware error: alert on every status; torque goes off if `shutdown` (63) says so."""
        self.memory[70] |= bits
        if self._is_shut_down():
            self.put("torque_enable", 0)
        self._cache_hot()

    def seat_horn(self, ticks: int) -> None:
        """The horn sits `ticks` round from where it should."""
        self._crooked_ticks = ticks
        self._cache_hot()

    def _is_shut_down(self) -> bool:
        return bool(self.memory[70] & self.memory[63])

    def reboot(self, now_s: float) -> None:
        """RAM back to its initial values, torque off, hardware error cleared; silent for BOOT_S."""
        present = self.memory[124:148]
        for register in self.table.values():
            if not register.eeprom:
                self._store(register, register.default)
        self._goals_at_limits()
        self.memory[124:148] = present
        self._cache_hot()
        self.lose_turns()
        self.put("goal_position", self.present_ticks)
        self.registered = None
        self._goal_is_fresh = False
        self.boots_until_s = now_s + BOOT_S
        self._cache_hot()
