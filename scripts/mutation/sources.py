"""One-line changes of the program that is verified, and of the analysis that verifies it."""

from typing import NamedTuple

# Small tables, so that a proof takes a second: bounds with an exact method outside, and the whole plane. What they do
# not notice is asked of the shipped file, whose claims are tight.
WHOLE = ["--tol", "0.01", "--solver", "newton"]
NARROW = ["--loc-max", "3", "--scale-min", "0.1", "--scale-max", "1.5", *WHOLE]


class Mutant(NamedTuple):
    """`old` becomes `new` in `path`, which a verification of these files (with options) must notice; none: tests of the
    analysis."""

    name: str
    path: str
    old: str
    new: str
    verified: tuple[str, ...] = ()


def _program(
    path: str, *changes: tuple[str, str], verified: tuple[str, ...] = ("narrow.h5", "whole.h5", "data/default.h5")
) -> list[Mutant]:
    file = f"tanhlut/{path}.py"
    return [
        Mutant(f"{path}: {old.strip()} → {new.strip() or 'nothing'}", file, old, new, verified) for old, new in changes
    ]


def _analysis(path: str, *changes: tuple[str, str]) -> list[Mutant]:
    file = f"tablegen/{path}.py"
    return [Mutant(f"{path}: {old.strip()} → {new.strip() or 'nothing'}", file, old, new) for old, new in changes]


MUTANTS: list[Mutant] = [
    *_program(
        "formula/element",
        ("invalid_if(scale < ZERO, scale)", "scale"),
        ("at_most(invalid_if(scale < ZERO, scale), SCALE_SATURATION)", "invalid_if(scale < ZERO, scale)"),
        ("at_most(absolute(loc), LOC_SATURATION)", "absolute(loc)"),
        ("near = x <= SEAM", "near = x < SEAM"),
        ("near = x <= SEAM", "near = x <= SEAM + HALF"),
        ("select(near, ONE - t, ratio) * (ONE + t), gap", "ONE - t * t, gap"),
        ("select(near, x - gap, ONE - ratio)", "ONE - ratio"),
        ("select(near, gap, x - t), ratio", "gap, ratio"),
        ("return t, fma(delta, t, m) - gap", "return t, fma(delta, t, m) - (x - t)"),
        ("slope = fma(-t, t, ONE)", "slope = ONE - t"),
        ("t = at_most(fma(x, q, -gap), q)", "t = fma(x, q, -gap)"),
        ("h = fma(delta, t, fma(m, q, -gap))", "h = fma(delta, t, m - gap)"),
        ("(s * h) * (t * slope))), d * q, x), ZERO)", "-(s * h) * (t * slope))), d * q, x), ZERO)"),
        ("d = fma(t, t, -(delta * slope))", "d = fma(t, t, delta * slope)"),
        ("fma(d, d, (h * s) * (t * slope))", "d * d"),
        ("fma(-t, change, ONE)", "ONE"),
        (
            "fma(slope * change, fma(-t, change, ONE), t), ONE), ZERO)",
            "fma(slope * change, fma(-t, change, ONE), t), ONE), -ONE)",
        ),
        ("q = fma(TWO_THIRDS, a, w2)", "q = fma(THIRD, a, w2)"),
        ("select(above, square, n), select", "square, select"),
        ("p * inverse_root(fma(p, p, q))", "p * inverse_root(q)"),
        ("high = fma(y11 - y10, v, y10)", "high = fma(y11 - y10, u, y10)"),
        ("at_least(fma(high - low, u, low), ZERO)", "fma(high - low, u, low)"),
        ("at_least(half * signed(y, loc) + middle, low)", "half * signed(y, loc) + middle"),
        (
            "at_most(at_least(half * signed(y, loc) + middle, low), high)",
            "at_least(half * signed(y, loc) + middle, low)",
        ),
    ),
    *_program(
        "formula/bits",
        ("fma(scale + scale, scale, -ONE)", "(scale + scale) * scale - ONE"),
        ("rest = fma(x, EXP_LOW, fma(x, EXP_HIGH, ROUNDER - rounded))", "rest = fma(x, EXP_HIGH, ROUNDER - rounded)"),
        ("INVERSE_ROOT - (bits(x) >> 1)", "INVERSE_ROOT - (bits(x) >> 2)"),
        ("integer(real(bits(x)) * THIRD)", "integer(real(bits(x)) * HALF)"),
        ("bits(y) | (bits(loc) & SIGN)", "bits(y)"),
        ("fma(along, span, rest - whole)", "fma(along, span, rest) - rest"),
        (
            "integer(integer((entry >> CELL_SHIFT) & CELL_MASK) + integer(whole))",
            "integer((entry >> CELL_SHIFT) & CELL_MASK)",
        ),
        ("return at_most(m, last_loc), ", "return m, "),
        ("select(m < first_loc, m * divide(ONE, first_loc), weight)", "weight"),
        ("at_least(at_most(delta, last_delta), first_delta)", "at_most(delta, last_delta)"),
        ("weight + ((delta - delta) + (m - m))", "weight"),
    ),
    *_program(
        "formula/excess",
        ("(0.7071067690849304, 1.210161710447897e-08)", "(0.7071067690849304, 1.210161710447898e-08)"),
        ("return 2.0 * ((scale - high) - low) * ((scale + high) + low)", "return 2.0 * scale * scale - 1.0"),
    ),
    *_program(
        "formula/tensors",
        ("negative = (loc < 0.0) | (1.0 / loc < 0.0)", "negative = loc < 0.0"),
        ("torch.exp(-2.0 * x)", "torch.exp(-2.0 * x) * 1.000001"),
        ("(-1.0 / 3.0)", "(-0.999 / 3.0)"),
    ),
    *_program(
        "methods",
        (
            'COMPILED: tuple[Method, ...] = ("bilinear", "refined", "exact")',
            'COMPILED: tuple[Method, ...] = ("refined", "bilinear", "exact")',
        ),
    ),
    *_program(
        "compute/eager",
        ("y.clamp(0.0, 1.0)", "y"),
        (", y, _stepped(text.rough_start(m, s, delta), m, s, delta)", ", y, y"),
        (" if text is tensors.DOUBLE else y", ""),
    ),
    *_program(
        "compute/grid",
        ("x = torch.minimum(torch.maximum(x, self.origin.select(0, 0)), self.end)", "pass"),
        ("x = torch.minimum(torch.maximum(x, self.origin.select(0, 0)), self.end)", "x = torch.minimum(x, self.end)"),
        ("per_width = 1.0 / (fine[1:] - fine[:-1])", "per_width = 1.0001 / (fine[1:] - fine[:-1])"),
        ("(corner + 1, m)", "(corner, m)"),
        ("return low + (high - low) * u", "return low + (high - low) * v"),
        ("right=True", "right=False"),
    ),
    *_program(
        "file/bounds",
        ("(loc.abs() <= self.loc_max)", "(loc <= self.loc_max)"),
        ("(scale <= self.scale_max)", "(scale <= 2.0 * self.scale_max)"),
    ),
    *_program(
        "formula/coefficients",
        ("SEAM = 1.25", "SEAM = 1.3"),
        ("SEAM = 1.25", "SEAM = 1.2500001"),
        ("(11.0, 9.0, 7.0, 5.0, 3.0)", "(9.0, 7.0, 5.0, 3.0)"),
        ("(11.0, 9.0, 7.0, 5.0, 3.0)", "(12.0, 9.0, 7.0, 5.0, 3.0)"),
        ("-2.885390043258667", "-2.885390281677246"),
        ("-3.851926067000022e-08", "-3.851926067000023e-08"),
        ("0.0013269515475258231", "0.0013269516639411449"),
        ("0.009671290405094624", "0.009671289473772049"),
        ("0.0555071085691452", "0.05550711229443550"),
        ("0.24022246897220612", "0.2402224838733673"),
        ("0.6931470036506653", "0.6931470632553101"),
        ("        1.0,\n    ),\n    23", "        1.0000001,\n    ),\n    23"),
        ("1.5 * 2.0**23", "1.5 * 2.0**22"),
        ("INVERSE_ROOT = 0x5F400000", "INVERSE_ROOT = 0x5F400001"),
        ("INVERSE_CUBE_ROOT = 0x54A2FA8C", "INVERSE_CUBE_ROOT = 0x54A2FA8D"),
        ("SMALLEST_CUBE = 1e-30", "SMALLEST_CUBE = 1e-20"),
        ("SINGLE = Coefficients(\n    16.0,", "SINGLE = Coefficients(\n    10.0,"),
        ("    16.0,\n    3.0,", "    16.0,\n    2.0,"),
    ),
    *_program(
        "compute/cpu",
        ("stepping = method != EXACT, method != BILINEAR or bounded", "stepping = method != EXACT, method != BILINEAR"),
        ("key[i] = row * table.row + column", "key[i] = row * table.row + column + 1"),
        ("(absolute(mu) <= limits[0]) & ", ""),
        (" & (sigma <= limits[2])", ""),
        (
            "x[i] = select(inside, fma(s[i], y[i], m[i]), x[i], FLOAT32)",
            "x[i] = fma(s[i], y[i], m[i])",
        ),
    ),
    *_program("compute/strips", ("vectors = builder.and_(left, _int(-self.lanes))", "vectors = left")),
    *_program(
        "compute/vectors",
        ("(fours(0, 4, 1, 5), fours(2, 6, 3, 7))", "(fours(0, 4, 2, 6), fours(1, 5, 3, 7))"),
        ("zip(vectors[::2], vectors[1::2], strict=True)", "zip(vectors[1::2], vectors[::2], strict=True)"),
        ('self.builder.fcmp_unordered if sign == "!=" else ', ""),
    ),
    *_program(
        "file/packed",
        ('np.pad(values, 1, mode="edge")', 'np.pad(values, 1, mode="constant")'),
        ("np.stack([values[:-1], values[1:]], axis=2)", "np.stack([values[:-1], values[:-1]], axis=2)"),
        ("np.array([loc[1], loc[-1], delta[0], delta[-1]]", "np.array([loc[2], loc[-1], delta[0], delta[-1]]"),
        ("begin[lowest], end[lowest] = 0.0, 0.0", "pass"),
    ),
    *_program(
        "formula/chart",
        ("divide(square, THREE + square)", "divide(square, (THREE + 0.0001) + square)"),
        ("divide(z, square_root(ONE + z * z))", "divide(z, square_root((ONE + 0.0001) + z * z))"),
        ("& (y == y), ONE, y)", ", ONE, y)"),
        ("select(x == ZERO, ZERO, divide(m, x))", "divide(m, x)"),
        ("at_most(select(x == ZERO, ZERO, divide(m, x)), ONE)", "select(x == ZERO, ZERO, divide(m, x))"),
        verified=("data/default.h5",),
    ),
    *_program(
        "compute/mlp",
        ("base * (1.0 + forward(u, rho, network))", "base"),
        ("a = z if k == last else tensors.of(z).algebraic(z)", "a = z if k == last else torch.tanh(z)"),
        verified=("data/default.h5",),
    ),
    *_program(
        "formula/half_plane",
        ("at_least(at_most(value, ONE), ZERO)", "value"),
        ("tau = at_least(fma(scaled, scaled, c), SMALLEST_NORMAL)", "tau = fma(scaled, scaled, c)"),
        ("select(big, ZERO, LOGISTIC)", "LOGISTIC"),
        ("fma(-TWO * b, b, ONE)", "fma(-b, b, ONE)"),
        ("fma(-TWO * c, inverse, ONE)", "fma(-c, inverse, ONE)"),
        ("INFINITY, ONE, at_least(at_most(value", "INFINITY, ZERO, at_least(at_most(value"),
        ("nine = NINE * tau", "nine = TWO * tau"),
        verified=("data/default.h5 --quantity mean",),
    ),
    *_program(
        "formula/moments",
        ("fma(b * fma(-b, b, ONE), g, b)", "fma(b * fma(-b, b, ONE), g, -b)"),
        verified=("data/default.h5 --quantity mean",),
    ),
    *_program(
        "formula/moments",
        ("whole(rho, loc, scale), loc", "rho, loc"),
        ("fma(b * b, ratio,", "fma(b, ratio,"),
        verified=("data/default.h5 --quantity entropy",),
    ),
    *_program(
        "formula/half_plane",
        ("(logarithm(scale) + ENTROPY_OF_UNIT)", "logarithm(scale)"),
        verified=("data/default.h5 --quantity entropy",),
    ),
    *_program(
        "formula/half_plane",
        ("at_most(floor(row), rows - ONE)", "floor(row)"),
        ("at_least(select(x == x, x, ONE) * rows, first_row)", "select(x == x, x, ONE) * rows"),
        (
            "at_most(-QUARTER * log_ratio, LEAST))\n    half, _ = image(low, high)\n    return answered(half * select",
            "-QUARTER * log_ratio)\n    half, _ = image(low, high)\n    return answered(half * select",
        ),
        ("fma(-ROOT_LOGISTIC * k, inverse, ONE)", "fma(-ROOT_LOGISTIC, inverse, ONE)"),
        ("at_least(select(y == y, y, ONE) * columns, ZERO)", "select(y == y, y, ONE) * columns"),
        ("return root * root", "return root"),
        verified=("data/default.h5 --quantity variance",),
    ),
    *_analysis(
        "verify/patches",
        ("off = row.off + of_witness", "off = row.off"),
        ("series, cut = expanded(*row.z)", "series, cut = expanded(0.0, 1.0)"),
        ("total = of.tau * moves(nine, minus, minus) + ", "total = "),
        ("of_z = of_z + units", "of_z = of_z + 0.0 * units"),
        ("return local, running(", "return local, 0.0 * running("),
    ),
    *_analysis(
        "verify/second",
        ('slope = heat.at_zero("slope", coefficients) + KAPPA * of_f + _LAST_BITS', "slope = _LAST_BITS"),
        ("* 2 / 9), 0)", "* 1 / 9), 0)"),
    ),
    *_analysis(
        "verify/rounding",
        ("arithmetic = 2.0 * top + (WEIGHT + 2.0) * (rise_m + rise_s)", "arithmetic = 2.0 * top"),
        (
            "arithmetic = 2.0 * top + (WEIGHT + 2.0) * (rise_m + rise_s)",
            "arithmetic = 1.0 * top + (WEIGHT + 2.0) * (rise_m + rise_s)",
        ),
        ("arithmetic + NODE * by_m + ", "arithmetic + "),
        (" + (EXCESS + NODE) * by_s)", ")"),
        ("np.maximum(by_m, out_m * rise_m)", "by_m"),
        ("np.maximum(by_s, out_s * rise_s)", "by_s"),
        ("EXCESS = 5.6", "EXCESS = 2.6"),
        ("NODE = 1.01", "NODE = 1.0"),
        ("MARGIN = 1.001", "MARGIN = 1.0"),
        ("* stretch", ""),
        ("return np.asarray(total + flushed + TINY)", "return np.asarray(total)"),
        ("CLAMPED = 2.0 * ", "CLAMPED = 0.0 * "),
        ("DELTA_BELOW, DELTA_ABOVE = -3.4e-8", "DELTA_BELOW, DELTA_ABOVE = -3.4e-6"),
        ("np.where(np.isnan(gain), np.inf, gain)", "np.where(np.isnan(gain), 0.0, gain)"),
    ),
    *_analysis(
        "verify/halley",
        ("TANH_SEAM = math.tanh(SEAM)", "TANH_SEAM = math.tanh(1.2)"),
        ("EXP = 4.2", "EXP = 2.0"),
        ("UNDERFLOW = 7e-14 + CLAMPED", "UNDERFLOW = 0.0"),
        ("np.maximum(_near(boxes, at), _far(boxes, at))", "_near(boxes, at)"),
        ("exact + np.maximum", "np.maximum"),
        (" + _half_ulp(np.minimum(start.high + exact, 1.0))", ""),
        ("off + 3.0 * U * (boxes.m1 + (1.0 + boxes.d1) * high + off)", "off"),
        ("a = start.slope - 2.0 * bend * epsilon", "a = start.slope"),
        ("(p * (1.0 + w) + w * w) / shrink", "(p * (1.0 + w)) / shrink"),
        (" + np.minimum(beyond, 1.0) * at.miss", ""),
        ("g = (3.6 / (1.0 + ratio) + 3.0) * U * gap", "g = 3.0 * U * gap"),
        ("(EXCESS + 1.0) * np.maximum(positive, negative)", "np.maximum(positive, negative)"),
        (" + gap_per_a + 2.0 * residual))", " + 2.0 * residual))"),
        (" + gap_per_a + 2.0 * residual))", " + gap_per_a))"),
        ("own = tau * (1.0 + at.s * per_a) + U * gap_per_a", "own = tau * (1.0 + at.s * per_a)"),
        ("tau = c * (exp + 2.0) * U + 0.5 * U", "tau = c * (exp + 2.0) * U"),
        ("tau = _half_ulp(t)", "tau = 0.0 * t"),
        ("e_a * (1.0 + 2.0 / (1.0 - k))", "e_a"),
        ("valid = (at.a > 0) & ", "valid = "),
    ),
    *_analysis(
        "verify/exact",
        ("(0.9999, 1.0887)", "(0.9999, 1.05)"),
        ("(0.9685, 1.039)", "(0.9685, 1.0)"),
        ("off = rough_error(boxes, from_y(boxes, low, high, slope, error))", "off = 1e-3 * error"),
    ),
    *_analysis(
        "verify/halley",
        ("g = allowed(x) * gap", "g = 0.0 * gap"),
        ("eta = g + delta * tau + U", "eta = delta * tau + U"),
        ("total = at.miss + rho / left", "total = rho / left"),
        (" + r * moved / ((1.0 - kappa) * left)", ""),
    ),
    *_analysis(
        "verify/refined",
        ("near = (EXCESS + 2.0 * NODE) * U", "near = 0.0"),
        (" + added[parent])", ")"),
        ("/ MARGIN, error)", ", error)"),
        ("np.where(last_row, exact.LOC_CLAMP, ", "np.where(last_row, boxes.m1, "),
    ),
    *_analysis(
        "verify/prove",
        ("np.where(last_row, 1.0 - y.y10[0], 0.0) + ", ""),
        ("return np.asarray(rounding + rise + CLAMPED)", "return np.asarray(rounding)"),
        ("* (1.0 + SLACK)\n    return Inter", "\n    return Inter"),
        ("self.nodes.wrong == 0", "True"),
        ("self.witness.error <= self.bound <= claim", "self.bound <= claim"),
    ),
    *_analysis(
        "verify/bilinear",
        ("width**2 / 8.0", "width**2 / 16.0"),
        ("low = below.min(axis=0) - (along_m + down)", "low = below.min(axis=0) - along_m"),
        ("high = above.max(axis=0) + up", "high = above.max(axis=0)"),
        ("LOOSE = 2.0**-48", "LOOSE = 0.0"),
        ("hull_high = at.min(axis=0)", "hull_high = at.max(axis=0)"),
        ("CLOSE_ENOUGH = 1.004", "CLOSE_ENOUGH = 1.1"),
    ),
    *_analysis(
        "verify/boxes",
        ("along_m = 2.0 * product / d**3", "along_m = 2.0 * product / d**2"),
        ("np.maximum(-boxes.d1, 0.0))", "np.maximum(-boxes.d0, 0.0))"),
        ("0.38490018", "0.2"),
    ),
    *_analysis("verify/nodes", ("0.5 * np.spacing(values)", "2.0 * np.spacing(values)")),
    *_analysis(
        "verify/forward",
        ("(2.5 + 0.5 * size * size)).sum", "(0.5 * size * size)).sum"),
        ("(base * (in_network + through)", "(base * (in_network)"),
        ("1.1 + np.minimum(ratio", "np.minimum(ratio"),
        ("np.abs(z[0]) + z[1] + 2.0", "2.0"),
        ("np.where(sound, ", "np.where(sound | True, "),
        ("total += np.maximum(np.abs(sums[0]), np.abs(sums[1])).sum(axis=1)", "pass"),
    ),
]

# Why a survivor may live.
EXPLAINED: dict[str, str] = {
    "formula/half_plane: at_least(at_most(value, ONE), ZERO) → value": (
        "a guard: no value seen leaves [0, 1] without it (20,000 points up to 2^20, of each backend)"
    ),
    "file: network weights[0] larger by 0.0001": "the network is another and still within what the file claims: proven",
    "verify/refined: np.where(last_row, exact.LOC_CLAMP, → np.where(last_row, boxes.m1,": (
        "the axes of the whole plane end at 16, where fold clamps: one number"
    ),
    "formula/element: s * (t - y)) → fma(s, t, m) - fma(s, y, m))": (
        "both sums round by U·x at most, which together the analysis charges above the seam (3·U·x)"
    ),
    "formula/element: fma(slope * change, fma(-t, change, ONE), t), ONE), ZERO) → "
    "fma(slope * change, fma(-t, change, ONE), t), ONE), -ONE)": (
        "no step on the million points of tests/answers.py falls below 0: the least is 7e-44"
    ),
    "formula/element: at_least(fma(high - low, u, low), ZERO) → fma(high - low, u, low)": (
        "no value on the million points of tests/answers.py falls below 0; rounding alone could, and it is charged"
    ),
    "formula/bits: position(at_most(m, last_loc) → position(m": (
        "fold clamps m at 16, where the axes of the whole plane end; beyond narrower bounds the closed form answers"
    ),
    "file/packed: begin[lowest], end[lowest] = 0.0, 0.0 → pass": (
        "below the first node each word names the first cell either way, and the weight is a quotient of its own"
    ),
    "formula/element: near = x <= SEAM → near = x < SEAM": "SEAM itself may take either form: both are in bounds",
    "compute/grid: right=True → right=False": (
        "on a node the weight is 1 in the lower cell, not 0 in the upper: one value"
    ),
    "formula/chart: at_most(select(x == ZERO, ZERO, divide(m, x)), ONE) → select(x == ZERO, ZERO, divide(m, x))": (
        "m/X came out above 1 in none of 12 million queries; only rounding could lead there, and it is charged"
    ),
}
