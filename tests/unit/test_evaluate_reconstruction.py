"""Tables of scores: what is planted is found, what is not is not, paired and over subjects."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from sklearn.linear_model import Ridge

from scripts.reconstruction.data.image_table import ImageTable
from scripts.reconstruction.evaluation.evaluate_decoders import (
    Scoring,
    category_means,
    confusion,
    evaluate_decoders,
    folds_of,
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
    over_subjects,
)
from scripts.reconstruction.evaluation.measure_names import PIXELS
from scripts.reconstruction.figures.plot_ablations import plot_ablations
from scripts.reconstruction.figures.plot_decoders import plot_decoders
from scripts.reconstruction.figures.plot_identification import plot_identification
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
    "pairs": [["half", "shuffled"]],
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
    own = tables.differences["generator"] == "full"
    joint = tables.differences[own & (tables.differences["subject"] == "joint")]
    pixels = joint[joint["measure"] == "pixel_correlation"].set_index("other")
    assert pixels.loc["half", "low"] > 0
    assert pixels.loc["shuffled", "low"] > pixels.loc["half", "low"]
    assert pixels.loc["again", "low"] < 0 < pixels.loc["again", "high"]
    rmse = joint[joint["measure"] == "rmse"].set_index("other")
    assert rmse.loc["shuffled", "high"] < 0


def test_pairs_without_the_reference_are_compared_too(study):
    """The reference less one, less the reference less the other, is the one less the other."""
    _, tables = study
    keys = ["generator", "other", "subject", "measure"]
    two_way = tables.differences["n_way"].isin([2, np.nan])
    by_pair = tables.differences[two_way].set_index(keys).sort_index()
    assert set(by_pair.index.droplevel([2, 3])) == {
        ("full", "half"),
        ("full", "shuffled"),
        ("full", "again"),
        ("half", "shuffled"),
    }
    found = by_pair["difference"]
    for subject in ("01", "02", "joint"):
        of_reference = found["full", "shuffled", subject] - found["full", "half", subject]
        pd.testing.assert_series_equal(found["half", "shuffled", subject], of_reference)
    assert by_pair.loc[("half", "shuffled", "joint", "identification"), "low"] > 0


def test_captions_say_what_intervals_do_not_tell(study):
    _, tables = study
    own = tables.differences["generator"] == "full"
    names = ["full", "half", "shuffled", "again"]
    about = {"reference": "full", "title": "Study", "simulated": True}
    told = {"full": {"shape": "early", "semantics": "linear"}}
    for _, caption in (
        plot_ablations(tables.differences[own], others=names[1:], told=told, **about),
        plot_identification(tables.means, generators=names, **about),
    ):
        assert "95 % intervals over images" in caption
        assert "Every generator is trained once for each subject" in caption
    plt.close("all")


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
    # Exactly what it is over all orders, whichever were drawn.
    assert told.chance == pytest.approx(np.sum(np.bincount(codes) ** 2) / 200**2, rel=1e-12)


def test_chance_counts_the_own_order_where_all_are_tried():
    """Four images of four categories: on average over 4! orders one keeps its own, 1/4 of four."""
    evaluation = Evaluation.of(
        np.arange(4), n_bootstrap=10, n_permutations=100, n_way=[2], rng=np.random.default_rng(0)
    )
    (told,) = category_means(np.eye(4), np.arange(4), [1], evaluation)
    assert len(told.null) == 24
    assert told.chance == pytest.approx(1 / 4, rel=1e-12)
    assert told.null[1:].mean() < 0.22


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
    expected, null = matched_null(same, evaluation)
    assert expected == pytest.approx(1 / 3)
    # Of three images all keep their place in one order, one does in three, none does in two.
    assert null[0] == 1
    np.testing.assert_allclose(np.sort(null), [0, 0, 1 / 3, 1 / 3, 1 / 3, 1])


# Training images, decoded out of fold.

FOLDS = np.arange(60) % 5


def decoded_out_of_fold(rng, penalty, effect=0.0):
    """Return the similarities of shapes decoded by ridge, one fold after the other, with all."""
    responses, shapes = rng.standard_normal((60, 30)), rng.standard_normal((60, 40))
    shapes += effect * responses @ rng.standard_normal((30, 40))
    decoded = np.empty_like(shapes)
    for fold in range(5):
        held_out = fold == FOLDS
        ridge = Ridge(alpha=penalty).fit(responses[~held_out], shapes[~held_out])
        decoded[held_out] = ridge.predict(responses[held_out])
    return correlations(decoded, shapes)


def evaluated(similarities, folds):
    evaluation = Evaluation.of(
        np.arange(60),
        n_bootstrap=20,
        n_permutations=99,
        n_way=[2],
        rng=np.random.default_rng(0),
        folds=folds,
    )
    scores = pd.DataFrame({"pixel_correlation": np.diagonal(similarities)})
    found = means(Reconstructions(scores, {PIXELS: similarities}), evaluation)
    pixels, two_way = (mean.row(evaluation) for mean in found)
    return {"value": two_way["value"], "p": two_way["p"], "p_pixels": pixels["p"]}


@pytest.mark.parametrize("penalty", [100, 1e5])
def test_decoded_out_of_fold_without_an_effect_is_at_chance_within_folds(penalty):
    """Predictions lie near the mean of the images of other folds, far from their own."""
    rng = np.random.default_rng(6)
    seen = [decoded_out_of_fold(rng, penalty) for _ in range(120)]
    within = pd.DataFrame([evaluated(similarities, FOLDS) for similarities in seen])
    over_all = pd.DataFrame([evaluated(similarities, None) for similarities in seen[:20]])
    error = within["value"].std() / np.sqrt(len(within))
    assert within["value"].mean() == pytest.approx(1 / 2, abs=max(4 * error, 0.005))
    assert over_all["value"].mean() < 0.45
    # p is a bound: 5 % or fewer, within 99.99 % of a binomial count.
    most = binom.ppf(0.9999, len(within), 0.05)
    assert ((within[["p", "p_pixels"]] <= 0.05).sum() <= most).all()


def test_an_effect_is_found_within_folds():
    found = evaluated(decoded_out_of_fold(np.random.default_rng(7), 10, effect=0.5), FOLDS)
    assert found["value"] > 0.8
    assert found["p"] == found["p_pixels"] == 1 / 100


def test_images_that_are_alone_in_their_fold_have_no_chance(caplog):
    """Each left out by itself: none of the images that its model saw is a fair other one."""
    rng = np.random.default_rng(8)
    evaluation = Evaluation.of(
        np.repeat(np.arange(6), 2),
        n_bootstrap=20,
        n_permutations=9,
        n_way=[2, 3],
        rng=rng,
        folds=np.repeat(np.arange(6), 2),
    )
    assert "found a fold of 1 different training images" in caplog.text
    assert "identification among 2, 3 is left out" in caplog.text
    scores = pd.DataFrame({"pixel_correlation": rng.random(12)})
    (pixels,) = means(Reconstructions(scores, {PIXELS: np.eye(12)}), evaluation)
    assert pixels.value == pytest.approx(scores["pixel_correlation"].mean())
    codes = rng.integers(0, 2, 12)
    (told,) = category_means(np.eye(2)[codes], codes, [1], evaluation)
    assert told.value == 1
    for mean in (pixels, told):
        row = mean.row(evaluation)
        assert np.isnan([row["p"], row["chance"]]).all()
        assert row["low"] <= row["value"] <= row["high"]


def test_chance_of_several_subjects_is_the_mean_of_theirs():
    evaluation = Evaluation.of(
        np.arange(6), n_bootstrap=20, n_permutations=9, n_way=[2], rng=np.random.default_rng(9)
    )
    codes = np.array([0, 0, 0, 1, 1, 1])
    # Right by category, and always the same one; for one half of the six that is right.
    tells, same = np.eye(2)[codes], np.eye(2)[np.zeros(6, int)]
    by_subject = [list(category_means(one, codes, [1], evaluation)) for one in (tells, tells, same)]
    (joint,) = over_subjects(by_subject)
    assert joint.chance == pytest.approx(1 / 2)
    uneven = np.array([0, 0, 0, 0, 0, 1])
    by_subject = [
        list(category_means(one, uneven, [1], evaluation)) for one in (np.eye(2)[uneven], same)
    ]
    # 26 of 36 pairs of images share a category; five of six images are of the one that is said.
    assert over_subjects(by_subject)[0].chance == pytest.approx((26 / 36 + 5 / 6) / 2)


@pytest.mark.parametrize("part", [TRAINING, "natural"])
def test_caption_of_decoders_tells_of_folds_where_there_are_some(part):
    row = {"what": "shapes", "decoder": "ridge", "part": part, "measure": "pixel_correlation"}
    row |= {"n_way": np.nan, "value": 0.4, "low": 0.3, "high": 0.5, "chance": np.nan}
    row |= {"n_images": 12, "n_different": 6, "p": np.nan if part == TRAINING else 0.02}
    table = pd.DataFrame([row | {"subject": subject} for subject in ("01", "joint")])
    _, caption = plot_decoders(
        table,
        decoders={"shapes": ["ridge"], "semantics": []},
        rois={"shapes": {"ridge": "V1"}},
        title="Study",
        simulated=True,
    )
    training = part == TRAINING
    assert ("those of their fold alone" in caption) == training
    assert ("widened by the square root of 2" in caption) == training
    assert ("ridge 0.40 [0.30, 0.50], not tested" in caption) == training
    assert ("ridge 0.40 [0.30, 0.50], p = 0.02" in caption) == (not training)


def test_files_of_other_folds_are_refused(tmp_path):
    names = [f"i{k}" for k in range(6)]
    shapes = np.random.default_rng(0).random((6, SIDE, SIDE)).astype(np.float32)
    images = ImageTable(
        names=names,
        parts=[TRAINING] * 6,
        images=np.zeros((6, SIDE, SIDE, 3), np.uint8),
        shapes=shapes,
        groups=np.arange(6),
    )
    files = []
    for subject, fold in {"01": [0, 0, 0, 1, 1, 1], "02": [0, 0, 1, 0, 1, 1]}.items():
        files.append(tmp_path / f"{subject}.h5")
        order = [5, 4, 3, 2, 1, 0]
        held_out = HeldOut([names[k] for k in order], shapes[order], np.array(fold)[order])
        write_held_out(files[-1], {TRAINING: held_out}, {"decoder": "ridge", "subject": subject})
    folds = folds_of(files, TRAINING, names)
    np.testing.assert_array_equal(folds, [0, 0, 0, 1, 1, 1])
    assert folds_of(files, "natural", names) is None
    evaluation = Evaluation.of(
        *(np.arange(6),),
        **{"n_bootstrap": 20, "n_permutations": 9, "n_way": [2], "folds": folds},
        rng=np.random.default_rng(0),
    )
    scoring = Scoring(images, None, {TRAINING: evaluation}, [1])
    table, _ = evaluate_decoders({"shapes": files[:1]}, scoring)
    np.testing.assert_allclose(table["value"], 1)
    with pytest.raises(InputError, match="another fold of some images of the part 'training'"):
        evaluate_decoders({"shapes": files}, scoring)


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
