"""The SBX integration against SBX itself: needs sbx-rl, which CI does not install."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # TFP's own
    pytest.importorskip("sbx")
    from sbx import PPO, SAC, TD3, TQC

import jax

import tanhlut
from tanhlut.integrations.sbx import TrueModeTanh, use_true_mode

pytestmark = pytest.mark.filterwarnings("ignore")
OBSERVATIONS = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)


def normal(model: Any) -> tuple[Any, Any]:
    found = model.policy.actor_state.apply_fn(model.policy.actor_state.params, OBSERVATIONS).distribution
    return np.asarray(found.mean()), np.asarray(found.stddev())


@pytest.mark.parametrize("kind", [SAC, TQC])
def test_predict(kind: Any) -> None:
    model = kind("MlpPolicy", "Pendulum-v1", seed=0)
    plain, _ = model.predict(OBSERVATIONS, deterministic=True)
    loc, scale = normal(model)
    for choice, wanted in (
        ("mode", tanhlut.mode(loc, scale, -2.0, 2.0)),
        ("mean", tanhlut.mean(loc, scale, -2.0, 2.0)),
        ("tanh_loc", plain),
    ):
        assert use_true_mode(model, deterministic=choice) is model  # type: ignore[arg-type]
        found, _ = model.predict(OBSERVATIONS, deterministic=True)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6)


def test_training_is_untouched_and_a_checkpoint_plain(tmp_path: Path) -> None:
    models = []
    for change in (use_true_mode, lambda model: model):
        model = SAC("MlpPolicy", "Pendulum-v1", seed=0, learning_starts=20)
        models.append(change(model).learn(40))
    trained = (jax.tree.leaves(model.policy.actor_state.params) for model in models)
    assert all(np.array_equal(a, b) for a, b in zip(*trained, strict=True))
    loc, scale = normal(models[0])
    models[0].save(tmp_path / "policy")
    loaded = use_true_mode(SAC.load(tmp_path / "policy"))
    found, _ = loaded.predict(OBSERVATIONS, deterministic=True)
    np.testing.assert_allclose(found, tanhlut.mode(loc, scale, -2.0, 2.0), rtol=0, atol=2e-6)


def test_the_distribution() -> None:
    model = use_true_mode(SAC("MlpPolicy", "Pendulum-v1", seed=0))
    found = model.policy.actor_state.apply_fn(model.policy.actor_state.params, OBSERVATIONS)
    loc, scale = normal(model)
    assert type(found) is TrueModeTanh
    np.testing.assert_allclose(found.mean(), tanhlut.mean(loc, scale), rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.stddev(), tanhlut.stddev(loc, scale), rtol=0, atol=2e-6)
    np.testing.assert_allclose(found.variance(), tanhlut.variance(loc, scale), rtol=0, atol=3e-6)
    np.testing.assert_allclose(found.entropy(), tanhlut.entropy(loc, scale).sum(-1), rtol=0, atol=3e-6)


def test_errors_say_what_is_allowed() -> None:
    for kind in (PPO, TD3):
        with pytest.raises(TypeError, match="no squashed Gaussian: give a SAC model"):
            use_true_mode(kind("MlpPolicy", "Pendulum-v1"))
    with pytest.raises(ValueError, match="deterministic = 'median'"):
        use_true_mode(SAC("MlpPolicy", "Pendulum-v1"), deterministic="median")  # type: ignore[arg-type]
