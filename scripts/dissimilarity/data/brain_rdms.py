"""RDMs of a subject's responses: those of a folder of the challenge, and those of a study of `rsa`.

Both are files of `workflow.lib.rdms.store`. The first have a metric in the labels of each RDM, and
the fold whose training images the responses are standardised by; the second have one metric for the
file, and several sessions, of which the mean counts.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.rdms.store import RDMStore

# The label `fold` of RDMs of responses that are not standardised by a fold's training images.
ALL_IMAGES = "all"
# Descriptor of a file: the ROIs, a line each, of which its subject has no vertex.
WITHOUT_VERTICES = "rois_without_vertices"


def rdm_rows(
    store: RDMStore, rois: Collection[str] = (), fold: str = ALL_IMAGES
) -> dict[tuple[str, str], int]:
    """Return (ROI, metric) -> row of the file, without reading an RDM.

    Parameters
    ----------
    store : RDMStore
    rois : collection of str
        ROIs to keep; all if empty. Those that the subject has no vertex of are left out.
    fold : str
        Label of the RDMs; those of a study of `rsa` serve every fold.

    Raises
    ------
    InputError
        The file lacks one of these ROIs.
    """
    if "metric" in store.labels:
        labels = zip(store.labels["roi"], store.labels["metric"], _folds(store), strict=True)
        rows = {(roi, metric): row for row, (roi, metric, of) in enumerate(labels) if of == fold}
    else:
        rows = {(roi, store.measure): row for roi, row in store.mean_session_rows().items()}
    known = list(dict.fromkeys(roi for roi, _ in rows))
    left_out = store.descriptors.get(WITHOUT_VERTICES, "").splitlines()
    for roi in rois:
        if roi not in [*known, *left_out]:
            raise InputError(
                f"{store.path.name}: found the ROIs {', '.join(known)}, expected {roi} among "
                "them; correct `rois`"
            )
    return {(roi, metric): row for (roi, metric), row in rows.items() if not rois or roi in rois}


@dataclass(frozen=True)
class FoldRDMs:
    """The dissimilarities of an ROI by one metric, as each fold is trained and tested on them.

    Attributes
    ----------
    roi, metric : str
    of : function, number of a fold or None -> condensed RDM, float array (n_pairs,)
        None for that of all images. RDMs are read when they are asked for, and not kept.
    """

    roi: str
    metric: str
    of: Callable[[int | None], np.ndarray]


def fold_rdms(path: str | Path, rois: Collection[str] = ()) -> Iterator[FoldRDMs]:
    """Yield what an RDM file has of every ROI and metric.

    Parameters
    ----------
    path : str or Path
    rois : collection of str
        ROIs to keep; all if empty.

    Raises
    ------
    InputError
        The file lacks one of these ROIs; or, once asked for, a fold, while it has others.
    """
    store = RDMStore(path)
    rows = {fold: rdm_rows(store, rois, fold) for fold in dict.fromkeys(_folds(store))}
    for roi, metric in rows[ALL_IMAGES]:
        of_folds = {fold: of_fold[roi, metric] for fold, of_fold in rows.items()}
        yield FoldRDMs(roi, metric, partial(_vector, store, of_folds))


def _folds(store: RDMStore) -> list[str]:
    return store.labels.get("fold", [ALL_IMAGES] * store.n_rdms)


def _vector(store: RDMStore, rows: dict[str, int], fold: int | None) -> np.ndarray:
    label = ALL_IMAGES if fold is None or list(rows) == [ALL_IMAGES] else str(fold)
    if label not in rows:
        raise InputError(
            f"{store.path.name}: found RDMs of the folds {', '.join(rows)}, expected fold {label} "
            "among them; run again, so that the file has the folds of `splits`"
        )
    return store.vector(rows[label])
