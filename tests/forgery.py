"""Forged tables and networks, and what they are really off by: signed as well as the real ones, since anyone can sign.

`tables` draws them: axes thinned, thickened, cut, shifted and pushed to where float32 misbehaves, bounds anywhere
beside them, nodes right or wrong, claims true or false, networks scaled, padded and nudged. `judge` asks the verifier,
and measures by `enclose_mode` on queries of its own: an accepted file must keep every claim.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray

from tablegen import claims
from tablegen.make import layout
from tablegen.verify.cells import exact_delta
from tablegen.verify.witness import backends, errors
from tanhlut import ModeTable
from tanhlut.certificate import enclose_mode
from tanhlut.file.bounds import Bounds
from tanhlut.file.network import Network
from tanhlut.file.schema import Certificate
from tanhlut.methods import METHODS

Array = NDArray[np.float64]
CUSP = 0.5**0.5

_LOCS = [
    0.0,
    2.0**-149,
    2.0**-127,
    1e-30,
    2.0**-85,
    1e-9,
    0.05,
    0.5,
    1.0,
    3.0,
    9.0,
    15.9,
    16.0,
    40.0,
    1e6,
    float("inf"),
]
_SCALES = [
    0.0, 1e-40, 1e-9, 0.1, 0.5, 0.7, 0.7071067, CUSP, 0.7071068, 0.7072, 0.75, 1.0, 1.5, 2.5, 2.91547, 2.92, 4.0, 5.0,
    50.0, float("inf"),
]  # fmt: skip


class Verdict(NamedTuple):
    """Whether a file loads, whether it verifies (and if not, why), and how far each claim is beaten on some query."""

    loads: bool
    complaint: str | None
    broken: dict[str, float]


@functools.cache
def _nodes(tolerance: float) -> tuple[Array, Array]:
    made = layout.design(Bounds(float("inf"), 0.0, float("inf"))).layout(tolerance)
    return made.loc, made.scale


def modes(loc: Array, scale: Array) -> NDArray[np.float32]:
    """The float32 mode at the nodes of two axes."""
    m, s = np.broadcast_arrays(loc[:, None], scale[None])
    low, high = enclose_mode(torch.from_numpy(m.copy()), torch.from_numpy(s.copy()))
    return (0.5 * (low + high)).numpy().astype(np.float32)


@st.composite
def axis(draw: st.DrawFn, of_loc: bool) -> Array:
    """An honest axis, then spoilt in a few ways or none."""
    nodes = _nodes(draw(st.sampled_from([0.01, 0.003])))[0 if of_loc else 1]
    lowest, highest = 0, len(nodes) - 1
    if draw(st.booleans()):  # cut
        lowest = 0 if of_loc else draw(st.integers(0, len(nodes) - 3))
        highest = draw(st.integers(lowest + 2, len(nodes) - 1))
    nodes = nodes[lowest : highest + 1]
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        kind = draw(st.sampled_from(["thin", "thicken", "insert", "shift", "extend", "ulp", "replace"]))
        k = draw(st.integers(0, len(nodes) - 2))
        few = slice(k, k + draw(st.integers(1, 12)))
        if kind == "thin" and len(nodes) > 20:
            nodes = np.delete(nodes, np.arange(k + 1, min(k + 1 + draw(st.integers(1, 8)), len(nodes) - 1)))
        elif kind == "thicken":
            part = nodes[few]
            middle = 0.5 * (part[1:] + part[:-1])
            nodes = np.sort(np.concatenate([nodes, middle]))
        elif kind == "insert":
            nodes = np.sort(np.append(nodes, abs(draw(st.sampled_from(_LOCS[:-1] if of_loc else _SCALES[:-1])))))
        elif kind == "shift":
            nodes = nodes * (1.0 + draw(st.sampled_from([-1e-3, -1e-7, 1e-7, 1e-3])))
        elif kind == "extend":
            nodes = np.append(nodes, nodes[-1] * draw(st.sampled_from([1.0 + 1e-7, 1.01, 2.0, 30.0])))
        elif kind == "ulp":
            nodes = np.sort(np.append(nodes, np.nextafter(np.float32(nodes[k]), np.float32(9))).astype(np.float64))
        else:
            nodes = nodes.copy()
            nodes[k + 1] = nodes[k] + (nodes[k + 1] - nodes[k]) * draw(st.sampled_from([1e-7, 1e-3, 0.3, 0.999]))
    if of_loc:
        nodes = nodes.astype(np.float32).astype(np.float64)
    return np.unique(nodes)


def _near(draw: st.DrawFn, places: Sequence[float]) -> float:
    value = draw(st.sampled_from(list(places)))
    return value * (1.0 + draw(st.sampled_from([0.0, 0.0, 0.0, 6e-8, -6e-8, 1e-6, -1e-6, 1e-3])))


@st.composite
def bounds(draw: st.DrawFn, loc: Array, scale: Array) -> Bounds:
    """On, inside or beyond the axes; often what the axes allow, so that the file may load."""
    if draw(st.integers(0, 3)):
        first, last = np.float32(scale[0]), np.float32(scale[-1])
        scale_min = 0.0 if first == 0 else float(np.nextafter(first, np.float32(9)))
        scale_max = float("inf") if last > 2.91 else float(np.nextafter(last, np.float32(0)))
        return Bounds(float("inf") if loc[-1] >= 16 else float(loc[-1]), scale_min, scale_max)
    loc_max = _near(draw, [*_LOCS, loc[-1], loc[-2], loc[1]])
    low, high = sorted(_near(draw, [*_SCALES, scale[0], scale[1], scale[-1], scale[-2]]) for _ in range(2))
    return Bounds(loc_max, low, high)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """The shipped one, spoilt."""
    shipped = ModeTable.default().network
    assert shipped is not None
    weights, biases = [w.copy() for w in shipped.weights], [b.copy() for b in shipped.biases]
    for _ in range(draw(st.integers(0, 2))):
        kind = draw(st.sampled_from(["nudge", "huge", "unit", "cancel", "round"]))
        layer = draw(st.integers(0, len(weights) - 1))
        if kind == "nudge":
            spot = draw(st.integers(0, weights[layer].size - 1))
            weights[layer].flat[spot] *= np.float32(1.0 + draw(st.sampled_from([1e-6, 1e-4, 1e-2])))
        elif kind == "huge":
            biases[layer][draw(st.integers(0, biases[layer].size - 1))] = draw(st.sampled_from([1e15, 1e20, -1e18]))
        elif kind in ("unit", "cancel") and layer < len(weights) - 1:
            # Units that should not matter: saturated, multiplied by nothing; or two that cancel but for rounding.
            size = np.float32(draw(st.sampled_from([0.0, 1.0, 1e4, 1e9, 1e17])))
            copies = 1 if kind == "unit" else 2
            row = np.zeros((copies, weights[layer].shape[1]), np.float32)
            weights[layer] = np.vstack([weights[layer], row + (size if kind == "cancel" else np.float32(0))])
            biases[layer] = np.append(biases[layer], np.full(copies, size)).astype(np.float32)
            column = np.zeros((weights[layer + 1].shape[0], copies), np.float32)
            if kind == "cancel":
                column[:] = size * np.array([1, -1], np.float32)
            weights[layer + 1] = np.hstack([weights[layer + 1], column]).astype(np.float32)
        else:
            weights[layer] = weights[layer].astype(np.float16).astype(np.float32)
    metadata = dict(shipped.metadata)
    metadata["tolerance"] = draw(st.sampled_from([6.1e-6, 1e-4, 1e-2, 1.0]))
    return Network(weights, biases, metadata)


@st.composite
def tables(draw: st.DrawFn) -> ModeTable | None:
    """A signed table, perhaps with a network; None where it would not load."""
    loc, scale = draw(axis(True)), draw(axis(False))
    limits = draw(bounds(loc, scale))
    values = modes(loc, scale)
    if draw(st.integers(0, 3)) == 0:
        values = values.copy()
        i, j = draw(st.integers(0, values.shape[0] - 1)), draw(st.integers(0, values.shape[1] - 1))
        values[i, j] += np.float32(draw(st.sampled_from([6e-8, -6e-8, 1e-6, 1e-3])))
    metadata: dict[str, float | str] = {
        **ModeTable.default().metadata,
        **limits._asdict(),
        "tolerance": draw(st.sampled_from([1e-6, 0.003, 0.011, 0.05, 1.9])),
    }
    try:
        network = draw(networks()) if draw(st.integers(0, 7)) == 0 else None
        table = ModeTable(loc, scale, values, metadata, (), network)
        methods = draw(st.lists(st.sampled_from(METHODS), max_size=2, unique=True))
        made = [_certificate(draw, table, method) for method in methods]
        return ModeTable(loc.copy(), scale.copy(), values.copy(), metadata, made, network)
    except ValueError:
        return None


def _certificate(draw: st.DrawFn, table: ModeTable, method: str) -> Certificate:
    bound = draw(st.sampled_from([1e-9, 2e-7, 4.2e-7, 1e-5, 0.0101, 0.5]))
    digest = table.digest if table.network is None or not method.startswith("mlp") else table.network.digest
    return Certificate(method, bound, 0.0, 0.1, 0.1, "forged", digest)


def judge(table: ModeTable | None, seed: int) -> Verdict:
    """What the verifier says of a table, and whether it is right: measured on every backend, where it accepts."""
    if table is None:
        return Verdict(False, None, {})
    claimed = claims.claimed(table)
    for result in claims.run(table, list(claimed)):
        complaint = claims.complaint(result, claimed[result.method])
        if complaint is not None:
            return Verdict(True, complaint, {})
    loc, scale = _queries(table, seed)
    broken = {}
    for method, bound in claimed.items():
        for backend in backends(table, method):
            seen = float(errors(table, method, loc, scale, backend)[0].max())
            if not seen <= bound:
                broken[f"{method} on {backend}: {seen:.6g} over {bound:.6g}"] = seen
    return Verdict(True, None, broken)


def _queries(table: ModeTable, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Unlike the verifier's own: cell by cell, at and beyond the ends, and where forgers like to hide things."""
    rng = np.random.default_rng(seed)
    delta = exact_delta(table.scale)
    i, j = (index.ravel() for index in np.indices((len(table.loc) - 1, len(delta) - 1)))
    u, v = (rng.beta(0.5, 0.5, len(i)) for _ in range(2))
    loc = table.loc[i] + (table.loc[i + 1] - table.loc[i]) * u
    scale = np.sqrt((1.0 + delta[j] + (delta[j + 1] - delta[j]) * v) / 2.0)
    places_loc = np.array([*_LOCS, table.bounds.loc_max, *table.loc[-3:]])
    places_scale = np.array(
        [*_SCALES, table.bounds.scale_min, table.bounds.scale_max, *table.scale[:2], *table.scale[-2:]]
    )
    more_loc, more_scale = (part.ravel() for part in np.meshgrid(places_loc, places_scale))
    n = 40_000
    with np.errstate(over="ignore"):
        loc = np.concatenate([loc, more_loc, np.exp2(rng.uniform(-140, 6, n)), rng.choice(places_loc, n)])
        scale = np.concatenate([scale, more_scale, rng.choice(places_scale, n), np.exp2(rng.uniform(-20, 3, n))])
        loc32, scale32 = loc.astype(np.float32), scale.astype(np.float32)
    loc32 = (loc32.view(np.int32) + rng.integers(0, 2, len(loc32), dtype=np.int32)).view(np.float32)
    loc32[np.isnan(loc32)] = np.inf
    return torch.from_numpy(loc32 * rng.choice([-1, 1], len(loc32)).astype(np.float32)), torch.from_numpy(scale32)
