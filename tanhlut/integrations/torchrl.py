"""TorchRL: its TanhNormal with the true mode. Tested with torchrl 0.14.1."""

from functools import cache
from numbers import Number
from typing import Any, Literal, cast

import torch
from torch import Tensor
from torch.distributions import ComposeTransform, Distribution

from tanhlut import moments
from tanhlut.arrays import check_choice
from tanhlut.distributions.likelihood import TANH, log_likelihood, straight_through, with_mass
from tanhlut.distributions.squash import wide
from tanhlut.distributions.tanh_normal import refuse_overflow
from tanhlut.errors import require
from tanhlut.integrations.deploy import Deployed
from tanhlut.integrations.names import Deterministic, check
from tanhlut.lookup import mode
from tanhlut.methods import Method

require("torchrl", "torchrl")
from tensordict import TensorDict  # noqa: E402
from tensordict.nn import ProbabilisticTensorDictSequential  # noqa: E402
from torchrl.modules import TanhNormal as _TanhNormal  # noqa: E402

Entropy = Literal["exact", "sampled"]

# Where TorchRL's safe tanh is clamped: 1 − resolution, in the dtype.
_SAFE = {
    dtype: torch.tensor(1.0 - torch.finfo(dtype).resolution, dtype=dtype).item()
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64)
}
# With bounds, samples err also by the roundings of tanh x and of half·tanh x, in epsilons.
_BOUNDS = 0.75


class TanhNormal(_TanhNormal):
    """torchrl.modules.TanhNormal whose `mode`, `get_mode()` and `deterministic_sample` are the true mode.

    All else is TorchRL's: arguments, `loc` after tanh_loc and upscale, sampling, shapes. It leaves out `mean` and
    `entropy()`; here they are `tanhlut.mean` and `tanhlut.entropy`, so that neither ExplorationType.MEAN nor the
    entropy bonus of PPO, A2C and GRPO samples. The mode is bitwise `tanhlut.mode(self.loc, self.scale, low, high)`.

    `log_prob` is TorchRL's, bit for bit, unless an element of the action saturates or its rounding cell is wide against
    scale; then it is the mass that rounds there (`tanhlut.distributions.likelihood`). `rsample_and_log_prob` and
    `sample_and_log_prob`, by which TorchRL's actors and losses score what they sample, return just what `log_prob` of
    the stored sample will be, so that PPO's first ratio is 1; TorchRL's score the x that made it. Their gradients
    remain: pathwise for the one, of log_prob at the given sample for the other.

    Args:
        deterministic: what `deterministic_sample`, hence ExplorationType.DETERMINISTIC, returns: ``"mode"``,
            ``"mean"`` or ``"tanh_loc"``, TorchRL's own. The last two are continuous in loc; the mode jumps at loc = 0.
        entropy: ``"exact"``, or ``"sampled"``: no `entropy()`, so that losses sample as with TorchRL's class, the same
            random numbers. It makes an instance of a subclass, for losses ask the class.
        method: how the mode is computed, as in `tanhlut.mode`.
        others: those of torchrl.modules.TanhNormal.

    Raises:
        ValueError: `deterministic` or `entropy` is none of those, or a bound does not fit loc's dtype.
        RuntimeError: TorchRL's, for not low < high.
    """

    def __new__(cls, *_: Any, entropy: Entropy = "exact", **__: Any) -> "TanhNormal":
        """Of `cls`, or of its subclass without an entropy."""
        check_choice("entropy", entropy, ("exact", "sampled"))
        return object.__new__(cls if entropy == "exact" else _without_entropy(cast(Any, cls)))

    def __init__(
        self,
        loc: Tensor,
        scale: Any,
        upscale: Any = 5.0,
        low: Any = -1.0,
        high: Any = 1.0,
        event_dims: int | None = None,
        tanh_loc: bool = False,
        safe_tanh: bool = True,
        *,
        deterministic: Deterministic = "mode",
        entropy: Entropy = "exact",
        method: Method = "refined",
    ) -> None:
        check(deterministic)
        self.deterministic, self.method = deterministic, method
        self._reach = _SAFE if safe_tanh else {}
        refuse_overflow(loc.dtype if isinstance(loc, Tensor) else torch.get_default_dtype(), low=low, high=high)
        # Numbers take the quick road of `mode`; tensors are read from self.low and self.high, which TorchRL moves.
        numbers = isinstance(low, Number) and isinstance(high, Number)
        self._numbers = (float(low), float(high)) if numbers else None
        super().__init__(loc, scale, upscale, low, high, event_dims, tanh_loc, safe_tanh)

    @property
    def mode(self) -> Tensor:
        """The true mode, shape batch_shape + event_shape, differentiable."""
        return cast(Tensor, mode(self.loc, self.scale, *self._low_high, method=self.method))

    @property
    def mean(self) -> Tensor:
        """E[action], shape batch_shape + event_shape, differentiable: `tanhlut.mean`."""
        return moments.mean(self.loc, self.scale, *self._low_high)  # type: ignore[no-any-return]

    def entropy(self) -> Tensor:
        """H[action] in nats, shape batch_shape, differentiable: `tanhlut.entropy`, summed over the event."""
        parts = moments.entropy(self.loc, self.scale, *self._low_high)
        events = len(self.event_shape)
        return cast(Tensor, parts.sum(tuple(range(-events, 0))) if events else parts)

    @property
    def deterministic_sample(self) -> Tensor:
        """The mode, the mean or tanh(loc) in the bounds, as `deterministic` says."""
        if self.deterministic == "mode":
            return self.mode
        return self.mean if self.deterministic == "mean" else cast(Tensor, super().deterministic_sample)

    def get_mode(self) -> Tensor:
        """The true mode, detached as TorchRL's estimate of it is."""
        return self.mode.detach()

    def log_prob(self, value: Tensor) -> Tensor:
        """log density of value, shape sample_shape + batch_shape, as stored: the same for the same numbers."""
        return self._score(value)

    def rsample_and_log_prob(self, sample_shape: Any = ()) -> tuple[Tensor, Tensor]:
        """A sample and its log_prob as of storage, with pathwise gradients, those of TorchRL's."""
        sample, path = super().rsample_and_log_prob(sample_shape)
        return sample, straight_through(self._score(sample.detach()), path)

    def sample_and_log_prob(self, sample_shape: Any = ()) -> tuple[Tensor, Tensor]:
        """A detached sample and its log_prob as of storage, differentiable in the parameters."""
        sample = self.sample(torch.Size(sample_shape))
        return sample, self._score(sample)

    @property
    def _low_high(self) -> tuple[Any, Any]:
        return self._numbers or (self.low.to(self.loc.dtype), self.high.to(self.loc.dtype))

    def _score(self, value: Tensor) -> Tensor:
        middle, half = self._affine()
        blur = (_BOUNDS if isinstance(self._t, ComposeTransform) else TANH) * torch.finfo(self.loc.dtype).eps
        reach = self._reach.get(self.loc.dtype, 1.0)
        loc, scale = self.root_dist.loc, self.root_dist.scale
        parts, weight = log_likelihood(value, loc, scale, middle - half, middle + half, reach=reach, blur=blur)
        return with_mass(super().log_prob, value, parts, weight, len(self.event_shape), middle)

    def _affine(self) -> tuple[Tensor, Tensor]:
        """Middle and half-width of the bounds, as TorchRL rounds them, exact."""
        if isinstance(self._t, ComposeTransform):
            affine: Any = self._t.parts[-1]
            middle, half = (torch.as_tensor(part, device=self.loc.device) for part in (affine.loc, affine.scale))
            return wide(middle), wide(half)
        return wide(torch.zeros((), device=self.loc.device)), wide(torch.ones((), device=self.loc.device))


@cache
def _without_entropy(cls: Any) -> type[TanhNormal]:
    """A subclass whose entropy is torch's, which raises: what TorchRL's losses take for a reason to sample."""
    return type(cls.__name__, (cls,), {"entropy": Distribution.entropy, "__doc__": cls.__doc__})


def deployed(actor: ProbabilisticTensorDictSequential, method: Method = "exact", **normalisation: Any) -> Deployed:
    """What a ProbabilisticActor with `TanhNormal` does under ExplorationType.DETERMINISTIC, as one module for
    `deploy.onnx_model` or torch.export.

    Args:
        actor: of one observation (its first in_key).
        method: how the mode is computed; the default takes no table along, and differs from the actor's by both bounds
            at most.
        normalisation: `shift`, `divisor` and `clip` of `deploy.Deployed`: for ObservationNorm with standard_normal,
            its loc and scale.

    Returns:
        A module in eval mode that shares the actor's parameters: observations (batch, …) to actions, (batch, actions).

    Raises:
        TypeError: the actor's distribution is another.
    """
    last = actor[-1]
    if not (isinstance(last.distribution_class, type) and issubclass(last.distribution_class, TanhNormal)):
        raise TypeError(f"the actor's distribution is {last.distribution_class}: give one with tanhlut's TanhNormal")
    given = dict(last.distribution_kwargs)
    low, high = given.get("low", -1.0), given.get("high", 1.0)
    choice = given.get("deterministic", "mode")
    return Deployed(_Parameters(actor), low, high, choice, method, **normalisation).eval()


class _Parameters(torch.nn.Module):
    """An actor's (loc, scale), by its own distribution: after tanh_loc and upscale."""

    def __init__(self, actor: Any) -> None:
        super().__init__()
        self.actor = actor

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        data = TensorDict({self.actor.in_keys[0]: observation}, observation.shape[:1])
        distribution = self.actor.get_dist(data)
        return distribution.loc, distribution.scale
