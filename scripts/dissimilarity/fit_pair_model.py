"""Fit a model of pairs to a subject's RDMs, and test it on pairs of seen and of unseen images.

snakemake --cores 1 results/demo/scenes/tables/pair_scores_subj01_ridge.csv
"""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scripts.dissimilarity.algonauts import Algonauts2023
from scripts.dissimilarity.brain_rdms import fmri_rdms
from scripts.dissimilarity.embeddings import Embedding, read_embedding
from scripts.dissimilarity.finished_fits import HISTORY, FinishedFits, Outcome
from scripts.dissimilarity.joined import Joined, named_embeddings
from scripts.dissimilarity.pair_images import PairImages, read_pair_images
from scripts.dissimilarity.pair_models import Items, PairModel, Training, build
from scripts.dissimilarity.pair_predictions import PredictionFile, prediction_file
from workflow.lib.errors import InputError
from workflow.lib.files import sha256_of
from workflow.lib.inference.bootstrap import image_counts
from workflow.lib.jobs import script_job
from workflow.lib.leakage import COLUMNS as AUDIT
from workflow.lib.leakage import Part, audit
from workflow.lib.pairs.evaluation import (
    MEASURES,
    WIDENING,
    Predictions,
    Scores,
    evaluate,
    joined,
    symmetry_error,
)
from workflow.lib.pairs.sampling import Pairs, PairSet
from workflow.lib.pairs.splits import CLEAN, LEAKED, SPLITS, Split, make_splits
from workflow.lib.rdms.distances import METRICS
from workflow.lib.rdms.vectors import take_conditions
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table

log = logging.getLogger(__name__)

FITTED, NOT_APPLICABLE = "fitted", "not applicable"
# Pairs that the order of their images is turned of, for the symmetry error.
TURNED_PAIRS = 1000
# Images are looked at for near-duplicates in squares of this many pixels, each the mean of some;
# root mean square differences up to this share of the range of colours are near.
DUPLICATE_SIDE, DUPLICATE_DISTANCE = 8, 0.005
# What an RDM's own metric is called where embeddings have no distance of that name.
OTHER_METRIC = "correlation"
OF_FIT = ("study", "subject", "roi", "metric", "model", "kind", "embedding", "variant")
SCORES = (
    *(*OF_FIT, "split", "status", "reason", "measure", "value", "low", "high", "p"),
    *("n_images", "n_pairs", "n_folds", "n_training_images", "symmetry_error"),
)
OF_AUDIT = ("study", "subject", "model", "split", "fold", "n_training_images")


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
    n_folds : int
    validation_share : float
    n_training_images : sequence of int
        Of fits for a learning curve, beside those to all training images.
    n_components : int or None
    n_bootstrap, n_permutations, seed, n_gpus : int
    shuffled : bool
        Whether images of the RDM, and of responses, are permuted before anything else.
    """

    model: str
    kind: str
    variants: Mapping[str, Mapping[str, Any]]
    n_folds: int
    validation_share: float
    n_bootstrap: int
    n_permutations: int
    seed: int
    n_training_images: Sequence[int] = ()
    n_components: int | None = None
    shuffled: bool = False
    n_gpus: int = 0


@dataclass
class Results:
    """What comes out of all fits of a model.

    Attributes
    ----------
    scores, histories, audits : lists of DataFrame
    """

    scores: list[pd.DataFrame] = field(default_factory=list)
    histories: list[pd.DataFrame] = field(default_factory=list)
    audits: list[pd.DataFrame] = field(default_factory=list)


@dataclass(frozen=True)
class RDM:
    """The dissimilarities of an ROI by one metric, as models are trained and tested on them."""

    roi: str
    metric: str
    values: np.ndarray


class ItemMaker:
    """Makes what a model may know of images; nothing of it is fitted on any but training images.

    Parameters
    ----------
    subject : Subject
    settings : Settings
    order : int array (n_images,)
        Image whose responses stand in the place of each.
    """

    def __init__(self, subject: Subject, settings: Settings, order: np.ndarray) -> None:
        self.subject, self.settings, self.order = subject, settings, order
        self._scores: dict[tuple[str, bytes], np.ndarray] = {}
        self._distances: dict[tuple[str, str], np.ndarray] = {}
        self._responses: tuple[str, np.ndarray] | None = None

    def items(
        self, needs: Sequence[str], rdm: RDM, embedding: str, training_images: np.ndarray
    ) -> Items:
        """Return the items of a fit, with the fields that its kind of model needs."""
        made = {
            "features": lambda: self._features(embedding, training_images),
            "distances": lambda: self._raw_distances(embedding, rdm.metric),
            "images": lambda: self.subject.images.images,
            "responses": lambda: self._seen_responses(rdm.roi, training_images),
        }
        return Items(**{need: made[need]() for need in needs})

    def _features(self, embedding: str, training_images: np.ndarray) -> np.ndarray:
        key = embedding, training_images.tobytes()
        if key not in self._scores:
            self._scores[key] = self.subject.embeddings[embedding].scores(
                training_images, self.settings.n_components
            )
        return self._scores[key]

    def _raw_distances(self, embedding: str, metric: str) -> np.ndarray:
        key = embedding, metric if metric in METRICS else OTHER_METRIC
        if key not in self._distances:
            self._distances[key] = self.subject.embeddings[embedding].distances(key[1])
        return self._distances[key]

    def _seen_responses(self, roi: str, training_images: np.ndarray) -> np.ndarray:
        if self._responses is None or self._responses[0] != roi:
            rows = self.subject.images.rows[self.order]
            parts = self.subject.rois[roi]
            self._responses = roi, self.subject.challenge.responses(parts, rows)
        seen = np.full_like(self._responses[1], np.nan)
        seen[training_images] = self._responses[1][training_images]
        return seen


def fit_pair_model(
    subject: Subject,
    rdms: Iterable[RDM],
    settings: Settings,
    *,
    predictions: PredictionFile,
    finished: FinishedFits,
) -> Results:
    """Fit every variant of a model to every RDM, and test it on every split.

    Parameters
    ----------
    subject : Subject
    rdms : iterable of RDM
    settings : Settings
    predictions : PredictionFile
        Gets those of the fits to all training images.
    finished : FinishedFits
        Of a job that was cut short; the caller removes it once the results are safe.

    Returns
    -------
    Results
        Scores have the columns `SCORES`; n_training_images are the fewest of a fold. Histories have
        those of `workflow.lib.training.loop.fit`, audits those of `workflow.lib.leakage.audit`,
        with what they belong to.

    Raises
    ------
    InputError
        A split that claims to be clean and is not; options that the kind does not have; too few
        images.
    """
    n_images = len(subject.images)
    counts = image_counts(n_images, settings.n_bootstrap, _generator(subject, settings, "resample"))
    order = np.arange(n_images)
    if settings.shuffled:
        order = _generator(subject, settings, "shuffle").permutation(n_images)
    maker, results = ItemMaker(subject, settings, order), Results()
    audited = False
    for rdm in rdms:
        if settings.shuffled:
            rdm = RDM(rdm.roi, rdm.metric, take_conditions(rdm.values, order))
        splits = _all_splits(subject, settings, rdm)
        if not audited:
            results.audits = list(_audits(subject, settings, splits))
            audited = True
        for variant, options in settings.variants.items():
            for embedding in _embeddings(subject, settings, options):
                fits = _Fits(subject, settings, rdm, variant, embedding, counts)
                fits.add_to(results, predictions, splits, maker, finished)
    return results


def _generator(subject: Subject, settings: Settings, purpose: str) -> np.random.Generator:
    """Return the generator of a purpose: one for all models, which can so be compared."""
    return generator(settings.seed, "pairs", purpose, subject.study, subject.name)


def _all_splits(subject: Subject, settings: Settings, rdm: RDM) -> dict[int | None, list[Split]]:
    """Return number of training images -> splits; None stands for all that there are."""

    def splits(n_training_images: int | None) -> list[Split]:
        return make_splits(
            rdm.values,
            len(subject.images),
            n_folds=settings.n_folds,
            validation_share=settings.validation_share,
            rng=_generator(subject, settings, "splits"),
            n_training_images=n_training_images,
        )

    of_all = splits(None)
    n_all = min(split.training_images.size for split in of_all)
    # A curve ends at the fits to all training images, which are fitted anyway.
    return {None: of_all} | {n: splits(n) for n in settings.n_training_images if n != n_all}


def _model(settings: Settings, options: Mapping[str, Any]) -> PairModel:
    return build(settings.kind, options, f"models.{settings.model}")


def _embeddings(subject: Subject, settings: Settings, options: Mapping[str, Any]) -> list[str]:
    """Return the embeddings that a model is fitted to; one of no name where it sees none."""
    sees = {"features", "distances"} & set(_model(settings, options).needs)
    return list(subject.embeddings) or [""] if sees else [""]


# The audit


def _audits(
    subject: Subject, settings: Settings, splits: Mapping[int | None, list[Split]]
) -> Iterator[pd.DataFrame]:
    """Yield the audit of every split; they are of the same images for all RDMs."""
    digests = np.array(
        [hashlib.sha256(image.tobytes()).hexdigest() for image in subject.images.images]
    )
    looks = _small(subject.images.images)
    for split in (split for some in splits.values() for split in some):
        table = audit(
            _part(split.training, split.training_images, digests, looks),
            split.validation and _part(split.validation, split.validation.images, digests, looks),
            _part(split.test, split.test.images, digests, looks),
            claims_clean=split.name == CLEAN,
            where=f"{subject.study}, {subject.name}, {split.name}, fold {split.fold + 1}",
            min_distance=DUPLICATE_DISTANCE,
        )
        labels = {"study": subject.study, "subject": subject.name, "model": settings.model}
        labels |= {"split": split.name, "fold": split.fold}
        yield _labelled(table, labels | {"n_training_images": split.training_images.size})


def _part(pairs: PairSet, images: np.ndarray, digests: np.ndarray, looks: np.ndarray) -> Part:
    return Part(items=images, pairs=pairs.index(), contents=digests[images], features=looks[images])


def _small(images: np.ndarray) -> np.ndarray:
    """Return images as rows whose Euclidean distance is their root mean square difference."""
    n, side = images.shape[:2]
    edges = np.linspace(0, side, min(side, DUPLICATE_SIDE) + 1).astype(int)[:-1]
    small = images.astype(np.float32)
    for axis in (1, 2):
        sizes = np.diff([*edges, side]).reshape([-1 if k == axis else 1 for k in range(4)])
        small = np.add.reduceat(small, edges, axis=axis) / sizes
    return small.reshape(n, -1) / (255 * np.sqrt(small[0].size))


# Fits


@dataclass(frozen=True)
class _Fits:
    """The fits of one variant of a model to one RDM and embedding."""

    subject: Subject
    settings: Settings
    rdm: RDM
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

    def new_model(self) -> PairModel:
        return _model(self.settings, self.settings.variants[self.variant])

    def add_to(
        self,
        results: Results,
        predictions: PredictionFile,
        splits: Mapping[int | None, list[Split]],
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
        for n_training_images, some in splits.items():
            tested, histories, asymmetries = self._fit_all(some, model, maker, finished)
            results.histories += histories if n_training_images is None else []
            for split in dict.fromkeys(split.name for split in some):
                if split not in model.splits:
                    reason = f"{self.settings.kind} has no {split} split"
                    results.scores.append(self._not_applicable(split, reason))
                    continue
                sizes = [s.training_images.size for s in some if s.name == split]
                scores = self._scores(split, tested[split], n_training_images)
                table = scores.table.assign(
                    n_folds=len(sizes),
                    n_training_images=min(sizes),
                    symmetry_error=max(asymmetries[split]),
                )
                labels = {**self.labels, "split": split, "status": FITTED, "reason": ""}
                results.scores.append(_labelled(table, labels))
                if n_training_images is None:
                    predictions.add(labels, self.rdm.values, tested.pop(split), scores.draws)

    def _fit_all(
        self, splits: Sequence[Split], model: PairModel, maker: ItemMaker, finished: FinishedFits
    ) -> tuple[dict[str, list[Predictions]], list[pd.DataFrame], dict[str, list[float]]]:
        """Return per split the tests of all folds, learning curves, and errors of symmetry."""
        tested: dict[str, list[Predictions]] = {}
        asymmetries: dict[str, list[float]] = {}
        histories = []
        for together in _with_one_training(splits, model.splits):
            one = together[0]
            what = (*self.labels.values(), one.name, one.fold, one.training_images.size)
            purpose = "/".join(str(part) for part in what if part != "")
            fit = partial(self._fit, together, maker, purpose)
            outcome = finished.get(purpose, fit)
            if outcome.history is not None:
                of_fold = {"split": one.name, "fold": one.fold}
                histories.append(_labelled(outcome.history, {**self.labels, **of_fold}))
            for split in together:
                test = _with_truth(split.test, outcome.predicted[split.name])
                tested.setdefault(split.name, []).append(test)
                asymmetries.setdefault(split.name, []).append(outcome.asymmetries[split.name])
        return tested, histories, asymmetries

    def _fit(
        self, splits: Sequence[Split], maker: ItemMaker, purpose: str, checkpoint: Path
    ) -> Outcome:
        """Fit a new model to the training pairs that splits share, and test it on each."""
        log.info("fitting %s", purpose)
        one, model = splits[0], self.new_model()
        items = maker.items(model.needs, self.rdm, self.embedding, one.training_images)
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
            {split.name: _predict(model, items, split.test) for split in splits},
            {split.name: _asymmetry(model, items, split.test) for split in splits},
            history,
        )

    def _scores(
        self, split: str, tests: Sequence[Predictions], n_training_images: int | None
    ) -> Scores:
        purpose = ("permute", *self.labels.values(), split, str(n_training_images))
        # Leaked folds are no RDM, of which images can be permuted, but together.
        return evaluate(
            [joined(tests)] if split == LEAKED else tests,
            counts=self.counts,
            n_permutations=self.settings.n_permutations,
            rng=generator(self.settings.seed, *purpose),
            widening=WIDENING,
        )

    def _not_applicable(self, split: str, reason: str) -> pd.DataFrame:
        labels = {**self.labels, "split": split, "status": NOT_APPLICABLE, "reason": reason}
        return _labelled(pd.DataFrame({"measure": MEASURES}), labels)


def _with_one_training(splits: Sequence[Split], names: Sequence[str]) -> list[list[Split]]:
    """Return the splits of these names, those with the same training pairs together."""
    groups: dict[int, list[Split]] = {}
    for split in splits:
        if split.name in names:
            groups.setdefault(id(split.training), []).append(split)
    return list(groups.values())


def _predict(model: PairModel, items: Items, pairs: PairSet) -> np.ndarray:
    """Return the predictions of all pairs of a set."""
    return np.concatenate([model.predict(items, *images) for *images, _ in pairs.blocks()])


def _asymmetry(model: PairModel, items: Items, pairs: PairSet) -> float:
    """Return the error of symmetry over some pairs of a set."""
    some = np.arange(0, len(pairs), -(-len(pairs) // TURNED_PAIRS))
    first, second, _ = pairs.at(some)
    return symmetry_error(partial(model.predict, items), first, second)


def _with_truth(pairs: PairSet, predicted: np.ndarray) -> Predictions:
    # Millions of pairs take half the memory so.
    first, second, values = (
        np.concatenate(part) for part in zip(*map(_narrow, pairs.blocks()), strict=True)
    )
    return Predictions(first, second, values, predicted)


def _narrow(pairs: Pairs) -> Pairs:
    first, second, values = pairs
    return first.astype(np.int32), second.astype(np.int32), values


def _labelled(table: pd.DataFrame, labels: Mapping[str, Any]) -> pd.DataFrame:
    """Return a table with labels as its first columns."""
    return pd.concat([pd.DataFrame(labels, index=table.index), table], axis=1)


def _written(tables: Sequence[pd.DataFrame], columns: Sequence[str], path: str) -> None:
    """Write tables as one, with all columns even where nothing was applicable."""
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    write_table(table.reindex(columns=list(columns)), path)


if __name__ == "__main__":
    with script_job(snakemake):
        params, inputs, outputs = snakemake.params, snakemake.input, snakemake.output
        subject = Subject(
            study=snakemake.wildcards.study,
            name=snakemake.wildcards.subject,
            images=read_pair_images(inputs.images),
            embeddings=named_embeddings(
                params.embeddings,
                {single.name: single for single in map(read_embedding, inputs.embeddings)},
            ),
            challenge=params.folder and Algonauts2023(params.folder, snakemake.wildcards.subject),
            rois=params.rois,
        )
        block, splits = params.model, params.splits
        settings = Settings(
            model=snakemake.wildcards.model,
            kind=block["kind"],
            variants={
                name: {**block["options"], **options}
                for name, options in (block["variants"] or {"": {}}).items()
            },
            n_folds=splits["n_folds"],
            validation_share=splits["validation_share"],
            n_training_images=splits["n_training_images"] if block["training_size"] else (),
            n_components=params.n_components,
            n_bootstrap=params.inference["n_bootstrap"],
            n_permutations=params.inference["n_permutations"],
            seed=params.seed,
            shuffled=block["shuffled"],
            n_gpus=snakemake.resources.get("gpu", 0),
        )
        # Snakemake deletes what a killed job has put out, but knows nothing of this folder.
        finished = FinishedFits(
            Path(outputs.predictions).with_suffix(".fits"),
            key=repr((settings, params.code))
            + "".join(map(sha256_of, [inputs.rdms, inputs.images, *inputs.embeddings])),
        )
        of_rois = (RDM(*found) for found in fmri_rdms(inputs.rdms, params.rois))
        rdms = (rdm for rdm in of_rois if rdm.metric in params.metrics)
        with prediction_file(
            outputs.predictions, subject.images.names, subject=subject.name, model=settings.model
        ) as predictions:
            results = fit_pair_model(
                subject, rdms, settings, predictions=predictions, finished=finished
            )
        _written(results.scores, SCORES, outputs.scores)
        _written(results.histories, (*OF_FIT, "split", "fold", *HISTORY), outputs.history)
        _written(results.audits, (*OF_AUDIT, *AUDIT), outputs.audit)
        finished.remove()
