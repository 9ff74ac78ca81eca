"""Changes of the shipped file: each array, attribute and weight, by several sizes, signed again."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tablegen import store
from tanhlut import ModeTable, TableError
from tanhlut.file.network import Network


class Forged(NamedTuple):
    """A file's bytes (b"" where the contract refuses already) and the method to verify, or None for all claims."""

    name: str
    data: bytes
    method: str | None


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


def _image(table: ModeTable, arrays: dict[str, np.ndarray], metadata: dict[str, float] | None = None) -> bytes:
    parts = {name: getattr(table, name).copy() for name in ("loc", "scale", "values")} | arrays
    try:
        changed = ModeTable(parts["loc"], parts["scale"], parts["values"], {**table.metadata, **(metadata or {})})
        return store.image(changed)
    except (ValueError, TableError):
        return b""
