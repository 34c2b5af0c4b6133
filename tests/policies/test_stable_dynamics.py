"""The guarantee of SNDS holds by construction: for any weights, dimension, goal and limits.

Regressions pinned (both measured on the released form of the paper's code):
- V without its minimum at the goal: V(x) = g(x) - g(0) + eps |x|² falls below 0 away from the goal,
  and steps that "descend" lead there;
- 0/0 at the goal, where the gradient of V vanishes and demonstrations end.
"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from aloha_stack.policies.input_convex import InputConvex
from aloha_stack.policies.lyapunov import ANCHORS, CLAMP, TANGENT, Lyapunov
from aloha_stack.policies.stable_dynamics import StableDynamics

EPSILON = 0.01
ROUNDING = 1e-9
RESOLUTION = 1e-11  # of V, a difference of numbers that wild weights make large

dims = st.integers(1, 12)
seeds = st.integers(0, 10_000)
spreads = st.sampled_from([0.3, 1.0, 4.0])
anchors = st.sampled_from(ANCHORS)
quick = settings(max_examples=12, deadline=None)


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def wild(module: torch.nn.Module, seed: int, spread: float) -> None:
    """Weights of any kind: those of learning, and others that it would never reach."""
    for weight in module.parameters():
        noise = torch.randn(weight.shape, generator=drawn(seed), dtype=torch.float64)
        weight.data = spread * noise


def dynamics(
    dim: int,
    seed: int = 0,
    spread: float = 1.0,
    anchor: str = TANGENT,
    alpha: float = 1.0,
    warps: int = 0,
) -> StableDynamics:
    made = StableDynamics(dim, (16, 16), (8, 8), alpha, EPSILON, anchor, warps).double()
    wild(made, seed, spread)
    return made


def states(dim: int, seed: int, count: int = 16) -> Tensor:
    """Near the goal and far away: distances of every order from 1e-3 to 1e2."""
    way = torch.randn(count, dim, generator=drawn(seed + 1), dtype=torch.float64)
    way = way / torch.linalg.vector_norm(way, dim=1, keepdim=True)
    return way * torch.logspace(-3, 2, count, dtype=torch.float64)[:, None]


@quick
@given(dims, seeds, spreads)
def test_the_network_is_convex_and_its_slope_is_its_gradient(
    dim: int, seed: int, spread: float
) -> None:
    network = InputConvex(dim, (8, 8)).double()
    wild(network, seed, spread)
    one, other = states(dim, seed), states(dim, seed + 7)
    middle = network((one + other) / 2)
    mean = (network(one) + network(other)) / 2
    assert (middle <= mean + ROUNDING * (1 + mean.abs())).all()
    at = one.requires_grad_()
    value, slope = network.value_and_slope(at)
    (gradient,) = torch.autograd.grad(value.sum(), at)
    assert torch.allclose(slope, gradient, rtol=1e-9, atol=1e-9)


@quick
@given(dims, seeds, spreads, anchors)
def test_v_is_a_lyapunov_function_whatever_its_weights(
    dim: int, seed: int, spread: float, anchor: str
) -> None:
    v = Lyapunov(dim, (8, 8), EPSILON, anchor).double()
    wild(v, seed, spread)
    x = states(dim, seed)
    value, slope = v.value_and_slope(x)
    assert (value >= EPSILON * (x * x).sum(1) * (1 - ROUNDING)).all()  # positive, unbounded
    assert float(v(torch.zeros(1, dim, dtype=torch.float64)).detach()) <= RESOLUTION
    assert ((slope * x).sum(1) > 0).all()  # no other stationary point
    for part in (0.1, 0.5, 0.9):
        assert (v(part * x) <= part * value * (1 + ROUNDING) + RESOLUTION).all()


@quick
@given(dims, seeds, st.integers(1, 5))
def test_a_warped_v_has_its_only_minimum_at_the_goal(dim: int, seed: int, warps: int) -> None:
    v = Lyapunov(dim, (8, 8), EPSILON, TANGENT, warps).double()
    wild(v, seed, 0.5)
    x = states(dim, seed).requires_grad_()
    value, slope = v.value_and_slope(x)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    assert torch.allclose(slope, gradient, rtol=1e-7, atol=1e-9)
    assert (value > 0).all()
    assert (slope.norm(dim=1) > 0).all()
    assert float(v(torch.zeros(1, dim, dtype=torch.float64)).detach()) <= RESOLUTION


@quick
@given(dims, seeds, spreads, anchors, st.floats(0.001, 10), st.integers(0, 3))
def test_v_falls_along_the_flow_as_fast_as_alpha_asks_for(
    dim: int, seed: int, spread: float, anchor: str, alpha: float, warps: int
) -> None:
    made = dynamics(dim, seed, spread, anchor, alpha, warps)
    x = states(dim, seed)
    with torch.no_grad():
        value, slope = made.lyapunov.value_and_slope(x)
        flow = made(x)
    size = slope.norm(dim=1) * (made.nominal(x).norm(dim=1) + flow.norm(dim=1)) + alpha * value
    assert ((slope * flow).sum(1) + alpha * value <= ROUNDING * size).all()


@quick
@given(dims, seeds, spreads, anchors, st.floats(1e-4, 0.5), st.integers(0, 3))
def test_v_falls_in_every_step_of_a_control_loop(
    dim: int, seed: int, spread: float, anchor: str, period: float, warps: int
) -> None:
    made = dynamics(dim, seed, spread, anchor, warps=warps)
    x = states(dim, seed)
    reached = made.step(x, period)
    bound = math.exp(-period / 2) * made.lyapunov(x)
    assert (made.lyapunov(reached) <= bound * (1 + ROUNDING) + RESOLUTION).all()


@quick
@given(dims, seeds, spreads, st.floats(1e-4, 0.5), st.integers(0, 3))
def test_limits_are_kept_while_v_falls(
    dim: int, seed: int, spread: float, period: float, warps: int
) -> None:
    made = dynamics(dim, seed, spread, warps=warps)
    low = -torch.rand(dim, generator=drawn(seed + 3), dtype=torch.float64)
    high = torch.rand(dim, generator=drawn(seed + 4), dtype=torch.float64)
    x = states(dim, seed).clamp(low, high)
    reached = made.step(x, period, lambda points: points.clamp(low, high))
    assert ((low <= reached) & (reached <= high)).all()
    bound = math.exp(-period / 2) * made.lyapunov(x)
    assert (made.lyapunov(reached) <= bound * (1 + ROUNDING) + RESOLUTION).all()


@settings(max_examples=3, deadline=None)
@given(dims, seeds, anchors)
def test_flows_end_at_the_goal(dim: int, seed: int, anchor: str) -> None:
    made = dynamics(dim, seed, 1.0, anchor, alpha=4.0)
    x = states(dim, seed, 8).clamp(-3, 3)
    for _ in range(24):
        x = made.step(x, 0.5)
    # V fell to exp(-24) of what it was, and V >= eps |x|².
    assert float(x.norm(dim=1).max()) < 1e-3


@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_nothing_moves_at_the_goal_and_nothing_is_no_number(anchor: str, kind: torch.dtype) -> None:
    made = dynamics(3, anchor=anchor).to(kind)
    x = torch.zeros(2, 3, dtype=kind)
    x[1] = 1e-7
    x.requires_grad_()
    flow = made(x)
    assert (flow[0].abs() <= 1e-6).all()
    flow.square().sum().backward()
    weights = [weight.grad for weight in made.parameters() if weight.grad is not None]
    assert all(torch.isfinite(grad).all() for grad in [x.grad, *weights] if grad is not None)
    assert (made.step(torch.zeros(1, 3, dtype=kind), 0.1) == 0).all()


def test_without_an_anchor_v_would_fall_below_zero_away_from_the_goal() -> None:
    v = Lyapunov(2, (8, 8), EPSILON, CLAMP).double()
    wild(v, 0, 1.0)
    x = states(2, 0, 64)
    with torch.no_grad():
        zero = torch.zeros(1, 2, dtype=torch.float64)
        released = v.convex(x) - v.convex(zero) + EPSILON * (x * x).sum(1)
        assert (released < -0.1).any()
        assert (v(x) > 0).all()


def test_the_flow_is_the_nominal_networks_where_that_lowers_v_fast_enough() -> None:
    made = dynamics(4, alpha=0.01)
    x = states(4, 0, 64)
    with torch.no_grad():
        value, slope = made.lyapunov.value_and_slope(x)
        nominal = made.nominal(x) - made.nominal(torch.zeros_like(x))
        fine = (slope * nominal).sum(1) <= -made.alpha * value
        same = (made(x) - nominal).norm(dim=1) <= 1e-9 * nominal.norm(dim=1)
    assert fine.any()
    assert (~fine).any()
    assert (same == fine).all()


@quick
@given(dims, seeds, spreads, anchors, st.integers(0, 3))
def test_for_acting_the_same_steps_are_made(
    dim: int, seed: int, spread: float, anchor: str, warps: int
) -> None:
    made = dynamics(dim, seed, spread, anchor, warps=warps)
    acting = made.for_acting()
    x = states(dim, seed)
    for time in (0.02, 1.0):
        wanted = made.step(x, time, lambda y: y.clamp(-9, 9))
        torch.testing.assert_close(acting.step(x, time, lambda y: y.clamp(-9, 9)), wanted)
        one_by_one = [acting.step(one, time, lambda y: y.clamp(-9, 9)) for one in x.split(1)]
        torch.testing.assert_close(torch.cat(one_by_one), wanted)
