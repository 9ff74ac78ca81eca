"""A minute of forging: no file that the verifier accepts breaks a claim (`scripts/forge` goes on for longer)."""

import time

from hypothesis import HealthCheck, assume, given, settings

import forgery
from tanhlut import ModeTable

SECONDS = 45.0
_began: list[float] = []


@settings(max_examples=2000, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(forgery.tables())
def test_no_forged_file_that_verifies_breaks_a_claim(table: ModeTable | None) -> None:
    if not _began:
        _began.append(time.monotonic())
    assume(time.monotonic() - _began[0] < SECONDS)
    assert not forgery.judge(table, 0).broken


def test_the_judge_knows_a_broken_claim() -> None:
    """Not vacuous: a false claim is measured as broken where the verifier is left out of it."""
    table = ModeTable.default()
    loc, scale = forgery._queries(table, 1)
    seen = float(forgery.errors(table, "bilinear", loc, scale, "eager")[0].max())
    assert 3e-5 < seen <= table.error_bound("bilinear")
