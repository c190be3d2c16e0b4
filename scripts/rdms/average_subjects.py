"""Average the subjects' RDMs into a joint one."""

from collections.abc import Iterator, Sequence

import numpy as np

from workflow.lib.jobs import script_job
from workflow.lib.rdms.store import RDMStore, check_same_images, check_same_rows, write_rdms
from workflow.lib.sources import JOINT_SUBJECT


def joint_rdms(
    subjects: Sequence[RDMStore], method: str
) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """Yield the mean RDM over subjects of every ROI and session.

    Parameters
    ----------
    subjects : the subjects' RDM files, with the same ROIs and sessions
    method : "mean" or "standardised"
        The mean of the dissimilarities, in which a subject with larger ones weighs more; or of
        the dissimilarities z-scored within each RDM.

    Yields
    ------
    labels : dict with roi and session
    vector : float64 array (n_pairs,)
    """
    check_same_images(subjects)
    check_same_rows(subjects)
    for row, labels in enumerate(subjects[0].rows()):
        total = np.zeros(subjects[0].n_pairs)
        for subject in subjects:
            vector = subject.vector(row).astype(np.float64)
            total += (vector - vector.mean()) / vector.std() if method == "standardised" else vector
        yield labels, total / len(subjects)


if __name__ == "__main__":
    with script_job(snakemake):
        stores = [RDMStore(path) for path in snakemake.input]
        write_rdms(
            snakemake.output[0],
            joint_rdms(stores, snakemake.params.method),
            names=stores[0].names,
            groups=stores[0].groups,
            measure=stores[0].measure,
            descriptors={"study": snakemake.wildcards.study, "subject": JOINT_SUBJECT},
        )
