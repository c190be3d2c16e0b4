"""Several embeddings of the same images side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.dissimilarity.embeddings.embeddings import Embedding
from workflow.lib.pairs.sampling import PairSet


@dataclass(frozen=True)
class Joined:
    """Embeddings side by side, of which each keeps components of its own.

    Of parts of very different variance, components of all features together would be those of one.

    Attributes
    ----------
    name : str
    parts : sequence of Embedding
        Of the same images in the same order.
    """

    name: str
    parts: Sequence[Embedding]

    @property
    def names(self) -> list[str]:
        """Images, in order."""
        return self.parts[0].names

    def as_they_are(self) -> np.ndarray:
        """Return the features of each part in turn, (n_images, k); see `Embedding.as_they_are`."""
        return np.hstack([part.as_they_are() for part in self.parts])

    def scores(self, train: np.ndarray, n_components: int) -> np.ndarray:
        """Return the components of each part in turn, (n_images, k); see `Embedding.scores`."""
        return np.hstack([part.scores(train, n_components) for part in self.parts])

    def distances(self, metric: str, train: np.ndarray) -> np.ndarray:
        """Return the mean of the parts' distances, each in units of its mean over training pairs.

        Parameters
        ----------
        metric : as of `Embedding.distances`
        train : int array (n_training,)
            Positions of the training images.

        Returns
        -------
        float64 array (n_pairs,), condensed
        """
        of_parts = [part.distances(metric) for part in self.parts]
        trained = PairSet.among(of_parts[0], len(self.names), train).index()
        return np.mean([vector / vector[trained].mean() for vector in of_parts], axis=0)


def named_embeddings(
    parts: Mapping[str, Sequence[str]], single: Mapping[str, Embedding]
) -> dict[str, Embedding | Joined]:
    """Return embeddings by name: single ones, and those joined from several.

    Parameters
    ----------
    parts : name -> the embeddings that it is made of; a single one has itself
    single : name -> embedding
    """
    return {
        name: single[of_name[0]]
        if len(of_name) == 1
        else Joined(name, [single[part] for part in of_name])
        for name, of_name in parts.items()
    }
