"""python -m tanhlut LOC SCALE [LOC SCALE …] [--low L --high H --method M]: one mode a line.

Without LOC SCALE, pairs are read from standard input, one or more a line, separated by white space.
"""

import sys
from collections.abc import Iterable, Iterator

from tanhlut import mode
from tanhlut.methods import METHODS
from tanhlut.terminal import Parser, run, say


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0, or 2 with one line on standard error for unusable input; others are `tanhlut.terminal`'s."""
    parser = Parser(
        prog="python -m tanhlut",
        description="Print the mode of a tanh-squashed Normal(LOC, SCALE^2), one number per line and pair.",
        epilog="Without LOC SCALE, pairs are read from standard input. "
        "A negative LOC in exponent form follows --: python -m tanhlut -- -1e-3 1",
    )
    parser.add_argument("pairs", nargs="*", metavar="LOC SCALE", help="one or more pairs of numbers")
    parser.add_argument("--low", type=float, default=-1.0, help="lower action bound (default %(default)s)")
    parser.add_argument("--high", type=float, default=1.0, help="upper action bound (default %(default)s)")
    parser.add_argument("--method", choices=METHODS, default="refined", help="default %(default)s")

    def work() -> int:
        options = parser.parse_args(arguments)
        for loc, scale in _pairs(options.pairs or _standard_input()):
            # Plain torch: a compiler would take longer to load than these few numbers to compute.
            say(repr(mode(loc, scale, options.low, options.high, method=options.method, backend="eager")))
        return 0

    return run(parser.prog, work)


def _standard_input() -> Iterator[str]:
    if sys.stdin is None:
        raise ValueError("standard input is closed: give LOC SCALE as arguments, or pairs to read")
    for line in sys.stdin:
        yield from line.split()


def _pairs(words: Iterable[str]) -> Iterator[tuple[float, float]]:
    iterator = iter(words)
    for loc in iterator:
        scale = next(iterator, None)
        if scale is None:
            raise ValueError(f"LOC {loc} has no SCALE: give pairs")
        yield _number("LOC", loc), _number("SCALE", scale)


def _number(name: str, word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise ValueError(f"{name} {word!r} is not a number") from None


if __name__ == "__main__":
    sys.exit(main())
