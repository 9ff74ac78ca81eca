"""rsl_rl: TanhNormal as an action distribution with the true mode, mean and entropy. Tested with rsl-rl-lib 5.5.1.

distribution_cfg = {"class_name": "tanhlut.integrations.rsl_rl:TanhNormal", "init_std": 1.0}
"""

from typing import Any, cast

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from tanhlut.distributions import tanh_normal as distribution
from tanhlut.errors import require
from tanhlut.integrations import deterministic as choices
from tanhlut.integrations.names import Deterministic, check
from tanhlut.methods import Method
from tanhlut.module import ModeLookup

require("rsl_rl", "rsl_rl")
from rsl_rl.modules.distribution import (  # noqa: E402
    GaussianDistribution,
    HeteroscedasticGaussianDistribution,
)


class TanhNormal(GaussianDistribution):
    """tanh-squashed Gaussian on action_range; its deterministic output is the true mode, or the mean.

    The MLP gives loc, a parameter of the model scale, as in rsl_rl's GaussianDistribution. Mean, standard deviation and
    entropy are those of the squashed action (`tanhlut.mean`, `stddev`, `entropy`); `params` are (loc, scale), and the
    KL divergence that adapts the learning rate is that of the Normals, which squashing leaves as it is.

    Args:
        output_dim, init_std, std_range, std_type, learn_std: as in rsl_rl's GaussianDistribution.
        action_range: (low, high) of every action.
        method: how the mode is computed, as in `tanhlut.mode`.
        deterministic: what the deterministic output is: ``"mode"``, ``"mean"`` or ``"tanh_loc"``. The last two are
            continuous in loc; the mode jumps at loc = 0 where scale > 1/√2.

    Raises:
        ValueError: not low < high, or `deterministic` is none of the three.
    """

    _distribution: Any

    def __init__(
        self,
        output_dim: int,
        init_std: float = 1.0,
        std_range: tuple[float, float] = (1e-6, 1e6),
        std_type: str = "scalar",
        learn_std: bool = True,
        action_range: tuple[float, float] = (-1.0, 1.0),
        method: Method = "refined",
        deterministic: Deterministic = "mode",
    ) -> None:
        super().__init__(output_dim, init_std, std_range, std_type, learn_std)
        _set(self, action_range, method, deterministic)

    def update(self, mlp_output: Tensor) -> None:
        """Become the distribution of these outputs of the MLP, shape (…, *input_dim)."""
        loc, scale = _parameters(mlp_output, *_settings(self))
        low, high = self.action_range
        self._distribution = distribution.TanhNormal(loc, scale, low, high, validate_args=False, method=self.method)

    def deterministic_output(self, mlp_output: Tensor) -> Tensor:
        """The mode, mean or tanh(loc), shape (…, output_dim); the current distribution stays as it is."""
        loc, scale = _parameters(mlp_output, *_settings(self))
        low, high = self.action_range
        return choices.action(self.deterministic, loc, scale, low, high, self.method)

    def as_deterministic_output_module(self) -> torch.nn.Module:
        """The same as a module that TorchScript and ONNX can export, the scale frozen as it is now."""
        return _Deterministic(self)

    @property
    def params(self) -> tuple[Tensor, ...]:
        """(loc, scale) of the Normal before squashing."""
        return self._distribution.loc, self._distribution.scale

    def kl_divergence(self, old_params: tuple[Tensor, ...], new_params: tuple[Tensor, ...]) -> Tensor:
        """KL(old ‖ new), summed over the last dimension."""
        (old_loc, old_scale), (loc, scale) = old_params, new_params
        old = Normal(old_loc, old_scale, validate_args=False)
        return kl_divergence(old, Normal(loc, scale, validate_args=False)).sum(dim=-1)


class HeteroscedasticTanhNormal(TanhNormal, HeteroscedasticGaussianDistribution):
    """TanhNormal whose scale is the MLP's too, as in rsl_rl's HeteroscedasticGaussianDistribution."""

    def __init__(
        self,
        output_dim: int,
        init_std: float = 1.0,
        std_range: tuple[float, float] = (1e-6, 1e6),
        std_type: str = "scalar",
        action_range: tuple[float, float] = (-1.0, 1.0),
        method: Method = "refined",
        deterministic: Deterministic = "mode",
    ) -> None:
        HeteroscedasticGaussianDistribution.__init__(self, output_dim, init_std, std_range, std_type)
        _set(self, action_range, method, deterministic)


class _Deterministic(torch.nn.Module):
    """MLP output → the action. Python for torch.export and ONNX; for TorchScript, which cannot read it, its trace."""

    def __init__(self, source: TanhNormal) -> None:
        super().__init__()
        self.input_dim, (self.low, self.high) = source.input_dim, source.action_range
        raw, self.log, self.least, self.most = _settings(source)
        self.register_buffer("raw", None if raw is None else raw.detach().clone())
        self.deterministic, self.lookup = source.deterministic, ModeLookup(method=source.method)

    def forward(self, mlp_output: Tensor) -> Tensor:
        loc, scale = _parameters(mlp_output, cast(Tensor | None, self.raw), self.log, self.least, self.most)
        if self.deterministic == "mode":
            return cast(Tensor, self.lookup(loc, scale, self.low, self.high))
        return choices.action(self.deterministic, loc, scale, self.low, self.high)

    def __prepare_scriptable__(self) -> torch.nn.Module:
        shape = (2, self.input_dim) if isinstance(self.input_dim, int) else (2, *self.input_dim)
        example = torch.ones(shape, device=next(self.buffers()).device)
        with torch.no_grad():
            return _Traced(torch.jit.trace(self, example, check_trace=False))


class _Traced(torch.nn.Module):
    """What TorchScript can read: a call of a trace."""

    def __init__(self, traced: Any) -> None:
        super().__init__()
        self.traced = traced

    def forward(self, mlp_output: Tensor) -> Tensor:
        return self.traced(mlp_output)  # type: ignore[no-any-return]


def _settings(source: TanhNormal) -> tuple[Tensor | None, bool, float, float]:
    """The model's parameter of scale (None where the MLP gives it), whether it is a logarithm, and its range."""
    log = source.std_type == "log"
    raw = getattr(source, "log_std_param" if log else "std_param", None)
    return (raw, log, *(source.log_std_range if log else source.std_range))


def _parameters(mlp_output: Tensor, raw: Tensor | None, log: bool, least: float, most: float) -> tuple[Tensor, Tensor]:
    """(loc, scale) of one shape, contiguous, by rsl_rl's rules for the standard deviation."""
    loc, raw = torch.unbind(mlp_output, dim=-2) if raw is None else (mlp_output, raw.expand_as(mlp_output))
    scale = raw.clamp(least, most)
    scale = torch.exp(scale) if log else scale
    return loc.contiguous(), scale.contiguous()


def _set(target: TanhNormal, action_range: tuple[float, float], method: Method, deterministic: Deterministic) -> None:
    low, high = (float(bound) for bound in action_range)
    if not -torch.inf < low < high < torch.inf:
        raise ValueError(f"action_range = {action_range}: give finite (low, high) with low < high")
    check(deterministic)
    target.action_range, target.method, target.deterministic = (low, high), method, deterministic
