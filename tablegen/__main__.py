"""The command line of tablegen: build, verify, info, distill, plot, export.

Exit status: 0 done; 1 `verify` could not prove what the file claims; 2 wrong use, an unusable file or nowhere to write
to, with one line on standard error; 130 interrupted, with one line; 141 whoever read standard output has gone.
Whatever the end, an output file is the old one or the new one, whole.
"""

import os
import sys

from tablegen import interrupts


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; see the module for the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    # Proofs take turns between torch, NumPy and threads of their own. Idle threads of torch and of NumPy's BLAS, which
    # spin unless told so before they load, cost threefold, and tenfold on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with interrupts.ending_the_process():  # torch takes seconds to import
        from tablegen import commands
        from tanhlut import terminal
    return terminal.run("tablegen", lambda: commands.run(words))


if __name__ == "__main__":
    sys.exit(main())
