"""What a file claims of its table and its network, and whether the verifier proves it."""

import decimal

from tqdm import tqdm

from tablegen.verify import NetworkVerification, Verification, verify, verify_network
from tanhlut import __version__
from tanhlut.eager import NETWORK_METHODS, Method
from tanhlut.network import Network
from tanhlut.network import missing as no_network
from tanhlut.schema import Certificate
from tanhlut.table import ModeTable

OF_TABLE: tuple[Method, ...] = ("bilinear", "refined")
VERIFIED: tuple[Method, ...] = (*OF_TABLE, *NETWORK_METHODS)

Proof = Verification | NetworkVerification


def run(table: ModeTable, method: Method, paranoid: bool = False) -> Proof:
    """The proof for a method, behind a progress bar of boxes examined.

    Raises:
        ValueError: a network's method, and the table holds none.
    """
    if method in NETWORK_METHODS and table.network is None:
        raise no_network()
    with tqdm(desc=f"proving {method}", unit="box", unit_scale=True, leave=False) as bar:
        if method in NETWORK_METHODS:
            return verify_network(table, method, progress=bar.update)
        return verify(table, method, paranoid=paranoid, progress=bar.update)


def claim(table: ModeTable, method: Method) -> float | None:
    """The smallest bound that the file claims for a method: its certificate's and, for bilinear and mlp, tolerance."""
    claims = [table.certificates[method].bound] if method in table.certificates else []
    if method == "bilinear":
        claims.append(table.tolerance)
    if method == "mlp" and table.network is not None:
        claims.append(table.network.tolerance)
    return min(claims, default=None)


def complaint(result: Proof, claimed: float | None) -> str | None:
    """Why a claim is not proven, in one line; None where it is."""
    if isinstance(result, Verification) and result.nodes.wrong:
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
    certificates = [_prove(table, method, table.digest) for method in OF_TABLE]
    return ModeTable(table.loc, table.scale, table.values, table.metadata, certificates)


def with_network(table: ModeTable, network: Network) -> ModeTable:
    """The table with a network, in place of any it had, and certificates of the network's methods.

    Raises:
        ArithmeticError: the network's proven bound exceeds its tolerance.
    """
    own = [certificate for name, certificate in table.certificates.items() if name in OF_TABLE]
    joined = ModeTable(table.loc, table.scale, table.values, table.metadata, own, network)
    new = [_prove(joined, method, network.digest) for method in NETWORK_METHODS]
    return ModeTable(table.loc, table.scale, table.values, table.metadata, [*own, *new], network)


def _prove(table: ModeTable, method: Method, digest: str) -> Certificate:
    result = run(table, method)
    bound = _rounded_up(result.bound)
    claimed = claim(table, method)
    problem = complaint(result, bound if claimed is None else claimed)
    if problem is not None:
        raise ArithmeticError(f"the finished file does not verify: {problem}; not written")
    seen = result.witness
    return Certificate(method, bound, seen.error, seen.loc, seen.scale, f"tanhlut {__version__}", digest)


def _rounded_up(bound: float) -> float:
    """To three digits, upwards: a claim that another machine's last bits do not break."""
    context = decimal.Context(prec=3, rounding=decimal.ROUND_CEILING)
    return float(context.create_decimal(bound))
