"""What is known of a subject's images, and what of it a model may see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scripts.dissimilarity.data.algonauts import Algonauts2023
from scripts.dissimilarity.data.pair_images import PairImages
from scripts.dissimilarity.embeddings.embeddings import Embedding
from scripts.dissimilarity.embeddings.joined import Joined
from scripts.dissimilarity.learning.pair_models import Items
from workflow.lib.errors import InputError
from workflow.lib.rdms.distances import METRICS

# What an RDM's own metric is called where embeddings have no distance of that name.
OTHER_METRIC = "correlation"


@dataclass(frozen=True)
class Subject:
    """What is known of a subject's images, apart from its RDMs.

    Attributes
    ----------
    study, name : str
    images : PairImages
    embeddings : mapping of name to Embedding or Joined
    challenge : Algonauts2023 or None
        The responses, where there are any.
    rois : mapping of ROI to its parts in the challenge
    """

    study: str
    name: str
    images: PairImages
    embeddings: Mapping[str, Embedding | Joined]
    challenge: Algonauts2023 | None = None
    rois: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, embedding in self.embeddings.items():
            if embedding.names != self.images.names:
                raise InputError(
                    f"{self.name}, embedding {name}: found other images, or another order, than in "
                    "the subject's images, expected the same; run again"
                )

    @property
    def fields(self) -> set[str]:
        """Fields of `Items` that there are."""
        of_embeddings = {"features", "distances"} if self.embeddings else set()
        return {"images"} | of_embeddings | ({"responses"} if self.challenge else set())


class ItemMaker:
    """Makes what a model may know of images; nothing of it is fitted on any but training images.

    Parameters
    ----------
    subject : Subject
    n_components : int or None
        Of an embedding, of unit variance over training images; its features as they are if None.
    order : int array (n_images,)
        Image whose responses stand in the place of each.
    standardised : bool
        Whether dissimilarities are of responses standardised per vertex.
    """

    def __init__(
        self,
        subject: Subject,
        n_components: int | None,
        order: np.ndarray,
        *,
        standardised: bool = True,
    ) -> None:
        self.subject, self.n_components, self.order = subject, n_components, order
        self.standardised = standardised
        self._scores: dict[tuple[str, bytes], np.ndarray] = {}
        # By embedding and metric: those last asked for, and the training images they are scaled by.
        self._distances: dict[tuple[str, str], tuple[bytes, np.ndarray]] = {}
        self._responses: tuple[str, np.ndarray] | None = None

    def items(
        self,
        needs: Sequence[str],
        *,
        roi: str,
        metric: str,
        embedding: str,
        training_images: np.ndarray,
    ) -> Items:
        """Return the items of a fit.

        Parameters
        ----------
        needs : sequence of fields of `Items`
        roi, metric : str
            Of the RDM that is learned.
        embedding : str
        training_images : int array
            Alone seen by scalers, and alone with responses.
        """
        made = {
            "features": lambda: self._features(embedding, training_images),
            "distances": lambda: self._raw_distances(embedding, metric, training_images),
            "images": lambda: self.subject.images.images,
            "responses": lambda: self._seen_responses(roi, training_images),
        }
        return Items(**{need: made[need]() for need in needs}, standardised=self.standardised)

    def _features(self, embedding: str, training_images: np.ndarray) -> np.ndarray:
        found = self.subject.embeddings[embedding]
        if self.n_components is None:
            return found.as_they_are()
        key = embedding, training_images.tobytes()
        if key not in self._scores:
            self._scores[key] = found.scores(training_images, self.n_components)
        return self._scores[key]

    def _raw_distances(
        self, embedding: str, metric: str, training_images: np.ndarray
    ) -> np.ndarray:
        found = self.subject.embeddings[embedding]
        key = embedding, metric if metric in METRICS else OTHER_METRIC
        # Parts of joined ones have to be scaled, each to the others.
        scaled_by = (training_images,) if isinstance(found, Joined) else ()
        known = b"".join(images.tobytes() for images in scaled_by)
        if key not in self._distances or self._distances[key][0] != known:
            self._distances[key] = known, found.distances(key[1], *scaled_by)
        return self._distances[key][1]

    def _seen_responses(self, roi: str, training_images: np.ndarray) -> np.ndarray:
        if self._responses is None or self._responses[0] != roi:
            rows = self.subject.images.rows[self.order]
            parts = self.subject.rois[roi]
            self._responses = roi, self.subject.challenge.responses(parts, rows)
        seen = np.full_like(self._responses[1], np.nan)
        seen[training_images] = self._responses[1][training_images]
        return seen
