"""Other arrays, metadata and certificates under digests that match: what loads must be exactly what was put in.

Every function takes a generator and an open file and changes it; `sign` computes the digests anew.
"""

import json
from collections.abc import Callable
from contextlib import suppress

import h5py
import numpy as np

from fuzzing import content
from tanhlut.file import schema

Forgery = Callable[[np.random.Generator, h5py.File], None]
ODD = (np.nan, np.inf, -np.inf, -0.0, 0.0, 1.0, -1.0, 2.0, 1e-30, 5e-324, 1e-45, 1e30, 1.5, 0.5)


def _put(file: h5py.File, name: str, array: np.ndarray) -> None:
    del file[name]
    file[name] = array


def values(rng: np.random.Generator, file: h5py.File) -> None:
    """The modes: odd ones, neighbours, others that are monotone too, fewer, more."""
    old = file["mode/value"][()]
    kind = rng.integers(6)
    if kind == 0:
        for _ in range(rng.integers(1, 4)):
            old.flat[rng.integers(old.size)] = _any_of(rng, ODD)
    elif kind == 1:
        old = np.nextafter(old, np.float32(rng.integers(2)))
    elif kind == 2:
        old = old * np.float32(rng.uniform(0.5, 1.01))
    elif kind == 3:
        old = np.full_like(old, _any_of(rng, ODD))
    elif kind == 4:
        old = np.sort(np.sort(rng.random(old.shape, np.float32), 0), 1)
    else:
        old = old[: rng.integers(1, len(old) + 1), : rng.integers(1, old.shape[1] + 1)]
    _put(file, "mode/value", old)


def axes(rng: np.random.Generator, file: h5py.File) -> None:
    """The nodes: odd ones, moved ones, in another order, finer than float32 can tell."""
    name = ("mode/loc", "mode/scale")[rng.integers(2)]
    old = file[name][()]
    kind = rng.integers(5)
    if kind == 0:
        old[rng.integers(len(old))] = _any_of(rng, ODD)
    elif kind == 1:
        old = old * rng.uniform(0.9, 1.1)
    elif kind == 2:
        old = old[::-1].copy()
    elif kind == 3:
        old[1:] = old[1] + np.arange(len(old) - 1) * 10.0 ** rng.uniform(-18, 0)
    else:
        old = np.nextafter(old, rng.choice([0.0, np.inf]))
    _put(file, name, old)


def metadata(rng: np.random.Generator, file: h5py.File) -> None:
    """Bounds, tolerance, texts."""
    name = list(schema.METADATA)[rng.integers(len(schema.METADATA))]
    if schema.METADATA[name] is float:
        file.attrs[name] = np.float64(_any_of(rng, ODD))
    else:
        texts = ["", "x" * int(2 ** rng.uniform(0, 16.5)), "\x1b[2J\r\n\u202e", "é☃𝄞" * 50, "a" * 65536, "a" * 65537]
        file.attrs[name] = texts[rng.integers(len(texts))]


def network(rng: np.random.Generator, file: h5py.File) -> None:
    """Weights, biases, layers."""
    if "network" not in file:
        return values(rng, file)
    group = file["network"]
    name = list(group)[rng.integers(len(group))]
    array = group[name][()]
    kind = rng.integers(5)
    if kind == 0:
        array.flat[rng.integers(array.size)] = _any_of(rng, ODD)
    elif kind == 1:
        array = np.nextafter(array, np.float32(9))
    elif kind == 2:
        array = array.T.copy() if array.ndim == 2 else array[:-1]
    elif kind == 3:
        array = np.zeros((int(rng.integers(1, 1100)),) * array.ndim, np.float32)
    else:
        group.attrs["layers"] = np.int64(_any_of(rng, (-1, 0, 1, 2, 4, 8, 9, 1 << 40, (1 << 63) - 1)))
    _put(file, f"network/{name}", array)
    return None


def moments(rng: np.random.Generator, file: h5py.File) -> None:
    """Numbers, witnesses, their shapes, and what is claimed of them."""
    if "moments" not in file:
        return values(rng, file)
    group = file["moments"]
    name = list(group)[rng.integers(len(group))]
    array = group[name][()]
    kind = rng.integers(5)
    if kind == 0:
        array.flat[rng.integers(array.size)] = _any_of(rng, ODD)
    elif kind == 1:
        array = np.nextafter(array, array.dtype.type(9))
    elif kind == 2:
        array = array.T.copy() if array.ndim == 2 else array[:-1]
    elif kind == 3:
        array = np.zeros((int(rng.integers(1, 600)),) * array.ndim, array.dtype)
    else:
        about = list(schema.MOMENTS_METADATA)[rng.integers(len(schema.MOMENTS_METADATA))]
        group.attrs[about] = np.float64(_any_of(rng, ODD)) if schema.MOMENTS_METADATA[about] is float else "x" * 70
    _put(file, f"moments/{name}", array)
    return None


def certificates(rng: np.random.Generator, file: h5py.File) -> None:
    """JSON of every kind, some of it certificates."""
    own, net = file.attrs["digest"], file["network"].attrs["digest"] if "network" in file else "none"
    fields = {"method": "bilinear", "bound": 1e-4, "observed": 5e-5, "loc": 0.2, "scale": 1.0, "verifier": "0.1.0"}
    one = {**fields, "digest": own}
    methods: tuple[object, ...] = ("", "exact", "refined", "mlp", [], {}, None, "\ud800", "x" * 5000)
    others: list[object] = [
        [one], [one, one], [one, {**one, "method": "mlp", "digest": net}], one, [[one]], [], {}, None, 3, "text", [1],
        [{}], [{**one, "more": 1}], [{k: v for k, v in one.items() if k != "loc"}], [one] * 300,
        *([{**one, "bound": b}] for b in (float("nan"), float("inf"), -1, 0, 1, True, None, "1", [1], 10**400, 1e-5)),
        *([{**one, "method": m}] for m in methods),
        *([{**one, "loc": x}] for x in (float("nan"), 1, "0", 1e308)),
        *([{**one, "verifier": v}] for v in ("\ud800", "\x1b[2J\n", "v" * 60_000, 3)),
    ]  # fmt: skip
    texts = [
        "[" * 60_000, '{"a":' * 12_000, "[" + "9" * 60_000 + "]", "{", "", "[1e999999999]", "\ufeff[]",
        json.dumps([one]).replace("0.0001", "1E-4"), json.dumps([one])[:-1], json.dumps([one]).replace(",", ",,", 1),
        '[{"bound": 1, "bound": 2}]', "[" * 900 + "]" * 900, "x" * 65_536, "x" * 70_000,
    ]  # fmt: skip
    choices = [*map(json.dumps, others), *texts]
    file.attrs["certificates"] = choices[rng.integers(len(choices))]


ALL: tuple[Forgery, ...] = (values, axes, metadata, network, moments, certificates)


def sign(file: h5py.File) -> content.Content:
    """Make every digest inside match; the content that was put in."""
    meta = {name: _plain(file.attrs[name]) for name in schema.METADATA}
    arrays = {name: file["mode"][name][()] for name in schema.DTYPES}
    digest = schema.digest(arrays, meta)
    names, net = {file.attrs["digest"]: digest}, None
    file.attrs["digest"] = digest
    if "network" in file:
        group = file["network"]
        layers = range(min(len(group) // 2, max(0, int(group.attrs["layers"]))))
        weights, biases = ([group[f"{kind}{k}"][()] for k in layers] for kind in ("weight", "bias"))
        about = {name: _plain(group.attrs[name]) for name in schema.NETWORK_METADATA}
        net = content.of_network(weights, biases, about)
        names[group.attrs["digest"]] = schema.network_digest(weights, biases, about)
        group.attrs["digest"] = names[group.attrs["digest"]]
    of_moments = None
    if "moments" in file:
        group = file["moments"]
        vector, double = group[schema.VECTOR][()], group[schema.DOUBLE][()]
        witnesses = {name: group[dataset][()] for name, dataset in schema.WITNESSES.items()}
        about = {name: _plain(group.attrs[name]) for name in schema.MOMENTS_METADATA}
        of_moments = content.of_moments(vector, double, witnesses, about)
        group.attrs["digest"] = schema.moments_digest(vector, double, witnesses, about)
    proofs = None
    if "certificates" in file.attrs:
        text = file.attrs["certificates"]
        for old, new in names.items():
            text = text.replace(old, new)
        file.attrs["certificates"] = text
        file.attrs["certificates_digest"] = schema.certificates_digest(digest, text)
        with suppress(Exception):
            entries = [schema.Certificate(**entry) for entry in json.loads(text)]
            proofs = content.of_certificates({entry.method: entry for entry in entries})
    own = content.of_table(arrays["loc"], arrays["scale"], arrays["value"], meta)
    return content.Content(own, net, of_moments, proofs)


def _plain(value: object) -> float | str:
    return value.item() if isinstance(value, np.generic) else value  # type: ignore[return-value]


def _any_of(rng: np.random.Generator, choices: tuple[float, ...]) -> float:
    return choices[rng.integers(len(choices))]
