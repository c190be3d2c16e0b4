"""Compute how well the dissimilarities of pairs can be predicted at most, where that can be known.

Of a simulation, by the RDM of the responses without noise; of other data, by the mean RDM of the
other subjects over images that all of them saw.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from scripts.dissimilarity.algonauts import Algonauts2023
from scripts.dissimilarity.brain_rdms import rdm_rows
from scripts.dissimilarity.pair_images import read_pair_images
from workflow.lib.jobs import script_job
from workflow.lib.rdms.store import RDMStore
from workflow.lib.rdms.vectors import take_conditions
from workflow.lib.rdms.wide_patterns import wide_distances
from workflow.lib.rsa.comparators import compare
from workflow.lib.rsa.noise_ceiling import noise_ceiling
from workflow.lib.tables import write_table

NOISELESS, OTHERS = "noiseless responses", "other subjects"
CORRELATIONS = ("pearson", "spearman")
# Fewer images say little of how subjects agree.
MIN_SHARED = 50
NSD_ID = re.compile(r"nsd-(\d+)$")


@dataclass(frozen=True)
class Ceiling:
    """What a prediction can reach at most, of one RDM of one subject.

    Attributes
    ----------
    pearson, spearman : (value, upper)
        Correlations with the RDM that stands for the truth; `upper` where that holds the subject's
        own too, else NaN.
    n_images, n_subjects : int
        Behind it.
    note : str
        Why there is none.
    """

    pearson: tuple[float, float]
    spearman: tuple[float, float]
    n_images: int
    n_subjects: int
    note: str = ""

    def values(self) -> dict[str, tuple[float, float]]:
        """Return measure -> (value, upper).

        R2 is that of the best line through the pairs, which is the square of Pearson's r; of
        one that falls, where a flat one serves better, 0.
        """
        squares = tuple(np.maximum(r, 0) ** 2 for r in self.pearson)
        return {"pearson": self.pearson, "spearman": self.spearman, "r2": squares}


UNKNOWN = (np.nan, np.nan)


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
            for measure, (value, upper) in ceiling.values().items()
        ]
    )


def noiseless_ceilings(
    store: RDMStore,
    folder: Path,
    rows: np.ndarray,
    rois: Mapping[str, Sequence[str] | str],
) -> Iterator[tuple[RDMStore, str, str, Ceiling]]:
    """Yield how well the responses without noise tell a subject's measured RDMs.

    Parameters
    ----------
    store : RDMs of the subject
    folder : of the simulation
    rows : int array (n_images,), of the images in the files of responses
    rois : mapping, ROI -> the challenge's ROIs that make it up, or "all"

    Notes
    -----
    Responses without noise are put into the units of the measured ones, each vertex divided by the
    standard deviation of what was measured, as the measured RDM has it: vertices with little
    signal count little. A prediction that also knew how strong the noise is in every image could
    be better still.
    """
    reader = Algonauts2023(folder, store.descriptors["subject"])
    measured_rows = rdm_rows(store, rois)
    for roi, parts in rois.items():
        truth = in_units_of(reader.noiseless(parts, rows), reader.responses(parts, rows))
        metrics = [metric for found, metric in measured_rows if found == roi]
        for metric, vector in wide_distances(truth, metrics).items():
            measured = store.vector(measured_rows[roi, metric])
            found = (_similarity(vector, measured, name) for name in CORRELATIONS)
            yield store, roi, metric, Ceiling(*found, n_images=len(rows), n_subjects=1)


def in_units_of(truth: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Return true responses, each vertex of mean 0 and in standard deviations of the measured one.

    Parameters
    ----------
    truth, measured : float arrays (n_images, n_vertices)

    Returns
    -------
    float64 array (n_images, n_varying)
        Without vertices of which all measured responses are equal.
    """
    deviations = measured.std(axis=0, dtype=np.float64)
    varies = deviations > 0
    kept = truth[:, varies].astype(np.float64)
    return (kept - kept.mean(axis=0)) / deviations[varies]


def _similarity(truth: np.ndarray, measured: np.ndarray, name: str) -> tuple[float, float]:
    return compare(truth[np.newaxis], measured[np.newaxis], name).item(), np.nan


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
            yield (
                store,
                *label,
                Ceiling(**found, n_images=n_shared, n_subjects=n_subjects, note=note),
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


def nsd_image(name: str) -> str:
    """Return the number that an image of the challenge has among all images of its source.

    >>> nsd_image("train-0001_nsd-00013")
    '00013'
    """
    found = NSD_ID.search(name)
    return found[1] if found else name


def _of_simulation(job, stores: Sequence[RDMStore]) -> tuple[str, Iterator]:
    def of_subjects() -> Iterator[tuple[RDMStore, str, str, Ceiling]]:
        for store, images in zip(stores, job.input.images, strict=True):
            rows = read_pair_images(Path(images)).rows
            yield from noiseless_ceilings(store, Path(job.params.folder), rows, job.params.rois)

    return NOISELESS, of_subjects()


def _of_challenge(job, stores: Sequence[RDMStore]) -> tuple[str, Iterator]:
    rois = list(job.params.rois)
    return OTHERS, ceilings_of_others(stores, rois, identity=nsd_image, min_shared=MIN_SHARED)


def _of_rsa(job, stores: Sequence[RDMStore]) -> tuple[str, Iterator]:
    # An RDM correlates with another of the same two images perfectly.
    return OTHERS, ceilings_of_others(stores, list(job.params.rois), identity=str, min_shared=3)


# What is known of the data, by the source of the entry.
SOURCES = {"simulated": _of_simulation, "path": _of_challenge, "rsa": _of_rsa}


if __name__ == "__main__":
    with script_job(snakemake):
        kind, ceilings = SOURCES[snakemake.params.source](
            snakemake, [RDMStore(path) for path in snakemake.input.rdms]
        )
        table = table_of(ceilings, study=snakemake.wildcards.study, kind=kind)
        write_table(table, snakemake.output.table)
