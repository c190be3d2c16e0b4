"""Measure the RSA engine beside other libraries on the same arrays.

    make bench                                              everything, 20 minutes on two cores
    python -m benchmarks.engine --quick                     as small as it is still worth a look
    python -m benchmarks.engine --rows pearson_table mantel --n-images 1000
    python -m benchmarks.engine --rows cortex_rdms --add    in place of what the report has of it

Every side of a row (benchmarks/suite/rows.py) runs in a process of its own, in turns, so that its
peak of memory is its own: the kernel's count beyond what was held with the inputs loaded. Seconds
are medians over calls and turns, without reading the inputs and without what numba compiles at its
first use on a machine, which is measured apart. Where only part of the work is done (a resample of
rsatoolbox takes up to a minute), the rest is extrapolated, and the report says so.

Prints the table; with all rows at the size of the study, writes it to benchmarks/results/engine.csv
and .md, and into the README. Ends with an error where results differ by more than they may; a
target that is missed is printed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.suite.inputs import INPUTS, QUICK, Sizes
from benchmarks.suite.report import (
    exceeded_limits,
    machine,
    markdown,
    missed_targets,
    read_lines,
    write_report,
)
from benchmarks.suite.rows import ROWS, Row, Side
from workflow.lib.rdms.vectors import working_dtype

ROOT = Path(__file__).resolve().parents[1]
# mne-rsa and what it needs are installed beside this project, not in it.
MNE_PYTHON = ROOT / "benchmarks" / ".venv" / "bin" / "python"
# A side that took so long in its first turn has no second one.
LONG_SECONDS = 10.0


@dataclass
class Measured:
    """What was measured of one side over all turns.

    Attributes
    ----------
    first, again : dict, units -> list of (clock, processor)
        Seconds of the first call in each process, and of all later ones, by the clock and of all
        processors; the latter hardly depend on what else the machine does.
    peak_mb, compile_seconds : float
        The largest of all turns.
    results : dict, name -> array
    """

    first: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    again: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    peak_mb: float = 0.0
    compile_seconds: float = 0.0
    results: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, report: dict) -> None:
        """Add the report of one turn."""
        for units, (first, *again) in report["seconds"].items():
            self.first.setdefault(int(units), []).append(first)
            self.again.setdefault(int(units), []).extend(again)
        self.peak_mb = max(self.peak_mb, report["peak_mb"])
        self.compile_seconds = max(self.compile_seconds, report["compile_seconds"])

    @property
    def in_one_turn(self) -> float:
        """Seconds that a turn takes without its processes' start."""
        n_turns = len(next(iter(self.first.values())))
        calls = [
            call for part in (self.first, self.again) for calls in part.values() for call in calls
        ]
        return sum(clock for clock, _ in calls) / n_turns

    def seconds(self, total: int) -> tuple[float, float]:
        """Return the seconds of all units, along the line through the two that were measured.

        Of calls that could be repeated, the first is left out.
        """
        points = {
            units: np.median(self.again[units] or first, axis=0)
            for units, first in self.first.items()
        }
        most, fewest = max(points), min(points) if len(points) > 1 else 0
        slope = (points[most] - points.get(fewest, 0.0)) / (most - fewest)
        return tuple(points[most] + (total - most) * slope)


class Bench:
    """Runs rows in processes, with inputs and compiled code in a folder of their own."""

    def __init__(self, folder: Path, sizes: Sizes, *, threads: int, turns: int) -> None:
        self.folder, self.sizes, self.turns = folder, sizes, turns
        self.environment = os.environ | {
            **dict.fromkeys(
                (
                    "OMP_NUM_THREADS",
                    "OPENBLAS_NUM_THREADS",
                    "MKL_NUM_THREADS",
                    "NUMBA_NUM_THREADS",
                ),
                str(threads),
            ),
            # What numba compiles is compiled once per run, whatever was compiled before.
            "NUMBA_CACHE_DIR": str(folder / "numba"),
            "PYTHONPATH": str(ROOT),
            "PYTHONNOUSERSITE": "1",
            "MNE_DONTWRITE_HOME": "true",
        }

    def measure(self, row: Row) -> dict[str, Measured]:
        """Return what was measured of every side of a row."""
        sides = [side for side in row.sides if self._python(side).is_file()]
        smallest = min(row.measured_units(side, self.sizes)[-1] for side in sides)
        measured = {side.label: Measured() for side in sides}
        for turn in range(self.turns):
            for side in sides:
                so_far = measured[side.label]
                if turn and so_far.in_one_turn > LONG_SECONDS:
                    continue
                so_far.add(self._run(row, side, [] if turn else [smallest]))
                if not turn:
                    with np.load(self.folder / f"{smallest}.npz") as file:
                        so_far.results = dict(file)
        return measured

    def _run(self, row: Row, side: Side, kept_results: Sequence[int]) -> dict:
        """Run one side once, in a process; return its report."""
        working = np.dtype(working_dtype(self.sizes.n_images)).name
        job = {
            "module": side.module,
            "function": side.function or row.name,
            "inputs": row.inputs,
            "file": str(self._inputs(row.inputs)),
            "dtype": working if side.dtype == "working" else side.dtype,
            "units": row.measured_units(side, self.sizes),
            "results": kept_results,
            "folder": str(self.folder),
        }
        path = self.folder / "job.json"
        path.write_text(json.dumps(job))
        done = subprocess.run(
            [self._python(side), "-m", "benchmarks.suite.measure", path],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{row.name}, {side.label}: failed\n{done.stderr[-4000:]}")
        return json.loads((self.folder / "report.json").read_text())

    def _inputs(self, name: str) -> Path:
        path = self.folder / f"{name}.npz"
        if not path.is_file():
            np.savez(path, **INPUTS[name](self.sizes))
        return path

    @staticmethod
    def _python(side: Side) -> Path:
        return MNE_PYTHON if side.module == "with_mne_rsa" else Path(sys.executable)


def largest_difference(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> float:
    """Return the largest absolute difference over all results that both sides have."""
    return max(
        float(np.max(np.abs(ours[name].astype(np.float64) - theirs[name]), initial=0))
        for name in sorted(ours.keys() & theirs.keys())
    )


def table_rows(
    row: Row,
    measured: dict[str, Measured],
    sizes: Sizes,
    known: Sequence[dict],
    *,
    by_processor: bool = False,
) -> Iterator[dict]:
    """Yield a line of the table for every side of a row, ours first.

    Parameters
    ----------
    row : Row
    measured : mapping, side -> Measured
    sizes : Sizes
    known : lines of rows before, to which a row may refer
    by_processor : whether times are those of all processors together, not by the clock
    """
    which = int(by_processor)
    total = row.n_units(sizes)
    our_label, ours = next(iter(measured.items()))
    our_seconds = ours.seconds(total)[which]
    none = (np.nan, np.nan)
    for label, side in measured.items():
        most_seconds, most_mb = (row.limits or none) if label == our_label else none
        both, units = side.seconds(total), max(side.first)
        yield {
            "row": row.name,
            "work": row.title,
            "side": label,
            "seconds": both[which],
            "processor_seconds": both[1],
            "by_processor": by_processor,
            "first_call": np.median(side.first[units], axis=0)[which] if units == total else np.nan,
            "ratio": both[which] / our_seconds,
            "target": row.targets.get(label, np.nan),
            "most_seconds": most_seconds,
            "most_mb": most_mb,
            "peak_mb": side.peak_mb,
            "difference": np.nan
            if label == our_label
            else largest_difference(ours.results, side.results),
            "tolerance": row.tolerance,
            "note": row.note,
            "measured": units,
            "total": total,
            "unit": row.unit,
            "compile_seconds": side.compile_seconds,
        }
    for line in known:
        if (line["row"], line["side"]) == row.reference:
            yield line | {
                "row": row.name,
                "work": row.title,
                "ratio": line["seconds"] / our_seconds,
                "target": row.targets.get(line["side"], np.nan),
                "difference": np.nan,
                "same_as": line["work"],
            }


def parsed_arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-images", type=int, help=f"default: {Sizes.n_images}")
    parser.add_argument("--quick", action="store_true", help="small inputs, one turn")
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS])
    parser.add_argument(
        "--add", action="store_true", help="write the rows into the report, beside all others"
    )
    parser.add_argument(
        "--processor",
        action="store_true",
        help="times of all processors together, which hardly depend on other work of the machine",
    )
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    return parser.parse_args()


def with_earlier(table: pd.DataFrame, rows: Sequence[Row]) -> pd.DataFrame:
    """Return lines just measured among those that the report has of other rows, in their order."""
    earlier = read_lines()
    kept = earlier[~earlier["row"].isin([row.name for row in rows])]
    order = {row.name: place for place, row in enumerate(ROWS)}
    together = pd.concat([kept, table], ignore_index=True)
    return together.sort_values("row", key=lambda names: names.map(order), kind="stable")


def main() -> None:
    """Measure, print, and write the report."""
    arguments = parsed_arguments()
    sizes = QUICK if arguments.quick else Sizes()
    if arguments.n_images:
        sizes = replace(sizes, n_images=arguments.n_images)
    rows = [row for row in ROWS if not arguments.rows or row.name in arguments.rows]
    lines: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        turns = 1 if arguments.quick else arguments.turns
        bench = Bench(Path(folder), sizes, threads=arguments.threads, turns=turns)
        for row in rows:
            found = bench.measure(row)
            new = list(table_rows(row, found, sizes, lines, by_processor=arguments.processor))
            lines += new
            print(markdown(pd.DataFrame(new)), end="\n\n", flush=True)
    table = pd.DataFrame(lines).assign(n_images=sizes.n_images, **machine(arguments.threads))
    if sizes == Sizes() and (arguments.add or len(rows) == len(ROWS)):
        write_report(with_earlier(table, rows) if arguments.add else table)
    print("\n".join(missed_targets(table) + exceeded_limits(table)))
    unequal = table[table["difference"] > table["tolerance"]]
    if len(unequal):
        sys.exit(f"results differ by more than they may:\n{markdown(unequal)}")


if __name__ == "__main__":
    main()
