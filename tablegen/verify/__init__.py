"""The verifier: a proven bound of what a table's lookups can be off by."""

from tablegen.verify.verify import Verification, cells_of, verify

__all__ = ["Verification", "cells_of", "verify"]
