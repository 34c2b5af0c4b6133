"""One arm on a line of its own: how near to the wire limit, and what a lost reply costs."""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aloha_stack.bench.emulator import Emulator
from aloha_stack.bench.hosts import HOSTS, Load, prepare, working
from aloha_stack.bench.line_check import LineCheck, check_line
from aloha_stack.bench.report import Bar, Row
from aloha_stack.bench.wire_limit import WATCH_HZ, WireLimit
from aloha_stack.robot.description import Arm
from aloha_stack.robot.joints import JOINTS
from aloha_stack.twin.faults import Fault

Show = Callable[[str, float], None]

PEER = "dynamixel_sdk, stock port"
LIMIT = "wire limit"
CHECK_REQUESTS = 200
LEAD, LEAST_LEAD_S, MOST_LEAD_S = 0.8, 5e-6, 1e-4
"""The part of the least lateness ever seen, what the pseudo-terminal takes, that is made good."""

STALL_S, CLOCK_S = 5e-4, 3.0
"""A loop that only looks at the clock takes far less a turn; how long it looks."""

GAP_S = 0.02
"""Between two lost replies: whatever one has left behind is over then."""


@dataclass
class Rate:
    """The slices of one host: complete cycles a second in each, and the load of them all."""

    slices_hz: list[float] = field(default_factory=list)
    load: Load = field(default_factory=Load)

    @property
    def hz(self) -> float:
        """Of the median slice: what else the machine does comes and goes."""
        return statistics.median(self.slices_hz)


def rate_rows(arm: Arm, emulator: Emulator, slice_s: float, slices: int, show: Show) -> list[Row]:
    """Back to back, ours and the stock port in turns, so that both see the same machine."""
    prepare(arm)
    show("looking at the clock", 0.0)
    stalled = _stalled()
    show("checking the emulated line", 0.0)
    check = _tuned(arm, emulator)
    rates = {kind: Rate() for kind in HOSTS}
    for index in range(slices):
        for kind, rate in rates.items():
            show(f"back to back: {kind}, {slice_s:g} s", index / slices)
            _add_slice(rate, arm, kind, slice_s)
    clock = Row("this machine: time taken from a loop that only looks at the clock", stalled, "%")
    return [clock, *_rate_rows(check, rates["aloha"], rates["stock"], WireLimit(arm.baud))]


def _stalled() -> float:
    """The part of the time, in %, in which something else ran in this loop's place, beside the
    emulator that spins: what a shared machine takes from all that is measured on it."""
    began_s = last_s = now_s = time.perf_counter()
    lost_s = 0.0
    while now_s < began_s + CLOCK_S:
        now_s = time.perf_counter()
        if now_s - last_s > STALL_S:
            lost_s += now_s - last_s
        last_s = now_s
    return 100 * lost_s / (now_s - began_s)


def _tuned(arm: Arm, emulator: Emulator) -> LineCheck:
    """Makes good what the pseudo-terminal takes, and no more: the check that no answer is early."""
    check = check_line(arm, CHECK_REQUESTS)
    lead_s = min(LEAD * check.late_s[0], MOST_LEAD_S)
    while lead_s > LEAST_LEAD_S:
        emulator.lead(lead_s)
        check = check_line(arm, CHECK_REQUESTS)
        if check.fastest >= 1.0:
            return check
        lead_s *= 0.7
    emulator.lead(0.0)
    return check_line(arm, CHECK_REQUESTS)


def _add_slice(rate: Rate, arm: Arm, kind: str, seconds: float) -> None:
    with working(arm, kind) as work:
        began_s = time.perf_counter()
        while (elapsed_s := time.perf_counter() - began_s) < seconds:
            work.cycle()
    rate.slices_hz.append(work.load.complete / elapsed_s)
    rate.load.cycles += work.load.cycles
    rate.load.cpu_s += work.load.cpu_s
    rate.load.durations_s += work.load.durations_s


def _rate_rows(check: LineCheck, own: Rate, stock: Rate, limit: WireLimit) -> list[Row]:
    limit_hz = limit.cycles_hz()
    p50 = {name: statistics.median(rate.load.durations_s) for name, rate in _both(own, stock)}
    cpu = {name: rate.load.cpu_s / rate.load.cycles for name, rate in _both(own, stock)}
    late = check.late_s
    line = "emulated line"
    return [
        Row(
            f"{line}: fastest round trip over its bytes' time",
            check.fastest,
            "×",
            bar=Bar("value", ">=", 1.0),
        ),
        Row(
            f"{line}: bytes a second, never idle",
            check.bytes_per_s,
            "B/s",
            peer="1 Mbaud, 10 bits a byte",
            peer_value=1 / limit.byte_s,
            bar=Bar("ratio", "<=", 1.0),
        ),
        Row(f"{line}: lateness of an answer, median", _us(late[len(late) // 2]), "µs"),
        Row(f"{line}: lateness of an answer, 99 %", _us(late[len(late) * 99 // 100]), "µs"),
        Row(
            f"one arm back to back, with {WATCH_HZ:g} looks a second at all nine",
            own.hz,
            "cycles/s",
            peer=LIMIT,
            peer_value=limit_hz,
            bar=Bar("ratio", ">=", 0.92),
        ),
        Row("the same, stock port", stock.hz, "cycles/s", LIMIT, limit_hz),
        Row(
            "its median cycle (without a look)",
            1 / p50["own"],
            "cycles/s",
            LIMIT,
            limit.cycles_hz(0),
        ),
        Row("cycle back to back, median", _ms(p50["own"]), "ms", PEER, _ms(p50["stock"])),
        Row("host CPU a cycle, back to back", _us(cpu["own"]), "µs", PEER, _us(cpu["stock"])),
    ]


def _both(own: Rate, stock: Rate) -> tuple[tuple[str, Rate], ...]:
    return ("own", own), ("stock", stock)


@dataclass(frozen=True)
class Losses:
    """What lost replies did to one host: seconds more than a reading without, and answers kept."""

    cost_s: Sequence[float]
    kept: Sequence[int]


def lost_reply_rows(arm: Arm, emulator: Emulator, count: int, show: Show) -> list[Row]:
    """`count` lost replies at servos by lot, each as often as any other, the last one too."""
    ids = [servo.id for servo in arm.addressed]
    victims = [ids[i % len(ids)] for i in range(count)]
    random.Random(0).shuffle(victims)
    show("lost replies", 0.0)
    own = _lose(arm, "aloha", emulator, victims)
    show("lost replies, stock port", 0.5)
    stock = _lose(arm, "stock", emulator, victims[: max(1, count // 3)])
    others = len(JOINTS) - 1
    lost = f"a lost reply, {count} times"
    cheap = Bar("value", "<=", 12.0)
    return [
        Row(
            f"{lost}: time that it costs, median",
            _ms(statistics.median(own.cost_s)),
            "ms",
            peer=PEER,
            peer_value=_ms(statistics.median(stock.cost_s)),
            bar=cheap,
        ),
        Row(
            f"{lost}: time that it costs, at most",
            _ms(max(own.cost_s)),
            "ms",
            peer=PEER,
            peer_value=_ms(max(stock.cost_s)),
            bar=cheap,
        ),
        Row(
            f"{lost}: answers of the other {others} kept, at least",
            min(own.kept),
            "answers",
            peer=PEER,
            peer_value=min(stock.kept),
            bar=Bar("value", ">=", others),
        ),
    ]


def _lose(arm: Arm, kind: str, emulator: Emulator, victims: Sequence[int]) -> Losses:
    costs, kept = [], []
    host = HOSTS[kind](arm)
    try:
        usual_s = statistics.median(_read(host.read)[0] for _ in range(50))
        for victim in victims:
            time.sleep(GAP_S)
            while host.read() < len(JOINTS):  # an earlier loss may still be felt
                pass
            emulator.inject(Fault("lost_reply", victim))
            seconds, answers = _read(host.read)
            costs.append(seconds - usual_s)
            kept.append(answers)
    finally:
        host.close()
    return Losses(costs, kept)


def _read(read: Callable[[], int]) -> tuple[float, int]:
    began_s = time.perf_counter()
    answers = read()
    return time.perf_counter() - began_s, answers


def _ms(seconds: float) -> float:
    return seconds * 1e3


def _us(seconds: float) -> float:
    return seconds * 1e6
