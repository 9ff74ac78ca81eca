"""The network in torch operations: its chart against the cubic that defines it, its answers against proven values."""

import mpmath
import numpy as np
import pytest
import torch

import points
from oracle import REFERENCE, prove
from tanhlut import ModeLookup, ModeTable, mode, solve_mode
from tanhlut.compute import mlp
from tanhlut.compute.mlp import Layers
from tanhlut.formula import tensors
from tanhlut.methods import NETWORK_METHODS

BOUND = 6e-6
REFINED = 2.4e-7
CPU = torch.device("cpu")


def half_plane() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(m, δ, X) in float64, X chosen first: every X and ρ that a query can have, both densely near their ends."""
    x = 10.0 ** np.linspace(-12, 2, 1201)[:, None]
    rho = np.concatenate([10.0 ** np.linspace(-18, 0, 901), 1 - 10.0 ** np.linspace(-12, -1, 100), [0.0]])[None]
    m, delta = rho * x, (x * x * (1 - rho) - 3 * rho) / 3
    x = np.broadcast_to(x, m.shape)
    used = (m <= 40.0) & (delta <= 31) & (delta != 0)
    return torch.from_numpy(m[used]), torch.from_numpy(delta[used]), torch.from_numpy(x[used].copy())


def test_the_root_search_starts_and_ends_where_it_says() -> None:
    m, delta, x = half_plane()
    p, q = tensors.DOUBLE.cubic(m, delta)
    begin = torch.sqrt(m * m + p * p / q)
    error = begin / x - 1
    assert -0.14 < float(error.min()) < float(error.max()) < 0.42
    found = begin
    for step in range(1, 6):
        value = found * (found * (found - m) - 3 * delta) - 3 * m
        found = found - value / (found * (3 * found - 2 * m) - 3 * delta)
        if step >= 4:
            assert float((found / x - 1).abs().max()) < {4: 1e-9, 5: 2e-15}[step]


@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float64, 2e-14), (torch.float32, 4e-6)])
def test_the_chart_inverts_its_definition(dtype: torch.dtype, allowed: float) -> None:
    """Away from δ = 0, where rounding m and δ to the dtype moves X by no more than a few of its roundings."""
    m, delta, x = half_plane()
    keep = (m > 1e-30) & (delta.abs() > 1e-3)
    m, delta, x = m[keep], delta[keep], x[keep]
    u, rho, base = tensors.of(m.to(dtype)).chart(m.to(dtype), delta.to(dtype))
    torch.testing.assert_close(rho.double(), m / x, rtol=allowed, atol=allowed)
    torch.testing.assert_close(u.double(), x * x / (3 + x * x), rtol=allowed, atol=0)
    torch.testing.assert_close(base.double(), x / torch.sqrt(1 + x * x), rtol=allowed, atol=0)


@mpmath.workdps(40)
def test_the_cubic_is_that_of_the_pade_approximant() -> None:
    """Its root solves x = m + s·x/(1 + x²/3), in 40 digits."""
    for m, delta in ((0.3, 0.5), (2.0, -0.4), (1e-6, 1e-4), (0.0, 0.7)):
        query = (torch.tensor([number], dtype=torch.float64) for number in (m, delta))
        u, _, _ = tensors.DOUBLE.chart(*query)
        x = mpmath.findroot(
            lambda x, m=m, d=delta: x - m - (1 + d) * x / (1 + x * x / 3),
            (3 * delta) ** 0.5 + m + 1 if delta > 0 else m,
        )
        assert abs(float(u[0]) - float(x * x / (3 + x * x))) < 1e-14


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reference(dtype: type[np.floating]) -> None:
    loc, scale = REFERENCE.loc.astype(dtype), REFERENCE.scale.astype(dtype)
    for sign in (1, -1):
        y = sign * mode(sign * loc, scale, method="mlp").astype(np.float64)
        assert np.abs(y - REFERENCE.mode).max() <= BOUND
        y = sign * mode(sign * loc, scale, method="mlp", refine=True).astype(np.float64)
        assert np.abs(y - REFERENCE.mode).max() <= (REFINED if dtype is np.float32 else 1e-14)


@pytest.mark.parametrize("sample", [points.uniform, points.cusp, points.jump, points.exponents])
def test_fresh_points(sample: points.Sample) -> None:
    loc, scale = sample(20_000, seed=20261124)
    truth = prove(loc, scale, solve_mode(loc, scale, solver="newton"))
    a, b = loc.astype(np.float32), scale.astype(np.float32)
    bounds = {name: ModeTable.default().error_bound(name) for name in NETWORK_METHODS}
    assert bounds["mlp"] <= BOUND
    assert bounds["mlp_refined"] <= 1e-6
    for name, bound in bounds.items():
        assert np.abs(mode(a, b, method=name).astype(np.float64) - truth).max() <= bound


def test_refine_means_a_halley_step() -> None:
    loc, scale = torch.randn(100), torch.rand(100) * 2
    torch.testing.assert_close(
        mode(loc, scale, method="mlp", refine=True), mode(loc, scale, method="mlp_refined"), rtol=0, atol=0
    )
    lookup = ModeLookup(method="mlp", refine=True)
    assert lookup.method == "mlp_refined"
    assert lookup.error_bound == ModeTable.default().error_bound("mlp_refined")
    torch.testing.assert_close(lookup(loc, scale), mode(loc, scale, method="mlp_refined"), rtol=0, atol=0)
    eager = mode(loc, scale, method="refined", backend="eager")
    torch.testing.assert_close(mode(loc, scale, method="bilinear", refine=True, backend="eager"), eager, rtol=0, atol=0)


def test_long_batches_are_cut_without_a_trace() -> None:
    n = mlp._BLOCK + 1001
    loc, scale = torch.randn(n) * 2, torch.rand(n) * 2
    whole = mode(loc, scale, method="mlp")
    for part in (slice(0, 7), slice(mlp._BLOCK - 3, mlp._BLOCK + 3), slice(n - 5, n)):
        torch.testing.assert_close(mode(loc[part], scale[part], method="mlp"), whole[part], rtol=0, atol=0)


def test_bfloat16_is_rounded_once() -> None:
    loc, scale = (torch.randn(500) * 2).bfloat16(), (torch.rand(500) * 2).bfloat16()
    expected = mode(loc.float(), scale.float(), method="mlp").bfloat16()
    torch.testing.assert_close(mode(loc, scale, method="mlp"), expected, rtol=0, atol=0)


def test_gradients_are_the_implicit_ones_and_near_the_networks_own() -> None:
    """The network's own derivative is that of its error too: within 1e-3 of the implicit one away from the cusp."""
    loc = torch.linspace(0.05, 3.0, 200, dtype=torch.float64)
    scale = torch.linspace(0.1, 1.4, 200, dtype=torch.float64).flip(0)
    a = loc.clone().requires_grad_()
    implicit = torch.autograd.grad(mode(a, scale, method="mlp").sum(), a)[0]
    exact = torch.autograd.grad(mode(a, scale, method="exact").sum(), a)[0]
    network = ModeTable.default().network
    assert network is not None
    m, s, delta = tensors.DOUBLE.fold(a, scale)
    own = torch.autograd.grad(mlp.evaluate(m, s, delta, mlp.layers(network, torch.float64, CPU)).sum(), a)[0]
    assert float((implicit - exact).abs().max()) < 1e-4
    assert 1e-6 < float((own - exact).abs().max()) < 1e-2


def test_named_backends_and_tables_without_a_network_are_refused(coarse: ModeTable) -> None:
    with pytest.raises(ValueError, match="no kernel for method 'mlp'"):
        mode(0.2, 1.0, method="mlp", backend="cpu")
    for call in (lambda: mode(0.2, 1.0, method="mlp", table=coarse), lambda: ModeLookup(coarse, method="mlp")):
        with pytest.raises(ValueError, match="tablegen distill"):
            call()
    with pytest.raises(ValueError, match="tablegen distill"):
        coarse.error_bound("mlp")


def test_tree_sum_is_a_sum() -> None:
    for n in range(1, 18):
        terms = torch.randn(3, n, 5, dtype=torch.float64)
        torch.testing.assert_close(mlp.tree_sum(terms), terms.sum(1), rtol=1e-12, atol=1e-12)


def test_any_depth() -> None:
    ones = tuple(torch.full((o, i, 1), 0.5) for i, o in ((2, 3), (3, 5), (5, 2), (2, 1)))
    layers = Layers(ones, tuple(torch.zeros(len(w), 1) for w in ones))
    found = mlp.forward(torch.tensor([0.2]), torch.tensor([0.4]), layers)
    a = np.array([0.2, 0.4])
    for w in ones[:-1]:
        z = w[:, :, 0].numpy() @ a
        a = z / np.sqrt(1 + z * z)
    assert abs(float(found) - float(0.5 * a.sum())) < 1e-6
