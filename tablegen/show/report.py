"""What a table holds and what was proven of it, in words and in JSON."""

import json
import math
from collections.abc import Mapping

import numpy as np

from tablegen.show.drawing import CUSP_SCALE
from tablegen.show.words import bounds_in_words
from tablegen.verify.moments import MEASURE, TAIL, MomentsVerification
from tablegen.verify.network import NetworkVerification
from tablegen.verify.prove import Verification
from tanhlut.errors import plain
from tanhlut.file.network import Network
from tanhlut.file.table import ModeTable

_LONGEST_NAME = 80


def describe(table: ModeTable) -> str:
    """Aligned lines for a person: grid, bytes, bounds, tolerance, and how the table was made."""
    rows, columns = table.values.shape
    metadata = {name: str(value) for name, value in table.metadata.items()}
    lines = {
        "quantity": "mode of tanh(Normal(loc, scale²)), on (−1, 1)",
        "covers": bounds_in_words(table.bounds),
        "tolerance": f'{table.tolerance:g} claimed: the largest error of method "bilinear"',
        "grid": f"{rows} × {columns} = {rows * columns:,} nodes",
        "|loc|": f"{rows} nodes, {table.loc[0]:g} to {table.loc[-1]:g}",
        "scale": f"{columns} nodes, {table.scale[0]:g} to {table.scale[-1]:g}",
        "at the cusp": _cusp(table),
        "values": f"{table.nbytes:,} bytes ({table.values.dtype})",
        "solver": ", ".join(part for part in (metadata["solver"], _pairs(metadata["solver_settings"])) if part),
        "versions": _pairs(metadata["versions"]),
        "command": metadata["command"],
        "digest": f"sha256 {table.digest}",
    }
    if table.network is not None:
        lines |= _network_lines(table.network)
    if table.moments is not None:
        lines["moments"] = f"mean, variance and entropy by {table.moments.nbytes:,} bytes of numbers"
        lines["mean error"] = f"≤ {table.moments.metadata['mean_bound']:.4g} proven, on (−1, 1)"
        lines["entropy error"] = f"≤ {table.moments.metadata['entropy_bound']:.4g}·(1 + |entropy|) proven, on (−1, 1)"
        of_variance = f"{table.moments.metadata['variance_bound']:.4g}·max(variance, w/1000)"
        lines["variance error"] = f"≤ {of_variance} proven, on (−1, 1), w = scale²/(scale² + π²/12)"
        lines["their command"] = str(table.moments.metadata["command"])
        lines["their digest"] = f"sha256 {table.moments.digest}"
    for name, certificate in table.certificates.items():
        lines[f"{name} error"] = (
            f"≤ {certificate.bound:.4g} proven by {certificate.verifier}; "
            f"{certificate.observed:.4g} seen at loc {certificate.loc!r}, scale {certificate.scale!r}"
        )
    return _aligned(lines)


def describe_verification(result: Verification | NetworkVerification, claim: float | None) -> str:
    """Aligned lines for a person: what is proven, what was seen, and what the proof assumes."""
    seen = result.witness
    lines = {
        "method": f'"{result.method}", float32, every loc, every scale > 0',
        "proven": f"|lookup − mode| ≤ {result.bound:.4g}",
        "claimed": "nothing" if claim is None else f"{claim:.4g}",
        "seen": f"{seen.error:.4g} at loc {seen.loc!r}, scale {seen.scale!r}; proven / seen {result.ratio:.3f}",
    }
    if isinstance(result, NetworkVerification):
        lines["network"] = (
            f"{result.parameters:,} parameters; in exact arithmetic off by at most {result.network_error:.4g}, "
            f"relative to the mode {result.relative:.2g}"
        )
        lines["examined"] = f"{result.boxes:,} boxes in {result.seconds:.1f} s"
    else:
        nodes = result.nodes
        lines["nodes"] = f"{nodes.wrong} wrong; off by at most {nodes.error:.3g}" + (
            f"; {nodes.balls:,} proven in 128-bit balls too" if nodes.balls else ""
        )
        lines["examined"] = f"{result.cells:,} cells, {result.boxes:,} boxes in {result.seconds:.1f} s"
        if result.outside:
            lines["outside"] = f"the bounds, by the exact method: {result.outside:.4g}; inside: {result.inside:.4g}"
    for number, assumption in enumerate(result.assumptions):
        lines["assumed" if number == 0 else " " * (number + 1)] = assumption
    return _aligned(lines)


def verification_fields(
    result: Verification | NetworkVerification, claim: float | None, table: ModeTable
) -> dict[str, object]:
    """The same for machines; the bounds per cell are left out. The digest is the table's, or its network's."""
    own: dict[str, object]
    if isinstance(result, NetworkVerification):
        assert table.network is not None
        own = {
            "digest": table.network.digest,
            "network_error": result.network_error,
            "relative": result.relative,
            "parameters": result.parameters,
        }
    else:
        own = {
            "digest": table.digest,
            "inside": result.inside,
            "outside": result.outside,
            "nodes": result.nodes._asdict(),
            "cells": result.cells,
        }
    return {
        "method": result.method,
        "bound": result.bound,
        "claim": claim,
        **own,
        "witness": result.witness._asdict(),
        "ratio": result.ratio,
        "boxes": result.boxes,
        "seconds": result.seconds,
        "assumptions": list(result.assumptions),
    }


def describe_moments(result: MomentsVerification, claim: float) -> str:
    """Aligned lines for a person, of a moment."""
    seen, bound = result.seen, result.bound
    lines = {"quantity": f"{result.quantity}, float32, every loc, every scale > 0", "measure": MEASURE[result.quantity]}
    lines["proven"] = f"≤ {bound.kernels:.4g} by kernels, {bound.operations:.4g} by torch operations"
    lines["of which"] = (
        f"{bound.approximation:.3g} the surrogate's against a witness that is within {bound.witness:.2g}"
    )
    if bound.absolute is not None:
        lines["absolutely"] = f"|answer − {result.quantity}| ≤ {bound.absolute:.4g}"
    lines["claimed"] = f"{claim:.4g}"
    share = f"; proven / seen {bound.largest / seen.error:.3f}" if seen.error > 0 else ""
    lines["seen"] = f"{seen.error:.4g} at loc {seen.loc!r}, scale {seen.scale!r}{share}"
    if result.unproven is not None:
        tail = result.unproven
        lines["not proven"] = f"{TAIL}: seen {tail.error:.4g} at loc {tail.loc!r}, scale {tail.scale!r}"
    lines["took"] = f"{result.seconds:.1f} s"
    for number, assumption in enumerate(result.assumptions):
        lines["assumed" if number == 0 else " " * (number + 1)] = assumption
    return _aligned(lines)


def moments_fields(result: MomentsVerification, claim: float, table: ModeTable) -> dict[str, object]:
    """The same for machines."""
    assert table.moments is not None
    return {
        "quantity": result.quantity,
        "measure": MEASURE[result.quantity],
        "bound": result.bound.largest,
        "parts": result.bound._asdict(),
        "claim": claim,
        "digest": table.moments.digest,
        "witness": result.seen._asdict(),
        "unproven": None if result.unproven is None else {"measure": TAIL, **result.unproven._asdict()},
        "seconds": result.seconds,
        "assumptions": list(result.assumptions),
    }


def verification_json(proofs: list[dict[str, object]], holds: bool, single: bool) -> str:
    """One object for a single method; for all claims {"holds": …, "proofs": […]}. What is not finite is null."""
    whole = {**proofs[0], "holds": holds} if single else {"holds": holds, "proofs": proofs}
    return json.dumps(_finite(whole), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: object) -> object:
    """JSON has no infinity and no NaN."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _aligned(lines: Mapping[str, str]) -> str:
    """One line each, printable, whatever a file says in them."""
    shown = [(plain(name, _LONGEST_NAME), plain(text)) for name, text in lines.items()]
    width = max(len(name) for name, _ in shown)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in shown)


def _cusp(table: ModeTable) -> str:
    if not table.bounds.scale_min <= CUSP_SCALE <= table.bounds.scale_max:
        return "outside this table (loc = 0, scale = 1/√2)"
    upper = min(max(int(np.searchsorted(table.scale, CUSP_SCALE, side="right")), 1), len(table.scale) - 1)
    gap = table.scale[upper] - table.scale[upper - 1]
    return f"first |loc| step {table.loc[1]:.2g}, scale step {gap:.2g} (loc = 0, scale = 1/√2)"


def _network_lines(network: Network) -> dict[str, str]:
    metadata = {name: str(value) for name, value in network.metadata.items()}
    return {
        "network": f"{'-'.join(map(str, network.widths))}, {network.parameters:,} parameters, {network.nbytes:,} bytes",
        "of tolerance": f'{network.tolerance:g} claimed: the largest error of method "mlp"',
        "activation": metadata["activation"],
        "chart": metadata["chart"],
        "trained by": _pairs(metadata["settings"]),
        "with": _pairs(metadata["versions"]),
        "by command": metadata["command"],
        "its digest": f"sha256 {network.digest}",
    }


def _pairs(text: str) -> str:
    """A JSON object as "name value, name value"; any other text as it is, since nothing checked what it says."""
    try:
        pairs = json.loads(text)
        return ", ".join(f"{name} {_number(value)}" for name, value in pairs.items())
    except (ValueError, AttributeError, RecursionError):
        return text


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
