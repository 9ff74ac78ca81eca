"""What a table claims, and whether the verifier proves it."""

import decimal

from tqdm import tqdm

from tablegen.verify import Verification, verify
from tanhlut import __version__
from tanhlut.eager import Method
from tanhlut.schema import Certificate
from tanhlut.table import ModeTable

VERIFIED: tuple[Method, ...] = ("bilinear", "refined")


def run(table: ModeTable, method: Method, paranoid: bool = False) -> Verification:
    """`verify` behind a progress bar of boxes examined."""
    with tqdm(desc=f"proving {method}", unit="box", unit_scale=True, leave=False) as bar:
        return verify(table, method, paranoid=paranoid, progress=bar.update)


def claim(table: ModeTable, method: Method) -> float | None:
    """The smallest bound that the file claims for a method: its certificate's and, for bilinear, its tolerance."""
    claims = [table.certificates[method].bound] if method in table.certificates else []
    if method == "bilinear":
        claims.append(table.tolerance)
    return min(claims, default=None)


def complaint(result: Verification, claimed: float | None) -> str | None:
    """Why a claim is not proven, in one line; None where it is."""
    if result.nodes.wrong:
        return (
            f"{result.nodes.wrong} node values are not the mode rounded to float32, the worst off by "
            f"{result.nodes.error:.3g} at loc {result.nodes.loc:.7g}, scale {result.nodes.scale:.7g}"
        )
    if claimed is None:
        return f"claims no bound for method {result.method!r}; {result.bound:.4g} is proven"
    if result.bound > claimed:
        return f"claims {claimed:.4g} for method {result.method!r}, but only {result.bound:.4g} is proven"
    return None


def certified(table: ModeTable) -> ModeTable:
    """The table with certificates of every method that uses it.

    Raises:
        ArithmeticError: the proven bilinear bound exceeds the tolerance, or a node is not the rounded mode.
    """
    certificates = []
    for method in VERIFIED:
        result = run(table, method)
        bound = _rounded_up(result.bound)
        problem = complaint(result, table.tolerance if method == "bilinear" else bound)
        if problem is not None:
            raise ArithmeticError(f"the finished table does not verify: {problem}; not written")
        seen = result.witness
        certificates.append(
            Certificate(method, bound, seen.error, seen.loc, seen.scale, f"tanhlut {__version__}", table.digest)
        )
    return ModeTable(table.loc, table.scale, table.values, table.metadata, certificates)


def _rounded_up(bound: float) -> float:
    """To three digits, upwards: a claim that another machine's last bits do not break."""
    context = decimal.Context(prec=3, rounding=decimal.ROUND_CEILING)
    return float(context.create_decimal(bound))
