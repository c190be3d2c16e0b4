"""How layers fare in the regions of codes of one subject: means over spheres, errors of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scripts.digits.regions.choices import ALL_PAIRS, OWN_PAIRS
from scripts.digits.regions.code_regions import Choice, chosen_centres, overlap
from workflow.lib.rdms.store import RDMStore, check_same_images
from workflow.lib.rdms.vectors import n_conditions, take_conditions
from workflow.lib.rsa.comparators import prepare
from workflow.lib.rsa.model_layers import ModelLayers


@dataclass(frozen=True, eq=False)
class Models:
    """What regions are chosen by and tested with.

    Attributes
    ----------
    codes : dict, code -> float64 array (n_pairs,)
        One where the code tells two categories apart, else zero.
    rows : DataFrame (n_layers), columns model and layer
        What is compared with spheres: layers of the network, and codes as a check.
    vectors : float64 array (n_layers, n_pairs)
    """

    codes: dict[str, np.ndarray]
    rows: pd.DataFrame
    vectors: np.ndarray

    @classmethod
    def of(cls, layers: RDMStore, codes: RDMStore) -> "Models":
        """Return them from RDM files over the same categories."""
        check_same_images([layers, codes])
        both = ModelLayers([layers, codes])
        by_code = dict(zip(codes.labels["layer"], codes.vectors(), strict=True))
        return cls(by_code, both.table, both.vectors())

    def pairs(self, code: str) -> dict[str, np.ndarray]:
        """Return the pairs of categories that are compared in the region of a code."""
        own = np.flatnonzero(self.codes[code])
        return {ALL_PAIRS: np.arange(self.codes[code].size), OWN_PAIRS: own}


def region_table(
    choices: Sequence[Choice],
    models: Models,
    *,
    comparator: str,
    share: float,
    category_errors: bool,
) -> pd.DataFrame:
    """Return how every layer fares in one subject's region of every code.

    Parameters
    ----------
    choices : as `choices_of` returns them
    models : Models
    comparator : a key of `workflow.lib.searchlight.sphere_rdms.COMPARATORS`
    share : of the spheres that make up a region
    category_errors : bool
        Whether standard errors over categories are estimated.

    Returns
    -------
    DataFrame, a row per code, `chosen_in`, pairs, model and layer
        similarity, the mean over the spheres of the region; of_positive, that over spheres of
        positive similarity alone, if there are any; se, standard error of similarity over
        categories by the jackknife; n_voxels in the region; n_pairs, and n_categories in them;
        overlap, Dice's coefficient of the regions chosen in the two halves. NaN where the layer
        does not vary over the pairs.
    """
    maps = [maps for choice in choices for maps in (choice.chooser, choice.tested.maps)]
    usable = np.isfinite(maps).all(axis=(0, 1))
    tables = []
    for number, code in enumerate(models.codes):
        for chosen_in in dict.fromkeys(choice.chosen_in for choice in choices):
            own = [choice for choice in choices if choice.chosen_in == chosen_in]
            regions = [chosen_centres(one.chooser[number], usable, share) for one in own]
            spheres = [
                choice.tested.light.rdms(region)
                for choice, region in zip(own, regions, strict=True)
            ]
            for pairs, chosen in models.pairs(code).items():
                columns = _fare(spheres, models.vectors, chosen, comparator, category_errors)
                tables.append(
                    models.rows.assign(
                        code=code,
                        chosen_in=chosen_in,
                        pairs=pairs,
                        **columns,
                        n_voxels=regions[0].size,
                        n_pairs=chosen.size,
                        n_categories=categories_of(chosen, models.vectors.shape[1]).size,
                        overlap=overlap(*regions) if len(regions) == 2 else np.nan,
                    )
                )
    return pd.concat(tables, ignore_index=True)


def _fare(
    spheres: Sequence[np.ndarray],
    layers: np.ndarray,
    pairs: np.ndarray,
    comparator: str,
    category_errors: bool,
) -> dict[str, np.ndarray]:
    """Return the mean similarity of layers over spheres and regions, and what belongs to it."""

    def similarities(some: np.ndarray) -> list[np.ndarray]:
        return [layer_similarities(part[:, some], layers[:, some], comparator) for part in spheres]

    found = similarities(pairs)
    error = np.full(len(layers), np.nan)
    if category_errors:
        kept = pairs_without_each_category(pairs, layers.shape[1])
        left = [_mean(similarities(some)) for some in kept]
        error = delete_one_error(np.stack(left))
    return {
        "similarity": _mean(found),
        "of_positive": _mean([_of_positive(part) for part in found]),
        "se": error,
    }


def _of_positive(part: np.ndarray) -> np.ndarray:
    """Return the positive similarities of each layer, all of a layer that has none; else NaN."""
    positive = part > 0
    return np.where(positive | ~positive.any(axis=1, keepdims=True), part, np.nan)


def _mean(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean over regions of the mean over spheres, those without a value left out."""
    means = []
    for part in parts:
        defined = np.isfinite(part)
        with np.errstate(invalid="ignore"):
            means.append(np.where(defined, part, 0).sum(axis=1) / defined.sum(axis=1))
    return np.mean(means, axis=0)


def layer_similarities(spheres: np.ndarray, layers: np.ndarray, comparator: str) -> np.ndarray:
    """Return the similarity of every layer with the RDM of every sphere.

    Parameters
    ----------
    spheres : float array (n_spheres, n_pairs)
    layers : float array (n_layers, n_pairs)
    comparator : a key of `workflow.lib.searchlight.sphere_rdms.COMPARATORS`

    Returns
    -------
    float64 array (n_layers, n_spheres)
        NaN where either does not vary over the pairs.
    """
    found = np.full((len(layers), len(spheres)), np.nan)
    varying = np.ix_(_vary(layers), _vary(spheres))
    if found[varying].size:
        chosen = (layers[varying[0].ravel()], spheres[varying[1].ravel()])
        left, right = (prepare(rdms.astype(np.float64), comparator) for rdms in chosen)
        found[varying] = left @ right.T
    return found


def _vary(rdms: np.ndarray) -> np.ndarray:
    """Return which RDMs vary; one of NaN does not, nor does one of no pairs."""
    return rdms.max(axis=1, initial=-np.inf) > rdms.min(axis=1, initial=np.inf)


def categories_of(pairs: np.ndarray, n_pairs: int) -> np.ndarray:
    """Return the categories in some of n_pairs pairs, int64 array, sorted."""
    first, second = np.triu_indices(n_conditions(n_pairs), 1)
    return np.union1d(first[pairs], second[pairs])


def pairs_without_each_category(pairs: np.ndarray, n_pairs: int) -> Iterator[np.ndarray]:
    """Yield what is left of some of n_pairs pairs without each of their categories in turn.

    Categories that are in none of these pairs say nothing of them, and are not left out.
    """
    n = n_conditions(n_pairs)
    for category in categories_of(pairs, n_pairs):
        rest = take_conditions(np.arange(n_pairs), np.delete(np.arange(n), category))
        yield np.intersect1d(pairs, rest)


def delete_one_error(left_out: np.ndarray) -> np.ndarray:
    """Return the standard error of a statistic from its values without each of n observations.

    Parameters
    ----------
    left_out : float array (n, ...)

    Returns
    -------
    float64 array (...)

    References
    ----------
    Tukey 1958, Ann Math Stat 29:614; Efron 1982, The jackknife, the bootstrap and other resampling
    plans.
    """
    n = len(left_out)
    return np.sqrt((n - 1) * left_out.var(axis=0))
