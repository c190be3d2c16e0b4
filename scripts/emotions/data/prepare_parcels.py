"""Prepare the parcel time series of one subject: the parcels that all subjects have, run by run."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from scripts.emotions.data.timeseries import write_timeseries
from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job
from workflow.lib.words import one_line


def common_parcels(files: Sequence[str | Path]) -> list[str]:
    """Return the parcels that all files have, in the order of the first; reads headers only.

    Parameters
    ----------
    files : sequence of paths
        A .csv per subject and run whose header names parcels.

    Raises
    ------
    InputError
        A file that is missing or not readable, a parcel twice in a file, or none in common.
    """
    headers = {str(file): _header(file) for file in files}
    first = next(iter(headers.values()))
    common = set(first).intersection(*headers.values())
    if not common:
        raise InputError(
            f"{files[0]}: found no parcel that all {len(files)} files have, expected some; give "
            "time series of one parcellation"
        )
    return [name for name in first if name in common]


def _header(path: str | Path) -> list[str]:
    # Pandas would tell the second of two equal names from the first.
    names = _read(path, header=None, nrows=1, dtype=str).iloc[0].str.strip().tolist()
    if any(not isinstance(name, str) or not name for name in names):
        raise InputError(
            f"{path}: found a column without a name in the header, expected that of a parcel; "
            "leave the column out, or name it"
        )
    twice = [name for name, n_columns in Counter(names).items() if n_columns > 1]
    if twice:
        raise InputError(
            f"{path}: found the parcel {twice[0]} twice in the header, expected each once; "
            "correct the file"
        )
    return names


def _read(path: str | Path, **options: object) -> pd.DataFrame:
    try:
        return pd.read_csv(path, **options)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: found no readable table ({one_line(error)}), expected a .csv with a column "
            "per parcel and a row per volume; download it again, or leave out the run"
        ) from error


def read_parcels(path: str | Path, names: Sequence[str], n_volumes: int) -> np.ndarray:
    """Return the time series of some parcels in one run.

    Parameters
    ----------
    path : str or Path
    names : sequence of n_parcels str
    n_volumes : int
        Of the run.

    Returns
    -------
    float64 array (n_volumes, n_parcels)

    Raises
    ------
    InputError
        Another number of rows, a parcel that is missing, or one without numbers or variance.
    """
    table = _read(path).rename(columns=str.strip)
    if len(table) != n_volumes:
        raise InputError(
            f"{path}: found {len(table)} rows, expected {n_volumes}, one per volume of the run; "
            "correct `n_volumes` in the config, or give the file of this run"
        )
    missing = [name for name in names if name not in table]
    if missing:
        raise InputError(
            f"{path}: found no parcel {missing[0]}, expected it as in the other files; download it "
            "again"
        )
    values = table[list(names)].apply(_numbers).to_numpy(np.float64)
    for bad, what in (
        (~np.isfinite(values).all(axis=0), "a value that is no number"),
        (np.ptp(values, axis=0) == 0, "one constant value"),
    ):
        if bad.any():
            raise InputError(
                f"{path}: found {what} in parcel {names[bad.argmax()]}, expected a time series; "
                "leave out the run or the subject"
            )
    return values


def _numbers(cells: pd.Series) -> pd.Series:
    """Return cells as numbers, NaN where they are none."""
    try:
        return pd.to_numeric(cells, errors="coerce")
    except OverflowError:  # hundreds of digits
        return pd.Series(np.nan, cells.index)


def prepare_parcels(
    path: str | Path,
    files: Mapping[str, str | Path],
    *,
    subject: str,
    tr: float,
    n_volumes: Mapping[str, int],
    all_files: Sequence[str | Path],
    standardise: bool,
) -> None:
    """Write the time series of a subject's parcels.

    Parameters
    ----------
    path : str or Path
        Of the file for `scripts.emotions.data.timeseries.TimeSeries`.
    files : mapping, run -> path
        In the order of the movie.
    subject : str
    tr : float
        Seconds between volumes.
    n_volumes : mapping, run -> int
    all_files : sequence of paths
        Of all subjects and runs, whose common parcels are kept.
    standardise : bool
        Whether each parcel gets mean 0 and standard deviation 1 in every run, as the published
        ones have.

    Raises
    ------
    InputError
        See `common_parcels` and `read_parcels`.
    """
    names = common_parcels(all_files)
    runs = {run: read_parcels(file, names, n_volumes[run]) for run, file in files.items()}
    if standardise:
        runs = {run: (own - own.mean(axis=0)) / own.std(axis=0) for run, own in runs.items()}
    write_timeseries(path, runs, subject=subject, tr=tr, names=names)


if __name__ == "__main__":
    with script_job(snakemake):
        params, given = snakemake.params, snakemake.input
        prepare_parcels(
            snakemake.output[0],
            dict(zip(params.n_volumes, given.own, strict=True)),
            subject=snakemake.wildcards.subject,
            tr=params.tr,
            n_volumes=params.n_volumes,
            all_files=given.all,
            standardise=params.standardise,
        )
