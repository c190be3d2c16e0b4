"""Fits of a model of pairs to a subject's RDMs, tested on pairs of seen and of unseen images."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scripts.dissimilarity.brain_rdms import FoldRDMs
from scripts.dissimilarity.finished_fits import FinishedFits, Outcome
from scripts.dissimilarity.pair_folds import ALL, NONE, TRAINING
from scripts.dissimilarity.pair_items import ItemMaker, Subject
from scripts.dissimilarity.pair_models import PairModel, Training, build
from scripts.dissimilarity.pair_predictions import PredictionFile
from scripts.dissimilarity.pair_tests import asymmetry, predict, with_truth
from workflow.lib.inference.bootstrap import image_counts
from workflow.lib.pairs.evaluation import (
    MEASURES,
    WIDENING,
    Predictions,
    Scores,
    evaluate,
    joined,
)
from workflow.lib.pairs.splits import (
    LEAKED,
    MATCHED,
    RANDOM_PAIRS,
    SPLITS,
    ImageFold,
    Split,
    learning_curve,
)
from workflow.lib.rdms.vectors import take_conditions
from workflow.lib.seeds import generator

log = logging.getLogger(__name__)

FITTED, NOT_APPLICABLE = "fitted", "not applicable"
OF_FIT = ("study", "subject", "roi", "metric", "model", "kind", "embedding", "variant")
SCORES = (
    *(*OF_FIT, "split", "deal", "labels", "status", "reason", "measure", "value", "low", "high"),
    *("p", "n_images", "n_pairs", "n_folds", "n_training_images", "symmetry_error"),
)


@dataclass(frozen=True)
class Settings:
    """How a model is fitted and tested.

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
    n_bootstrap, n_permutations, seed, n_gpus : int
    shuffled : bool
        Whether images of the RDM, and of responses, are permuted before anything else.
    labels : str
        By which images responses were standardised: "training" (of the fold), "all", "none", "as
        published".
    deal : "matched" or "random_pairs"
        How leaked pairs were dealt out.
    """

    model: str
    kind: str
    variants: Mapping[str, Mapping[str, Any]]
    n_bootstrap: int
    n_permutations: int
    seed: int
    n_training_images: Sequence[int] = ()
    n_components: int | None = None
    shuffled: bool = False
    n_gpus: int = 0
    labels: str = TRAINING
    deal: str = MATCHED

    def labels_of(self, split: str) -> str:
        """Return by which images the labels of a split are standardised."""
        # Random pairs are of all images in every fold, so that their folds can be tested together.
        of_all = split == LEAKED and self.deal == RANDOM_PAIRS
        return ALL if of_all and self.labels == TRAINING else self.labels


@dataclass
class Results:
    """What comes out of all fits of a model.

    Attributes
    ----------
    scores, histories : lists of DataFrame
    """

    scores: list[pd.DataFrame] = field(default_factory=list)
    histories: list[pd.DataFrame] = field(default_factory=list)


def fit_pair_model(
    subject: Subject,
    rdms: Iterable[FoldRDMs],
    folds: Sequence[ImageFold],
    settings: Settings,
    *,
    predictions: PredictionFile,
    finished: FinishedFits,
) -> Results:
    """Fit every variant of a model to every RDM, and test it on every split.

    Parameters
    ----------
    subject : Subject
    rdms : iterable of FoldRDMs
    folds : sequence of ImageFold
        With leaked pairs.
    settings : Settings
    predictions : PredictionFile
        Gets those of the fits to all training images.
    finished : FinishedFits
        Of a job that was cut short; the caller removes it once the results are safe.

    Returns
    -------
    Results
        Scores have the columns `SCORES`; n_training_images are the fewest of a fold. Histories have
        those of `workflow.lib.training.loop.fit`, with what they belong to.

    Raises
    ------
    InputError
        Options that the kind does not have, or more training images asked for than there are.
    """
    n_images = len(subject.images)
    counts = image_counts(n_images, settings.n_bootstrap, _generator(subject, settings, "resample"))
    order = np.arange(n_images)
    if settings.shuffled:
        order = _generator(subject, settings, "shuffle").permutation(n_images)
    standardised, results = settings.labels != NONE, Results()
    maker = ItemMaker(subject, settings.n_components, order, standardised=standardised)
    curve = learning_curve(folds, settings.n_training_images)
    for rdm in rdms:
        learned = _shuffled(rdm, order) if settings.shuffled else rdm
        for variant, options in settings.variants.items():
            for embedding in _embeddings(subject, settings, options):
                fits = _Fits(subject, settings, learned, variant, embedding, counts)
                fits.add_to(results, predictions, curve, maker, finished)
    return results


def _generator(subject: Subject, settings: Settings, purpose: str) -> np.random.Generator:
    """Return the generator of a purpose: one for all models, which can so be compared."""
    return generator(settings.seed, "pairs", purpose, subject.study, subject.name)


def _shuffled(rdm: FoldRDMs, order: np.ndarray) -> FoldRDMs:
    return replace(rdm, of=lambda fold: take_conditions(rdm.of(fold), order))


def _model(settings: Settings, options: Mapping[str, Any]) -> PairModel:
    return build(settings.kind, options, f"models.{settings.model}")


def _embeddings(subject: Subject, settings: Settings, options: Mapping[str, Any]) -> list[str]:
    """Return the embeddings that a model is fitted to; one of no name where it sees none."""
    sees = {"features", "distances"} & set(_model(settings, options).needs)
    return list(subject.embeddings) or [""] if sees else [""]


@dataclass
class _Tests:
    """What a model says of the test pairs of one split, fold by fold."""

    folds: list[Predictions] = field(default_factory=list)
    asymmetries: list[float] = field(default_factory=list)
    n_training_images: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Fits:
    """The fits of one variant of a model to one RDM and embedding."""

    subject: Subject
    settings: Settings
    rdm: FoldRDMs
    variant: str
    embedding: str
    counts: np.ndarray

    @property
    def labels(self) -> dict[str, str]:
        values = (
            *(self.subject.study, self.subject.name, self.rdm.roi, self.rdm.metric),
            *(self.settings.model, self.settings.kind, self.embedding, self.variant),
        )
        return dict(zip(OF_FIT, values, strict=True))

    def labels_of(self, split: str) -> dict[str, str]:
        of_split = {"deal": self.settings.deal, "labels": self.settings.labels_of(split)}
        return {**self.labels, "split": split, **of_split}

    def new_model(self) -> PairModel:
        return _model(self.settings, self.settings.variants[self.variant])

    def add_to(
        self,
        results: Results,
        predictions: PredictionFile,
        curve: Mapping[int | None, Sequence[ImageFold]],
        maker: ItemMaker,
        finished: FinishedFits,
    ) -> None:
        """Fit, test, and add what comes out."""
        model = self.new_model()
        lacking = [need for need in model.needs if need not in self.subject.fields]
        if lacking:
            reason = f"needs {' and '.join(lacking)}, which this study has not"
            results.scores += [self._not_applicable(split, reason) for split in SPLITS]
            return
        for n_training_images, folds in curve.items():
            tests, histories = self._fit_all(folds, model, maker, finished)
            results.histories += histories if n_training_images is None else []
            for split, test in tests.items():
                scores = self._scores(split, test.folds, n_training_images)
                table = scores.table.assign(
                    n_folds=len(test.folds),
                    n_training_images=min(test.n_training_images),
                    symmetry_error=max(test.asymmetries),
                )
                labels = {**self.labels_of(split), "status": FITTED, "reason": ""}
                results.scores.append(labelled(table, labels))
                if n_training_images is None:
                    predictions.add(labels, self.rdm.of(None), test.folds, scores.draws)
        for split in SPLITS:
            if split not in model.splits:
                reason = f"{self.settings.kind} has no {split} split"
                results.scores.append(self._not_applicable(split, reason))

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
            for together in self._with_one_training(fold, model.splits):
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
        return {split: tests[split] for split in SPLITS if split in tests}, histories

    def _with_one_training(self, fold: ImageFold, names: Sequence[str]) -> list[list[Split]]:
        """Return the splits of a fold of these names, those with the same training together."""
        values = self.rdm.of(fold.number)
        together = [fold.image_splits(values)]
        if LEAKED in names:
            # Random pairs of all folds are tested together, so on one RDM.
            of_all = self.settings.deal == RANDOM_PAIRS
            together.append(fold.leaked_splits(self.rdm.of(None) if of_all else values))
        kept = [[split for split in some if split.name in names] for some in together]
        return [some for some in kept if some]

    def _fit(
        self, splits: Sequence[Split], maker: ItemMaker, purpose: str, checkpoint: Path
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

    def _scores(
        self, split: str, tests: Sequence[Predictions], n_training_images: int | None
    ) -> Scores:
        purpose = ("permute", *self.labels.values(), split, str(n_training_images))
        # Random pairs of one fold are no RDM, of which images can be permuted.
        together = split == LEAKED and self.settings.deal == RANDOM_PAIRS
        return evaluate(
            [joined(tests)] if together else tests,
            counts=self.counts,
            n_permutations=self.settings.n_permutations,
            rng=generator(self.settings.seed, *purpose),
            widening=WIDENING,
        )

    def _not_applicable(self, split: str, reason: str) -> pd.DataFrame:
        labels = {**self.labels_of(split), "status": NOT_APPLICABLE, "reason": reason}
        return labelled(pd.DataFrame({"measure": MEASURES}), labels)


def labelled(table: pd.DataFrame, labels: Mapping[str, Any]) -> pd.DataFrame:
    """Return a table with labels as its first columns."""
    return pd.concat([pd.DataFrame(labels, index=table.index), table], axis=1)
