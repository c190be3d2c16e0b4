"""Distances of embeddings beside those of responses: the numbers of scipy, tests that hold."""

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.spatial.distance import pdist
from scipy.stats import pearsonr, spearmanr

from scripts.dissimilarity.embeddings.embeddings import Embedding, write_embedding
from scripts.dissimilarity.evaluation import compare_raw_distances as module
from scripts.dissimilarity.evaluation.compare_raw_distances import compare_raw_distances
from scripts.dissimilarity.figures.plot_raw_distances import plot_raw_distances
from tests.checkout import REPOSITORY
from workflow.lib.errors import InputError
from workflow.lib.rdms.store import RDMStore, write_rdms
from workflow.lib.sources import MEAN_SESSION

N_IMAGES = 40
ROIS, METRICS = ("V1", "PPA"), ("correlation", "euclidean")
SETTINGS = {"n_resamples": 200, "n_permutations": 99, "seed": 1}


def names(n=N_IMAGES):
    return [f"image {i}" for i in range(n)]


def written_rdms(path, responses, subject="subj01"):
    """Write the RDMs of responses, roi -> (n_images, n_vertices)."""
    write_rdms(
        path,
        [
            ({"roi": roi, "metric": metric}, pdist(patterns, metric))
            for roi, patterns in responses.items()
            for metric in METRICS
        ],
        names=names(len(next(iter(responses.values())))),
        measure="correlation, euclidean",
        descriptors={"study": "scenes", "subject": subject},
    )
    return RDMStore(path)


def written_embedding(folder, name, features):
    path = folder / f"{name}.h5"
    write_embedding(path, Embedding(name, names(len(features)), features.astype(np.float32)))
    return path


@pytest.fixture
def study(tmp_path):
    """Responses of V1 that follow an embedding, of PPA that do not; that one, and another."""
    rng = np.random.default_rng(5)
    seen, unseen = rng.gamma(2, size=(2, N_IMAGES, 12))
    responses = {
        "V1": seen @ rng.normal(size=(12, 50)) + rng.normal(size=(N_IMAGES, 50)),
        "PPA": rng.normal(size=(N_IMAGES, 50)),
    }
    brain = written_rdms(tmp_path / "fmri_subj01.h5", responses)
    features = {"seen": seen, "unseen": unseen}
    files = [written_embedding(tmp_path, name, values) for name, values in features.items()]
    return brain, files, responses, features


def test_numbers_are_those_of_scipy(study):
    brain, files, responses, features = study
    table = compare_raw_distances(brain, files, **SETTINGS)
    assert len(table) == len(ROIS) * len(METRICS) * len(files) * 3
    assert (table[["study", "subject"]] == ["scenes", "subj01"]).all(axis=None)
    for _, row in table.iterrows():
        brains = pdist(responses[row["roi"]], row["metric"])
        models = pdist(features[row["embedding"]].astype(np.float32), row["distance"])
        assert row["spearman"] == pytest.approx(spearmanr(models, brains)[0], abs=1e-5)
        assert row["pearson"] == pytest.approx(pearsonr(models, brains)[0], abs=1e-5)
    assert set(table["n_images"]) == {N_IMAGES}
    assert set(table["n_pairs"]) == {N_IMAGES * (N_IMAGES - 1) // 2}


def test_intervals_are_of_the_spread_over_resampled_images(study):
    brain, files, _, _ = study
    table = compare_raw_distances(brain, files, **SETTINGS | {"n_resamples": 2000})
    row = table.query("roi == 'V1' and metric == 'euclidean' and embedding == 'seen'").iloc[1]
    assert row["distance"] == "euclidean"
    rng, draws = np.random.default_rng(0), []
    model, response = study[3]["seen"], study[2]["V1"]
    for _ in range(400):
        drawn = rng.integers(N_IMAGES, size=N_IMAGES)
        first, second = np.triu_indices(N_IMAGES, 1)
        differ = drawn[first] != drawn[second]
        pairs = (pdist(values[drawn])[differ] for values in (model, response))
        draws.append(spearmanr(*pairs)[0])
    assert (row["high"] - row["low"]) / 2 == pytest.approx(2.02 * np.std(draws), rel=0.15)
    assert row["low"] < row["spearman"] < row["high"]


def test_planted_effect_is_found(study):
    brain, files, _, _ = study
    table = compare_raw_distances(brain, files, **SETTINGS)
    planted = (table["roi"] == "V1") & (table["embedding"] == "seen")
    of_its_kind = planted & (table["metric"] == table["distance"])
    assert (table.loc[of_its_kind, "p"] == 1 / 100).all()
    assert (table.loc[of_its_kind, "q"] < 0.05).all()
    assert (table.loc[of_its_kind, "low"] > 0).all()
    assert table.loc[~planted, "p"].median() > 0.2


def test_of_nothing_p_is_as_often_small_as_it_says(tmp_path):
    rng, p = np.random.default_rng(2), []
    for number in range(60):
        # Few features: pairs of an image far from all others all are large together.
        responses = {"V1": rng.gamma(1, size=(12, 3))}
        brain = written_rdms(tmp_path / f"{number}.h5", responses, subject=str(number))
        files = [written_embedding(tmp_path, f"e{number}", rng.gamma(1, size=(12, 3)))]
        table = compare_raw_distances(brain, files, **SETTINGS | {"n_resamples": 2})
        p.append(table.query("metric == distance and metric == 'euclidean'")["p"].item())
    # Of 60, a share of 0.1 gives 12 or fewer in 99 % of all cases.
    assert np.sum(np.array(p) <= 0.1) <= 12
    assert 0.35 < np.mean(p) < 0.65


def test_parts_give_what_the_whole_does(study, monkeypatch):
    brain, files, _, _ = study
    whole = compare_raw_distances(brain, files, **SETTINGS)
    monkeypatch.setattr(module, "HELD_BYTES", 1)
    order = ["roi", "metric", "embedding", "distance"]
    parts = compare_raw_distances(brain, files, **SETTINGS)
    pd.testing.assert_frame_equal(
        parts.sort_values(order, ignore_index=True), whole.sort_values(order, ignore_index=True)
    )


def test_rois_can_be_chosen(study):
    brain, files, _, _ = study
    table = compare_raw_distances(brain, files, rois=["PPA"], **SETTINGS)
    assert set(table["roi"]) == {"PPA"}


def test_rdms_of_a_study_of_rsa_count_by_their_mean_session(study, tmp_path):
    _, files, responses, features = study
    sessions = {"1": responses["PPA"], MEAN_SESSION: responses["V1"]}
    path = tmp_path / "brain_subj01.h5"
    write_rdms(
        path,
        [({"roi": "hIT", "session": s}, pdist(v, "correlation")) for s, v in sessions.items()],
        names=names(),
        measure="correlation",
        descriptors={"study": "images92", "subject": "subj01"},
    )
    table = compare_raw_distances(RDMStore(path), files, **SETTINGS)
    assert set(table["roi"]) == {"hIT"}
    assert set(table["metric"]) == {"correlation"}
    models = pdist(features["seen"].astype(np.float32), "cosine")
    found = table.query("embedding == 'seen' and distance == 'cosine'")["spearman"].item()
    expected = spearmanr(models, pdist(responses["V1"], "correlation"))[0]
    assert found == pytest.approx(expected, abs=1e-5)


def test_embedding_of_other_images_is_refused(study, tmp_path):
    brain, _, _, features = study
    path = tmp_path / "other.h5"
    write_embedding(path, Embedding("other", names()[::-1], features["seen"].astype("f4")))
    with pytest.raises(InputError, match=r"embedding other: found 40 images that are not the 40"):
        compare_raw_distances(brain, [path], **SETTINGS)


@pytest.fixture
def table(study):
    brain, files, _, _ = study
    return compare_raw_distances(brain, files, **SETTINGS)


def test_figure_marks_what_is_significant_and_says_of_how_many(table):
    figure, caption = plot_raw_distances(table, title="Scenes", simulated=True)
    filled = [
        line
        for axis in figure.axes
        for line in axis.lines
        if line.get_marker() not in ("None", None, "") and line.get_markerfacecolor() != "white"
    ]
    assert sum(len(line.get_xdata()) for line in filled) == (table["q"] < 0.05).sum()
    assert "40 images, 780 pairs" in caption
    assert "99 permutations" in caption
    assert "24 tests" in caption
    assert "single case" in caption
    assert "0.288" not in caption


def test_published_numbers_stand_beside_published_data_only(table):
    full = yaml.safe_load((REPOSITORY / "config/full.yaml").read_text())
    published = full["dissimilarity"]["algonauts2023_thousand"]["published"]["raw_distances"]
    assert "0.288" in published
    assert "0.162" in published
    _, caption = plot_raw_distances(table, title="NSD", simulated=False, published=published)
    assert caption.endswith(published.strip())


def test_several_subjects_are_shown_with_their_mean(table):
    several = pd.concat([table, table.assign(subject="subj02")], ignore_index=True)
    figure, caption = plot_raw_distances(several, title="Scenes", simulated=False)
    assert "n = 2 subjects" in caption
    assert figure.axes[0].collections
