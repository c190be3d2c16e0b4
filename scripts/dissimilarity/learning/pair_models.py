"""What a model of pairs is: two images in, the dissimilarity of their fMRI responses out.

A kind of model is a file in scripts/dissimilarity/models with one class of this interface, called
`Model`, and is used by an entry of the config that names it: no list has to be changed.
"""

import dataclasses
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from workflow.lib.config.pair_kinds import model_kinds
from workflow.lib.errors import InputError
from workflow.lib.pairs.sampling import PairSet


@dataclass(frozen=True)
class Items:
    """All that is known of a subject's images; images are counted from 0 in every field.

    Attributes
    ----------
    features : float32 array (n_images, n_features) or None
        An embedding, centred and scaled by the training images of the split alone.
    distances : float array (n_pairs,) or None
        Of the embedding as it is, condensed; of joined ones each scaled by the training images.
    images : uint8 array (n_images, side, side, 3) or None
    responses : float32 array (n_images, n_vertices) or None
        NaN for all images but those of the split's training.
    standardised : bool
        Whether dissimilarities are of responses standardised per vertex, which `responses` are not.
    """

    features: np.ndarray | None = None
    distances: np.ndarray | None = None
    images: np.ndarray | None = None
    responses: np.ndarray | None = None
    standardised: bool = True


@dataclass(frozen=True)
class Training:
    """What a model is trained with.

    Attributes
    ----------
    items : Items
    pairs : PairSet
        Pairs to learn from.
    validation : PairSet or None
        Pairs to stop by; in clean splits their images are in no training pair.
    metric : "correlation" or "euclidean"
        Of the responses.
    checkpoint : Path
        Where a training that can go on after a kill keeps its state.
    purpose : str
        Of the fit, from which randomness follows together with `seed`.
    seed : int
    n_gpus : int
    """

    items: Items
    pairs: PairSet
    validation: PairSet | None
    metric: str
    checkpoint: Path
    purpose: str
    seed: int
    n_gpus: int = 0


class PairModel(Protocol):
    """A kind of model; options of the config are the fields of the dataclass.

    Attributes
    ----------
    needs : tuple of str
        Fields of `Items` that it learns from; a literal, which is read without importing the kind.
    leaked : bool
        Whether it has a leaked split, which an encoding of responses has not; a literal, too.
    stepwise : bool
        Whether it trains step by step, and so has a learning curve; a literal, too.
    symmetric : bool
        Whether f(a, b) = f(b, a) by construction.
    """

    needs: tuple[str, ...]
    leaked: bool
    stepwise: bool
    symmetric: bool

    def fit(self, training: Training) -> pd.DataFrame | None:
        """Learn, and return the learning curve if there is one (`workflow.lib.training`)."""
        ...

    def predict(self, items: Items, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the dissimilarity of images `first` and `second`, (n,) float64."""
        ...


def build(kind: str, options: Mapping[str, Any], where: str = "config") -> PairModel:
    """Return a new model of a kind.

    Raises
    ------
    InputError
        No such kind, or an option that it does not have.
    """
    kinds = model_kinds()
    if kind not in kinds:
        raise InputError(f"{where}: found the kind {kind!r}, expected one of {', '.join(kinds)}")
    model = importlib.import_module(f"scripts.dissimilarity.models.{kind}").Model
    known = [field.name for field in dataclasses.fields(model) if field.init]
    for option in options:
        if option not in known:
            raise InputError(
                f"{where}: found the option {option!r} for the kind {kind}, expected one of "
                f"{', '.join(known)}; correct it"
            )
    return model(**options)
