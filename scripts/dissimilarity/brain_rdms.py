"""RDMs of a subject's responses: those of a folder of the challenge, and those of a study of `rsa`.

Both are files of `workflow.lib.rdms.store`. The first have a metric in the labels of each RDM; the
second have one for the file, and several sessions, of which the mean counts.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.rdms.store import RDMStore


def rdm_rows(store: RDMStore, rois: Collection[str] = ()) -> dict[tuple[str, str], int]:
    """Return (ROI, metric) -> row of the file, without reading an RDM.

    Parameters
    ----------
    store : RDMStore
    rois : collection of str
        ROIs to keep; all if empty.

    Raises
    ------
    InputError
        The file lacks one of these ROIs.
    """
    if "metric" in store.labels:
        found = list(zip(store.labels["roi"], store.labels["metric"], strict=True))
        rows = {label: row for row, label in enumerate(found)}
    else:
        rows = {(roi, store.measure): row for roi, row in store.mean_session_rows().items()}
    known = list(dict.fromkeys(roi for roi, _ in rows))
    for roi in rois:
        if roi not in known:
            raise InputError(
                f"{store.path.name}: found the ROIs {', '.join(known)}, expected {roi} among "
                "them; correct `rois`"
            )
    return {(roi, metric): row for (roi, metric), row in rows.items() if not rois or roi in rois}


def fmri_rdms(
    path: str | Path, rois: Collection[str] = ()
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield ROI, metric and RDM of every RDM of a file; only one is held at a time.

    Parameters
    ----------
    path : str or Path
    rois : collection of str
        ROIs to keep; all if empty.

    Yields
    ------
    roi, metric : str
    vector : float array (n_pairs,), condensed
    """
    store = RDMStore(path)
    for (roi, metric), row in rdm_rows(store, rois).items():
        yield roi, metric, store.vector(row)
