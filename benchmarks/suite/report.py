"""The report of `make bench`: a table of every side, and a section of the README.

python -m benchmarks.suite.report      writes both again from the CSVs in benchmarks/results
"""

import datetime
import math
import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from benchmarks.real_size import cpu_model
from benchmarks.suite.rows import OURS, REFERENCE

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
CSV, MARKDOWN = RESULTS / "engine.csv", RESULTS / "engine.md"
HEADLINE = RESULTS / "headline.csv"
README = ROOT / "README.md"
BEGIN, END = "<!-- benchmarks: written by `make bench` -->", "<!-- end of benchmarks -->"

N_ROIS = 10
BUSY = '; "*": of all processors together, measured beside other work'
PACKAGES = ("numpy", "scipy", "numba", "rsatoolbox", "nilearn", "scikit-learn")
REQUIREMENTS = ROOT / "benchmarks" / "requirements.txt"
EXPLANATION = """\
Every side in a process of its own, on the same arrays, in turns. Time is the median over calls
after the first in a process, and over turns, inputs at hand; the first call also waits for memory
from the system, which takes long on a virtual machine. Work of which one call took four seconds or
more is called once a turn. The ratio is a side's time over ours. Peak memory is the kernel's count
beyond what was held with the inputs loaded. "ours" holds RDMs of more than 1,500 images in float32,
as the workflow does, and sums in float64; all others are given float64 arrays of the same numbers.
The difference is the largest absolute one between a side's results and ours. Times with "~" are
extrapolated from the measured part of the work; times with "*" are those of all processors
together, for the machine did other work as well: two threads count twice."""


def machine(threads: int) -> dict[str, str | int]:
    """Return what the measurements depend on: processor, threads, memory, system, versions."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    found = {name: version(name) for name in PACKAGES} | dict(
        re.findall(r"^(mne-rsa|mne)==(\S+)", REQUIREMENTS.read_text(), flags=re.MULTILINE)
    )
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "processor": cpu_model(),
        "cores": os.cpu_count(),
        "threads": threads,
        "memory_gb": round(pages / 1e9),
        "system": f"{platform.system()} {platform.release()}",
        "versions": ", ".join(
            f"{name} {number}"
            for name, number in {"Python": platform.python_version(), **found}.items()
        ),
        "commit": commit.stdout.strip() or "unknown",
        "date": str(datetime.date.today()),
    }


def duration(seconds: float) -> str:
    """Return seconds in the unit that suits them, with two digits or more."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{_two_digits(seconds / size)} {unit}"
    return f"{_two_digits(seconds)} s"


def _two_digits(number: float) -> str:
    decimals = max(0, 1 - math.floor(math.log10(number))) if number > 0 else 0
    return f"{number:,.{min(decimals, 4)}f}"


def read_lines() -> pd.DataFrame:
    """Return the lines of the last report, those of a time before some columns, too."""
    return pd.read_csv(CSV).pipe(
        lambda table: table.assign(by_processor=table.get("by_processor", False))
    )


def _extrapolated(line: pd.Series) -> bool:
    return line["measured"] < line["total"]


def _seconds(line: pd.Series) -> str:
    return (
        ("~ " if _extrapolated(line) else "")
        + duration(line["seconds"])
        + (" *" if line["by_processor"] else "")
    )


def _how(line: pd.Series) -> str:
    if isinstance(line.get("same_as"), str):
        return f"as in: {line['same_as']}"
    if _extrapolated(line):
        return f"{line['measured']:,} of {line['total']:,} {line['unit'].replace('_', ' ')}"
    return "all"


def markdown(table: pd.DataFrame) -> str:
    """Return a table with a line per side."""
    lines = [
        "| work | by | time | first call | ratio | target | peak MB | difference | measured "
        "| compiling |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for _, line in table.iterrows():
        target = "" if math.isnan(line["target"]) else f"{line['target']:,.0f}"
        difference = "" if math.isnan(line["difference"]) else f"{line['difference']:.1e}"
        compiling = f"{line['compile_seconds']:.0f} s" if line["compile_seconds"] >= 1 else ""
        cells = [
            line["work"],
            line["side"],
            _seconds(line),
            "" if math.isnan(line["first_call"]) else duration(line["first_call"]),
            _two_digits(line["ratio"]),
            target,
            f"{line['peak_mb']:,.0f}",
            difference,
            _how(line),
            compiling,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def missed_targets(table: pd.DataFrame) -> list[str]:
    """Return a line for every ratio below its target."""
    return [
        f"below its target: {line['work']}, {line['side']}: {line['ratio']:.1f} of "
        f"{line['target']:.0f}"
        for _, line in table[table["ratio"] < table["target"]].iterrows()
    ]


def exceeded_limits(table: pd.DataFrame) -> list[str]:
    """Return a line for every side that took longer, or held more, than it may."""
    return [
        f"over its limit: {line['work']}, {line['side']}: {duration(line['seconds'])} and "
        f"{line['peak_mb']:,.0f} MB of {duration(line['most_seconds'])} and "
        f"{line['most_mb']:,.0f} MB"
        for _, line in table.iterrows()
        if line["seconds"] > line["most_seconds"] or line["peak_mb"] > line["most_mb"]
    ]


def description(table: pd.DataFrame) -> str:
    """Return the machine on which a table was measured, in one line."""
    first = table.iloc[0]
    return (
        f"{first['processor']}, {first['cores']} cores, {first['threads']} threads, "
        f"{first['memory_gb']} GB, {first['system']}; {first['versions']}; commit "
        f"{first['commit']}; {first['date']}."
    )


def descriptions(table: pd.DataFrame) -> list[str]:
    """Return the machine of most lines, and those of rows that were measured by themselves."""
    lines = table.apply(lambda line: description(line.to_frame().T), axis=1)
    most = lines.mode()[0]
    others = {text: table.loc[lines == text, "work"] for text in lines[lines != most].unique()}
    return [
        most,
        *(
            f"Measured apart: {'; '.join(dict.fromkeys(work))}: {text}"
            for text, work in others.items()
        ),
    ]


def report(table: pd.DataFrame) -> str:
    """Return the whole report."""
    first = table.iloc[0]
    compiling = table.groupby("row", sort=False)["compile_seconds"].max()
    return "\n\n".join(
        [
            "# The RSA engine beside other libraries",
            f"{first['n_images']:,} images unless said. {EXPLANATION}",
            *descriptions(table),
            markdown(table),
            "Compiling (numba) is done once per machine, kept on disk, and not counted; in this "
            f"run, which started without any, it took {compiling.sum():.0f} s in all.",
            *dict.fromkeys(
                f"Difference of {line['work']}: {line['note']}."
                for _, line in table.iterrows()
                if isinstance(line["note"], str) and line["note"]
            ),
            *missed_targets(table),
            *exceeded_limits(table),
        ]
    )


def headline_sentences(table: pd.DataFrame, headline: pd.DataFrame) -> str:
    """Return what the whole study took, and what the reference's bootstraps alone would take."""
    line = headline.iloc[0]
    sentences = [
        f"The whole BOLD5000 study at its real size ({line['n_images']:,} images, 3 subjects and "
        "their mean, 10 ROIs, 5 layers; Pearson and Spearman, 1,000 resamples, ceilings, 1,000 "
        f"permutations, false discovery rate), through the workflow: {duration(line['seconds'])}, "
        f"largest process {line['peak_mb'] / 1000:.1f} GB, on {line['used']} cores "
        f"({line['processor']}, {line['date']})."
    ]
    if not math.isnan(line["exact_spearman_seconds"]):
        sentences.append(
            "Spearman's intervals come from the jackknife and are checked with 100 exact "
            "resamples; 1,000 exact ones would take "
            f"{duration(line['exact_spearman_seconds'])} more (extrapolated)."
        )
    bootstraps = table[
        table["row"].isin(("bootstrap_pearson", "bootstrap_spearman"))
        & (table["side"] == REFERENCE)
    ]
    # A row holds the three subjects and their mean of one ROI.
    sentences.append(
        "rsatoolbox's bootstraps over images alone would take "
        f"{duration(N_ROIS * bootstraps['seconds'].sum())} (extrapolated from the rows above)."
    )
    return " ".join(sentences)


def readme_section(table: pd.DataFrame, headline: pd.DataFrame | None) -> str:
    """Return the README's table: ours, the reference, and the fastest other library."""
    first = table.iloc[0]
    busy = BUSY if table["by_processor"].any() else ""
    lines = [
        f"| work, {first['n_images']:,} images | ours | rsatoolbox | ratio | fastest other "
        "| largest difference |",
        "|---|---|---|---|---|---|",
    ]
    for _, row in table.groupby("row", sort=False):
        by_side = row.set_index("side", drop=False)
        others = by_side[~by_side["side"].str.startswith(OURS)]
        reference = others[others["side"] == REFERENCE]
        rest = others[others["side"] != REFERENCE].sort_values("seconds")
        with_reference = reference.iloc[0] if len(reference) else None
        fastest = rest.iloc[0] if len(rest) else None
        cells = [
            row["work"].iloc[0],
            _seconds(by_side.loc[OURS]),
            "-" if with_reference is None else _seconds(with_reference),
            "-" if with_reference is None else f"{_two_digits(with_reference['ratio'])}",
            "-" if fastest is None else f"{fastest['side']}: {_seconds(fastest)}",
            f"{others['difference'].max():.0e}" if others["difference"].notna().any() else "-",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(
        [
            *lines,
            "",
            f'{first["processor"]}, {first["threads"]} threads, {first["date"]}; "~": extrapolated '
            f"from a measured part{busy}. Peak memory, versions and what was measured of each are "
            "in [benchmarks/results/engine.md](benchmarks/results/engine.md); `make bench` "
            "measures all of it again.",
            *(["", headline_sentences(table, headline)] if headline is not None else []),
        ]
    )


def with_section(document: str, section: str) -> str:
    """Return a document with the text between the two markers replaced.

    Raises
    ------
    ValueError
        A marker is missing.
    """
    before, rest = document.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{section}\n{END}{after}"


def documents() -> tuple[str, str]:
    """Return the report and the README as the measurements have them."""
    table = read_lines()
    headline = pd.read_csv(HEADLINE) if HEADLINE.is_file() else None
    readme = with_section(README.read_text(), readme_section(table, headline))
    return report(table) + "\n", readme


def write_report(table: pd.DataFrame) -> None:
    """Write the table as CSV and markdown, and the section of the README."""
    table.to_csv(CSV, index=False)
    write_documents()


def write_documents() -> None:
    """Write the report and the section of the README from the measurements."""
    if not CSV.is_file():
        return
    text, readme = documents()
    MARKDOWN.write_text(text)
    README.write_text(readme)


if __name__ == "__main__":
    write_documents()
