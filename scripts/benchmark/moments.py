"""Mean, standard deviation, variance and entropy: our kernels, our quadrature, and what stands in for them today."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

import tanhlut
from benchmark.contenders import Contender, Sample

QUANTITIES = "mean", "stddev", "variance", "entropy"
QUADRATURE_UP_TO = 100_000


def contenders(sample: Sample) -> Iterator[Contender]:
    """All of them for one batch; the yardstick first."""
    loc, scale, out = sample
    few = len(loc) <= QUADRATURE_UP_TO  # which wants 4 kB an element, and is what errors are measured against
    yield Contender("torch.tanh", "tensor", lambda: torch.tanh(loc), "")
    yield Contender("torch.tanh(out=)", "out", lambda: torch.tanh(loc, out=out), "")
    for name in QUANTITIES:
        function: Callable[..., Any] = getattr(tanhlut, name)
        function(loc[:1], scale[:1])  # compiled
        yield Contender(f"ours {name}", "tensor", partial(function, loc, scale), name if few else "")
        yield Contender(f"ours {name}", "out", partial(function, loc, scale, out=out), name if few else "")
    yield Contender("ours describe", "tensor", lambda: tanhlut.describe(loc, scale), "", "all four")
    for name in QUANTITIES:
        call = partial(getattr(tanhlut, name), loc, scale, method="quadrature")
        yield Contender(f"ours {name}, quadrature", "tensor", call if few else None, name, "" if few else "not run")
    draw = partial(sampled, loc, scale)
    yield Contender("one sample's −log_prob", "tensor", draw, "entropy" if few else "", "unbiased, of one draw")


def sampled(loc: Tensor, scale: Tensor) -> Tensor:
    """What SAC and PPO take for the entropy: −log p(tanh x) of one draw x."""
    noise = torch.randn_like(loc)
    x = loc + scale * noise
    jacobian = 2.0 * (math.log(2.0) - x - torch.nn.functional.softplus(-2.0 * x))
    return 0.5 * noise * noise + torch.log(scale) + 0.5 * math.log(2.0 * math.pi) + jacobian
