"""RDMs of categories from the activations of a layer to many images of each.

As in the publication: units are standardised over images, principal components kept that hold
90 % of the variance, their scores averaged over the images of each category, and categories
compared. All of it follows from the products between images, so that wide layers are no matter.

Which distance: Pearson's correlation over components depends on the signs of the components, which
are arbitrary: turn one round, and the mean over components that is taken off is another. The
cosine over components is the same for any signs and any rotation, and is what is used here;
`correlation` gives the published distance, under the usual choice that each component's largest
score is positive.
"""

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.rdms.components import principal_scores
from workflow.lib.rdms.distances import pattern_distances

METRICS = ("cosine", "correlation")


def category_rdm(
    gram: np.ndarray, codes: np.ndarray, *, variance: float = 0.9, metric: str = "cosine"
) -> np.ndarray:
    """Return the distances between categories.

    Parameters
    ----------
    gram : float64 array (n_images, n_images)
        Products of the images' activations, units standardised over images.
    codes : int array (n_images,)
        Category of each image, 0 to n_categories - 1.
    variance : float
        Share of the variance that the kept components hold at least.
    metric : "cosine" or "correlation"
        Over components.

    Returns
    -------
    float64 array (n_pairs,)

    Raises
    ------
    InputError
        An unknown metric, or a category without images.
    """
    if metric not in METRICS:
        raise InputError(f"found the metric {metric!r}, expected one of {', '.join(METRICS)}")
    scores = principal_scores(gram, variance=variance)
    return pattern_distances(category_means(scores, codes), metric)


def category_means(scores: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the mean scores of each category, (n_categories, n_components)."""
    counts = np.bincount(codes)
    if not counts.all():
        raise InputError(
            f"found no image of category number {int(np.argmin(counts))}, expected some of each; "
            "give images of it or leave it out of the config's categories"
        )
    sums = np.zeros((len(counts), scores.shape[1]))
    np.add.at(sums, codes, scores)
    return sums / counts[:, np.newaxis]
