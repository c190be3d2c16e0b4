"""Models of pairs learn from training images alone, and what leaks is found and counted."""

from collections import ChainMap
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import binom
from scipy.stats import t as student
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

from scripts.dissimilarity.data.brain_rdms import FoldRDMs
from scripts.dissimilarity.data.pair_images import PairImages
from scripts.dissimilarity.embeddings.embeddings import Embedding
from scripts.dissimilarity.embeddings.joined import Joined
from scripts.dissimilarity.evaluation.pair_draws import read_draws, write_draws
from scripts.dissimilarity.evaluation.score_pair_models import ScoreSettings, score_pair_models
from scripts.dissimilarity.evaluation.score_tables import read_scores
from scripts.dissimilarity.evaluation.tabulate_pair_scores import (
    Fits,
    inflation_table,
    ranking_table,
)
from scripts.dissimilarity.figures.plot_true_predicted import read_prediction
from scripts.dissimilarity.fits import pair_fits
from scripts.dissimilarity.fits.finished_fits import FinishedFits
from scripts.dissimilarity.fits.pair_fits import FitSettings, fit_pair_model
from scripts.dissimilarity.fits.pair_folds import subject_folds
from scripts.dissimilarity.fits.pair_items import ItemMaker, Subject
from scripts.dissimilarity.fits.pair_predictions import (
    ModelPredictions,
    prediction_file,
    read_predictions,
)
from workflow.lib.errors import InputError
from workflow.lib.pairs.resampling import MEASURES
from workflow.lib.pairs.splits import CLEAN, LEAKED, MATCHED, ONE_SEEN, RANDOM_PAIRS, SPLITS
from workflow.lib.rdms.vectors import condensed_index
from workflow.lib.tables import write_table

N, N_FOLDS = 50, 5
# The only fit of most tests, beside its split.
FIT = {"roi": "V1", "metric": "euclidean", "embedding": "known", "variant": ""}


class Challenge:
    """Responses of one ROI."""

    def __init__(self, responses):
        self.table = responses

    def responses(self, parts, rows):
        return self.table[rows].astype(np.float32)


def subject_of(features, *, images=None, responses=None, name="subj01"):
    n = len(features)
    if images is None:
        images = np.random.default_rng(0).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
    names = [f"image {i:03d}" for i in range(n)]
    return Subject(
        study="scenes",
        name=name,
        images=PairImages(names, images, np.arange(n)),
        embeddings={"known": Embedding("known", names, features=features.astype(np.float32))},
        challenge=None if responses is None else Challenge(responses),
        rois={"V1": ["V1v"]},
    )


def settings_of(kind="raw_distance", **changed):
    given = {"model": kind, "kind": kind, "variants": {"": {}}, "seed": 3}
    return FitSettings(**given | changed)


def rdm_of(values, roi="V1"):
    """Return an RDM that is the same for every fold."""
    return FoldRDMs(roi, "euclidean", lambda fold: values)


def folds_of(subject, settings):
    block = {"n_folds": N_FOLDS, "validation_share": 0.15, "duplicates": "refuse"}
    return subject_folds(
        subject.images,
        {**block, "leaked": settings.deal},
        study=subject.study,
        subject=subject.name,
        seed=settings.seed,
        leaked=True,
    )


@dataclass
class Results:
    """What comes out of the fits of a model, and of their scores."""

    scores: pd.DataFrame
    draws: dict
    histories: pd.DataFrame
    predictions: ModelPredictions


def fitted(
    folder, subject, rdms, settings, save_after=np.inf, n_bootstrap=50, n_permutations=99
) -> Results:
    path = Path(folder) / f"{subject.name}_{settings.model}.h5"
    labels = {"study": subject.study, "subject": subject.name}
    labels |= {"model": settings.model, "kind": settings.kind}
    with prediction_file(path, subject.images.names, **labels) as predictions:
        finished = FinishedFits(path.with_suffix(".fits"), "key", save_after)
        histories = fit_pair_model(
            subject,
            rdms,
            folds_of(subject, settings),
            settings,
            predictions=predictions,
            finished=finished,
        )
    finished.remove()
    scoring = ScoreSettings(
        n_bootstrap=n_bootstrap,
        n_permutations=n_permutations,
        seed=settings.seed,
        deal=settings.deal,
        labels=settings.labels,
        source="simulated",
    )
    made = read_predictions(path)
    scores, draws = score_pair_models([made], scoring)
    return Results(scores, draws, pd.concat([pd.DataFrame(), *histories]), made)


def value(results, split, measure="spearman"):
    table = results.scores
    return table[(table["split"] == split) & (table["measure"] == measure)]["value"].item()


@dataclass
class Spy:
    """A model that keeps what it was given, and says the first feature's distance."""

    needs = ("features", "images", "responses")
    leaked = True
    symmetric = True
    seen: list = field(default_factory=list)

    def fit(self, training):
        """Keep everything."""
        self.seen.append(training)

    def predict(self, items, first, second):
        """Return a distance that has an order."""
        return items.features[first, 0] - 2 * items.features[second, 0]


@pytest.fixture
def spied(monkeypatch, tmp_path):
    """Return a function that fits a spy, and returns what the fits of each split saw, by fold."""

    def spy_on(features, responses, **changed):
        spy = Spy()
        monkeypatch.setattr(pair_fits, "build", lambda kind, options, where: spy)
        subject, settings = subject_of(features, responses=responses), settings_of("spy", **changed)
        folds = folds_of(subject, settings)

        def labels(fold):
            known = slice(None) if fold is None else folds[fold].trained
            return pdist(StandardScaler().fit(responses[known]).transform(responses))

        results = fitted(tmp_path, subject, [FoldRDMs("V1", "euclidean", labels)], settings)
        return {CLEAN: spy.seen[::2], LEAKED: spy.seen[1::2]}, folds, results

    return spy_on


def test_nothing_that_a_clean_fit_sees_follows_from_test_images(spied):
    rng = np.random.default_rng(1)
    features, responses = rng.standard_normal((N, 6)), rng.standard_normal((N, 4))
    seen, folds, _ = spied(features, responses, n_components=6)
    for own, fold in zip(seen[CLEAN], folds, strict=True):
        changed = [part.copy() for part in (features, responses)]
        for part in changed:
            part[fold.tested] = rng.standard_normal((fold.tested.size, part.shape[1])) * 50
        new = spied(*changed, n_components=6)[0][CLEAN][fold.number]
        for pairs in ("pairs", "validation"):
            for before, after in zip(
                getattr(own, pairs).all(), getattr(new, pairs).all(), strict=True
            ):
                np.testing.assert_allclose(before, after)
        known = np.concatenate([fold.trained, fold.validated])
        for name in ("features", "responses"):
            before, after = (getattr(part.items, name)[known] for part in (own, new))
            np.testing.assert_allclose(before, after, atol=1e-5)


@pytest.mark.parametrize("joined", [False, True])
def test_distances_of_embeddings_do_not_follow_from_images_that_they_are_not_of(joined):
    """Parts that are joined are scaled by training images, each to the others."""
    rng = np.random.default_rng(5)
    features, (trained, changed) = rng.standard_normal((N, 6)), np.split(np.arange(N), [30])

    def distances_of(features, training_images):
        subject = subject_of(features)
        if joined:
            parts = [
                Embedding(name, subject.images.names, features=part)
                for name, part in (("one", features[:, :2]), ("other", features[:, 2:] * 9))
            ]
            subject = replace(subject, embeddings={"known": Joined("known", parts)})
        maker, of = ItemMaker(subject, None, np.arange(N)), {"roi": "V1", "metric": "euclidean"}
        for images in (np.arange(N), training_images):
            items = maker.items(("distances",), embedding="known", training_images=images, **of)
        return squareform(items.distances)[np.ix_(trained, trained)]

    others = features.copy()
    others[changed, :2] *= 50
    before, after = (distances_of(values, trained) for values in (features, others))
    np.testing.assert_allclose(before, after, rtol=1e-9)


def test_nothing_that_a_clean_fit_learns_from_follows_from_validation_images(spied):
    rng = np.random.default_rng(1)
    features, responses = rng.standard_normal((N, 6)), rng.standard_normal((N, 4))
    seen, folds, _ = spied(features, responses)
    for own, fold in zip(seen[CLEAN], folds, strict=True):
        changed = [part.copy() for part in (features, responses)]
        for part in changed:
            part[fold.validated] = rng.standard_normal((fold.validated.size, part.shape[1])) * 50
        new = spied(*changed)[0][CLEAN][fold.number]
        for before, after in zip(own.pairs.all(), new.pairs.all(), strict=True):
            np.testing.assert_allclose(before, after)


def test_features_are_scaled_by_training_images_and_responses_hidden_of_others(spied):
    rng = np.random.default_rng(2)
    responses = rng.standard_normal((N, 4))
    features = rng.standard_normal((N, 6)) * 7 + 3
    seen, folds, _ = spied(features, responses, n_components=6)
    for training, fold in zip(seen[CLEAN], folds, strict=True):
        trained = training.pairs.images
        np.testing.assert_array_equal(trained, np.sort(fold.trained))
        others = np.setdiff1d(np.arange(N), trained)
        assert training.validation.images.size > 0
        assert np.isin(training.validation.images, others).all()
        np.testing.assert_allclose(training.items.features[trained].mean(axis=0), 0, atol=1e-5)
        assert np.isfinite(training.items.responses[trained]).all()
        assert np.isnan(training.items.responses[others]).all()


@pytest.mark.parametrize(("labels", "standardised"), [("training", True), ("none", False)])
def test_models_of_responses_know_whether_labels_are_of_standardised_ones(
    spied, labels, standardised
):
    rng = np.random.default_rng(2)
    seen, _, _ = spied(rng.standard_normal((N, 6)), rng.standard_normal((N, 4)), labels=labels)
    assert {training.items.standardised for training in seen[CLEAN]} == {standardised}


def test_matched_leaked_fits_see_as_many_pairs_by_the_labels_of_the_same_fold(spied):
    rng = np.random.default_rng(2)
    responses = rng.standard_normal((N, 4))
    seen, folds, results = spied(rng.standard_normal((N, 6)), responses)
    for clean, leaked, fold in zip(seen[CLEAN], seen[LEAKED], folds, strict=True):
        assert len(leaked.pairs) == len(clean.pairs)
        assert len(leaked.validation) == len(clean.validation)
        assert np.isin(fold.tested, leaked.pairs.images).any()
        scaled = StandardScaler().fit(responses[fold.trained]).transform(responses)
        first, second, values = leaked.pairs.all()
        distances = np.linalg.norm(scaled[first] - scaled[second], axis=1)
        np.testing.assert_allclose(values, distances)
    table = results.scores.set_index("split")
    assert (table.loc[LEAKED, "n_pairs"] == table.loc[CLEAN, "n_pairs"].iloc[0]).all()
    assert set(table["n_training_pairs"]) == {min(len(clean.pairs) for clean in seen[CLEAN])}
    assert (table["deal"] == MATCHED).all()
    assert (table["labels"] == "training").all()


def test_random_leaked_pairs_are_all_pairs_by_the_labels_of_all_images(spied):
    rng = np.random.default_rng(2)
    responses = rng.standard_normal((N, 4))
    seen, _, results = spied(rng.standard_normal((N, 6)), responses, deal=RANDOM_PAIRS)
    scaled = StandardScaler().fit_transform(responses)
    for leaked in seen[LEAKED]:
        first, second, values = leaked.pairs.all()
        distances = np.linalg.norm(scaled[first] - scaled[second], axis=1)
        np.testing.assert_allclose(values, distances)
    table = results.scores.set_index("split")
    assert (table.loc[LEAKED, "n_pairs"] == N * (N - 1) // 2).all()
    # More than of clean fits, which helps by itself.
    sizes = {split: min(len(one.pairs) for one in seen[split]) for split in (CLEAN, LEAKED)}
    assert sizes[LEAKED] > 1.3 * sizes[CLEAN]
    found = table["n_training_pairs"].groupby(level=0).unique().explode().to_dict()
    assert found == {**sizes, ONE_SEEN: sizes[CLEAN]}
    assert (table["deal"] == RANDOM_PAIRS).all()
    labels = table["labels"].groupby(level=0).unique().explode().to_dict()
    assert labels == {CLEAN: "training", ONE_SEEN: "training", LEAKED: "all"}


def test_the_error_of_symmetry_is_that_of_the_model(spied):
    rng = np.random.default_rng(3)
    responses = rng.standard_normal((N, 4))
    _, _, results = spied(rng.standard_normal((N, 2)), responses)
    table = results.scores
    assert (table["symmetry_error"] > 1).all()


def test_effects_of_images_look_like_predictions_where_pairs_leak(tmp_path):
    # Dissimilarities are sums of image effects: no image says anything about another.
    rng = np.random.default_rng(4)
    effects = rng.standard_normal(N)
    first, second = np.triu_indices(N, 1)
    values = 5 + effects[first] + effects[second] + 0.2 * rng.standard_normal(first.size)
    subject = subject_of(rng.standard_normal((N, 4)))
    results = fitted(tmp_path, subject, [rdm_of(values)], settings_of("additive"))
    assert value(results, LEAKED) > 0.9
    assert value(results, ONE_SEEN) > 0.5
    assert value(results, CLEAN) == 0


def test_a_model_that_knows_the_truth_is_found_and_its_shuffled_control_is_not(tmp_path):
    features = np.random.default_rng(5).standard_normal((N, 3))
    rdms = [rdm_of(pdist(features))]
    subject = subject_of(features)
    for split in SPLITS:
        assert value(fitted(tmp_path, subject, rdms, settings_of()), split) > 0.999
    shuffled = fitted(tmp_path, subject, rdms, settings_of(shuffled=True))
    table = shuffled.scores
    clean = table[(table["split"] == CLEAN) & (table["measure"] != "r2")]
    assert (clean["value"].abs() < 0.3).all()
    assert (clean["p"] > 0.01).all()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "n_tests"), [("ridge", 60), ("raw_distance", 200)])
def test_clean_pairs_are_not_predicted_where_there_is_nothing_to_predict(tmp_path, kind, n_tests):
    """A line through one distance learns the sign of what its test folds share with training."""
    found = []
    for seed in range(n_tests):
        rng = np.random.default_rng([seed, 13])
        features, others = rng.standard_normal((N, 6)), rng.standard_normal((N, 4))
        rdms = [rdm_of(pdist(others))]
        settings = settings_of(kind, seed=seed)
        table = fitted(tmp_path, subject_of(features), rdms, settings, n_bootstrap=3).scores
        found.append(table[table["split"] == CLEAN].set_index("measure"))
    p, value = (np.array([table[name] for table in found]) for name in ("p", "value"))
    for level in (0.01, 0.05, 0.1):
        assert ((p <= level + 1e-9).sum(axis=0) <= binom.ppf(0.999, n_tests, level)).all(), level
    spread = value.std(axis=0) / np.sqrt(n_tests)
    assert (np.abs(value.mean(axis=0)) < 4 * spread)[1:].all()


def test_predictions_are_kept_where_they_were_tested(tmp_path):
    rng = np.random.default_rng(6)
    features = rng.standard_normal((N, 3))
    values = pdist(features) + 0.3 * rng.standard_normal(N * (N - 1) // 2)
    subject = subject_of(features)
    results = fitted(tmp_path, subject, [rdm_of(values)], settings_of())
    for split, n_tested in ((CLEAN, 5 * 45), (LEAKED, 5 * 45)):
        found, measured = results.predictions.find({**FIT, "split": split})
        np.testing.assert_array_equal(measured, values)
        assert sum(test.first.size for test in found.tests) == n_tested
        true, predicted = (
            np.concatenate([getattr(test, name) for test in found.tests])
            for name in ("true", "predicted")
        )
        for test in found.tests:
            index = condensed_index(test.first, test.second, N)
            np.testing.assert_array_equal(test.true, values[index])
        expected = r2_score(true, predicted)
        assert value(results, split, "r2") == pytest.approx(expected, abs=1e-9)


def test_truth_of_predictions_is_that_of_the_fold_that_tested_a_pair(tmp_path):
    features = np.random.default_rng(6).standard_normal((N, 3))
    values, subject, settings = pdist(features), subject_of(features), settings_of()
    rdm = FoldRDMs("V1", "euclidean", lambda fold: values + (0 if fold is None else 10 + fold))
    fitted(tmp_path, subject, [rdm], settings)
    expected = squareform(values)
    for fold in folds_of(subject, settings):
        expected[np.ix_(fold.tested, fold.tested)] += 10 + fold.number
    np.fill_diagonal(expected, 0)
    for split in (CLEAN, LEAKED):
        read = read_prediction(tmp_path / "subj01_raw_distance.h5", {**FIT, "split": split})
        np.testing.assert_allclose(read.true, squareform(expected), rtol=1e-6)


def test_learning_curves_have_rows_of_their_own(tmp_path):
    features = np.random.default_rng(7).standard_normal((N, 3))
    rdms = [rdm_of(pdist(features))]
    results = fitted(
        tmp_path, subject_of(features), rdms, settings_of("ridge", n_training_images=[12, 20, 34])
    )
    table = results.scores
    sizes = table[table["split"] == CLEAN].groupby("n_training_images")["value"].count()
    assert sizes.to_dict() == {12: 4, 20: 4, 34: 4}
    assert results.draws.keys() == {
        ("subj01", "ridge", "V1", "euclidean", "known", "", split) for split in SPLITS
    }
    # As many test pairs of a training image and a tested one as there are training images.
    tested = {
        found.asked: sum(test.first.size for test in found.tests)
        for found in results.predictions
        if found.labels["split"] == ONE_SEEN
    }
    assert tested == {None: N * 34, 12: N * 12, 20: N * 20}


def test_draws_are_read_as_they_were_written(tmp_path):
    rng = np.random.default_rng(15)
    fits = [("subj01", "ridge", "V1", "euclidean", "", "1", split) for split in SPLITS]
    draws = {fit: rng.standard_normal((7, len(MEASURES))) for fit in fits}
    write_draws(draws, tmp_path / "draws.h5")
    again = read_draws(tmp_path / "draws.h5")
    assert list(again) == fits
    for fit in fits:
        np.testing.assert_array_equal(again[fit], draws[fit])


def test_what_a_study_lacks_is_said_and_not_fitted(tmp_path):
    features = np.random.default_rng(8).standard_normal((N, 3))
    rdms = [rdm_of(pdist(features))]
    table = fitted(tmp_path, subject_of(features), rdms, settings_of("encode")).scores
    assert (table["status"] == "not applicable").all()
    assert table["reason"].unique() == ["needs responses, which this study has not"]
    responses = np.random.default_rng(8).standard_normal((N, 30))
    with_responses = subject_of(features, responses=responses)
    table = fitted(tmp_path, with_responses, rdms, settings_of("encode")).scores
    status = table.drop_duplicates("split").set_index("split")["status"]
    assert status.to_dict() == {
        CLEAN: "fitted",
        ONE_SEEN: "fitted",
        LEAKED: "not applicable",
    }


def test_too_few_images_are_said(tmp_path):
    features = np.random.default_rng(11).standard_normal((40, 3))
    with pytest.raises(InputError, match="8 test images in each, expected at least 10"):
        fitted(
            tmp_path,
            subject_of(features),
            [rdm_of(pdist(features))],
            settings_of("mean"),
        )


def test_embeddings_of_other_images_are_refused():
    features = np.zeros((4, 2), np.float32)
    images = PairImages(list("abcd"), np.zeros((4, 2, 2, 3), np.uint8), np.arange(4))
    with pytest.raises(InputError, match="embedding known: found other images"):
        Subject("scenes", "subj01", images, {"known": Embedding("known", list("abdc"), features)})


@pytest.mark.parametrize("n_components", [None, 2])
def test_models_see_features_as_they_are_or_components_of_unit_variance(n_components):
    """What is published of CLIP saw it as it is: images that look alike are near each other."""
    features = np.random.default_rng(14).standard_normal((N, 3)).astype("f4") * [9, 3, 1] + 5
    maker = ItemMaker(subject_of(features), n_components, np.arange(N))
    training = np.arange(N - 6)
    items = maker.items(
        ("features",), roi="V1", metric="euclidean", embedding="known", training_images=training
    )
    if n_components is None:
        assert np.array_equal(items.features, features.astype("f4"))
        return
    assert items.features.shape == (N, n_components)
    np.testing.assert_allclose(items.features[training].std(axis=0, ddof=1), 1, rtol=1e-5)


@dataclass
class Stopping:
    """A model that is stopped at its n-th fit, and has a learning curve."""

    stop: int
    n_fits: int = 0
    needs = ("features",)
    leaked = True
    symmetric = True

    def fit(self, training):
        """Keep the sum of the values, or stop."""
        self.n_fits += 1
        if self.n_fits == self.stop:
            raise KeyboardInterrupt
        self.sum = sum(training.pairs.all()[2])
        measured = {"part": "training", "measure": "loss", "value": [self.sum, 0.5]}
        return pd.DataFrame({"epoch": [1, 2], **measured, "kept": [0, 1]})

    def predict(self, items, first, second):
        """Return what depends on fit, features and order."""
        return self.sum + items.features[first, 0].astype(float) - 2 * items.features[second, 1]


def test_a_job_that_was_cut_short_takes_up_the_fits_that_had_ended(tmp_path, monkeypatch):
    features = np.random.default_rng(12).standard_normal((N, 3))
    rdms = [rdm_of(pdist(features))]

    def run(folder, stop):
        model = Stopping(stop)
        monkeypatch.setattr(pair_fits, "build", lambda kind, options, where: model)
        settings = settings_of("stopping")
        return model, fitted(folder, subject_of(features), rdms, settings, save_after=0)

    _, whole = run(tmp_path / "whole", stop=0)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", stop=4)
    assert len(list((tmp_path / "cut" / "subj01_stopping.fits").glob("*.npz"))) == 3
    model, resumed = run(tmp_path / "cut", stop=0)
    assert model.n_fits == 2 * N_FOLDS - 3
    for name in ("scores", "histories"):
        own, new = (getattr(part, name) for part in (whole, resumed))
        pd.testing.assert_frame_equal(own, new)
    assert not list((tmp_path / "cut").glob("*.fits"))


# Tables over models and subjects


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return the scores of three models and two subjects, with their draws."""
    folder = tmp_path_factory.mktemp("study")
    tables, draws = [], []
    for number in range(2):
        rng = np.random.default_rng(number)
        features = rng.standard_normal((N, 3))
        effects = rng.standard_normal(N)
        pairs = np.triu_indices(N, 1)
        values = pdist(features) + effects[pairs[0]] + effects[pairs[1]]
        subject = subject_of(features, name=f"subj0{number + 1}")
        for kind in ("raw_distance", "additive", "mean", "encode"):
            results = fitted(folder, subject, [rdm_of(values)], settings_of(kind))
            tables.append(results.scores)
            draws.append(results.draws)
    scores = pd.concat(tables, ignore_index=True)
    return scores, Fits(scores, dict(ChainMap(*draws)))


def test_inflation_is_what_seen_images_add_to_a_clean_score(study):
    scores, fits = study
    by_fit = ["model", "subject", "measure", "split"]
    table = inflation_table(scores, fits).set_index(by_fit)
    values = scores.set_index(by_fit)["value"]
    assert set(table.index.get_level_values("split")) == {LEAKED, ONE_SEEN}
    for key, row in table.iterrows():
        clean = values[(*key[:-1], CLEAN)]
        assert row["value"] == pytest.approx(values[key] - clean, nan_ok=True)
    # Effects of images are all that leaks to the additive model, and nothing to the others.
    leaks = table.xs("spearman", level="measure").xs(LEAKED, level="split")
    assert (leaks.loc["additive", "low"] > 0.3).all()
    assert (leaks.loc["raw_distance", "low"] < 0.1).all()
    of_subjects = leaks.loc["additive", "value"]
    assert leaks.loc["additive", "mean"].unique() == pytest.approx([of_subjects.mean()])


def test_models_without_a_leaked_split_have_what_one_image_seen_adds():
    """Encoding has no leaked split, and what it gains by one image is a number all the same."""
    rng = np.random.default_rng(1)
    labels = {"study": "s", "roi": "V1", "metric": "correlation", "model": "encode"}
    labels |= {"embedding": "gabor", "variant": "", "kind": "encode", "measure": "spearman"}
    labels |= {"deal": "matched", "labels": "training", "n_images": 30, "n_training_images": 20}
    rows, draws = [], {}
    for subject, (one_seen, clean) in {"a": (0.6, 0.4), "b": (0.5, 0.2)}.items():
        for split, value in ((LEAKED, np.nan), (ONE_SEEN, one_seen), (CLEAN, clean)):
            rows.append(labels | {"subject": subject, "split": split, "value": value})
            key = (subject, "encode", "V1", "correlation", "gabor", "", split)
            draws[key] = rng.standard_normal((50, len(MEASURES)))
    scores = pd.DataFrame(rows)
    table = inflation_table(scores, Fits(scores, draws)).set_index(["split", "subject"])
    assert table.loc[LEAKED, "value"].isna().all()
    assert table.loc[ONE_SEEN, "value"].tolist() == pytest.approx([0.2, 0.3])
    of_mean = table.loc[ONE_SEEN].iloc[0]
    half = student.ppf(0.975, 1) * np.std([0.2, 0.3], ddof=1) / np.sqrt(2)
    expected = [0.25, 0.25 - half, 0.25 + half, 2]
    columns = ["mean", "mean_low", "mean_high", "n_subjects"]
    assert of_mean[columns].astype(float).tolist() == pytest.approx(expected)


def test_variants_that_look_like_numbers_are_names(tmp_path):
    features = np.random.default_rng(14).standard_normal((N, 3))
    rdms = [rdm_of(pdist(features))]
    numbered = settings_of("ridge", variants={"0": {}, "1": {"penalties": [10.0]}})
    draws = {}
    for number, settings in enumerate([numbered, settings_of("additive")]):
        results = fitted(tmp_path, subject_of(features), rdms, settings)
        write_table(results.scores, tmp_path / f"{number}.csv")
        draws |= results.draws
    scores = pd.concat([read_scores(tmp_path / f"{i}.csv") for i in range(2)], ignore_index=True)
    assert set(scores["variant"]) == {"0", "1", ""}
    table = inflation_table(scores, Fits(scores, draws))
    assert set(table["variant"]) == {"0", "1", ""}
    assert table["value"].notna().all()


def test_models_stand_in_the_order_of_their_means(study):
    scores, fits = study
    ceilings = pd.DataFrame(
        [(subject, "V1", "euclidean", "spearman", 0.5) for subject in scores["subject"].unique()],
        columns=["subject", "roi", "metric", "measure", "value"],
    )
    table = ranking_table(scores, fits, ceilings)
    clean = table[(table["split"] == CLEAN) & (table["measure"] == "spearman")]
    assert clean["model"].iloc[0] == "raw_distance"
    assert clean["model"].iloc[-1] == "encode"
    assert clean["rank"].iloc[:3].tolist() == [1, 2, 2]
    best = clean.iloc[0]
    mean = scores[
        (scores["model"] == "raw_distance")
        & (scores["split"] == CLEAN)
        & (scores["measure"] == "spearman")
    ]["value"].mean()
    assert best["value"] == pytest.approx(mean)
    assert best["share_of_ceiling"] == pytest.approx(mean / 0.5)
    assert (best["difference"], best["difference_low"], best["difference_high"]) == (0, 0, 0)
    # Constant predictions score 0 in every resample: the difference is as sure as the best itself.
    second = clean.iloc[1]
    assert second["difference"] == pytest.approx(-mean)
    width = best["high"] - best["low"]
    assert second["difference_high"] - second["difference_low"] == pytest.approx(width)


NO_CEILINGS = pd.DataFrame(columns=["subject", "roi", "metric", "measure", "value"])


def test_fits_of_other_subjects_are_not_compared(study):
    """Two fits of as many subjects each are no pair if these are not the same ones."""
    scores, fits = study
    first, second = scores["subject"].unique()
    # Two models without a subject in common.
    kept = scores["model"].isin(["raw_distance", "mean"])
    kept &= ~((scores["model"] == "raw_distance") & (scores["subject"] == first))
    kept &= ~((scores["model"] == "mean") & (scores["subject"] == second))
    some = scores[kept]
    table = ranking_table(some, Fits(some, fits.draws), NO_CEILINGS)
    clean = table[(table["split"] == CLEAN) & (table["measure"] == "spearman")].set_index("model")
    assert clean.loc["raw_distance", "n_subjects"] == clean.loc["mean", "n_subjects"] == 1
    assert np.isfinite(clean["difference"]).sum() <= 1
    assert clean["ceiling"].isna().all()
