"""The distrax integration against distrax and TFP: needs distrax, which CI does not install."""

import warnings
from typing import Any

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # TFP's own
    pytest.importorskip("distrax")
    import distrax
    from tensorflow_probability.substrates.jax import bijectors as tfb
    from tensorflow_probability.substrates.jax import distributions as tfd

import jax
import jax.numpy as jnp

import tanhlut
from tanhlut.integrations.distrax import TrueModeTransformed, use_true_mode

pytestmark = pytest.mark.filterwarnings("ignore")
LOC = np.array([[0.2, -0.5], [1.0, 0.3]], np.float32)
SCALE = np.array([[1.0, 0.3], [0.5, 0.9]], np.float32)
KEY = jax.random.PRNGKey(0)
TANH = distrax.Tanh()
GIVEN = {
    "normal": lambda: distrax.Transformed(distrax.Normal(LOC, SCALE), TANH),
    "diagonal": lambda: distrax.Transformed(distrax.MultivariateNormalDiag(LOC, SCALE), distrax.Block(TANH, 1)),
    "independent": lambda: distrax.Transformed(
        distrax.Independent(distrax.Normal(LOC, SCALE), 1), distrax.Block(TANH, 1)
    ),
    "tfp in distrax": lambda: distrax.Transformed(tfd.Normal(LOC, SCALE), tfb.Tanh()),
    "tfp": lambda: tfd.TransformedDistribution(tfd.Normal(LOC, SCALE), tfb.Tanh()),
    "tfp diagonal": lambda: tfd.TransformedDistribution(tfd.MultivariateNormalDiag(LOC, SCALE), tfb.Tanh()),
}


@pytest.mark.parametrize("name", GIVEN)
def test_what_was_not_implemented(name: str) -> None:
    given: Any = GIVEN[name]()
    with pytest.raises(NotImplementedError):
        given.mode()
    true = use_true_mode(given)
    assert (true.batch_shape, true.event_shape) == (tuple(given.batch_shape), tuple(given.event_shape))
    close(true.mode(), tanhlut.mode(LOC, SCALE))
    close(true.mean(), tanhlut.mean(LOC, SCALE))
    close(true.variance(), tanhlut.variance(LOC, SCALE))
    close(true.stddev(), tanhlut.stddev(LOC, SCALE))
    entropy = tanhlut.entropy(LOC, SCALE)
    close(true.entropy(), entropy if not true.event_shape else entropy.sum(-1))
    close(use_true_mode(given, deterministic="mean").mode(), tanhlut.mean(LOC, SCALE))
    close(use_true_mode(given, deterministic="tanh_loc").mode(), np.tanh(LOC))
    sample = true.sample(seed=KEY)
    close(true.log_prob(sample), given.log_prob(sample))


def close(found: Any, wanted: Any) -> None:
    np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=2e-6)


def test_entropy_is_that_of_its_samples_and_is_differentiated() -> None:
    true = TrueModeTransformed(distrax.MultivariateNormalDiag(LOC, SCALE))
    _, log_prob = true.sample_and_log_prob(seed=KEY, sample_shape=(100_000,))
    noise = 5 * log_prob.std(0) / 100_000**0.5
    assert (jnp.abs(true.entropy() + log_prob.mean(0)) <= noise).all()

    def entropy(loc: Any) -> Any:
        return TrueModeTransformed(distrax.MultivariateNormalDiag(loc, SCALE)).entropy().sum()

    close(jax.jit(jax.grad(entropy))(LOC), -2.0 * tanhlut.mean(LOC, SCALE))


def test_errors_say_what_is_allowed() -> None:
    with pytest.raises(TypeError, match="sigmoid: give Tanh"):
        TrueModeTransformed(distrax.Normal(LOC, SCALE), tfb.Sigmoid())
    with pytest.raises(TypeError, match="give a Normal"):
        TrueModeTransformed(distrax.Laplace(LOC, SCALE))
    with pytest.raises(TypeError, match="Normal: give a Transformed"):
        use_true_mode(distrax.Normal(LOC, SCALE))
    with pytest.raises(ValueError, match="deterministic = 'median'"):
        TrueModeTransformed(distrax.Normal(LOC, SCALE), deterministic="median")  # type: ignore[arg-type]
