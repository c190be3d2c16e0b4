"""Tables of scores: what is planted is found, what is not is not, paired and over subjects."""

import numpy as np
import pandas as pd
import pytest

from scripts.reconstruction.data.image_table import ImageTable
from scripts.reconstruction.evaluation.evaluate_decoders import (
    category_means,
    confusion,
    score_shapes,
)
from scripts.reconstruction.evaluation.evaluate_reconstruction import (
    Files,
    evaluate_reconstruction,
)
from scripts.reconstruction.evaluation.image_scores import (
    Evaluation,
    Reconstructions,
    matched_null,
    means,
)
from workflow.lib.errors import InputError
from workflow.lib.scores.identification import permutation_p
from workflow.lib.scores.images import correlations
from workflow.lib.sources import TRAINING
from workflow.lib.splits.held_out import HeldOut, fitted_to_all, write_held_out

SIDE, N_TEST = 12, 30
SETTINGS = {
    "n_way": [2, 5],
    "n_bootstrap": 200,
    "n_permutations": 200,
    "reference": "full",
    "seed": 0,
    "study": "test",
}


def smooth(rng, n):
    coarse = rng.integers(0, 256, (n, 3, 3, 3))
    return coarse.repeat(4, axis=1).repeat(4, axis=2).astype(np.float64)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Reconstructions that mix the true image with another one: all, half, or nothing of it."""
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    true = smooth(rng, N_TEST)
    images = ImageTable(
        names=["t0"] + [f"i{k}" for k in range(N_TEST)],
        parts=[TRAINING] + ["natural"] * N_TEST,
        images=np.concatenate([smooth(rng, 1), true]).astype(np.uint8),
        shapes=np.zeros((N_TEST + 1, SIDE, SIDE), np.float32),
        groups=np.arange(N_TEST + 1),
    )
    files = []
    for name, share in {"full": 0.6, "half": 0.3, "shuffled": 0.0, "again": 0.6}.items():
        for subject in ("01", "02"):
            other = smooth(np.random.default_rng([1, int(subject), name != "full"]), N_TEST)
            made = (share * true + (1 - share) * other).astype(np.uint8)
            path = folder / f"{name}_{subject}.h5"
            # In another order than that of the table.
            order = rng.permutation(N_TEST)
            names = [f"i{k}" for k in order]
            parts = {"natural": fitted_to_all(names, made[order])}
            write_held_out(path, parts, {"generator": name, "subject": subject})
            files.append(path)
    return images, evaluate_reconstruction(images, Files(files, {}), **SETTINGS)


def test_what_is_planted_is_found_and_noise_is_at_chance(study):
    _, tables = study
    means = tables.means.set_index(["generator", "subject", "measure", "n_way"])
    two_way = means.xs("identification", level="measure").xs(2, level="n_way")["value"]
    for subject in ("01", "02", "joint"):
        assert two_way["full", subject] > two_way["half", subject] > 0.6
        assert abs(two_way["shuffled", subject] - 0.5) < 0.1
    joint = tables.means[tables.means["subject"] == "joint"]
    p = joint.set_index(["generator", "measure", "n_way"])["p"]
    for n_way in (2, 5):
        assert p["full", "identification", n_way] == pytest.approx(1 / 201)
        assert p["shuffled", "identification", n_way] > 0.05
    chance = joint[joint["measure"] == "identification"].groupby("n_way")["chance"].unique()
    assert chance[2] == 1 / 2
    assert chance[5] == 1 / 5


def test_joint_rows_are_means_over_subjects(study):
    _, tables = study
    table = tables.means[tables.means["generator"] == "full"]
    keys = ["measure", "features", "n_way"]
    wide = table.pivot_table(index=keys, columns="subject", values="value", dropna=False)
    wide = wide.dropna()
    np.testing.assert_allclose(wide["joint"], wide[["01", "02"]].mean(axis=1))


def test_images_are_scored_one_by_one_and_their_mean_is_the_mean(study):
    images, tables = study
    own = tables.images[(tables.images["generator"] == "half") & (tables.images["subject"] == "01")]
    assert own["name"].tolist() == images.of("natural").names
    mean = tables.means.query(
        "generator == 'half' and subject == '01' and measure == 'identification' and n_way == 2"
    )["value"].item()
    assert own["identified_pixels"].mean() == pytest.approx(mean)


def test_paired_differences_find_what_is_better_and_nothing_between_equals(study):
    _, tables = study
    joint = tables.differences[tables.differences["subject"] == "joint"]
    pixels = joint[joint["measure"] == "pixel_correlation"].set_index("other")
    assert pixels.loc["half", "low"] > 0
    assert pixels.loc["shuffled", "low"] > pixels.loc["half", "low"]
    assert pixels.loc["again", "low"] < 0 < pixels.loc["again", "high"]
    rmse = joint[joint["measure"] == "rmse"].set_index("other")
    assert rmse.loc["shuffled", "high"] < 0


def test_too_few_test_images_are_named():
    with pytest.raises(InputError, match="found 2 different test images"):
        Evaluation.of(
            np.array([0, 0, 1]),
            n_bootstrap=10,
            n_permutations=10,
            n_way=[2],
            rng=np.random.default_rng(0),
        )


def test_top_k_counts_and_chance_knows_frequent_categories():
    rng = np.random.default_rng(1)
    codes = rng.choice(4, 200, p=[0.7, 0.1, 0.1, 0.1])
    evaluation = Evaluation.of(
        np.arange(200), n_bootstrap=100, n_permutations=200, n_way=[2], rng=rng
    )
    # Always the same answer: right as often as that category is there, and no better than chance.
    same = np.tile([0.7, 0.2, 0.06, 0.04], (200, 1))
    first, second = category_means(same, codes, [1, 2], evaluation)
    assert first.value == pytest.approx((codes == 0).mean())
    assert second.value == pytest.approx((codes <= 1).mean())
    assert first.chance == pytest.approx(first.value)
    assert first.row(evaluation)["p"] == 1
    known = np.eye(4)[codes]
    told = next(category_means(known, codes, [1], evaluation))
    assert told.value == 1
    assert told.chance == pytest.approx(np.sum(np.bincount(codes) ** 2) / 200**2, abs=0.02)


def test_an_image_with_many_copies_counts_once():
    """Ten copies of a bright image, which what is always bright resembles most."""
    groups = np.r_[np.zeros(10, int), np.arange(1, 31)]
    rng = np.random.default_rng(2)
    evaluation = Evaluation.of(groups, n_bootstrap=200, n_permutations=200, n_way=[2], rng=rng)
    true = rng.integers(0, 200, (31, SIDE, SIDE, 3))
    true[0, :6] += 55
    bright = np.zeros((SIDE, SIDE, 3))
    bright[:6] = 255
    made = Reconstructions.of(np.tile(bright, (40, 1, 1, 1)), true[groups].astype(np.uint8), {})
    by_pixels, *_, two_way = means(made, evaluation)
    assert two_way.value == pytest.approx(1 / 2)
    each = [np.corrcoef(bright.ravel(), image.ravel())[0, 1] for image in true]
    assert by_pixels.value == pytest.approx(np.mean(each))
    assert by_pixels.draws.mean() == pytest.approx(np.mean(each), abs=0.03)
    # What is made does not depend on the image: no order is better than another.
    assert permutation_p(by_pixels.null) == permutation_p(two_way.null) == 1


def test_intervals_of_shares_stay_between_none_and_all():
    rng = np.random.default_rng(3)
    for n_way, noise in ((5, 100.0), (2, 0.8), (2, 0.0)):
        evaluation = Evaluation.of(
            np.arange(8), n_bootstrap=200, n_permutations=50, n_way=[n_way], rng=rng
        )
        true = smooth(rng, 8)
        seen = correlations(true + noise * true.std() * rng.standard_normal(true.shape), true)
        made = Reconstructions(pd.DataFrame(), {"network": seen})
        (mean,) = means(made, evaluation)
        row = mean.row(evaluation)
        assert 0 <= row["low"] < row["high"] <= 1
        assert row["low"] <= row["value"] <= row["high"]


def test_confusion_counts_pairs_of_label_and_answer():
    table = confusion(np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]), np.array([0, 1, 1]))
    counts = table.pivot_table(index="label", columns="predicted", values="n")
    np.testing.assert_array_equal(counts, [[1, 0], [1, 1]])


def test_copies_of_an_image_change_places_together():
    groups = np.repeat([0, 1, 2], 2)
    evaluation = Evaluation.of(
        groups, n_bootstrap=10, n_permutations=100, n_way=[2], rng=np.random.default_rng(0)
    )
    same = (groups[:, None] == groups).astype(float)
    null = matched_null(same, evaluation)
    # Of three images all keep their place in one order, one does in three, none does in two.
    assert null[0] == 1
    np.testing.assert_allclose(np.sort(null), [0, 0, 1 / 3, 1 / 3, 1 / 3, 1])


def test_every_decoded_shape_has_its_correlation(tmp_path):
    rng = np.random.default_rng(0)
    shapes = rng.random((5, SIDE, SIDE)).astype(np.float32)
    names = [f"i{k}" for k in range(5)]
    images = ImageTable(
        names=names,
        parts=[TRAINING] * 3 + ["natural"] * 2,
        images=np.zeros((5, SIDE, SIDE, 3), np.uint8),
        shapes=shapes,
        groups=np.arange(5),
    )
    path = tmp_path / "shapes_ridge_01.h5"
    decoded = {
        # Brighter and of more contrast; upside down in brightness; and another image.
        TRAINING: HeldOut(
            names[:3], np.stack([2 * shapes[0] + 1, -shapes[1], shapes[0]]), np.zeros(3, int)
        ),
        "natural": fitted_to_all(names[:2:-1], shapes[:2:-1]),
    }
    write_held_out(path, decoded, {"decoder": "ridge", "subject": "01"})
    table = score_shapes([path], images).set_index(["part", "name"])["pixel_correlation"]
    other = np.corrcoef(shapes[0].ravel(), shapes[2].ravel())[0, 1]
    np.testing.assert_allclose(table[TRAINING][names[:3]], [1, -1, other], atol=1e-6)
    np.testing.assert_allclose(table["natural"], 1)
