"""Where accuracy is tested: float32-exact (loc ≥ 0, scale) points that follow the regions of the equation."""

import numpy as np

from oracle import Floats

SQRT_HALF = np.sqrt(0.5)


def uniform(n: int, seed: int) -> tuple[Floats, Floats]:
    """The everyday box: |loc| up to 6, scale up to 2.2."""
    rng = np.random.default_rng(seed)
    return _float32(rng.uniform(0, 6, n)), _float32(rng.uniform(0, 2.2, n))


def cusp(n: int, seed: int) -> tuple[Floats, Floats]:
    """Concentrated at loc = 0, scale = 1/√2, on its self-similar scale m ~ |δ|^1.5 and away from it."""
    rng = np.random.default_rng(seed)
    delta = 10.0 ** rng.uniform(-8, 0, n) * rng.choice([-1, 1], n)
    m = np.abs(delta) ** 1.5 * 10.0 ** rng.uniform(-6, 6, n)
    return _float32(np.minimum(m, 30)), _float32(np.sqrt((1 + delta) / 2))


def jump(n: int, seed: int) -> tuple[Floats, Floats]:
    """loc = 0 and its nearest neighbours, scale on both sides of 1/√2."""
    rng = np.random.default_rng(seed)
    tiny = 10.0 ** rng.uniform(-45, -3, n)
    return _float32(np.where(rng.random(n) < 0.3, 0.0, tiny)), _float32(rng.uniform(0.5, 1.5, n))


def exponents(n: int, seed: int) -> tuple[Floats, Floats]:
    """Every float32 exponent of loc against every exponent of scale, subnormals included."""
    rng = np.random.default_rng(seed)
    loc, scale = (np.exp2(rng.uniform(-149, 128, n)) for _ in range(2))
    return _float32(loc), _float32(scale)


def cusp_float64(n: int, seed: int) -> tuple[Floats, Floats]:
    """The cusp at the resolution of float64: |δ| from 2^-52, not float32-exact."""
    rng = np.random.default_rng(seed)
    delta = 2.0 ** rng.uniform(-53, 0, n) * rng.choice([-1, 1], n)
    m = np.abs(delta) ** 1.5 * 10.0 ** rng.uniform(-8, 8, n)
    return np.minimum(m, 30), np.sqrt((1 + delta) / 2)


def _float32(values: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return np.minimum(values.astype(np.float32), np.finfo(np.float32).max).astype(np.float64)
