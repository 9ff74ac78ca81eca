"""From the exact solver to a small network: Levenberg–Marquardt in float64, weighted towards the largest error.

A network of a hundred numbers has a least-squares problem of a hundred unknowns: second-order steps solve it to a few
times 1e-6 in seconds, where first-order training stalls at 1e-3. Points whose error is large gain weight while training
runs (Lawson's iteration), which trades the mean for the maximum. A penalty on the weights keeps sums from cancelling,
and so keeps float32 rounding, which the proof charges at its worst, well below the error itself.
"""

import itertools
import json
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from tablegen.make.build import versions
from tanhlut.compute import mlp
from tanhlut.file import schema
from tanhlut.file.network import Network
from tanhlut.formula import tensors
from tanhlut.solver import solve_mode

HIDDEN = (8, 8)
TOLERANCE = 6e-6
FINEST_TOLERANCE, COARSEST_TOLERANCE = 3e-6, 0.05
MOST_PARAMETERS = 2000  # a step costs their cube

# The sup error that training aims at, as a share of the tolerance: the rest is for rounding, which weighs more the
# finer the tolerance is.
_AIM = 0.8
_PENALTY = 1.2e-8  # for the tolerance 6e-6; goes with its cube, which was found to keep the two in step
_MOST_PENALTY = 1e-7  # rounding is then some 5e-7, of no concern to coarser tolerances
_SHARES = (0.01, 0.3, 1.0)  # of the penalty: first layer, layers between, last layer; biases as the first
_STEPS, _FEWEST_STEPS = 6000, 300  # for up to 105 parameters, and for the most
_LAWSON_FROM, _LAWSON_EVERY, _CHECK_EVERY = 0.3, 5, 25
_TRAIN, _CHECK = (48, 40), (301, 241)  # points along v and ρ


class Points(NamedTuple):
    """Where to fit: float64 (n, 2) inputs (u, ρ), the base b, the mode y."""

    inputs: Tensor
    base: Tensor
    mode: Tensor


class Fit(NamedTuple):
    """A trained network and the largest error seen on a finer grid, in float64 with the float32 weights."""

    network: Network
    error: float


def check_request(hidden: Sequence[int], tolerance: float) -> None:
    """ValueError, saying what is allowed, unless such a network can be trained."""
    if not 1 <= len(hidden) < schema.MAX_LAYERS or any(width < 1 for width in hidden):
        raise ValueError(
            f"--hidden {' '.join(map(str, hidden))} is not 1 to {schema.MAX_LAYERS - 1} layers of ≥ 1 unit"
        )
    count = _count((schema.NETWORK_INPUTS, *hidden, 1))
    if count > MOST_PARAMETERS:
        raise ValueError(
            f"--hidden {' '.join(map(str, hidden))} has {count} parameters, over the {MOST_PARAMETERS} that training "
            "by second-order steps can afford: give fewer (8 8 reaches 6e-6)"
        )
    if not FINEST_TOLERANCE <= tolerance <= COARSEST_TOLERANCE:
        raise ValueError(
            f"--tol {tolerance:g} cannot be met: give {FINEST_TOLERANCE:g} to {COARSEST_TOLERANCE:g} "
            "(below it float32 rounding takes over; one Halley step, refine=True, gives 4e-7)"
        )


def distill(hidden: Sequence[int], tolerance: float, seed: int, command: str) -> Fit:
    """A network that meets the tolerance on every point of a fine grid, up to the rounding of a float32 evaluation.

    Raises:
        ValueError: the request is not allowed (`check_request`).
        ArithmeticError: training ended above the tolerance.
    """
    check_request(hidden, tolerance)
    widths = (schema.NETWORK_INPUTS, *hidden, 1)
    train, check = _points(*_TRAIN), _points(*_CHECK)
    steps = max(_FEWEST_STEPS, round(_STEPS * min(1.0, (105 / _count(widths)) ** 1.2)))
    penalty = min(_PENALTY * (tolerance / TOLERANCE) ** 3, _MOST_PENALTY)
    parameters, error, taken = _train(widths, train, check, _AIM * tolerance, steps, penalty, seed)
    if error > tolerance:
        raise ArithmeticError(
            f"training ended {error:.3g} off, over --tol {tolerance:g}, after {taken} steps: give more --hidden units, "
            "another --seed or a larger --tol; nothing was written"
        )
    weights, biases = _arrays(parameters, widths)
    settings = {
        "method": "Levenberg-Marquardt, Lawson weights",
        "seed": seed,
        "steps": taken,
        "penalty": penalty,
        "points": f"{_TRAIN[0]} x {_TRAIN[1]} Chebyshev in (v, rho)",
    }
    metadata: dict[str, float | str] = {
        "tolerance": tolerance,
        **schema.NETWORK_FIXED,
        "settings": json.dumps(settings),
        "versions": json.dumps(versions()),
        "command": command,
    }
    network = Network(weights, biases, metadata)
    layers = mlp.layers(network, torch.float64, torch.device("cpu"))
    found = check.base * (1.0 + mlp.forward(check.inputs[:, 0], check.inputs[:, 1], layers)) - check.mode
    return Fit(network, float(found.abs().max()))


def _points(along_v: int, along_rho: int) -> Points:
    """A Chebyshev grid of the open unit square, denser at its edges, with the exact mode."""
    v, rho = (part.ravel() for part in np.meshgrid(_chebyshev(along_v), _chebyshev(along_rho), indexing="ij"))
    u = v * v
    m, s = rho * v * np.sqrt(3.0 / (1.0 - u)), (1.0 - rho) / (1.0 - u)
    at = tensors.DOUBLE.chart(torch.from_numpy(m), torch.from_numpy((u - rho) / (1.0 - u)))
    mode = torch.from_numpy(solve_mode(m, np.sqrt(s / 2.0), solver="newton"))
    return Points(torch.stack(at[:2], 1), at[2], mode)


def _chebyshev(n: int) -> NDArray[np.float64]:
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / n))


def _train(
    widths: Sequence[int], train: Points, check: Points, aim: float, steps: int, penalty: float, seed: int
) -> tuple[Tensor, float, int]:
    """(the best parameters, rounded to float32; their largest error on `check`; steps taken)."""
    theta, penalties = _start(widths, seed), penalty * _shares(widths)
    lawson = torch.ones_like(train.mode)
    best, best_error, damping, step = theta, math.inf, 1e-2, 0
    with tqdm(total=steps, desc="distilling", unit="step", leave=False) as bar:
        for step in range(1, steps + 1):
            theta, damping = _step(theta, widths, train, lawson, penalties, damping)
            if step % _LAWSON_EVERY == 0 and step > _LAWSON_FROM * steps:
                error = _errors(theta, widths, train).abs()
                lawson = lawson * (error / error.mean()).clamp(min=0.05).sqrt()
                lawson = (lawson / lawson.mean()).clamp(0.02, 50.0)
            if step % _CHECK_EVERY == 0:
                rounded = theta.float().double()
                error_now = float(_errors(rounded, widths, check).abs().max())
                if error_now < best_error:
                    best, best_error = rounded, error_now
                bar.set_postfix_str(f"error {best_error:.2e}", refresh=False)
                if best_error <= aim:
                    break
            bar.update()
    return best, best_error, step


def _step(
    theta: Tensor, widths: Sequence[int], points: Points, lawson: Tensor, penalties: Tensor, damping: float
) -> tuple[Tensor, float]:
    """One damped Gauss–Newton step that lowers the weighted loss, or none; and the next damping."""
    value, jacobian = _jacobian(theta, widths, points.inputs)
    residual = points.base * (1.0 + value) - points.mode
    weight = lawson.sqrt()
    rows = jacobian * (points.base * weight)[:, None]
    matrix = rows.T @ rows + torch.diag(penalties)
    gradient = rows.T @ (residual * weight) + penalties * theta
    loss = _loss(theta, residual, lawson, penalties)
    for _ in range(8):
        factor, failed = torch.linalg.cholesky_ex(matrix + damping * torch.eye(len(theta), dtype=theta.dtype))
        if not failed:
            tried = theta - torch.cholesky_solve(gradient[:, None], factor)[:, 0]
            if _loss(tried, _errors(tried, widths, points), lawson, penalties) < loss:
                return tried, max(damping / 3.0, 1e-14)
        damping *= 3.0
    return theta, damping


def _loss(theta: Tensor, residual: Tensor, lawson: Tensor, penalties: Tensor) -> float:
    return float((lawson * residual * residual).sum() + (penalties * theta * theta).sum())


def _errors(theta: Tensor, widths: Sequence[int], points: Points) -> Tensor:
    a = points.inputs
    layers = _layers(theta, widths)
    for k, (weight, bias) in enumerate(layers):
        z = a @ weight.T + bias
        a = z if k == len(layers) - 1 else z / torch.sqrt(1.0 + z * z)
    return points.base * (1.0 + a[:, 0]) - points.mode


def _jacobian(theta: Tensor, widths: Sequence[int], inputs: Tensor) -> tuple[Tensor, Tensor]:
    """N at every point, (n,), and its derivatives by every parameter, (n, parameters), by back-propagation."""
    layers = _layers(theta, widths)
    activations, slopes = [inputs], []
    for weight, bias in layers[:-1]:
        z = activations[-1] @ weight.T + bias
        root = torch.sqrt(1.0 + z * z)
        activations.append(z / root)
        slopes.append(root**-3)
    value = activations[-1] @ layers[-1][0].T + layers[-1][1]
    columns: list[Tensor] = []
    adjoint = torch.ones_like(value)
    for k in reversed(range(len(layers))):
        by_weight = (adjoint[:, :, None] * activations[k][:, None, :]).flatten(1)
        columns[:0] = [by_weight, adjoint]
        if k:
            adjoint = (adjoint @ layers[k][0]) * slopes[k - 1]
    return value[:, 0], torch.cat(columns, 1)


def _start(widths: Sequence[int], seed: int) -> Tensor:
    """Random weights and biases, the last layer's small: N starts near 0, which is its order of magnitude."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    last = len(widths) - 2
    for k, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        size = 0.1 if k == last else 2.0 if k == 0 else 1.0
        spread = 0.0 if k == last else 1.5 if k == 0 else 0.5
        weight = torch.randn(outputs * inputs, generator=generator, dtype=torch.float64)
        bias = torch.randn(outputs, generator=generator, dtype=torch.float64)
        parts += [weight * size / math.sqrt(inputs), bias * spread]
    return torch.cat(parts)


def _shares(widths: Sequence[int]) -> Tensor:
    parts = []
    last = len(widths) - 2
    for k, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        share = _SHARES[0] if k == 0 else _SHARES[2] if k == last else _SHARES[1]
        parts += [torch.full((inputs * outputs,), share), torch.full((outputs,), _SHARES[0])]
    return torch.cat(parts).double()


def _layers(theta: Tensor, widths: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
    """(weight, bias) of each layer, as views of the parameters in one vector."""
    sizes = [n for i, o in itertools.pairwise(widths) for n in (o * i, o)]
    parts = theta.split(sizes)
    return [(parts[2 * k].view(-1, widths[k]), parts[2 * k + 1]) for k in range(len(widths) - 1)]


def _arrays(theta: Tensor, widths: Sequence[int]) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    layers = _layers(theta.float(), widths)
    return [w.clone().numpy() for w, _ in layers], [b.clone().numpy() for _, b in layers]


def _count(widths: Sequence[int]) -> int:
    return sum((i + 1) * o for i, o in itertools.pairwise(widths))
