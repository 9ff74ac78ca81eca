"""What a file must be to load: every assumption that the proof makes of arrays, axes, bounds and certificates.

docs/proof.md says why these suffice. What breaks one is refused with a ValueError (a TableError from `ModeTable.load`),
so that no lookup ever computes with it and the verifier need not think of it. They are wide enough for all that
`tablegen build` writes, and for other rectilinear grids of the mode. `network` does the same for networks.

Comparisons are written so that NaN fails them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tanhlut.file import schema
from tanhlut.file.axes import delta_nodes
from tanhlut.file.bounds import Bounds
from tanhlut.file.schema import Certificate
from tanhlut.methods import METHODS, NETWORK_METHODS

# Axes. A cell's width must have a float32 reciprocal far from overflow, and a query that float32 moves by 8·2^-24 of
# itself (δ's rounding and the nodes') must stay within half a cell of where it belongs.
SMALLEST_LOC = 2.0**-86  # of the first node above 0; float32 δ keeps away from 0 by itself
LARGEST_LOC, LARGEST_SCALE = 64.0, 8.0
NARROWEST = 2.0**-20  # width of a cell over the larger magnitude of its ends
# An axis reaches the bound that it serves, or to where the mode is within 3e-14 of 1, so that clamping is exact.
TOP_LOC, TOP_DELTA = 15.99, 15.99


def check_table(
    loc: NDArray[Any], scale: NDArray[Any], values: NDArray[Any], metadata: Mapping[str, float | str]
) -> Bounds:
    """The bounds of a table whose arrays and metadata may be trusted; ValueError otherwise."""
    bounds = _check_metadata(metadata)
    _check_arrays(loc, scale, values)
    delta = delta_nodes(scale)
    for name, axis in ((schema.LOC, loc), (schema.SCALE, delta)):
        used = axis.astype(np.float32).astype(np.float64)
        width, size = np.diff(used), np.maximum(np.abs(used[:-1]), np.abs(used[1:]))
        if not (width >= NARROWEST * size).all():
            raise ValueError(
                f"axis {name!r}: nodes lie closer than {NARROWEST:g} of their size: float32 would blur them"
            )
    if not loc[1] >= SMALLEST_LOC:
        raise ValueError(f"axis {schema.LOC!r}: its first node above 0 is {loc[1]:g}, below {SMALLEST_LOC:g}")
    if not (loc[-1] <= LARGEST_LOC and scale[-1] <= LARGEST_SCALE):
        raise ValueError(
            f"axes end at loc {loc[-1]:g} and scale {scale[-1]:g}, beyond {LARGEST_LOC:g} and {LARGEST_SCALE:g}, "
            "where every mode is 1"
        )
    reach = bounds.reach
    if not loc[-1] >= min(reach.loc_max, TOP_LOC):
        raise ValueError(f"axis {schema.LOC!r} ends at {loc[-1]:.9g}, short of the bounds' {bounds.loc_max:.9g}")
    if not (scale[-1] >= reach.scale_max or delta[-1] >= TOP_DELTA):
        raise ValueError(f"axis {schema.SCALE!r} ends at {scale[-1]:.9g}, short of the bounds' {bounds.scale_max:.9g}")
    if not scale[0] <= reach.scale_min:
        raise ValueError(f"axis {schema.SCALE!r} begins at {scale[0]:.9g}, above the bounds' {bounds.scale_min:.9g}")
    return bounds


def check_certificates(certificates: Sequence[Certificate], table: str, network: str | None) -> None:
    """ValueError unless each speaks of one known method of this very table or network, in finite numbers.

    Args:
        table, network: digests of the content they must speak of; None where there is no network.
    """
    seen = set()
    for certificate in certificates:
        for field, kind in Certificate.__annotations__.items():
            if type(getattr(certificate, field)) is not kind:
                raise ValueError(f"a certificate's {field!r} is {getattr(certificate, field)!r}, not a {kind.__name__}")
        method = certificate.method
        if method not in METHODS or method == "exact":
            raise ValueError(f"a certificate speaks of {method!r}, which is no method of a table or a network")
        if method in seen:
            raise ValueError(f"there are two certificates for method {method!r}")
        seen.add(method)
        of_network = method in NETWORK_METHODS
        if certificate.digest != (network if of_network else table):
            what = "network" if of_network else "table"
            raise ValueError(f"the certificate for method {method!r} speaks of another {what}")
        if not 0 <= certificate.observed <= certificate.bound < 2:
            raise ValueError(f"{certificate} claims a bound below what was observed, or none")
        if not (math.isfinite(certificate.loc) and math.isfinite(certificate.scale)):
            raise ValueError(f"{certificate} names no finite witness")


def _check_metadata(metadata: Mapping[str, float | str]) -> Bounds:
    bounds = Bounds(*(float(metadata[name]) for name in Bounds._fields))
    if not (bounds.loc_max > 0 and 0 <= bounds.scale_min < bounds.scale_max):
        raise ValueError(f"{bounds} are not bounds with loc_max > 0 and 0 ≤ scale_min < scale_max")
    if not 0 < float(metadata["tolerance"]) < 2:
        raise ValueError(f"tolerance {metadata['tolerance']} is not between 0 and 2")
    if not 0 < float(metadata.get("start_tolerance", 1.0)) < 2:
        raise ValueError(f"start_tolerance {metadata['start_tolerance']} is not between 0 and 2")
    return bounds


def _check_arrays(loc: NDArray[Any], scale: NDArray[Any], values: NDArray[Any]) -> None:
    for name, axis in ((schema.LOC, loc), (schema.SCALE, scale)):
        if axis.ndim != 1 or len(axis) < 2 or axis.dtype != np.float64:
            raise ValueError(f"axis {name!r} has shape {axis.shape} and dtype {axis.dtype}, not two or more float64")
        if not (np.isfinite(axis).all() and (np.diff(axis) > 0).all() and axis[0] >= 0):
            raise ValueError(f"axis {name!r} is not finite, increasing and ≥ 0")
    if loc[0] != 0:
        raise ValueError(f"axis {schema.LOC!r} begins at {loc[0]}, not 0")
    if values.dtype != np.float32 or values.shape != (len(loc), len(scale)):
        raise ValueError(
            f"{schema.VALUE!r} has shape {values.shape} and dtype {values.dtype}; float32 is wanted, and its axes have "
            f"{len(loc)} and {len(scale)} nodes"
        )
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"{schema.VALUE!r} has entries outside [0, 1] or NaN")
    if not ((np.diff(values, axis=0) >= 0).all() and (np.diff(values, axis=1) >= 0).all()):
        raise ValueError(f"{schema.VALUE!r} is not increasing along both axes, as the mode is")
