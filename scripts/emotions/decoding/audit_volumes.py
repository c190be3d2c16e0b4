"""Audit what tested volumes share with those that are learned from, in every split and fold.

snakemake --cores 1 results/demo/movie/tables/leak_audit.csv
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from scripts.emotions.data.timeseries import TimeSeries
from scripts.emotions.decoding.splits import MIN_GAP, SPLITS, Fold, make_folds
from scripts.emotions.labelling.labels import Labels, read_labels
from workflow.lib.jobs import script_job
from workflow.lib.leakage import Part, audit
from workflow.lib.tables import write_table

COLUMNS = (
    *("study", "split", "fold", "n_training", "n_validation", "of", "seen_in", "unit", "min_gap"),
    *("n", "n_shared", "share", "allowed"),
)
# Units of which times less than `MIN_GAP` apart count as shared.
NEAR = ("near movie times", "neighbours")
# Parts, and where their volumes may be seen: what a decoder is tested on, and what it stops by.
PAIRS = (("test", "training"), ("test", "validation"), ("validation", "training"))


def audit_volumes(
    labels: Labels,
    subjects: Sequence[str],
    *,
    study: str,
    splits: Sequence[str],
    n_folds: int,
    validation_share: float,
    seed: int,
) -> pd.DataFrame:
    """Return what labelled volumes of the parts of every fold share.

    Parameters
    ----------
    labels : Labels
    subjects : sequence of n_subjects str
    study : str
    splits : sequence of str
        Keys of `SPLITS`, which say what may not be shared.
    n_folds, validation_share, seed : as decoders have them

    Returns
    -------
    DataFrame with the columns `COLUMNS`, a row per fold, two parts and unit
        n_training, n_validation : labelled volumes of all subjects that a fold learns from, and
        stops or tunes by; decoders without options to tune learn from both
        unit : what is shared, see `scripts.emotions.decoding.splits.Split.apart`
        min_gap : seconds within which times count as shared, NaN for other units
        n, n_shared, share : of the one part (`of`), and those that the other (`seen_in`) has, too
        allowed : whether the split may share them

    Raises
    ------
    InputError
        A split shares what it says it holds apart.
    """
    units = _units(labels, len(subjects))
    tables = []
    for split in splits:
        folds = make_folds(
            labels,
            subjects,
            split,
            n_folds=n_folds,
            validation_share=validation_share,
            seed=seed,
            study=study,
        )
        tables += [_audit_fold(fold, labels, units, study) for fold in folds]
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


def _units(labels: Labels, n_subjects: int) -> dict[str, np.ndarray]:
    """Return the number of what each volume is of, int arrays (n_subjects, n_rows)."""
    shape = n_subjects, labels.n_rows
    runs = np.unique(labels.table["run"], return_inverse=True)[1]
    units = {
        "movie times": labels.moments,
        "episodes": labels.episodes,
        "runs": runs,
        "subjects": np.arange(n_subjects)[:, None],
    }
    # Noise of a scan, and what it is standardised by, is shared with no other scan.
    units["scans"] = scans = np.arange(n_subjects)[:, None] * (runs.max() + 1) + runs
    units = {unit: np.broadcast_to(values, shape) for unit, values in units.items()}
    return units | {"near movie times": np.zeros(shape, int), "neighbours": scans}


def _audit_fold(
    fold: Fold, labels: Labels, units: dict[str, np.ndarray], study: str
) -> pd.DataFrame:
    times = np.broadcast_to(labels.table["shown"].to_numpy(float), fold.test.shape)
    split, tables = SPLITS[fold.name], []
    where = f"{study}, split {fold.name}, fold {fold.number}"
    for of, seen_in in PAIRS:
        chosen = [getattr(fold, part) & labels.labelled for part in (of, seen_in)]
        if not chosen[1].any():
            continue
        apart = split.apart if of == "test" else split.validation_apart or split.apart
        for unit, values in units.items():
            part, other = (
                Part(times=times[some], runs=values[some])
                if unit in NEAR
                else Part(items=values[some])
                for some in chosen
            )
            table = audit(
                other,
                None,
                part,
                claims_clean=unit in apart,
                where=f"{where}, {unit} of {of} in {seen_in}",
                min_gap=MIN_GAP,
            )
            gap = MIN_GAP if unit in NEAR else np.nan
            tables.append(table.assign(of=of, seen_in=seen_in, unit=unit, min_gap=gap))
    numbers = {
        f"n_{part}": int((getattr(fold, part) & labels.labelled).sum())
        for part in ("training", "validation")
    }
    return pd.concat(tables).assign(study=study, split=fold.name, fold=fold.number, **numbers)


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        table = audit_volumes(
            read_labels(snakemake.input.labels, params.classes),
            [TimeSeries(path).subject for path in snakemake.input.timeseries],
            study=snakemake.wildcards.study,
            splits=params.splits,
            n_folds=params.n_folds,
            validation_share=params.validation_share,
            seed=params.seed,
        )
        write_table(table, snakemake.output[0])
