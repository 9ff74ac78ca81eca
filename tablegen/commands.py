"""The subcommands of tablegen, their options and what they print."""

import argparse
import shlex
import time
from pathlib import Path

from tablegen import claims, interrupts, request, store
from tablegen.export import c_header, onnx_graph
from tablegen.make import distill
from tablegen.make import moments as fitting
from tablegen.make.build import COARSEST_TOLERANCE, FINEST_TOLERANCE, build, check_request
from tablegen.make.distill import HIDDEN
from tablegen.make.distill import TOLERANCE as NETWORK_TOLERANCE
from tablegen.show import error_map, pictures, report
from tablegen.show import moments as of_moments
from tablegen.verify.moments import MEASURE, QUANTITIES
from tanhlut.errors import plain, require
from tanhlut.file.bounds import Bounds
from tanhlut.file.moments import missing as no_moments
from tanhlut.file.table import ModeTable
from tanhlut.methods import METHODS, NETWORK_METHODS, Method
from tanhlut.terminal import Parser, complain, say

MODE_TOLERANCE = 5e-5
# What can be exported: the method and the file that it writes unless told otherwise.
EXPORTS: dict[str, tuple[Method, Path | None]] = {"onnx": ("refined", None), "c": ("exact", Path("tanhlut.h"))}


def run(words: list[str]) -> int:
    """Do what a command line, without the program's name, asks for; its exit status."""
    options = _parser().parse_args(words)
    command = shlex.join(["tablegen", *words])
    options.command_line = command.encode(errors="backslashreplace").decode()  # a file's name may be no Unicode
    status: int = options.run(options)
    return status


def _parser() -> Parser:
    parser = Parser(prog="tablegen", description="Make and inspect tables of the mode.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    build = commands.add_parser(
        "build",
        help="solve for a table, fit mean, entropy and variance, and write them",
        description="Choose a grid on which bilinear interpolation meets --tol inside the bounds, solve and prove "
        "every node, and write the table. Action bounds (low, high) are not asked for: they never touch a table. Mean, "
        "entropy and variance are fitted over every loc and every scale > 0, and their bounds proven; with --quantity, "
        "also beside what another file holds.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    build.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the table to write")
    build.add_argument("--loc-max", type=float, default=float("inf"), metavar="M", help="cover |loc| ≤ M, any M > 0")
    build.add_argument("--scale-min", type=float, default=0.0, metavar="S", help="cover scale ≥ S, any S ≥ 0")
    build.add_argument("--scale-max", type=float, default=float("inf"), metavar="S", help="cover scale ≤ S")
    build.add_argument(
        "--tol",
        type=float,
        default=argparse.SUPPRESS,
        metavar="T",
        help=f"largest bilinear error, on (−1, 1), from {FINEST_TOLERANCE:g} to {COARSEST_TOLERANCE:g} (default: "
        f"{MODE_TOLERANCE:g}); without the mode, what must be proven of each quantity asked for",
    )
    build.add_argument(
        "--quantity",
        choices=request.QUANTITIES,
        nargs="+",
        default=["mode"],
        metavar="Q",
        help=f"what to make: {', '.join(request.QUANTITIES)}",
    )
    build.add_argument(
        "--beside", type=Path, default=argparse.SUPPRESS, metavar="FILE", help="the file with what is not to be made"
    )
    build.add_argument("--solver", choices=("adam", "newton"), default="adam", help="exact solver for the nodes")
    build.set_defaults(run=_build, tol=None, beside=None)

    verify = commands.add_parser(
        "verify",
        help="prove a table's error bound",
        description="Prove an upper bound of |lookup − mode| over every loc and every scale > 0, in the float32 "
        "arithmetic that runs, and compare it with what the file claims. Exit status 0 only if every claim is proven.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    verify.add_argument("file", type=Path, metavar="FILE")
    verify.add_argument(
        "--method", choices=claims.VERIFIED, help="only this lookup; otherwise everything that the file claims"
    )
    verify.add_argument("--quantity", choices=("mode", *QUANTITIES), help="only this one of what the file holds")
    verify.add_argument("--paranoid", action="store_true", help="prove every node in 128-bit balls too (python-flint)")
    verify.add_argument("--json", type=Path, metavar="OUT", help="write the result for machines")
    verify.add_argument("--plot", type=Path, metavar="OUT.png", help="draw the proven error over (loc, scale)")
    verify.set_defaults(run=_verify)

    distill = commands.add_parser(
        "distill",
        help="train the network of method mlp and put it beside a table",
        description="Train a small network from the exact solver, prove its error bound over every loc and every "
        'scale > 0, and write the table of FILE with the network in it, for method="mlp".',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    distill.add_argument("file", type=Path, metavar="FILE", help="the table to put it beside")
    distill.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the file to write")
    distill.add_argument(
        "--hidden", type=int, nargs="+", default=HIDDEN, metavar="N", help="units of each hidden layer"
    )
    distill.add_argument("--tol", type=float, default=NETWORK_TOLERANCE, metavar="T", help="largest error, on (−1, 1)")
    distill.add_argument("--seed", type=int, default=0, metavar="N", help="of the random start")
    distill.set_defaults(run=_distill)

    info = commands.add_parser("info", help="say what a table holds")
    info.add_argument("file", type=Path, metavar="FILE")
    info.set_defaults(run=_info)

    plot = commands.add_parser("plot", help="draw a table: surface, densities, grid")
    plot.add_argument("file", type=Path, metavar="FILE")
    plot.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.png")
    plot.add_argument("--moments", action="store_true", help="draw mean, variance and entropy, and their error maps")
    plot.set_defaults(run=_plot)

    export = commands.add_parser(
        "export",
        help="write a method, and moments, as a self-contained graph or C header",
        description="Write a method, with its table or network inside, as an ONNX graph of standard operators: float32 "
        "loc and scale of any length in, the mode on (−1, 1) out; or as a header for C99 and C++, with the bits of the "
        "cpu backend in float32 (docs/controller.md). The mean and other moments likewise, alone or beside the mode.",
    )
    export.add_argument("file", type=Path, metavar="FILE")
    export.add_argument("--format", choices=[*EXPORTS], default="onnx", help="what to write (default: onnx)")
    export.add_argument("--method", choices=METHODS, help="the method to write (default: refined; exact for c)")
    export.add_argument(
        "--quantity",
        type=lambda words: tuple(dict.fromkeys(words.split(","))),
        default=("mode",),
        metavar="Q[,Q]",
        help=f"what it answers: {', '.join(onnx_graph.QUANTITIES)}; for c {' and '.join(c_header.QUANTITIES)} "
        "(default: mode)",
    )
    export.add_argument("-o", "--output", type=Path, metavar="OUT", help="the file to write (default for c: tanhlut.h)")
    export.set_defaults(run=_export)
    return parser


def _build(options: argparse.Namespace) -> int:
    began = time.perf_counter()
    bounds = Bounds(options.loc_max, options.scale_min, options.scale_max)
    asked = request.asked_for(options.quantity, options.beside, bounds)
    tolerance = MODE_TOLERANCE if options.tol is None else options.tol
    if "mode" in asked:
        check_request(bounds, tolerance)
    target = store.check_target(options.output)
    table, found = None if options.beside is None else ModeTable.load(options.beside), None
    wanted = [name for name in QUANTITIES if name in asked]
    if wanted:
        require("flint", "paranoid")  # if it is missing, that is said now, not after the solving
        request.check_beside(table, wanted)
    with interrupts.ending_the_process():
        if "mode" in asked:
            table, found = build(
                bounds, tolerance, options.solver, options.command_line, lambda line: complain(f"tablegen: {line}")
            )
            table = claims.certified(table)
        assert table is not None
        if wanted:
            fit = fitting.fitted(wanted, table.moments)
            least = None if found is not None else options.tol
            table = table.with_moments(claims.moments(fit, options.command_line, wanted, least))
        data = store.image(table)
    store.write(target, data)
    rows, columns = table.values.shape
    say(f"wrote   {plain(options.output)}")
    if found is not None:
        say(f"nodes   {rows} × {columns} = {rows * columns:,}, each proven by a sign change")
    say(f"bytes   {len(data):,} ({table.nbytes:,} of values{request.bytes_of(table)})")
    say(f"seconds {time.perf_counter() - began:.1f}")
    if found is not None:
        say(f"error   {found.error:.3g} found, at loc {found.loc:.7g}, scale {found.scale:.7g}")
        for method in table.certificates:
            say(f"proven  {table.error_bound(method):.3g} at most for method {method!r}, anywhere, in float32")
    for name in wanted:
        say(f"proven  {MEASURE[name]} ≤ {claims.quantities(table)[name]:.3g}, anywhere, in float32")
    return 0


def _distill(options: argparse.Namespace) -> int:
    began = time.perf_counter()
    distill.check_request(options.hidden, options.tol)
    target = store.check_target(options.output)
    table = ModeTable.load(options.file)
    with interrupts.ending_the_process():
        network, found = distill.distill(options.hidden, options.tol, options.seed, options.command_line)
        table = claims.with_network(table, network)
        data = store.image(table)
    store.write(target, data)
    say(f"wrote   {plain(options.output)}")
    say(f"network {'-'.join(map(str, network.widths))}, {network.parameters:,} parameters, {network.nbytes:,} bytes")
    say(f"bytes   {len(data):,} with the table")
    say(f"seconds {time.perf_counter() - began:.1f}")
    say(f"error   {found:.3g} found in float64 on a fine grid")
    for method in NETWORK_METHODS:
        say(f"proven  {table.error_bound(method):.3g} at most for method {method!r}, anywhere, in float32")
    return 0


def _verify(options: argparse.Namespace) -> int:
    targets = {path: store.check_target(path) for path in (options.json, options.plot) if path is not None}
    if options.plot is not None:
        _import_matplotlib()  # if it is missing, that is said now, not after minutes of proving
    table = ModeTable.load(options.file)
    claimed = claims.claimed(table)
    quantities = claims.quantities(table)
    if options.method and options.quantity not in (None, "mode"):
        raise ValueError(
            f"--method {options.method} is of the mode: leave out --quantity {options.quantity}, or --method"
        )
    if options.quantity not in (None, "mode", *quantities):
        raise no_moments()
    methods = [options.method] if options.method else list(claimed) if options.quantity in (None, "mode") else []
    asked = [name for name in quantities if not options.method and options.quantity in (None, name)]
    if asked:
        require("flint", "paranoid")  # likewise
    proofs: list[dict[str, object]] = []
    complaints: list[str] = []
    for result in interrupts.each(claims.run(table, methods, options.paranoid)):
        if not proofs and options.plot is not None:
            error_map.picture(result, targets[options.plot])
        claim = claimed.get(result.method)
        say("\n" * bool(proofs) + report.describe_verification(result, claim))
        proofs.append(report.verification_fields(result, claim, table))
        complaints += [why for why in [claims.complaint(result, claim)] if why is not None]
    for found in interrupts.each(claims.run_moments(table, asked)):
        of_moment = quantities[found.quantity]
        say("\n" * bool(proofs) + report.describe_moments(found, of_moment))
        proofs.append(report.moments_fields(found, of_moment, table))
        complaints += [why for why in [claims.moments_complaint(found, of_moment)] if why is not None]
    if options.json is not None:
        text = report.verification_json(proofs, holds=not complaints, single=len(proofs) == 1)
        store.write(targets[options.json], text.encode())
    for why in complaints:
        complain(f"tablegen: {plain(options.file)}: {plain(why)}")
    return 1 if complaints else 0


def _info(options: argparse.Namespace) -> int:
    say(report.describe(ModeTable.load(options.file)))
    return 0


def _plot(options: argparse.Namespace) -> int:
    target = store.check_target(options.output)
    _import_matplotlib()
    table = ModeTable.load(options.file)
    if options.moments and table.moments is None:
        raise no_moments()
    (of_moments.moments_picture if options.moments else pictures.table_picture)(table, target)
    say(f"wrote {plain(options.output)}")
    return 0


def _export(options: argparse.Namespace) -> int:
    default_method, default_output = EXPORTS[options.format]
    method, output = options.method or default_method, options.output or default_output
    if output is None:
        raise ValueError(f"--format {options.format} needs -o OUT, the file to write")
    target = store.check_target(output)
    table = ModeTable.load(options.file)
    with interrupts.ending_the_process():
        if options.format == "c":
            data = c_header.header(table, method, options.command_line, options.quantity)
        else:
            data = onnx_graph.model(table, method, options.quantity)
    store.write(target, data)
    what = ", ".join(f"{name}, method {method!r}" if name == "mode" else name for name in options.quantity)
    say(f"wrote {plain(output)}: {what}, {len(data):,} bytes")
    return 0


def _import_matplotlib() -> None:
    with interrupts.ending_the_process():
        require("matplotlib.figure", "plot")
