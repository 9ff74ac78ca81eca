"""What an older torch cannot do, as marks: the rest is tested with every version that pyproject.toml admits."""

import pytest
import torch

TORCH = tuple(int(part) for part in torch.__version__.partition("+")[0].split(".")[:2])
COMPILES = TORCH >= (2, 7)

compiles = pytest.mark.skipif(not COMPILES, reason="compile and export want torch 2.7")
compiles_distributions = pytest.mark.skipif(
    TORCH < (2, 8), reason="torch.compile up to 2.7 cannot make a torch distribution"
)
