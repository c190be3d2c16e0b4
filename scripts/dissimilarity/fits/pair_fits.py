"""Fits of a model of pairs to a subject's RDMs, and what they predict of seen and unseen images."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scripts.dissimilarity.data.brain_rdms import FoldRDMs
from scripts.dissimilarity.fits.finished_fits import FinishedFits, Outcome
from scripts.dissimilarity.fits.pair_folds import NONE, TRAINING
from scripts.dissimilarity.fits.pair_items import ItemMaker, Subject
from scripts.dissimilarity.fits.pair_predictions import PredictionFile, SplitPredictions
from scripts.dissimilarity.fits.pair_tests import asymmetry, predict, with_truth
from scripts.dissimilarity.learning.pair_models import PairModel, Training, build
from workflow.lib.pairs.predictions import PairPredictions
from workflow.lib.pairs.splits import (
    LEAKED,
    MATCHED,
    RANDOM_PAIRS,
    SPLITS,
    ImageFold,
    PairSplit,
    learning_curve,
)
from workflow.lib.rdms.vectors import take_conditions
from workflow.lib.seeds import generator

log = logging.getLogger("workflow")

OF_FIT = ("study", "subject", "roi", "metric", "model", "kind", "embedding", "variant")


@dataclass(frozen=True)
class FitSettings:
    """How a model is fitted.

    Attributes
    ----------
    model : str
        Name in the config.
    kind : str
    variants : mapping of name to options of the kind
        One of the name "" where there are none.
    n_training_images : sequence of int
        Of fits for a learning curve, beside those to all training images.
    n_components : int or None
        Of an embedding; None for its features as they are.
    seed, n_gpus : int
    shuffled : bool
        Whether images of the RDM, and of responses, are permuted before anything else.
    labels : str
        By which images responses were standardised: "training" (of the fold), "all", "none", "as
        published".
    deal : "matched", "random_pairs" or None
        How leaked pairs were dealt out; None for models that have no such split.
    """

    model: str
    kind: str
    variants: Mapping[str, Mapping[str, Any]]
    seed: int
    n_training_images: Sequence[int] = ()
    n_components: int | None = None
    shuffled: bool = False
    n_gpus: int = 0
    labels: str = TRAINING
    deal: str | None = MATCHED


def fit_pair_model(
    subject: Subject,
    rdms: Iterable[FoldRDMs],
    folds: Sequence[ImageFold],
    settings: FitSettings,
    *,
    predictions: PredictionFile,
    finished: FinishedFits,
) -> list[pd.DataFrame]:
    """Fit every variant of a model to every RDM, and predict the test pairs of every split.

    Parameters
    ----------
    subject : Subject
    rdms : iterable of FoldRDMs
    folds : sequence of ImageFold
        With leaked pairs, for models that have such a split.
    settings : FitSettings
    predictions : PredictionFile
        Gets what comes out of every fit.
    finished : FinishedFits
        Of a job that was cut short; the caller removes it once the results are safe.

    Returns
    -------
    list of DataFrame
        Learning curves of the fits to all training images, with the columns of
        `workflow.lib.training.loop.fit` and what they belong to.

    Raises
    ------
    InputError
        Options that the kind does not have, or more training images asked for than there are.
    """
    order = np.arange(len(subject.images))
    if settings.shuffled:
        rng = generator(settings.seed, "pairs", "shuffle", subject.study, subject.name)
        order = rng.permutation(order.size)
    standardised = settings.labels != NONE
    maker = ItemMaker(subject, settings.n_components, order, standardised=standardised)
    curve, histories = learning_curve(folds, settings.n_training_images), []
    for rdm in rdms:
        learned = _shuffled(rdm, order) if settings.shuffled else rdm
        for variant, options in settings.variants.items():
            for embedding in _embeddings(subject, settings, options):
                fits = _Fits(subject, settings, learned, variant, embedding)
                histories += fits.all(predictions, curve, maker, finished)
    return histories


def _shuffled(rdm: FoldRDMs, order: np.ndarray) -> FoldRDMs:
    return replace(rdm, of=lambda fold: take_conditions(rdm.of(fold), order))


def _model(settings: FitSettings, options: Mapping[str, Any]) -> PairModel:
    return build(settings.kind, options, f"models.{settings.model}")


def _embeddings(subject: Subject, settings: FitSettings, options: Mapping[str, Any]) -> list[str]:
    """Return the embeddings that a model is fitted to; one of no name where it sees none."""
    sees = {"features", "distances"} & set(_model(settings, options).needs)
    return list(subject.embeddings) or [""] if sees else [""]


@dataclass
class _Tests:
    """What a model says of the test pairs of one split, fold by fold."""

    folds: list[PairPredictions] = field(default_factory=list)
    asymmetries: list[float] = field(default_factory=list)
    n_training_images: list[int] = field(default_factory=list)
    n_training_pairs: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Fits:
    """The fits of one variant of a model to one RDM and embedding."""

    subject: Subject
    settings: FitSettings
    rdm: FoldRDMs
    variant: str
    embedding: str

    @property
    def labels(self) -> dict[str, str]:
        values = (
            *(self.subject.study, self.subject.name, self.rdm.roi, self.rdm.metric),
            *(self.settings.model, self.settings.kind, self.embedding, self.variant),
        )
        return dict(zip(OF_FIT, values, strict=True))

    def labels_of(self, split: str) -> dict[str, str]:
        """Return what tells these fits apart from others in the file of predictions."""
        of_file = "study", "subject", "model", "kind"
        of_fit = {name: label for name, label in self.labels.items() if name not in of_file}
        return {**of_fit, "split": split}

    def new_model(self) -> PairModel:
        return _model(self.settings, self.settings.variants[self.variant])

    def all(
        self,
        predictions: PredictionFile,
        curve: Mapping[int | None, Sequence[ImageFold]],
        maker: ItemMaker,
        finished: FinishedFits,
    ) -> list[pd.DataFrame]:
        """Fit, write what is predicted, and return the learning curves."""
        model = self.new_model()
        lacking = [need for need in model.needs if need not in self.subject.fields]
        if lacking:
            reason = f"needs {' and '.join(lacking)}, which this study has not"
            self._say_not_applicable(predictions, SPLITS, reason)
            return []
        of_all = []
        for asked, folds in curve.items():
            tests, histories = self._fit_all(folds, model, maker, finished)
            of_all += histories if asked is None else []
            for split, test in tests.items():
                found = SplitPredictions(
                    labels=self.labels_of(split),
                    tests=test.folds,
                    asked=asked,
                    n_training_images=min(test.n_training_images),
                    n_training_pairs=min(test.n_training_pairs),
                    symmetry_error=max(test.asymmetries),
                )
                predictions.add(found, self.rdm.of(None))
        if not model.leaked:
            reason = f"{self.settings.kind} has no {LEAKED} split"
            self._say_not_applicable(predictions, [LEAKED], reason)
        return of_all

    def _say_not_applicable(
        self, predictions: PredictionFile, splits: Sequence[str], reason: str
    ) -> None:
        for split in splits:
            predictions.add(SplitPredictions(self.labels_of(split), [], reason=reason))

    def _fit_all(
        self,
        folds: Sequence[ImageFold],
        model: PairModel,
        maker: ItemMaker,
        finished: FinishedFits,
    ) -> tuple[dict[str, _Tests], list[pd.DataFrame]]:
        """Return the tests of each split that the model has, and learning curves."""
        tests, histories = {}, []
        for fold in folds:
            for together in self._with_one_training(fold, leaked=model.leaked):
                one = together[0]
                what = (*self.labels.values(), one.name, one.fold, one.training_images.size)
                purpose = "/".join(str(part) for part in what if part != "")
                outcome = finished.get(purpose, partial(self._fit, together, maker, purpose))
                if outcome.history is not None:
                    of_fold = {"split": one.name, "fold": one.fold}
                    histories.append(labelled(outcome.history, {**self.labels, **of_fold}))
                for split in together:
                    test = tests.setdefault(split.name, _Tests())
                    test.folds.append(with_truth(split.test, outcome.predicted[split.name]))
                    test.asymmetries.append(outcome.asymmetries[split.name])
                    test.n_training_images.append(split.training_images.size)
                    test.n_training_pairs.append(len(split.training))
        return {split: tests[split] for split in SPLITS if split in tests}, histories

    def _with_one_training(self, fold: ImageFold, *, leaked: bool) -> list[list[PairSplit]]:
        """Return the splits of a fold, those with the same training together."""
        values = self.rdm.of(fold.number)
        together = [fold.image_splits(values)]
        if leaked:
            # Random pairs of all folds are tested together, so on one RDM.
            of_all = self.settings.deal == RANDOM_PAIRS
            together.append(fold.leaked_splits(self.rdm.of(None) if of_all else values))
        return [some for some in together if some]

    def _fit(
        self, splits: Sequence[PairSplit], maker: ItemMaker, purpose: str, checkpoint: Path
    ) -> Outcome:
        """Fit a new model to the training pairs that splits share, and test it on each."""
        log.info("fitting %s", purpose)
        one, model = splits[0], self.new_model()
        items = maker.items(
            model.needs,
            roi=self.rdm.roi,
            metric=self.rdm.metric,
            embedding=self.embedding,
            training_images=one.training_images,
        )
        training = Training(
            items=items,
            pairs=one.training,
            validation=one.validation,
            metric=self.rdm.metric,
            checkpoint=checkpoint,
            purpose=purpose,
            seed=self.settings.seed,
            n_gpus=self.settings.n_gpus,
        )
        history = model.fit(training)
        return Outcome(
            {split.name: predict(model, items, split.test) for split in splits},
            {split.name: asymmetry(model, items, split.test) for split in splits},
            history,
        )


def labelled(table: pd.DataFrame, labels: Mapping[str, Any]) -> pd.DataFrame:
    """Return a table with labels as its first columns."""
    return pd.concat([pd.DataFrame(labels, index=table.index), table], axis=1)
