"""Compare the tables, RDMs, arrays, maps and weights of two runs of one config.

    python -m scripts.check.compare_runs results/tiny results/tiny_again [--tolerance 1e-6]

Lists what differs and by how much, the largest first, and exits with status 1 if anything differs
by more than the tolerance.
"""

import argparse
import sys
from pathlib import Path

from workflow.lib.check.same_results import TOLERANCE, Comparison, compare_runs

# Of differences within the tolerance so many are listed; those beyond it all are.
N_LISTED = 20


def said_of(comparison: Comparison, tolerance: float) -> str:
    """Return what a comparison found, a line per difference, and a last one that sums it up."""
    beyond = [found for found in comparison.differences if found.size > tolerance]
    within = comparison.differences[len(beyond) :]
    lines = [f"{found.file}: {found.what}, {_size(found.size)}" for found in beyond]
    lines += [f"{found.file}: {found.what}, {found.size:.1e}" for found in within[:N_LISTED]]
    if len(within) > N_LISTED:
        lines.append(f"... and {len(within) - N_LISTED:,} other differences within {tolerance:g}")
    n_beyond = len({found.file for found in beyond})
    lines.append(
        f"{comparison.n_files:,} files compared: {comparison.n_identical:,} identical byte for "
        f"byte, {n_beyond:,} that differ by more than {tolerance:g}"
    )
    return "\n".join(lines)


def _size(size: float) -> str:
    return "no number" if size == float("inf") else f"{size:.1e} BEYOND THE TOLERANCE"


def main() -> int:
    """Compare the two runs named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs=2, type=Path, help="folders of results")
    parser.add_argument(
        "--tolerance", type=float, default=TOLERANCE, help="largest relative difference"
    )
    arguments = parser.parse_args()
    for run in arguments.runs:
        if not run.is_dir():
            parser.error(f"{run}: found no such folder, expected the results of a run")
    comparison = compare_runs(*arguments.runs)
    print(said_of(comparison, arguments.tolerance))
    if comparison.n_files == 0:
        parser.error("found no results in either folder; give folders such as results/tiny")
    return int(any(found.size > arguments.tolerance for found in comparison.differences))


if __name__ == "__main__":
    sys.exit(main())
