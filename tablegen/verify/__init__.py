"""The verifier: a proven bound of what a table's lookups, or its network, can be off by."""

from tablegen.verify.network import NetworkVerification, branch_and_bound, verify_network
from tablegen.verify.verify import Verification, cells_of, interpolation, verify

__all__ = [
    "NetworkVerification",
    "Verification",
    "branch_and_bound",
    "cells_of",
    "interpolation",
    "verify",
    "verify_network",
]
