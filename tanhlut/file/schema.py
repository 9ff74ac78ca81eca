"""Every name in a table file, its header, its digest: the one description shared by writer and reader.

A file is HDF5 behind a 512-byte user block (any HDF5 viewer opens it):

    user block            b"tanhlut table 1 sha256 <hex digest of all bytes after the user block>\\n", zero-padded
    /                     attributes: METADATA and LATER_METADATA below, "schema", "schema_version", "digest", and,
                          once verified, "certificates" (JSON, see Certificate) and "certificates_digest"
    /mode                 one quantity; others may join beside it with axes of their own
    /mode/value           float32 (loc, scale), the mode for bounds (−1, 1), in [0, 1], increasing along both axes
    /mode/loc             float64 (n,), dimension scale, |loc| ≥ 0, first node 0
    /mode/scale           float64 (k,), dimension scale, ≥ 0
    /network              optional, the network of method "mlp"; attributes: NETWORK_METADATA below, "layers", "digest"
    /network/weight0      float32 (outputs, inputs) of the first layer, and so on
    /network/bias0        float32 (outputs,)
    /moments              optional, the surrogates of mean, variance and entropy; attributes: MOMENTS_METADATA, "digest"
    /moments/numbers      float32, laid out as `tanhlut.formula.surrogate` says
    /moments/numbers64    float64, likewise, for answers in float64
    /moments/mean_witness, log_cosh_witness    float64, Chebyshev coefficients over the chart's square, for the proof

The header's digest guards the bytes, before any is parsed; it has no key, so it finds damage and proves no origin. The
attribute "digest" guards the content (the arrays and the metadata in a canonical form), so that a certificate can name
what it speaks of; the network has a digest of its own; "certificates_digest" guards the certificates together with the
table's.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SCHEMA = "tanhlut-table"
VERSION = 1
USER_BLOCK = 512
HEADER_KIND = "tanhlut table "
HEADER_WORDS = f"{HEADER_KIND}{VERSION} sha256 "

QUANTITY = "mode"
VALUE, LOC, SCALE = "value", "loc", "scale"
DTYPES = {VALUE: "<f4", LOC: "<f8", SCALE: "<f8"}
RANKS = {VALUE: 2, LOC: 1, SCALE: 1}
MAX_NODES_PER_AXIS = 1 << 16
MAX_FILE_BYTES = 1 << 26  # the finest table and the largest network that can be built take 51 MB

# Metadata, all at the root. Dicts are stored as JSON text.
METADATA: dict[str, type] = {
    "loc_max": float,
    "scale_min": float,
    "scale_max": float,
    "tolerance": float,  # sup |bilinear − mode| claimed over the bounds
    "solver": str,
    "solver_settings": str,
    "versions": str,
    "command": str,
}
# Absent from files made before: there the method "refined" starts from the table as it is.
LATER_METADATA: dict[str, type] = {
    "start_tolerance": float,  # of the thinner table that the method "refined" starts from (`tanhlut.file.start`)
}

# The network's: sizes, and its metadata.
NETWORK = "network"
NETWORK_DTYPE = "<f4"
NETWORK_INPUTS = 2  # the chart's u and ρ
MAX_LAYERS = 8
MAX_WIDTH = 1024
NETWORK_METADATA: dict[str, type] = {
    "tolerance": float,  # sup |network − mode| claimed over the half-plane
    "activation": str,
    "chart": str,
    "settings": str,
    "versions": str,
    "command": str,
}
# What tanhlut.compute.mlp evaluates; a network for anything else is refused.
NETWORK_FIXED = {
    "activation": "z/sqrt(1+z^2)",
    "chart": "X^3-m*X^2-3*d*X-3*m=0; u=X^2/(3+X^2); rho=m/X; y=X/sqrt(1+X^2)*(1+N(u,rho))",
}

# The moments' surrogates: the vector (`tanhlut.formula.surrogate`), the proof's witnesses, and their metadata.
MOMENTS = "moments"
VECTOR, VECTOR_DTYPE, DOUBLE, DOUBLE_DTYPE = "numbers", "<f4", "numbers64", "<f8"
WITNESSES = {"mean": "mean_witness", "log_cosh": "log_cosh_witness"}
WITNESS_DTYPE = "<f8"
MAX_DEGREE = 256
MOMENTS_METADATA: dict[str, type] = {
    "mean_bound": float,  # sup |mean − true| claimed, on (−1, 1), in float32
    "entropy_bound": float,  # sup |entropy − true|/(1 + |true|) claimed
    "variance_bound": float,  # sup |variance − true|/max(true, 1e-3·w) claimed, w = scale²/(scale² + π²/12)
    "chart": str,
    "versions": str,
    "command": str,
}
MOMENTS_FIXED = {"chart": "tau=scale^2+float32(pi^2/12); w=scale^2/tau; zeta=9*tau/(loc^2+9*tau)"}

# CF-style description of each dataset.
ATTRIBUTES: dict[str, dict[str, str | tuple[float, float]]] = {
    VALUE: {"long_name": "mode of tanh(Normal(loc, scale^2))", "units": "1", "valid_range": (0.0, 1.0)},
    LOC: {"long_name": "mean of the Normal, absolute value", "units": "1", "valid_range": (0.0, float("inf"))},
    SCALE: {
        "long_name": "standard deviation of the Normal",
        "units": "1",
        "valid_range": (0.0, float("inf")),
    },
}


def weight_name(layer: int) -> str:
    """The dataset of a layer's weights."""
    return f"weight{layer}"


def bias_name(layer: int) -> str:
    """The dataset of a layer's biases."""
    return f"bias{layer}"


def network_digest(
    weights: Sequence[NDArray[np.float32]], biases: Sequence[NDArray[np.float32]], metadata: Mapping[str, float | str]
) -> str:
    """SHA-256 (hex) over the metadata, as in `digest`, and the layers' bytes with their shapes."""
    sha = hashlib.sha256(json.dumps([SCHEMA, VERSION, NETWORK, _canonical(metadata)], sort_keys=True).encode())
    for name, arrays in (("weight", weights), ("bias", biases)):
        for array in arrays:
            sha.update(f"{name}{array.shape}".encode())
            sha.update(np.ascontiguousarray(array, dtype=NETWORK_DTYPE).tobytes())
    return sha.hexdigest()


def moments_digest(
    vector: NDArray[np.float32],
    double: NDArray[np.float64],
    witnesses: Mapping[str, NDArray[np.float64]],
    metadata: Mapping[str, float | str],
) -> str:
    """SHA-256 (hex) over the metadata, as in `digest`, the vectors' and the witnesses' bytes with their shapes."""
    sha = hashlib.sha256(json.dumps([SCHEMA, VERSION, MOMENTS, _canonical(metadata)], sort_keys=True).encode())
    arrays: dict[str, tuple[NDArray[Any], str]] = {
        VECTOR: (vector, VECTOR_DTYPE),
        DOUBLE: (double, DOUBLE_DTYPE),
        **{name: (witnesses[name], WITNESS_DTYPE) for name in sorted(witnesses)},
    }
    for name, (array, dtype) in arrays.items():
        sha.update(f"{name}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array, dtype=dtype).tobytes())
    return sha.hexdigest()


def digest(arrays: Mapping[str, NDArray[np.generic]], metadata: Mapping[str, float | str]) -> str:
    """SHA-256 (hex) over the metadata as canonical JSON (floats as hex) and the arrays' little-endian bytes."""
    sha = hashlib.sha256(json.dumps([SCHEMA, VERSION, _canonical(metadata)], sort_keys=True).encode())
    for name in sorted(DTYPES):
        array = np.ascontiguousarray(arrays[name], dtype=DTYPES[name])
        sha.update(f"{name}{array.shape}".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def _canonical(metadata: Mapping[str, float | str]) -> dict[str, str]:
    return {key: float(value).hex() if isinstance(value, float) else str(value) for key, value in metadata.items()}


class Certificate(NamedTuple):
    """What `tablegen verify` proved of one method on one table or network, in float32.

    Attributes:
        method: the method spoken of.
        bound: no lookup, for any loc and any scale > 0, is further than this from the mode for bounds (−1, 1).
        observed: the error really seen at the witness, the worst query found.
        loc, scale: the witness.
        verifier: the version of tanhlut whose verifier proved it.
        digest: of the table it speaks of, or of its network for the network's methods.
    """

    method: str
    bound: float
    observed: float
    loc: float
    scale: float
    verifier: str
    digest: str


def certificates_text(certificates: Sequence[Certificate]) -> str:
    """The attribute "certificates": a JSON list of objects."""
    return json.dumps([certificate._asdict() for certificate in certificates], sort_keys=True)


def certificates_digest(digest: str, text: str) -> str:
    """SHA-256 (hex) that binds certificates to the table's content digest."""
    return hashlib.sha256(f"{digest}\n{text}".encode()).hexdigest()


def header(body: bytes) -> bytes:
    """The user block of a file whose bytes after it are `body`."""
    return header_of(hashlib.sha256(body).hexdigest())


def header_of(digest: str) -> bytes:
    """The user block of a file whose bytes after it have this SHA-256 (hex)."""
    return f"{HEADER_WORDS}{digest}\n".encode().ljust(USER_BLOCK, b"\0")
