"""`tablegen distill`: a network from the exact solver, its claims, and requests that cannot be met."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tablegen.__main__ import main
from tablegen.make import distill
from tanhlut import ModeTable, mode, solve_mode


def test_a_network_of_ones_own(coarse_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "net.h5"
    words = ["distill", str(coarse_file), "-o", str(target), "--hidden", "6", "5", "--tol", "2e-4"]
    assert main(words) == 0
    table = ModeTable.load(target)
    network = table.network
    assert network is not None
    assert network.widths == (2, 6, 5, 1)
    assert network.metadata["command"] == " ".join(["tablegen", *words])
    assert table.error_bound("mlp") <= 2e-4
    assert table.error_bound("mlp_refined") <= 1e-6
    assert table.digest == ModeTable.load(coarse_file).digest
    rng = np.random.default_rng(0)
    loc, scale = (rng.uniform(0, top, 20_000).astype(np.float32) for top in (4, 2))
    truth = solve_mode(loc, scale, solver="newton")
    assert np.abs(mode(loc, scale, method="mlp", table=table) - truth).max() <= table.error_bound("mlp")
    assert main(["verify", str(target), "--method", "mlp"]) == 0
    assert main(["info", str(target)]) == 0
    assert "2-6-5-1, 59 parameters" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_network() -> None:
    fits = [distill.distill((4,), 0.02, seed, "test") for seed in (3, 3, 4)]
    assert fits[0].network.digest == fits[1].network.digest != fits[2].network.digest


def test_what_cannot_be_met_writes_nothing(
    coarse_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "net.h5"
    start = ["distill", str(coarse_file), "-o", str(target)]
    for words, said in (
        (["--hidden", "1", "--tol", "1e-4"], "training ended"),
        (["--tol", "1e-9"], "--tol 1e-09"),
        (["--hidden", "0"], "--hidden 0"),
        (["--hidden", "64", "64"], "2000"),
    ):
        assert main([*start, *words]) == 2
        assert said in capsys.readouterr().err
    assert not target.exists()


def test_the_jacobian_is_the_derivative() -> None:
    """Against torch's own."""
    widths = (2, 4, 3, 1)
    theta = distill._start(widths, 1)
    inputs = torch.rand(7, 2, dtype=torch.float64)
    zero = torch.zeros(7, dtype=torch.float64)
    at = distill.Points(inputs, zero + 1, zero + 1)  # errors are then N itself
    value, jacobian = distill._jacobian(theta, widths, inputs)
    torch.testing.assert_close(value, distill._errors(theta, widths, at))
    torch.testing.assert_close(jacobian, torch.func.jacrev(lambda t: distill._errors(t, widths, at))(theta))
