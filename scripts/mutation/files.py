"""Changes of the shipped file: each array, attribute and weight, by several sizes, signed again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tablegen import store
from tanhlut import ModeTable, TableError
from tanhlut.file.moments import Moments
from tanhlut.file.network import Network
from tanhlut.formula import surrogate


class Forged(NamedTuple):
    """A file's bytes (b"" where the contract refuses already) and what to verify: a method, a quantity or all."""

    name: str
    data: bytes
    method: str | None
    quantity: str | None = None


def forged(path: Path) -> Iterator[Forged]:
    """Each is to be refused, at load or by verification."""
    table = ModeTable.load(path)
    rng = np.random.default_rng(0)
    for size in (6e-8, 1e-6, 1e-4, 1e-2):
        for array in ("values", "loc", "scale"):
            parts = {name: getattr(table, name).copy() for name in ("loc", "scale", "values")}
            spot = tuple(int(rng.integers(n // 4, 3 * n // 4)) for n in parts[array].shape)
            before = parts[array][spot]
            parts[array][spot] = before * (1 + size)
            if parts[array][spot] == before:
                parts[array][spot] = np.nextafter(before, before.dtype.type(9))
            yield Forged(f"file: {array}{list(spot)} larger by {size:g}", _image(table, parts), "bilinear")
    for name, value in (("tolerance", 4.3e-5), ("tolerance", 1e-6)):
        yield Forged(f"file: {name} {value:g}", _image(table, {}, {name: value}), None)
    for name, value in (("loc_max", 3.0), ("scale_min", 0.5), ("scale_max", 1.0)):
        # True of a smaller region too: the file must still verify, unlike the others. Its claims are lowered instead.
        yield Forged(
            f"file: {name} {value:g}, tolerance 4e-5", _image(table, {}, {name: value, "tolerance": 4e-5}), None
        )
    for method, certificate in table.certificates.items():
        lower = [
            c._replace(bound=c.bound * 0.9, observed=0.0) if c.method == method else c
            for c in table.certificates.values()
        ]
        changed = ModeTable(
            table.loc.copy(), table.scale.copy(), table.values.copy(), table.metadata, lower, table.network
        )
        yield Forged(
            f"file: certificate of {method} lowered by a tenth ({certificate.bound:g})", store.image(changed), method
        )
    yield from _networks(table, rng)
    yield from _moments(table)


def _networks(table: ModeTable, rng: np.random.Generator) -> Iterator[Forged]:
    assert table.network is not None
    for size in (1e-4, 1e-3, 1e-1):
        for kind in ("weights", "biases"):
            for layer in range(len(table.network.weights)):
                parts = {name: [a.copy() for a in getattr(table.network, name)] for name in ("weights", "biases")}
                flat = parts[kind][layer].reshape(-1)
                spot = int(np.argmax(np.abs(flat)))
                flat[spot] *= np.float32(1 + size)
                network = Network(parts["weights"], parts["biases"], table.network.metadata)
                own = [c for c in table.certificates.values() if not c.method.startswith("mlp")]
                changed = ModeTable(
                    table.loc.copy(), table.scale.copy(), table.values.copy(), table.metadata, own, network
                )
                yield Forged(f"file: network {kind}[{layer}] larger by {size:g}", store.image(changed), "mlp")


def _moments(table: ModeTable) -> Iterator[Forged]:
    """A coefficient of each polynomial and of a patch larger, patches swapped, witnesses moved, lower claims."""
    own = table.moments
    assert own is not None
    first = {name: part.first for name, part in surrogate.POLYNOMIALS.items()}
    first["patches"] = surrogate.PATCHES + 1900 * surrogate.PATCH
    for name, place in first.items():
        quantity = "mean" if "mean" in name else "variance" if name == "patches" else "entropy"
        for size in (1e-5, 1e-3):
            vector = own.vector.copy()
            vector[place] += np.float32(size)
            yield _with_moments(f"{name}[0] larger by {size:g}", quantity, table, vector=vector)
    vector, at = own.vector.copy(), first["patches"]
    vector[at : at + 32] = np.roll(vector[at : at + 32], surrogate.PATCH)
    yield _with_moments("two patches swapped", "variance", table, vector=vector)
    for name, quantity in (("mean", "mean"), ("mean", "variance"), ("log_cosh", "entropy")):
        witness = own.witnesses[name].copy()
        witness[3, 2] += 1e-5
        yield _with_moments(f"witness {name} moved", quantity, table, witnesses={**own.witnesses, name: witness})
    for quantity in ("mean", "entropy", "variance"):
        name = f"{quantity}_bound"
        lower = {**own.metadata, name: 0.9 * float(own.metadata[name])}
        yield _with_moments(f"{name} a tenth lower", quantity, table, metadata=lower)


def _with_moments(name: str, quantity: str, table: ModeTable, **parts: Any) -> Forged:
    own = table.moments
    assert own is not None
    whole = {"vector": own.vector, "witnesses": own.witnesses, "metadata": own.metadata, "double": own.double} | parts
    witnesses = {key: array.copy() for key, array in whole["witnesses"].items()}
    moments = Moments(whole["vector"].copy(), witnesses, whole["metadata"], whole["double"].copy())
    return Forged(f"file: moments: {name}", store.image(table.with_moments(moments)), None, quantity)


def _image(table: ModeTable, arrays: dict[str, np.ndarray], metadata: dict[str, float] | None = None) -> bytes:
    parts = {name: getattr(table, name).copy() for name in ("loc", "scale", "values")} | arrays
    try:
        changed = ModeTable(parts["loc"], parts["scale"], parts["values"], {**table.metadata, **(metadata or {})})
        return store.image(changed)
    except (ValueError, TableError):
        return b""
