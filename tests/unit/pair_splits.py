"""All splits of one RDM, for tests of what is done with them."""

import numpy as np

from workflow.lib.pairs.splits import PairSplit, make_folds


def make_splits(
    values: np.ndarray, n_images: int, *, n_training_images: int | None = None, **options
) -> list[PairSplit]:
    """Return the clean and one-seen splits of every fold, then the leaked ones.

    Parameters
    ----------
    values : float array (n_images (n_images - 1) / 2,), condensed RDM
    n_images, options : as `workflow.lib.pairs.splits.make_folds`
    n_training_images : without leaked splits, if given
    """
    folds = make_folds(n_images, **options)
    if n_training_images is not None:
        folds = [fold.with_training(n_training_images) for fold in folds]
    of_images = [split for fold in folds for split in fold.image_splits(values)]
    return of_images + [split for fold in folds for split in fold.leaked_splits(values)]
