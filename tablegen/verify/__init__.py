"""The verifier: a proven bound of what a table's lookups, or its network, can be off by."""

from tablegen.verify.network import NetworkVerification, verify_network
from tablegen.verify.verify import Verification, cells_of, verify

__all__ = ["NetworkVerification", "Verification", "cells_of", "verify", "verify_network"]
