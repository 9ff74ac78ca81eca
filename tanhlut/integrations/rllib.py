"""RLlib's new API stack: its squashed Gaussian with a deterministic action, an entropy and a KL divergence.

Tested with ray 2.60.0.
"""

from typing import Any, ClassVar, TypeVar

from torch import Tensor
from torch.distributions import kl_divergence

from tanhlut import moments
from tanhlut.errors import require
from tanhlut.integrations import deterministic as choices
from tanhlut.integrations.names import Deterministic, check

require("ray.rllib", "rllib")
from ray.rllib.algorithms.sac.sac_catalog import SACCatalog  # noqa: E402
from ray.rllib.core.distribution.torch.torch_distribution import (  # noqa: E402
    TorchDeterministic,
    TorchSquashedGaussian,
)

Module = TypeVar("Module")


class TrueModeSquashedGaussian(TorchSquashedGaussian):
    """RLlib's TorchSquashedGaussian, whose to_deterministic is the true mode; samples and logp are RLlib's.

    RLlib's own to_deterministic returns loc, not squashed, and its entropy and kl raise.
    """

    deterministic: ClassVar[Deterministic] = "mode"

    def to_deterministic(self) -> TorchDeterministic:
        """The deterministic action on [low, high]."""
        return TorchDeterministic(loc=choices.action(self.deterministic, *self._parameters))

    def entropy(self) -> Tensor:
        """H[action] in nats, summed over the last dimension: `tanhlut.entropy`."""
        return moments.entropy(*self._parameters).sum(-1)  # type: ignore[no-any-return]

    def kl(self, other: TorchSquashedGaussian) -> Tensor:
        """KL(self ‖ other), summed over the last dimension: that of the Normals, which squashing leaves as it is."""
        return kl_divergence(self._dist, other._dist).sum(-1)

    @property
    def _parameters(self) -> tuple[Tensor, Tensor, Any, Any]:
        return self._dist.loc, self._dist.scale, self.low, self.high


class MeanSquashedGaussian(TrueModeSquashedGaussian):
    """The same with the mean action."""

    deterministic = "mean"


class TanhLocSquashedGaussian(TrueModeSquashedGaussian):
    """The same with tanh(loc)."""

    deterministic = "tanh_loc"


_TRUE: dict[Deterministic, type[TrueModeSquashedGaussian]] = {
    kind.deterministic: kind for kind in (TrueModeSquashedGaussian, MeanSquashedGaussian, TanhLocSquashedGaussian)
}


class TrueModeSACCatalog(SACCatalog):
    """For `RLModuleSpec(catalog_class=TrueModeSACCatalog)`: SAC, everywhere, with `TrueModeSquashedGaussian`.

    `model_config={"deterministic": "mean"}` or ``"tanh_loc"`` asks for another action.
    """

    def get_action_dist_cls(self, framework: str) -> Any:
        """RLlib's choice, or ours in the place of its squashed Gaussian; ValueError if there is no such action."""
        given = super().get_action_dist_cls(framework)
        deterministic = self._model_config_dict.get("deterministic", "mode")
        check(deterministic)
        return _TRUE[deterministic] if given is TorchSquashedGaussian else given


def use_true_mode(module: Module, *, deterministic: Deterministic = "mode") -> Module:
    """Make an RLModule act on the true mode where it does not explore. Returns it.

    For a module at hand: one from a checkpoint, or `algorithm.get_module()`; it is no part of the checkpoint that it
    writes. `TrueModeSACCatalog` is for all the modules of an algorithm. The last call counts.

    Args:
        module: an RLModule for torch that acts by TorchSquashedGaussian, as SAC's and CQL's do.
        deterministic: ``"mode"``, ``"mean"`` or ``"tanh_loc"``. The last two are continuous in loc; the mode jumps at
            loc = 0 where scale > 1/√2.

    Raises:
        TypeError: it acts by another distribution.
        ValueError: `deterministic` is none of the three.
    """
    check(deterministic)
    changed: Any = module
    kind = getattr(changed, "action_dist_cls", None)
    if not (isinstance(kind, type) and issubclass(kind, TorchSquashedGaussian)):
        name = getattr(kind, "__name__", kind)
        raise TypeError(f"{type(module).__name__} acts by {name}, which tanh does not squash: give SAC's RLModule")
    changed.action_dist_cls = _TRUE[deterministic]
    return module
