"""Where the header's self-test looks: pairs (loc, scale) as float32, and the bounds that it asks for besides (−1, 1).

What must be noticed is in tests/export/c_variants.py.
"""

from collections.abc import Collection

LOW, HIGH = -0.3, 2.1  # whose half width is no power of two: a product by it is rounded

INF, NAN = float("inf"), float("nan")

# At these every fused product that can be seen changes an answer, each at five.
FUSED = (
    (0.38285702, 0.5551303),
    (-0.6428564, 0.53126276),
    (-1.1933167, 1.1794959),
    (-0.52490276, 0.4017022),
    (-1.2532271, 0.60210353),
    (-0.8209942, 0.43528435),
    (-0.28498632, 0.7183797),
    (-0.307779, 0.70158845),
)

# The conventions, the seams and the ends; a subnormal answer where subnormals may be flushed to zero.
EDGES = (
    (0.0, 0.5), (-0.0, 0.5), (0.0, 1.0), (-0.0, 1.0), (1e-40, 0.5), (-1e-45, 0.70710677), (1e-30, 0.7071068),
    (-1e-6, 0.75), (0.2, 1.0), (1.25, 0.0), (-1.2500001, 0.0), (3.0, 0.3), (-5.0, 1.4),
    (20.0, 2.0), (0.1, 10.0), (INF, 1.0), (-INF, INF), (-1.0, INF), (NAN, 1.0), (1.0, NAN), (1.0, -1.0),
)  # fmt: skip

# Where the mean takes its arguments smaller by a power of two, and where it does not yet.
FAR = ((1e18, 2e18), (-2e18, 1.0), (3.0, 1e25), (2e30, 1e30), (1e36, 1.0), (-1.0, 3e38), (-INF, 1.0), (INF, INF))


def points(quantities: Collection[str]) -> tuple[tuple[float, float], ...]:
    """The self-test's."""
    return (*FUSED, *EDGES, *(FAR if "mean" in quantities else ()))
