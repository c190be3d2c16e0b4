"""Models of pairs learn from training images alone, and what leaks is found and counted."""

from collections import ChainMap
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import binom
from sklearn.metrics import r2_score

from scripts.dissimilarity import fit_pair_model as script
from scripts.dissimilarity.embeddings import Embedding
from scripts.dissimilarity.finished_fits import FinishedFits
from scripts.dissimilarity.fit_pair_model import RDM, Results, Settings, Subject
from scripts.dissimilarity.pair_images import PairImages
from scripts.dissimilarity.pair_predictions import prediction_file, read_draws
from scripts.dissimilarity.score_tables import read_scores
from scripts.dissimilarity.tabulate_pair_scores import (
    Fits,
    inflation_table,
    ranking_table,
)
from workflow.lib.errors import InputError
from workflow.lib.pairs.splits import CLEAN, LEAKED, ONE_SEEN, SPLITS
from workflow.lib.tables import write_table

N, N_FOLDS = 50, 5


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
    given = {"model": kind, "kind": kind, "variants": {"": {}}, "n_folds": N_FOLDS}
    given |= {"validation_share": 0.15, "n_bootstrap": 50, "n_permutations": 99, "seed": 3}
    return Settings(**given | changed)


def fitted(folder, subject, rdms, settings, save_after=np.inf) -> Results:
    path = Path(folder) / f"{subject.name}_{settings.model}.h5"
    labels = {"subject": subject.name, "model": settings.model}
    with prediction_file(path, subject.images.names, **labels) as predictions:
        finished = FinishedFits(path.with_suffix(".fits"), "key", save_after)
        results = script.fit_pair_model(
            subject, rdms, settings, predictions=predictions, finished=finished
        )
    finished.remove()
    return results


def value(results, split, measure="spearman"):
    table = pd.concat(results.scores)
    return table[(table["split"] == split) & (table["measure"] == measure)]["value"].item()


@dataclass
class Spy:
    """A model that keeps what it was given, and says the first feature's distance."""

    needs = ("features", "images", "responses")
    splits = SPLITS
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
    """Return a function that fits a spy, and returns what every fit saw."""

    def spy_on(features, values, responses, **changed):
        spy = Spy()
        monkeypatch.setattr(script, "build", lambda kind, options, where: spy)
        subject = subject_of(features, responses=responses)
        results = fitted(
            tmp_path, subject, [RDM("V1", "euclidean", values)], settings_of("spy", **changed)
        )
        return spy.seen, results

    return spy_on


def test_nothing_that_a_clean_fit_sees_follows_from_test_or_validation_images(spied):
    rng = np.random.default_rng(1)
    features, responses = rng.standard_normal((N, 6)), rng.standard_normal((N, 4))
    values = pdist(responses)
    seen, _ = spied(features, values, responses)
    for fold in range(N_FOLDS):
        trained = seen[fold].pairs.images
        others = np.setdiff1d(np.arange(N), trained)
        changed = [part.copy() for part in (features, responses)]
        for part in changed:
            part[others] = rng.standard_normal((others.size, part.shape[1])) * 50
        again, _ = spied(changed[0], pdist(changed[1]), changed[1])
        np.testing.assert_array_equal(again[fold].pairs.images, trained)
        for own, new in zip(seen[fold].pairs.all(), again[fold].pairs.all(), strict=True):
            np.testing.assert_allclose(own, new)
        for name in ("features", "responses"):
            own, new = (getattr(part[fold].items, name) for part in (seen, again))
            np.testing.assert_allclose(own[trained], new[trained], atol=1e-5)


def test_features_are_scaled_by_training_images_and_responses_hidden_of_others(spied):
    rng = np.random.default_rng(2)
    responses = rng.standard_normal((N, 4))
    seen, _ = spied(rng.standard_normal((N, 6)) * 7 + 3, pdist(responses), responses)
    assert len(seen) == 2 * N_FOLDS
    for training in seen[:N_FOLDS]:
        trained = training.pairs.images
        others = np.setdiff1d(np.arange(N), trained)
        assert training.validation.images.size > 0
        assert np.isin(training.validation.images, others).all()
        np.testing.assert_allclose(training.items.features[trained].mean(axis=0), 0, atol=1e-5)
        assert np.isfinite(training.items.responses[trained]).all()
        assert np.isnan(training.items.responses[others]).all()


def test_the_error_of_symmetry_is_that_of_the_model(spied):
    rng = np.random.default_rng(3)
    responses = rng.standard_normal((N, 4))
    _, results = spied(rng.standard_normal((N, 2)), pdist(responses), responses)
    table = pd.concat(results.scores)
    assert (table["symmetry_error"] > 1).all()


def test_effects_of_images_look_like_predictions_where_pairs_leak(tmp_path):
    # Dissimilarities are sums of image effects: no image says anything about another.
    rng = np.random.default_rng(4)
    effects = rng.standard_normal(N)
    first, second = np.triu_indices(N, 1)
    values = 5 + effects[first] + effects[second] + 0.2 * rng.standard_normal(first.size)
    subject = subject_of(rng.standard_normal((N, 4)))
    results = fitted(tmp_path, subject, [RDM("V1", "euclidean", values)], settings_of("additive"))
    assert value(results, LEAKED) > 0.9
    assert value(results, ONE_SEEN) > 0.5
    assert value(results, CLEAN) == 0


def test_a_model_that_knows_the_truth_is_found_and_its_shuffled_control_is_not(tmp_path):
    features = np.random.default_rng(5).standard_normal((N, 3))
    rdms = [RDM("V1", "euclidean", pdist(features))]
    subject = subject_of(features)
    for split in SPLITS:
        assert value(fitted(tmp_path, subject, rdms, settings_of()), split) > 0.999
    shuffled = fitted(tmp_path, subject, rdms, settings_of(shuffled=True))
    table = pd.concat(shuffled.scores)
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
        rdms = [RDM("V1", "euclidean", pdist(others))]
        settings = settings_of(kind, n_permutations=99, n_bootstrap=3, seed=seed)
        table = pd.concat(fitted(tmp_path, subject_of(features), rdms, settings).scores)
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
    results = fitted(tmp_path, subject, [RDM("V1", "euclidean", values)], settings_of())
    with h5py.File(tmp_path / "subj01_raw_distance.h5") as file:
        group = file["V1/euclidean/known/none"]
        for split, n_tested in ((CLEAN, 5 * 45), (LEAKED, N * (N - 1) // 2)):
            true, predicted = (group[split][name][()] for name in ("true", "predicted"))
            tested = np.isfinite(predicted)
            np.testing.assert_allclose(true, values, rtol=1e-6)
            assert tested.sum() == n_tested
            expected = r2_score(true[tested], predicted[tested])
            assert value(results, split, "r2") == pytest.approx(expected, abs=1e-5)


def test_learning_curves_have_rows_of_their_own(tmp_path):
    features = np.random.default_rng(7).standard_normal((N, 3))
    rdms = [RDM("V1", "euclidean", pdist(features))]
    results = fitted(
        tmp_path, subject_of(features), rdms, settings_of("ridge", n_training_images=[12, 20, 34])
    )
    table = pd.concat(results.scores)
    sizes = table[table["split"] == CLEAN].groupby("n_training_images")["value"].count()
    assert sizes.to_dict() == {12: 4, 20: 4, 34: 4}
    assert read_draws(tmp_path / "subj01_ridge.h5").keys() == {
        ("subj01", "ridge", "V1", "euclidean", "known", "", split) for split in SPLITS
    }


def test_what_a_study_lacks_is_said_and_not_fitted(tmp_path):
    features = np.random.default_rng(8).standard_normal((N, 3))
    rdms = [RDM("V1", "euclidean", pdist(features))]
    table = pd.concat(fitted(tmp_path, subject_of(features), rdms, settings_of("encode")).scores)
    assert (table["status"] == "not applicable").all()
    assert table["reason"].unique() == ["needs responses, which this study has not"]
    responses = np.random.default_rng(8).standard_normal((N, 30))
    with_responses = subject_of(features, responses=responses)
    table = pd.concat(fitted(tmp_path, with_responses, rdms, settings_of("encode")).scores)
    status = table.drop_duplicates("split").set_index("split")["status"]
    assert status.to_dict() == {
        CLEAN: "fitted",
        ONE_SEEN: "fitted",
        LEAKED: "not applicable",
    }


def test_copies_of_an_image_stop_a_clean_split(tmp_path):
    features = np.random.default_rng(9).standard_normal((N, 3))
    images = np.random.default_rng(9).integers(0, 256, (N, 8, 8, 3), dtype=np.uint8)
    images[1::2] = images[::2]
    with pytest.raises(InputError, match=r"found a leak, .* test samples with a copy in training"):
        fitted(
            tmp_path,
            subject_of(features, images=images),
            [RDM("V1", "euclidean", pdist(features))],
            settings_of("mean"),
        )


def test_every_split_is_audited(tmp_path):
    features = np.random.default_rng(10).standard_normal((N, 3))
    rdms = [RDM(roi, "euclidean", pdist(features)) for roi in ("V1", "hV4")]
    results = fitted(tmp_path, subject_of(features), rdms, settings_of("mean"))
    table = pd.concat(results.audits)
    assert len(table.drop_duplicates(["split", "fold"])) == 3 * N_FOLDS
    clean = table[table["split"] == CLEAN]
    assert (clean["n_shared"] == 0).all()
    leaked = table[(table["split"] == LEAKED) & (table["check"] == "items")]
    leaked = leaked[(leaked["of"] == "test") & (leaked["seen_in"] == "training")]
    assert (leaked["share"] == 1).all()


def test_too_few_images_are_said(tmp_path):
    features = np.random.default_rng(11).standard_normal((40, 3))
    with pytest.raises(InputError, match="8 test images in each, expected at least 10"):
        fitted(
            tmp_path,
            subject_of(features),
            [RDM("V1", "euclidean", pdist(features))],
            settings_of("mean"),
        )


def test_embeddings_of_other_images_are_refused():
    features = np.zeros((4, 2), np.float32)
    images = PairImages(list("abcd"), np.zeros((4, 2, 2, 3), np.uint8), np.arange(4))
    with pytest.raises(InputError, match="embedding known: found other images"):
        Subject("scenes", "subj01", images, {"known": Embedding("known", list("abdc"), features)})


@dataclass
class Stopping:
    """A model that is stopped at its n-th fit, and has a learning curve."""

    stop: int
    n_fits: int = 0
    needs = ("features",)
    splits = SPLITS
    symmetric = True

    def fit(self, training):
        """Keep the sum of the values, or stop."""
        self.n_fits += 1
        if self.n_fits == self.stop:
            raise KeyboardInterrupt
        self.sum = sum(training.pairs.all()[2])
        return pd.DataFrame(
            {"epoch": [1, 2], "part": "training", "measure": "loss", "value": [self.sum, 0.5]}
        )

    def predict(self, items, first, second):
        """Return what depends on fit, features and order."""
        return self.sum + items.features[first, 0].astype(float) - 2 * items.features[second, 1]


def test_a_job_that_was_cut_short_takes_up_the_fits_that_had_ended(tmp_path, monkeypatch):
    features = np.random.default_rng(12).standard_normal((N, 3))
    rdms = [RDM("V1", "euclidean", pdist(features))]

    def run(folder, stop):
        model = Stopping(stop)
        monkeypatch.setattr(script, "build", lambda kind, options, where: model)
        settings = settings_of("stopping")
        return model, fitted(folder, subject_of(features), rdms, settings, save_after=0)

    _, whole = run(tmp_path / "whole", stop=0)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", stop=4)
    assert len(list((tmp_path / "cut" / "subj01_stopping.fits").glob("*.npz"))) == 3
    model, resumed = run(tmp_path / "cut", stop=0)
    assert model.n_fits == 2 * N_FOLDS - 3
    for name in ("scores", "histories"):
        own, new = (pd.concat(getattr(part, name)) for part in (whole, resumed))
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
            results = fitted(folder, subject, [RDM("V1", "euclidean", values)], settings_of(kind))
            tables += results.scores
            draws.append(read_draws(folder / f"{subject.name}_{kind}.h5"))
    scores = pd.concat(tables, ignore_index=True)
    return scores, Fits(scores, dict(ChainMap(*draws)))


def test_inflation_is_leaked_less_clean(study):
    scores, fits = study
    table = inflation_table(scores, fits).set_index(["model", "subject", "measure"])
    wide = scores.pivot_table(
        index=["model", "subject", "measure"], columns="split", values="value"
    )
    for key, row in wide.dropna().iterrows():
        assert table.loc[key, "value"] == pytest.approx(row[LEAKED] - row[CLEAN])
    # Effects of images are all that leaks to the additive model, and nothing to the others.
    leaks = table.xs("spearman", level="measure")
    assert (leaks.loc["additive", "low"] > 0.3).all()
    assert (leaks.loc["raw_distance", "low"] < 0.1).all()
    assert leaks.loc["encode", "value"].isna().all()
    of_subjects = leaks.loc["additive", "value"]
    assert leaks.loc["additive", "mean"].unique() == pytest.approx([of_subjects.mean()])


def test_variants_that_look_like_numbers_are_names(tmp_path):
    features = np.random.default_rng(14).standard_normal((N, 3))
    rdms = [RDM("V1", "euclidean", pdist(features))]
    numbered = settings_of("ridge", variants={"0": {}, "1": {"penalties": [10.0]}})
    draws = {}
    for number, settings in enumerate([numbered, settings_of("additive")]):
        results = fitted(tmp_path, subject_of(features), rdms, settings)
        write_table(pd.concat(results.scores), tmp_path / f"{number}.csv")
        draws |= read_draws(tmp_path / f"subj01_{settings.model}.h5")
    scores = pd.concat([read_scores(tmp_path / f"{i}.csv") for i in range(2)], ignore_index=True)
    assert set(scores["variant"]) == {"0", "1", ""}
    table = inflation_table(scores, Fits(scores, draws))
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
