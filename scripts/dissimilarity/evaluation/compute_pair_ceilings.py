"""Compute how well the dissimilarities of pairs can be predicted at most, where that can be known.

Of a simulation, by the RDM of the responses without noise, fold by fold on the pairs that models
are tested on; of other data, by the mean RDM of the other subjects over images that all of them
saw.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from scripts.dissimilarity.data.algonauts import Algonauts2023
from scripts.dissimilarity.data.brain_rdms import ALL_IMAGES, fold_rdms, rdm_rows
from scripts.dissimilarity.data.pair_images import read_pair_images
from scripts.dissimilarity.evaluation.same_images import IDENTITIES
from scripts.dissimilarity.evaluation.score_tables import NOISELESS, OTHERS
from scripts.dissimilarity.fits.pair_folds import label_scalers, subject_folds
from workflow.lib.jobs import script_job
from workflow.lib.pairs.splits import ImageFold
from workflow.lib.rdms.distances import FROM_PRODUCTS
from workflow.lib.rdms.store import RDMStore
from workflow.lib.rdms.vectors import take_conditions
from workflow.lib.rsa.comparators import compare
from workflow.lib.rsa.noise_ceiling import noise_ceiling
from workflow.lib.tables import write_table

CORRELATIONS = ("pearson", "spearman")
# Fewer images say little of how subjects agree.
MIN_SHARED = 50


@dataclass(frozen=True)
class Ceiling:
    """What a prediction can reach at most, of one RDM of one subject.

    Attributes
    ----------
    pearson, spearman, r2 : (value, upper)
        Of the RDM that stands for the truth; `upper`, of other subjects, where that holds the
        subject's own too; of a simulation, where the strength of the noise is known as well.
    n_images, n_subjects : int
        Behind it.
    note : str
        Why there is none.
    """

    pearson: tuple[float, float]
    spearman: tuple[float, float]
    r2: tuple[float, float]
    n_images: int
    n_subjects: int
    note: str = ""


UNKNOWN = (np.nan, np.nan)
MEASURES = (*CORRELATIONS, "r2")


def of_best_line(r: float) -> float:
    """Return R2 of the best line through pairs, given Pearson's r.

    Of a line that falls a flat one serves better, 0.
    """
    return float(np.maximum(r, 0) ** 2)


def table_of(
    ceilings: Iterator[tuple[RDMStore, str, str, Ceiling]], *, study: str, kind: str
) -> pd.DataFrame:
    """Return a row per subject, ROI, metric and measure."""
    return pd.DataFrame(
        [
            {
                "study": study,
                "subject": store.descriptors["subject"],
                "roi": roi,
                "metric": metric,
                "measure": measure,
                "value": value,
                "upper": upper,
                "kind": kind,
                "n_images": ceiling.n_images,
                "n_subjects": ceiling.n_subjects,
                "note": ceiling.note,
            }
            for store, roi, metric, ceiling in ceilings
            for measure in MEASURES
            for value, upper in [getattr(ceiling, measure)]
        ]
    )


def noiseless_ceilings(
    store: RDMStore,
    folder: Path,
    rows: np.ndarray,
    rois: Mapping[str, Sequence[str] | str],
    folds: Sequence[ImageFold],
    standardise: str,
) -> Iterator[tuple[RDMStore, str, str, Ceiling]]:
    """Yield how well the responses without noise tell a subject's measured RDMs.

    Parameters
    ----------
    store : RDMs of the subject
    folder : of the simulation
    rows : int array (n_images,), of the images in the files of responses
    rois : mapping, ROI -> the challenge's ROIs that make it up, or "all"
    folds : of the images
    standardise : "training", "all" or "none"
        By which images the measured responses are standardised.

    Notes
    -----
    Of pairs of two tested images, as clean splits have them: correlations are means over folds, R2
    is that of the best line through the pairs of all folds, as those of models are. Responses
    without noise are put into the units of the measured ones, each vertex divided by the standard
    deviation of what was measured, as the measured RDM has it: vertices with little signal count
    little.

    The correlation of two responses is lower the more noise there is beside what images do. `upper`
    is the ceiling for who knows its strength, too: the squared length of noise, its mean over the
    tested images, is added to that of the responses without noise. Nobody can know how strong it
    was in each image.
    """
    reader = Algonauts2023(folder, store.descriptors["subject"])
    scalers = label_scalers(standardise, folds)
    n_images = sum(fold.tested.size for fold in folds)
    for roi, of_roi in groupby(fold_rdms(store.path, rois), key=lambda rdm: rdm.roi):
        truth, measured = (read(rois[roi], rows) for read in (reader.noiseless, reader.responses))
        scaled = [
            in_units_of(truth, measured, scalers.get(str(fold.number), scalers[ALL_IMAGES]))
            for fold in folds
        ]
        for rdm in of_roi:
            found = [
                np.stack(
                    [
                        take_conditions(rdm.of(fold.number), fold.tested),
                        *expected_distances(*(part[fold.tested] for part in units), rdm.metric),
                    ]
                )
                for fold, units in zip(folds, scaled, strict=True)
            ]
            yield store, roi, rdm.metric, _ceiling_of_folds(found, n_images)


def in_units_of(
    truth: np.ndarray, measured: np.ndarray, over: np.ndarray | slice | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return true and measured responses in standard deviations of the measured ones.

    Parameters
    ----------
    truth, measured : float arrays (n_images, n_vertices)
    over : int array (n,) or slice or None
        Images by which vertices get mean 0, and those measured standard deviation 1; None for
        responses as they are.

    Returns
    -------
    float64 arrays (n_images, n_varying)
        Without vertices of which all measured responses are equal.
    """
    if over is None:
        return truth.astype(np.float64), measured.astype(np.float64)
    deviations = measured[over].std(axis=0, dtype=np.float64)
    varies = deviations > 0
    return tuple(
        (kept - kept[over].mean(axis=0)) / deviations[varies]
        for kept in (values[:, varies].astype(np.float64) for values in (truth, measured))
    )


def expected_distances(
    truth: np.ndarray, measured: np.ndarray, metric: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances of responses without noise, and with as much as there is on average.

    Parameters
    ----------
    truth, measured : float arrays (n_images, n_vertices)
        In the same units.
    metric : key of `workflow.lib.rdms.distances.FROM_PRODUCTS`

    Returns
    -------
    float64 arrays (n_pairs,), condensed
    """
    if metric == "correlation":
        truth, measured = (
            values - values.mean(axis=1, keepdims=True) for values in (truth, measured)
        )
    first, second = np.triu_indices(len(truth), k=1)
    products = (truth @ truth.T)[first, second]
    squares = np.einsum("ij,ij->i", truth, truth)
    noise = max(np.einsum("ij,ij->", measured, measured) / len(truth) - squares.mean(), 0.0)
    return tuple(
        FROM_PRODUCTS[metric](products, lengths[first], lengths[second])
        for lengths in (squares, squares + noise)
    )


def _ceiling_of_folds(folds: Sequence[np.ndarray], n_images: int) -> Ceiling:
    """Return the ceiling of folds, each measured, noiseless and expected distances (3, n_pairs)."""
    values = {
        name: tuple(
            np.mean([compare(fold[1:], fold[:1], name).ravel() for fold in folds], axis=0).tolist()
        )
        for name in CORRELATIONS
    }
    together = np.concatenate(folds, axis=1)
    of_all = compare(together[1:], together[:1], "pearson").ravel().tolist()
    r2 = tuple(map(of_best_line, of_all))
    return Ceiling(**values, r2=r2, n_images=n_images, n_subjects=1)


def ceilings_of_others(
    stores: Sequence[RDMStore],
    rois: Sequence[str],
    *,
    identity: Callable[[str], str],
    min_shared: int,
) -> Iterator[tuple[RDMStore, str, str, Ceiling]]:
    """Yield how well the mean RDM of the other subjects tells each subject's.

    Parameters
    ----------
    stores : RDMs of each subject
    rois : ROIs to keep; all if empty
    identity : callable, name of an image -> by what subjects' images are known to be the same
    min_shared : int
        Least number of images that all subjects saw.

    Notes
    -----
    The lower noise ceiling of `workflow.lib.rsa.noise_ceiling` of each subject; `upper` is its
    upper one.
    """
    orders = shared_orders([[identity(name) for name in store.names] for store in stores])
    n_shared, n_subjects = orders.shape[1], len(stores)
    note = _why_none(n_shared, n_subjects, min_shared)
    rows = [rdm_rows(store, rois) for store in stores]
    for label in rows[0]:
        if note:
            shares = {name: [UNKNOWN] * n_subjects for name in CORRELATIONS}
        else:
            vectors = np.stack(
                [
                    take_conditions(store.vector(row[label]), order)
                    for store, row, order in zip(stores, rows, orders, strict=True)
                ]
            )
            shares = {
                name: list(zip(*noise_ceiling(vectors, name), strict=True)) for name in CORRELATIONS
            }
        for i, store in enumerate(stores):
            found = {name: shares[name][i] for name in CORRELATIONS}
            r2 = tuple(map(of_best_line, found["pearson"]))
            yield (
                store,
                *label,
                Ceiling(**found, r2=r2, n_images=n_shared, n_subjects=n_subjects, note=note),
            )


def _why_none(n_shared: int, n_subjects: int, min_shared: int) -> str:
    """Return why there is no ceiling, nothing if there is one."""
    if n_subjects < 2:
        return "one subject, no others to compare with"
    if n_shared < min_shared:
        return f"{n_shared} images were seen by all {n_subjects} subjects, {min_shared} are needed"
    return ""


def shared_orders(names: Sequence[Sequence[str]]) -> np.ndarray:
    """Return where each subject has the images that all have, in the order of the first.

    Parameters
    ----------
    names : of the images of each subject

    Returns
    -------
    int array (n_subjects, n_shared)
    """
    places = [{name: place for place, name in enumerate(own)} for own in names]
    shared = [name for name in names[0] if all(name in place for place in places)]
    return np.array([[place[name] for name in shared] for place in places], dtype=np.int64)


def _of_simulation(job, stores: Sequence[RDMStore]) -> tuple[str, Iterator]:
    def of_subjects() -> Iterator[tuple[RDMStore, str, str, Ceiling]]:
        params, study = job.params, job.wildcards.study
        for store, path in zip(stores, job.input.images, strict=True):
            images = read_pair_images(Path(path))
            subject = store.descriptors["subject"]
            folds = subject_folds(
                images, params.splits, study=study, subject=subject, seed=params.seed
            )
            yield from noiseless_ceilings(
                store, Path(params.folder), images.rows, params.rois, folds, params.labels
            )

    return NOISELESS, of_subjects()


def _of_challenge(job, stores: Sequence[RDMStore]) -> tuple[str, Iterator]:
    rois, identity = list(job.params.rois), IDENTITIES["path"]
    return OTHERS, ceilings_of_others(stores, rois, identity=identity, min_shared=MIN_SHARED)


def _of_rsa(job, stores: Sequence[RDMStore]) -> tuple[str, Iterator]:
    # An RDM correlates with another of the same two images perfectly.
    rois, identity = list(job.params.rois), IDENTITIES["rsa"]
    return OTHERS, ceilings_of_others(stores, rois, identity=identity, min_shared=3)


# What is known of the data, by the source of the entry.
SOURCES = {"simulated": _of_simulation, "path": _of_challenge, "rsa": _of_rsa}


if __name__ == "__main__":
    with script_job(snakemake):
        kind, ceilings = SOURCES[snakemake.params.source](
            snakemake, [RDMStore(path) for path in snakemake.input.rdms]
        )
        table = table_of(ceilings, study=snakemake.wildcards.study, kind=kind)
        write_table(table, snakemake.output.table)
