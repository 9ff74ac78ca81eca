"""What a file claims of its table and its network, and whether the verifier proves it."""

import decimal
import json
from collections.abc import Iterator, Sequence
from typing import Any, cast

from tqdm import tqdm

from tablegen.make import moments as fitting
from tablegen.make.build import versions
from tablegen.verify.moments import QUANTITIES, MomentsVerification, Quantity, bound_of, verify_moments
from tablegen.verify.network import NetworkVerification, branch_and_bound, verify_network
from tablegen.verify.prove import Verification, verify
from tanhlut import __version__
from tanhlut.file import schema
from tanhlut.file.moments import Moments
from tanhlut.file.network import Network
from tanhlut.file.network import missing as no_network
from tanhlut.file.schema import Certificate
from tanhlut.file.table import ModeTable
from tanhlut.methods import NETWORK_METHODS, Method

OF_TABLE: tuple[Method, ...] = ("bilinear", "refined")
VERIFIED: tuple[Method, ...] = (*OF_TABLE, *NETWORK_METHODS)

Proof = Verification | NetworkVerification


def claimed(table: ModeTable) -> dict[Method, float]:
    """The methods that the file claims a bound for, each with the smallest: its certificate's, or its tolerance."""
    claims: list[tuple[Method, float]] = [("bilinear", table.tolerance)]
    if table.network is not None:
        claims.append(("mlp", table.network.tolerance))
    claims += [(cast(Method, name), certificate.bound) for name, certificate in table.certificates.items()]
    return {
        method: min(bound for name, bound in claims if name == method)
        for method in VERIFIED
        if any(name == method for name, _ in claims)
    }


def run(table: ModeTable, methods: Sequence[Method], paranoid: bool = False) -> Iterator[Proof]:
    """The proofs for methods, one by one, behind a progress bar of boxes examined; what a network's share is done once.

    Raises:
        ValueError: a network's method, and the table holds none.
    """
    begun: Any = None
    for method in methods:
        of_network = method in NETWORK_METHODS
        if of_network and table.network is None:
            raise no_network()
        with tqdm(desc=f"proving {method}", unit="box", unit_scale=True, leave=False) as bar:
            if of_network:
                begun = begun or branch_and_bound(cast(Network, table.network), bar.update)
                yield verify_network(table, method, progress=bar.update, begun=begun)
            else:
                yield verify(table, method, paranoid=paranoid, progress=bar.update)


def quantities(table: ModeTable) -> dict[Quantity, float]:
    """The bounds that the file claims of its moments, if it has any."""
    if table.moments is None:
        return {}
    metadata = table.moments.metadata
    return {name: float(metadata[f"{name}_bound"]) for name in QUANTITIES}


def run_moments(table: ModeTable, asked: Sequence[Quantity]) -> Iterator[MomentsVerification]:
    """The proofs of quantities, one by one."""
    for quantity in asked:
        with tqdm(desc=f"proving {quantity}", total=1, leave=False):
            yield verify_moments(table, quantity)


def moments_complaint(result: MomentsVerification, claimed: float) -> str | None:
    """Why a claim of a quantity is not proven, in one line; None where it is."""
    if result.broken is not None:
        return f"the proof is not about the program that runs here: {result.broken}"
    seen = result.seen
    if not seen.error <= result.bound.largest:
        return (
            f"the {result.quantity} is off by {seen.error:.4g} at loc {seen.loc!r}, scale {seen.scale!r}, more than "
            f"the {result.bound.largest:.4g} derived: the proof does not hold here"
        )
    if not result.bound.largest <= claimed:
        return f"claims {claimed:.4g} for the {result.quantity}, but only {result.bound.largest:.4g} is proven"
    return None


def complaint(result: Proof, claimed: float | None) -> str | None:
    """Why a claim is not proven, in one line; None where it is."""
    if isinstance(result, Verification) and result.nodes.wrong:
        return (
            f"{result.nodes.wrong} node values are not the mode rounded to float32, the worst off by "
            f"{result.nodes.error:.3g} at loc {result.nodes.loc:.7g}, scale {result.nodes.scale:.7g}"
        )
    if result.broken is not None:
        return f"the proof is not about the program that runs here: {result.broken}"
    seen = result.witness
    if not seen.error <= result.bound:
        return (
            f"method {result.method!r} is off by {seen.error:.4g} at loc {seen.loc!r}, scale {seen.scale!r}, more than "
            f"the {result.bound:.4g} derived: the proof does not hold here"
        )
    if claimed is None:
        return f"claims no bound for method {result.method!r}; {result.bound:.4g} is proven"
    if not result.bound <= claimed:
        return f"claims {claimed:.4g} for method {result.method!r}, but only {result.bound:.4g} is proven"
    return None


def certified(table: ModeTable) -> ModeTable:
    """The table with certificates of every method that uses it.

    Raises:
        ArithmeticError: the proven bilinear bound exceeds the tolerance, or a node is not the rounded mode.
    """
    proven = _prove(table, OF_TABLE, table.digest)
    return ModeTable(table.loc, table.scale, table.values, table.metadata, proven, None, table.moments)


def with_network(table: ModeTable, network: Network) -> ModeTable:
    """The table with a network, in place of any it had, and certificates of the network's methods.

    Raises:
        ArithmeticError: the network's proven bound exceeds its tolerance.
    """
    own = [certificate for name, certificate in table.certificates.items() if name in OF_TABLE]
    joined = ModeTable(table.loc, table.scale, table.values, table.metadata, own, network, table.moments)
    new = _prove(joined, NETWORK_METHODS, network.digest)
    return ModeTable(table.loc, table.scale, table.values, table.metadata, [*own, *new], network, table.moments)


def moments(
    found: fitting.Fit, command: str, asked: Sequence[Quantity] = QUANTITIES, tolerance: float | None = None
) -> Moments:
    """Fitted surrogates with the bounds that are proven of them.

    Raises:
        ArithmeticError: nothing can be proven of them, or of those asked for more than the tolerance.
        MissingExtraError: python-flint is not installed.
    """
    bounds = {}
    with tqdm(desc="proving the moments", total=len(QUANTITIES), leave=False) as bar:
        for quantity in QUANTITIES:
            bounds[f"{quantity}_bound"] = _rounded_up(bound_of(quantity, found.vector, found.witnesses).largest)
            bar.update()
    for quantity in asked:
        proven = bounds[f"{quantity}_bound"]
        if tolerance is not None and not proven <= tolerance:
            raise ArithmeticError(
                f"--tol {tolerance:g} is not reached: {proven:g} is proven of the {quantity}, with as many numbers as "
                "the kernels have; not written"
            )
    made = {"versions": json.dumps(versions()), "command": command}
    return Moments(found.vector, found.witnesses, {**bounds, **schema.MOMENTS_FIXED, **made}, found.double)


def _prove(table: ModeTable, methods: Sequence[Method], digest: str) -> list[Certificate]:
    certificates = []
    claims = claimed(table)
    for result in run(table, methods):
        bound = _rounded_up(result.bound)
        problem = complaint(result, claims.get(result.method, bound))
        if problem is not None:
            raise ArithmeticError(f"the finished file does not verify: {problem}; not written")
        seen = result.witness
        certificates.append(
            Certificate(result.method, bound, seen.error, seen.loc, seen.scale, f"tanhlut {__version__}", digest)
        )
    return certificates


def _rounded_up(bound: float) -> float:
    """To three digits, upwards: a claim that another machine's last bits do not break."""
    context = decimal.Context(prec=3, rounding=decimal.ROUND_CEILING)
    return float(context.create_decimal(bound))
