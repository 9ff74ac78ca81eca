"""What an older torch cannot do, as marks: the rest is tested with every version that pyproject.toml admits."""

import pytest
import torch

TORCH = tuple(int(part) for part in torch.__version__.partition("+")[0].split(".")[:2])
COMPILES = TORCH >= (2, 7)


def _maps_distributions() -> bool:
    try:
        torch.func.vmap(lambda x: torch.distributions.Normal(x, x, validate_args=True).loc)(torch.ones(2))
    except RuntimeError:
        return False
    return True


# Whether torch's own distributions can check their arguments under vmap.
MAPS_DISTRIBUTIONS = _maps_distributions()

compiles = pytest.mark.skipif(not COMPILES, reason="compile and export want torch 2.7")
compiles_distributions = pytest.mark.skipif(
    TORCH < (2, 8), reason="torch.compile up to 2.7 cannot make a torch distribution"
)
calls_kernels = pytest.mark.skipif(
    TORCH < (2, 8), reason="torch 2.7 does not tell torch.compile from torch.export: its graphs hold plain operations"
)
