"""A little forging: no file that the verifier accepts breaks a claim (`scripts/forge` goes on for longer)."""

import pytest
from hypothesis import HealthCheck, given, settings

import forgery
from tablegen.verify.witness import errors
from tanhlut import ModeTable


@settings(max_examples=16, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(forgery.tables())
@pytest.mark.slow
def test_no_forged_file_that_verifies_breaks_a_claim(table: ModeTable | None) -> None:
    assert not forgery.judge(table, 0).broken


def test_the_judge_knows_a_broken_claim() -> None:
    """Not vacuous: a false claim is measured as broken where the verifier is left out of it."""
    table = ModeTable.default()
    loc, scale = forgery._queries(table, 1)
    seen = float(errors(table, "bilinear", loc, scale, "eager")[0].max())
    assert 3e-5 < seen <= table.error_bound("bilinear")
