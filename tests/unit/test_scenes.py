"""Simulated scenes: what is planted is there, where it should be, and nowhere in the null."""

import numpy as np
import pytest
import scipy.stats
from PIL import Image
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scripts.dissimilarity.data.algonauts import Algonauts2023
from scripts.dissimilarity.data.pickled_mapping import read_mapping
from scripts.dissimilarity.data.prepare_pair_images import images_of_responses
from scripts.dissimilarity.data.simulate_scenes import (
    CONTRAST,
    CONTRAST_SPREAD,
    draw_latents,
    draw_scenes,
    simulate,
)
from workflow.lib.features.controls import gabor, pixel
from workflow.lib.features.stimuli import Stimuli
from workflow.lib.layouts.algonauts2023 import (
    ALL,
    HEMISPHERES,
    ROI_NAMES,
    SIMULATED_SUBJECTS,
    algonauts_files,
    mapping_file,
    mask_file,
    simulated_files,
    surface_file,
)

N_IMAGES, N_TRAINING = 150, 120
SEED = 4711
ROIS = {"V1": ["V1v", "V1d"]} | {name: [name] for name in ("hV4", "EBA", "FFA-1", "PPA", "RSC")}
PENALTIES = np.logspace(-2, 5, 15)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("scenes")
    simulate(path, n_images=N_IMAGES, null_effect=False, seed=SEED, name="scenes")
    return path


@pytest.fixture(scope="module")
def null(tmp_path_factory):
    path = tmp_path_factory.mktemp("scenes_null")
    simulate(path, n_images=N_IMAGES, null_effect=True, seed=SEED, name="scenes_null")
    return path


def features_of(images):
    """Gabor energies and coloured pixels, (n_images, n_features) each."""
    stimuli = Stimuli(
        [str(i) for i in range(len(images))],
        lambda i: Image.fromarray(images[i]),
        list(range(len(images))),
    )
    return {
        "gabor": gabor(stimuli, side=64, frequencies=(0.25, 0.125)),
        "pixel": pixel(stimuli, side=32, colour=True),
    }


def features_in(folder, subject):
    images = images_of_responses(Algonauts2023(folder, subject), n_images=None, side=64)
    return features_of(images.images)


@pytest.fixture(scope="module")
def features(folder):
    return features_in(folder, "subj01")


@pytest.fixture(scope="module")
def null_features(null):
    return features_in(null, "subj01")


def encoding(n_components=12):
    return make_pipeline(PCA(n_components), StandardScaler(), RidgeCV(PENALTIES))


def predicted(x, y, training, n_components=12):
    """Responses to all images by an encoding model of scikit-learn, fitted to some of them."""
    return encoding(n_components).fit(x[training], y[training]).predict(x)


def both(features, training):
    """Leading components of both kinds of features, by the training images."""
    parts = [
        make_pipeline(PCA(10), StandardScaler()).fit(x[training]).transform(x)
        for x in features.values()
    ]
    return np.hstack(parts)


def mean_correlation(x, y):
    """Mean over columns of Pearson's r."""
    return np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(x.T, y.T, strict=True)])


def similarity(x, y, metric="correlation"):
    """Spearman's rho of two RDMs over patterns."""
    return scipy.stats.spearmanr(pdist(x, metric), pdist(y, metric)).statistic


def centred(x):
    return x - x.mean(axis=0)


ALL_ROWS = np.arange(N_IMAGES)
FOLDS = [np.arange(fold, N_IMAGES, 5) for fold in range(5)]


# The images.


def test_gratings_show_in_gabor_energy_and_not_in_pixels():
    rng = np.random.default_rng(1)
    scenes = draw_latents(300, rng)
    found = features_of(draw_scenes(scenes, rng))
    training, test = np.arange(200), np.arange(200, 300)
    scores = {
        (kind, what): mean_correlation(predicted(x, y, training, 24)[test], y[test])
        for kind, x in found.items()
        for what, y in (
            ("contrasts", scenes.contrasts),
            ("luminances", scenes.luminances),
            ("colours", scenes.colours),
        )
    }
    assert scores["gabor", "contrasts"] > 0.97
    assert abs(scores["pixel", "contrasts"]) < 0.15
    assert scores["pixel", "luminances"] > 0.95
    assert scores["pixel", "colours"] > 0.95
    # Colours leave luminance as it is, of which Gabor filters are made.
    assert abs(scores["gabor", "colours"]) < 0.15


def test_scenes_are_within_what_a_picture_can_hold():
    assert CONTRAST - np.sqrt(3) * CONTRAST_SPREAD > 0
    rng = np.random.default_rng(2)
    pictures = draw_scenes(draw_latents(100, rng), rng)
    assert np.mean((pictures == 0) | (pictures == 255)) < 1e-3


# The layout.


def test_every_file_of_the_layout_is_there(folder):
    assert all((folder / file).is_file() for file in simulated_files(SIMULATED_SUBJECTS))
    for subject in SIMULATED_SUBJECTS:
        needed = algonauts_files(str(folder), subject, [*ROI_NAMES])
        assert {file.removeprefix(f"{folder}/") for file in needed} <= set(
            simulated_files(SIMULATED_SUBJECTS)
        )
        assert len(list((folder / subject / "test_split/test_images").glob("test-*.png"))) == 10


def test_spaces_agree(folder):
    """Labels on fsaverage, where there are responses, are the labels of the responses."""
    for hemisphere in HEMISPHERES:
        surface = np.load(folder / surface_file("subj02", hemisphere))
        assert surface.shape == (163_842,)
        for name in ("prf-visualrois", "floc-places", "streams"):
            whole, own = (
                np.load(folder / mask_file("subj02", hemisphere, name, space))
                for space in ("fsaverage", "challenge")
            )
            np.testing.assert_array_equal(whole[surface == 1], own)
            assert not whole[surface == 0].any()
            assert set(own) <= set(read_mapping(folder / mapping_file("subj02", name)))


def test_half_of_the_images_were_seen_by_all(folder):
    subjects = [Algonauts2023(folder, subject) for subject in SIMULATED_SUBJECTS]
    seen = [{name.split("_")[1] for name in subject.image_names} for subject in subjects]
    assert [len(names) for names in seen] == [N_IMAGES] * 3
    shared = set.intersection(*seen)
    assert len(shared) == N_IMAGES // 2
    assert len(set.union(*seen)) == 4 * N_IMAGES // 2
    pictures = [
        {n.split("_")[1]: s.image_path(i).read_bytes() for i, n in enumerate(s.image_names)}
        for s in subjects
    ]
    assert all(pictures[0][name] == pictures[1][name] for name in shared)


def test_simulation_follows_from_its_seed_and_name(tmp_path):
    def written(folder, **changes):
        settings = {"n_images": 6, "null_effect": False, "seed": 1, "name": "a"} | changes
        simulate(tmp_path / folder, **settings)
        return {
            path.relative_to(tmp_path / folder): path.read_bytes()
            for path in (tmp_path / folder).rglob("*.*")
            if path.is_file()
        }

    first = written("first")
    assert written("again") == first
    responses = [p for p in first if p.name == "lh_training_fmri.npy"]
    for folder, changes in (("seed", {"seed": 2}), ("name", {"name": "b"})):
        other = written(folder, **changes)
        assert all(other[path] != first[path] for path in responses)


# The responses.


@pytest.mark.parametrize("subject", SIMULATED_SUBJECTS)
def test_noise_leaves_the_intended_ceilings(folder, subject):
    data = Algonauts2023(folder, subject)
    ceilings = {}
    for roi, parts in (ROIS | {ALL: ALL}).items():
        pair = data.responses(parts, ALL_ROWS), data.noiseless(parts, ALL_ROWS)
        ceilings[roi] = similarity(*map(centred, pair))
    assert 0.55 < ceilings["V1"] < 0.8
    assert all(0.45 < ceilings[roi] < 0.8 for roi in ROIS)
    assert 0.35 < ceilings[ALL] < 0.65


def test_responses_have_unit_variance(folder):
    data = Algonauts2023(folder, "subj03")
    variances = data.responses(ALL, ALL_ROWS).var(axis=0)
    assert 0.95 < variances.mean() < 1.15


@pytest.mark.parametrize("roi", ROIS)
def test_encoding_recovers_responses_without_noise(folder, features, roi):
    """From 120 images, trained without noise: what is planted is linear in these features."""
    y = Algonauts2023(folder, "subj01").noiseless(ROIS[roi], ALL_ROWS)
    training, test = np.arange(N_TRAINING), np.arange(N_TRAINING, N_IMAGES)
    found = RidgeCV(PENALTIES).fit(both(features, training)[training], y[training])
    assert mean_correlation(found.predict(both(features, training)[test]), y[test]) > 0.9


# Of one kind of features, that which the ROI responds to; enough components to hold it.
SUFFICIENT = {"V1": ("gabor", 12), "hV4": ("pixel", 12), "RSC": ("pixel", 20)}


def share_of_ceiling(subject, features, roi):
    """Score of an RDM of predicted responses to left out images, as a share of the ceiling."""
    parts = ROIS[roi]
    y, truth = (centred(f(parts, ALL_ROWS)) for f in (subject.responses, subject.noiseless))
    kind, n_components = SUFFICIENT[roi]
    scores, ceilings = [], []
    for test in FOLDS:
        training = np.setdiff1d(ALL_ROWS, test)
        found = predicted(features[kind], y, training, n_components)
        scores.append(similarity(found[test], y[test]))
        ceilings.append(similarity(truth[test], y[test]))
    return np.mean(scores) / np.mean(ceilings)


@pytest.mark.parametrize("roi", SUFFICIENT)
def test_rdms_of_encodings_come_near_the_ceiling(folder, features, roi):
    """Trained with the noise that there is, tested on images left out."""
    assert share_of_ceiling(Algonauts2023(folder, "subj01"), features, roi) > 0.9


def test_gabor_and_pixels_each_have_their_regions(folder, features):
    data = Algonauts2023(folder, "subj01")
    training, test = np.arange(N_TRAINING), np.arange(N_TRAINING, N_IMAGES)

    def score(roi, kind):
        y = data.noiseless(ROIS[roi], ALL_ROWS)
        return mean_correlation(predicted(features[kind], y, training)[test], y[test])

    assert score("V1", "gabor") > 0.85 > 0.3 > score("V1", "pixel")
    assert score("hV4", "pixel") > 0.7 > 0.4 > score("hV4", "gabor")


def test_distances_of_embeddings_as_they_are_say_less_than_what_can_be_learned(folder, features):
    """Clutter lies in the images: near for pixels is not near for the brain."""
    y = centred(Algonauts2023(folder, "subj01").responses(ROIS["V1"], ALL_ROWS))
    truth = centred(Algonauts2023(folder, "subj01").noiseless(ROIS["V1"], ALL_ROWS))
    raw = scipy.stats.spearmanr(pdist(features["gabor"]), pdist(y, "correlation")).statistic
    assert 0.05 < raw < 0.7 * similarity(truth, y)


# The null.


def test_null_responses_have_as_much_structure(null):
    data = Algonauts2023(null, "subj01")
    pair = (f(ROIS["V1"], ALL_ROWS) for f in (data.responses, data.noiseless))
    assert 0.55 < similarity(*map(centred, pair)) < 0.8


@pytest.mark.parametrize("roi", ROIS)
def test_null_responses_follow_from_no_feature_of_the_images(null, null_features, roi):
    y = Algonauts2023(null, "subj01").noiseless(ROIS[roi], ALL_ROWS)
    scores = []
    for test in FOLDS:
        training = np.setdiff1d(ALL_ROWS, test)
        x = both(null_features, training)
        found = RidgeCV(PENALTIES).fit(x[training], y[training]).predict(x)
        scores.append(similarity(found[test], y[test]))
    assert abs(np.mean(scores)) < 0.15


def test_null_subjects_share_nothing(null):
    subjects = [Algonauts2023(null, subject) for subject in SIMULATED_SUBJECTS[:2]]
    numbers = [[n.split("_")[1] for n in s.image_names] for s in subjects]
    shared = sorted(set(numbers[0]) & set(numbers[1]))
    patterns = [
        centred(s.noiseless(ROIS["V1"], np.array([n.index(number) for number in shared])))
        for s, n in zip(subjects, numbers, strict=True)
    ]
    assert abs(similarity(*patterns)) < 0.15


def test_truth_says_what_was_planted(tmp_path):
    tables = {
        null_effect: simulate(
            tmp_path / str(null_effect), n_images=4, null_effect=null_effect, seed=1, name="s"
        )
        for null_effect in (False, True)
    }
    shares = ["contrast", "luminance", "colour", "unrelated", "noise"]
    for table in tables.values():
        np.testing.assert_allclose(table[shares].sum(axis=1), 1)
    assert (tables[True][["contrast", "luminance", "colour"]] == 0).all(axis=None)
    of_v1 = tables[False].query("subject == 'subj01' and roi in ['V1v', 'V1d']")
    data = Algonauts2023(tmp_path / "False", "subj01")
    assert of_v1["n_vertices"].sum() == data.n_vertices(["V1v", "V1d"], np.arange(4))
    assert (of_v1["contrast"] > 10 * of_v1["luminance"]).all()
