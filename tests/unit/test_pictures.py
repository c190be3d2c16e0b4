"""Simulated pictures keep shape and category apart, and responses hold what is planted."""

import functools

import bdpy
import numpy as np
import pytest
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scripts.reconstruction.data.bdata_files import image_id
from scripts.reconstruction.data.pictures import (
    DARKEST,
    LIGHTEST,
    N_MATERIALS,
    SIDE,
    TEST_PLACES,
    TRAINING_PLACES,
    WEIGHTS,
    categories,
    colours,
    draw_pictures,
    luminance,
)
from scripts.reconstruction.data.shape_targets import shape_targets
from scripts.reconstruction.data.simulate_pictures import (
    AREAS,
    RUN,
    STREAMS,
    draw_brain,
    draw_parts,
    evoked,
    simulate_pictures,
)
from workflow.lib.patterns.bdata import BData

CHANCE = 1 / N_MATERIALS
SEEDS = range(5)
FILES = {"training": "fmri/sub-{subject}_training.h5", "natural": "fmri/sub-{subject}_test.h5"}
CLASSIFIERS = {
    "linear": lambda: make_pipeline(StandardScaler(), PCA(30), LogisticRegression(max_iter=1000)),
    "neighbours": lambda: make_pipeline(StandardScaler(), KNeighborsClassifier(5)),
    "forest": lambda: RandomForestClassifier(40, random_state=0),
}


@functools.cache
def pictures(seed, n=25):
    shown = [category for category in categories(TRAINING_PLACES) for _ in range(n)]
    drawn = draw_pictures(shown, np.random.default_rng(seed))
    return drawn, np.array([category.material for category in shown])


def grey(drawn):
    return np.array([np.asarray(Image.fromarray(picture).convert("L")) for picture in drawn])


def surfaces(drawn):
    """Return the mean, spread, size and edges of objects in grey, (n, 6)."""
    levels, object_ = grey(drawn).astype(float), grey(drawn) < 150
    rows = []
    for level, own in zip(levels, object_, strict=True):
        edges = [np.abs(np.diff(level, axis=axis)).mean() for axis in (0, 1)]
        rows.append([level[own].mean(), level[own].std(), own.sum(), level[own].min(), *edges])
    return np.array(rows)


SEEN = {
    "grey": lambda drawn: grey(drawn).reshape(len(drawn), -1) / 255,
    "shape": lambda drawn: shape_targets(drawn, matte=True, blur=1.0).reshape(len(drawn), -1),
    "surface": surfaces,
}


@pytest.mark.parametrize("seen", SEEN)
def test_the_grey_picture_does_not_tell_the_category(seen):
    names = [name for name in CLASSIFIERS if not (seen == "surface" and name == "linear")]
    accuracies = {name: [] for name in names}
    for seed in SEEDS:
        drawn, materials = pictures(seed)
        rows = SEEN[seen](drawn)
        order = np.random.default_rng(seed).permutation(len(rows))
        for name in names:
            scores = cross_val_score(CLASSIFIERS[name](), rows[order], materials[order], cv=3)
            accuracies[name].append(scores.mean())
    # A guess is right in 17 %, with a standard deviation of 1 % over all seeds.
    n = len(SEEDS) * len(materials)
    spread = np.sqrt(CHANCE * (1 - CHANCE) / n)
    for name, found in accuracies.items():
        assert abs(np.mean(found) - CHANCE) < 4 * spread, (name, found)


def test_colour_tells_the_category_of_new_objects():
    drawn, materials = pictures(0)
    colour = drawn.reshape(len(drawn), -1, 3).mean(axis=1)
    order = np.random.default_rng(0).permutation(len(drawn))
    model = make_pipeline(StandardScaler(), LogisticRegression())
    assert cross_val_score(model, colour[order], materials[order], cv=3).mean() > 0.98


def test_the_category_does_not_tell_the_shape():
    for seed in SEEDS:
        drawn, materials = pictures(seed)
        half = np.arange(len(drawn)) % 2 == 0
        light = luminance(drawn)
        means = np.array([light[half & (materials == m)].mean(axis=0) for m in range(N_MATERIALS)])
        of_category = ((light[~half] - means[materials[~half]]) ** 2).mean()
        of_all = ((light[~half] - light[half].mean(axis=0)) ** 2).mean()
        # A mean over fewer pictures is further off.
        assert of_category > of_all


def test_colours_have_no_luminance_and_fit_the_range():
    for category in (*categories(TRAINING_PLACES), *categories(TEST_PLACES)):
        found = colours(category, phase=0.7)
        np.testing.assert_allclose(found @ WEIGHTS, 0, atol=1e-12)
        assert found.min() + DARKEST > 0
        assert found.max() + LIGHTEST < 1


def test_test_categories_are_new_ones_of_the_same_materials():
    parts = draw_parts({"training": 240, "natural": 40}, np.random.default_rng(0))
    training, test = (parts[part].categories for part in ("training", "natural"))
    assert not {c.number for c in training} & {c.number for c in test}
    assert {c.material for c in training} == {c.material for c in test} == set(range(N_MATERIALS))
    names = parts["training"].names + parts["natural"].names
    assert len(set(names)) == 280


@functools.cache
def noiseless(streams, seed=1):
    """Return parts, and the responses of a brain to them without noise, by area."""
    parts = draw_parts({"training": 240, "natural": 60}, np.random.default_rng(seed))
    brain = draw_brain(np.random.default_rng(seed))
    means = evoked(brain, parts, streams=streams, seed=seed, name="test")
    early, high = np.isin(brain.areas, ["V1", "V2", "V3"]), np.isin(brain.areas, ["FFA", "PPA"])
    return parts, {part: {"early": v[:, early], "high": v[:, high]} for part, v in means.items()}


def shape_correlation(parts, responses, area):
    """Return the mean correlation of test pictures with those decoded, less their mean."""
    light = {part: luminance(shown.pictures).reshape(-1, SIDE**2) for part, shown in parts.items()}
    model = RidgeCV(np.logspace(-3, 3, 7)).fit(responses["training"][area], light["training"])
    mean = light["training"].mean(axis=0)
    decoded = model.predict(responses["natural"][area]) - mean
    true = light["natural"] - mean
    return np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(decoded, true, strict=True)])


def material_accuracy(parts, responses, area):
    material = {part: np.array([c.material for c in parts[part].categories]) for part in parts}
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(responses["training"][area], material["training"])
    return np.mean(model.predict(responses["natural"][area]) == material["natural"])


def test_responses_without_noise_tell_what_is_planted():
    parts, responses = noiseless(STREAMS)
    assert shape_correlation(parts, responses, "early") > 0.9
    assert abs(shape_correlation(parts, responses, "high")) < 0.1
    assert material_accuracy(parts, responses, "high") > 0.95
    # Chance is 0.17 of 60 pictures.
    assert material_accuracy(parts, responses, "early") < 0.34


@pytest.mark.parametrize("streams", [(), ("shape",), ("semantics",)])
def test_streams_that_are_not_planted_tell_nothing_but_respond_as_strongly(streams):
    parts, responses = noiseless(streams)
    planted = noiseless(STREAMS)[1]
    for area in ("early", "high"):
        ratio = responses["training"][area].var(axis=0) / planted["training"][area].var(axis=0)
        np.testing.assert_allclose(ratio, 1)
    shape, semantics = (stream in streams for stream in STREAMS)
    correlation = shape_correlation(parts, responses, "early")
    assert correlation > 0.9 if shape else abs(correlation) < 0.1
    accuracy = material_accuracy(parts, responses, "high")
    assert accuracy > 0.95 if semantics else accuracy < 0.34


def simulated(folder, **changes):
    options = {
        "files": FILES,
        "n_images": {"training": 48, "natural": 12},
        "n_repeats": {"training": 3, "natural": 6},
        "subjects": ["01", "02"],
        "streams": STREAMS,
        "variant": "fmriprep",
        "seed": 4,
        "name": "test",
    }
    return simulate_pictures(folder, **(options | changes))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("fmriprep")
    simulated(path)
    return path


def test_files_have_the_published_layout(folder):
    data = bdpy.BData(str(folder / "fmri/sub-01_training.h5"))
    assert data.select("VoxelData = 1").shape == (3 * 48, sum(a.n_voxels for a in AREAS.values()))
    for roi in ("V1", "V2", "V3", "hV4", "LOC", "FFA", "PPA"):
        assert data.select(f"ROI_{roi} = 1").shape == (144, AREAS[roi].n_voxels)
    assert data.select("ROI_HVC = 1").shape[1] == 180
    assert data.select("ROI_VC = 1").shape[1] == 540
    names = data.get_label("stimulus_name")
    assert {len(set(names[start : start + 48])) for start in (0, 48, 96)} == {48}
    assert set(names) == {path.stem for path in (folder / "stimuli/training").iterdir()}
    runs = data.select("Run = 1").ravel()
    assert np.bincount(runs.astype(int)).tolist() == [0, RUN, RUN, 144 - 2 * RUN]
    picture = Image.open(folder / f"stimuli/training/{names[0]}.png")
    assert (picture.size, picture.mode) == ((SIDE, SIDE), "RGB")


def test_both_variants_hold_the_same_trials(folder, tmp_path):
    simulated(tmp_path, variant="original", subjects=["02"])
    with (
        BData(folder / "fmri/sub-02_test.h5") as one,
        BData(tmp_path / "fmri/sub-02_test.h5") as other,
    ):
        np.testing.assert_array_equal(
            one.values(one.responses("ROI_VC = 1")), other.values(other.responses("ROI_VC = 1"))
        )
        ids = [image_id(*map(int, name[1:].split("_"))) for name in one.names()]
        assert other.ids() == ids


def test_a_seed_gives_the_same_files_and_another_seed_others(folder, tmp_path):
    simulated(tmp_path / "again")
    simulated(tmp_path / "other", seed=5)
    for file in ("fmri/sub-02_test.h5", "stimuli/natural/n01000013_1.png"):
        assert (tmp_path / "again" / file).read_bytes() == (folder / file).read_bytes()
        assert (tmp_path / "other" / file).read_bytes() != (folder / file).read_bytes()


def test_every_test_shows_pictures_of_its_own():
    parts = draw_parts({"training": 24, "natural": 12, "shapes": 12}, np.random.default_rng(0))
    names = [name for shown in parts.values() for name in shown.names]
    assert len(set(names)) == 48
    # Categories of two tests may look alike, but are not called the same.
    numbers = [{c.number for c in parts[part].categories} for part in ("natural", "shapes")]
    assert not numbers[0] & numbers[1]


def test_what_is_told_of_the_truth_holds_under_the_null(tmp_path):
    areas, images = simulated(tmp_path, streams=())
    assert (areas[list(STREAMS)] == 0).all(axis=None)
    assert len(images) == 60
    assert set(images["part"]) == {"training", "natural"}
