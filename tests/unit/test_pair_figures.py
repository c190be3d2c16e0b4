"""Figures of the dissimilarity study show all that they say, and say what they show."""

import itertools
from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.patches import FancyBboxPatch
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import squareform
from torch import nn

from scripts.dissimilarity.evaluation.score_tables import (
    NOISELESS,
    OTHERS,
    fully_trained,
    read_scores,
)
from scripts.dissimilarity.figures.pair_figures import FLOOR
from scripts.dissimilarity.figures.plot_architectures import (
    has_branches,
    layers_of,
    plot_architectures,
    shared_targets,
    sizes_used,
)
from scripts.dissimilarity.figures.plot_flow_chart import Study, icon_cells, plot_flow_chart
from scripts.dissimilarity.figures.plot_inflation import plot_inflation
from scripts.dissimilarity.figures.plot_loss_curves import plot_loss_curves
from scripts.dissimilarity.figures.plot_model_ranking import plot_model_ranking
from scripts.dissimilarity.figures.plot_pair_r2 import plot_pair_r2
from scripts.dissimilarity.figures.plot_subject_rois import plot_subject_rois
from scripts.dissimilarity.figures.plot_training_size import plot_training_size
from scripts.dissimilarity.figures.plot_true_predicted import (
    Prediction,
    choose_fit,
    folds_of,
    plot_true_predicted,
    read_prediction,
    shown_images,
)
from scripts.dissimilarity.fits.pair_predictions import SplitPredictions, prediction_file
from scripts.dissimilarity.learning.pair_networks import example_networks, n_parameters
from workflow.lib.errors import InputError
from workflow.lib.pairs.predictions import PairPredictions
from workflow.lib.tables import write_table

SIMULATED = {"title": "Scenes", "simulated": True}
REAL = {"title": "Algonauts", "simulated": False}
SUBJECTS = ("subj01", "subj02", "subj03")
# Clean Spearman of each fit in the first subject; leaked ones are higher by 0.2.
CLEAN = {
    ("mean", "", ""): 0.0,
    ("ridge", "clip", ""): 0.3,
    ("encode", "clip", ""): 0.4,
    ("mlp", "clip", "0"): 0.1,
    ("mlp", "clip", "1"): 0.2,
}
LEAKAGE = 0.2
N_IMAGES, N_PAIRS = 20, {"clean": 30, "one_seen": 150, "leaked": 190}
NOT_APPLICABLE = {"status": "not applicable", "reason": "encode has no leaked split"}


def score_table(subjects=SUBJECTS, *, metrics=("correlation", "euclidean"), rois=("V1", "all")):
    """Return scores; those of a subject are higher by 0.01 than those of the one before."""
    rows = []
    cells = itertools.product(enumerate(subjects), rois, metrics, CLEAN, N_PAIRS)
    for (number, subject), roi, metric, fit, split in cells:
        value = CLEAN[fit] + number / 100 + LEAKAGE * (split == "leaked") * (fit[0] != "mean")
        labels = {"study": "scenes", "subject": subject, "roi": roi, "metric": metric}
        labels |= dict(zip(("model", "embedding", "variant"), fit, strict=True))
        labels |= {"kind": fit[0], "split": split}
        for measure in ("r2", "spearman", "pearson"):
            row = {**labels, "measure": measure, "status": "fitted", "reason": ""}
            if fit[0] == "encode" and split == "leaked":
                rows.append(row | NOT_APPLICABLE)
                continue
            numbers = {"value": value, "low": value - 0.05, "high": value + 0.05}
            numbers |= {"p": 0.001 if value > 0.15 else 0.4, "n_images": N_IMAGES}
            numbers |= {"n_pairs": N_PAIRS[split], "n_folds": 5, "symmetry_error": 0.0}
            rows.append(row | numbers | {"n_training_images": 12, "n_training_pairs": 66})
    return pd.DataFrame(rows)


def ranking_of(scores, ceiling=0.82):
    by_fit = ["roi", "metric", "split", "measure", "model", "embedding", "variant"]
    table = scores.groupby(by_fit, sort=False)["value"].mean().reset_index()
    table["n_subjects"] = scores["subject"].nunique()
    table["ceiling"] = np.where(table["split"] == "clean", ceiling, np.nan)
    table["share_of_ceiling"] = table["value"] / table["ceiling"]
    best = table.groupby(["roi", "metric", "split", "measure"])["value"].transform("max")
    difference = table["value"] - best
    return table.assign(
        low=table["value"] - 0.05,
        high=table["value"] + 0.05,
        difference_low=difference - 0.1,
        difference_high=difference + 0.1,
    )


def inflation_of(scores):
    by_fit = ["subject", "roi", "metric", "measure", "model", "embedding", "variant"]
    values = scores.set_index([*by_fit, "split"])["value"].unstack("split")
    tables = []
    for split in ("leaked", "one_seen"):
        table = values[[split, "clean"]].set_axis(["seen", "clean"], axis=1).reset_index()
        tables.append(table.assign(split=split, value=table["seen"] - table["clean"]))
    table = pd.concat(tables, ignore_index=True)
    mean = table.groupby([*by_fit[1:], "split"])["value"].transform("mean")
    return table.assign(
        low=table["value"] - 0.03,
        high=table["value"] + 0.03,
        mean=mean,
        mean_low=mean - 0.07,
        mean_high=mean + 0.07,
        deal="matched",
        labels="training",
    )


def ceilings_of(value, *, upper=np.nan, note="", kind=NOISELESS):
    cells = itertools.product(SUBJECTS, ("V1", "all"), ("correlation", "euclidean"))
    table = pd.DataFrame(cells, columns=["subject", "roi", "metric"])
    return table.assign(measure="spearman", value=value, upper=upper, kind=kind, note=note)


def texts_of(figure):
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def assert_inside(figure):
    """All text lies within the page that is written."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    page = figure.bbox
    for axis in figure.axes:
        for text in axis.texts:
            box = text.get_window_extent(renderer)
            assert box.x0 >= page.x0 - 1, text
            assert box.x1 <= page.x1 + 1, text
            assert box.y0 >= page.y0 - 1, text
            assert box.y1 <= page.y1 + 1, text


def test_tables_keep_labels_as_text(tmp_path):
    write_table(score_table(), tmp_path / "scores.csv")
    scores = read_scores(str(tmp_path / "scores.csv"))
    assert set(scores["variant"]) == {"", "0", "1"}
    assert set(scores["embedding"]) == {"", "clip"}
    assert set(scores.loc[scores["value"].isna(), "reason"]) == {NOT_APPLICABLE["reason"]}


def test_fits_to_all_images_are_told_from_learning_curves():
    scores = score_table()
    fewer = scores[scores["value"].notna()].assign(n_training_images=6)
    # A learning curve that ends where all images are, of another value by chance.
    again = scores[scores["value"].notna()].assign(value=9.0)
    found = fully_trained(pd.concat([scores, fewer, again], ignore_index=True))
    pd.testing.assert_frame_equal(found.reset_index(drop=True), scores)


# Hidden layers


def hidden_figure(scores, **labels):
    kwargs = {"model": "mlp", "hidden": {"0": 0, "1": 1}, "roi": "V1", "measure": "r2"}
    return plot_pair_r2(scores, **kwargs, **labels)


def test_scores_by_hidden_layers_stand_where_they_belong():
    figure, caption = hidden_figure(score_table(), **SIMULATED)
    leaked = figure.axes[0]
    line = next(line for line in leaked.lines if line.get_label() == "clip")
    # Means over three subjects, 0.01 apart.
    np.testing.assert_allclose(line.get_ydata(), [0.31, 0.41])
    np.testing.assert_array_equal(np.round(line.get_xdata()), [0, 1])
    assert leaked.get_title().startswith("leaked")
    assert "n = 3 subjects" in figure.get_suptitle()
    assert "n = 3 subjects; n = 20 images and 30 to 190 test pairs each" in caption
    assert "Best on the clean split: 0.210 (correlation, clip, 1 hidden layers" in caption
    assert "of 4, and so optimistic" in caption


def test_published_numbers_end_captions_where_there_are_any():
    published = "Published: R² 0.279 ± 0.023."
    assert hidden_figure(score_table(), **REAL, published=published)[1].endswith(published)
    assert "ublished" not in hidden_figure(score_table(), **REAL)[1]


def test_one_subject_is_a_single_case_with_its_intervals():
    figure, caption = hidden_figure(score_table(SUBJECTS[:1]), **SIMULATED)
    assert "subj01, a single case" in figure.get_suptitle()
    assert "95 % intervals over images" in caption
    low, high = figure.axes[0].get_ylim()
    assert low <= 0.05  # of the clean network without hidden layers
    assert high >= 0.45


def test_networks_that_ran_away_do_not_flatten_the_others():
    scores = score_table()
    scores.loc[(scores["variant"] == "1") & (scores["roi"] == "V1"), "value"] = -40.0
    figure, caption = hidden_figure(scores, **SIMULATED)
    assert figure.axes[0].get_ylim()[0] > FLOOR - 0.2
    drawn = np.concatenate([line.get_ydata() for axis in figure.axes for line in axis.lines])
    assert min(drawn) == FLOOR
    # Three subjects, two metrics, three splits.
    assert "18 values below -0.5 (lowest -40) drawn at -0.5" in caption


def test_a_model_that_is_not_applicable_is_said_not_to_be():
    rows = score_table()
    rows = rows.assign(value=np.nan, status="not applicable", reason="needs responses")
    figure, caption = hidden_figure(rows, **SIMULATED)
    assert caption == "mlp was not applicable to V1: needs responses."
    assert any("not applicable" in text for text in texts_of(figure))


# Models and splits


def test_models_stand_from_best_to_worst_beside_the_ceiling():
    scores = score_table()
    figure, caption = plot_model_ranking(
        ranking_of(scores),
        scores,
        ceilings_of(0.82),
        roi="V1",
        split="clean",
        measure="spearman",
        **SIMULATED,
    )
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    expected = ["encode, clip", "ridge, clip", "mlp, clip, 1", "mlp, clip, 0", "mean"]
    assert labels == expected
    # 0.4, 0.41 and 0.42 of 0.82.
    assert "encode, clip with 0.410 (0.360 to 0.460), 50% of the ceiling" in caption
    assert "best of 5, and so optimistic" in caption
    assert "20 images and 30 test pairs each" in caption
    lines = [line.get_xdata() for line in figure.axes[0].lines]
    assert any(np.array_equal(x, [0.82, 0.82]) for x in lines)
    assert "Reported" not in caption


def test_models_of_one_metric_do_not_stand_higher_for_it():
    """By the mean over metrics they would, where the other metric is harder to predict."""
    scores = score_table()
    hard = scores["metric"] == "euclidean"
    scores.loc[hard, "value"] -= 0.35
    scores = scores[~(hard & (scores["variant"] == "1"))]
    place = {"roi": "V1", "split": "clean", "measure": "spearman"}
    figure, _ = plot_model_ranking(
        ranking_of(scores), scores, ceilings_of(0.82), **place, **SIMULATED
    )
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["encode, clip", "ridge, clip", "mlp, clip, 1", "mlp, clip, 0", "mean"]


@pytest.mark.parametrize(
    ("kind", "upper", "said"),
    [(NOISELESS, 0.84, True), (NOISELESS, 0.82, False), (OTHERS, 0.84, False)],
)
def test_the_ranking_says_how_a_model_can_come_out_above_the_ceiling(kind, upper, said):
    """By the strength of noise, of a simulation; the upper ceiling of other subjects is no such."""
    scores = score_table()
    ceilings = ceilings_of(0.82, upper=upper, kind=kind)
    ceilings.loc[ceilings["metric"] == "euclidean", "upper"] = 0.82
    place = {"roi": "V1", "split": "clean", "measure": "spearman"}
    _, caption = plot_model_ranking(ranking_of(scores), scores, ceilings, **place, **SIMULATED)
    assert ("without noise and the strength of it: correlation 0.840." in caption) == said
    assert ("can come out above" in caption) == said


def test_the_ranking_shows_how_far_models_are_from_symmetric():
    scores = score_table()
    asymmetric = (scores["variant"] == "1") & (scores["metric"] == "euclidean")
    scores.loc[asymmetric & (scores["subject"] == "subj02"), "symmetry_error"] = 4.54
    place = {"roi": "V1", "split": "clean", "measure": "spearman"}
    figure, caption = plot_model_ranking(
        ranking_of(scores), scores, ceilings_of(0.82), **place, **SIMULATED
    )
    written = [
        [text.get_text() for text in axis.texts if text.xyann[0] == 1.02] for axis in figure.axes
    ]
    # encode, ridge, the network with one hidden layer and without, and the mean.
    assert written == [["asymmetry", *"00000"], ["asymmetry", "0", "0", "4.5", "0", "0"]]
    assert "Asymmetry: largest difference of f(a, b) and f(b, a) over" in caption


def test_models_not_told_from_the_best_are_white():
    scores = score_table()
    figure, _ = plot_model_ranking(
        ranking_of(scores),
        scores,
        ceilings_of(0.82),
        roi="V1",
        split="clean",
        measure="spearman",
        **SIMULATED,
    )
    circles = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    white = [line.get_markerfacecolor() == "white" for line in circles]
    # 0.1 below the best, in the order from best to worst.
    assert white == [True, True, False, False, False]


def test_ranking_without_a_ceiling_says_why():
    scores = score_table()
    place = {"roi": "V1", "split": "clean", "measure": "spearman"}
    ceilings = ceilings_of(np.nan, note="no image was seen by two subjects")
    ranking = ranking_of(scores, np.nan)
    options = {**place, **REAL, "published": "Published: R² -0.0039."}
    _, caption = plot_model_ranking(ranking, scores, ceilings, **options)
    assert "No ceiling: no image was seen by two subjects." in caption
    assert "of the ceiling" not in caption
    assert caption.endswith("Published: R² -0.0039.")


def test_ranking_of_leaked_pairs_has_no_ceiling():
    """What is learned of an image in other pairs of it may pass any ceiling of unseen ones."""
    scores = score_table()
    place = {"roi": "V1", "split": "leaked", "measure": "spearman"}
    figure, caption = plot_model_ranking(
        ranking_of(scores), scores, ceilings_of(0.82), **place, **SIMULATED
    )
    assert "1 fit(s) are not applicable" in caption
    assert any("not fitted" in text for text in texts_of(figure))
    assert "No ceiling: what images of the training have of their own" in caption
    assert not any(np.array_equal(line.get_xdata(), [0.82, 0.82]) for line in figure.axes[0].lines)


def test_models_of_other_subjects_are_not_compared():
    scores = score_table()
    ranking = ranking_of(scores)
    other = ranking["model"] == "ridge"
    ranking.loc[other, ["difference_low", "difference_high"]] = np.nan
    ranking.loc[other, "n_subjects"] = 1
    ranking.loc[other, "value"] = 0.9
    place = {"roi": "V1", "split": "clean", "measure": "spearman"}
    figure, caption = plot_model_ranking(ranking, scores, ceilings_of(0.82), **place, **SIMULATED)
    assert "best of 4, and so optimistic, encode, clip" in caption
    assert [line.get_marker() for line in figure.axes[0].lines].count(".") == 1


def test_ranking_says_why_a_control_may_lie_beyond_zero():
    """Of 60 intervals of controls at ten seeds one does not hold zero."""
    scores = score_table()
    place = {"roi": "V1", "split": "clean", "measure": "spearman"}
    tables = ranking_of(scores), scores, ceilings_of(0.82)
    said = "mlp learned from permuted images (a control): by chance one in twenty of its intervals"
    assert said in plot_model_ranking(*tables, **place, **SIMULATED, controls=["mlp"])[1]
    for controls in ([], ["another"]):
        caption = plot_model_ranking(*tables, **place, **SIMULATED, controls=controls)[1]
        assert "control" not in caption


def inflation_figure(scores, **changed):
    table = inflation_of(scores).assign(**changed)
    return plot_inflation(scores, table, roi="V1", measure="spearman", **SIMULATED)


def drawn_lines(axis, style):
    """Return where horizontal lines of a style begin and end, a row each."""
    found = [
        path.vertices[:, 0]
        for lines in axis.collections
        for path in lines.get_paths()
        # Lines without gaps have no pattern of dashes.
        if (style == ":") == (lines.get_linestyle()[0][1] is not None)
    ]
    return np.sort(np.array(found).reshape(-1, 2), axis=0)


@pytest.mark.parametrize(
    ("subjects", "style", "half"), [(SUBJECTS, "-", 0.07), (("subj01",), ":", 0.03)]
)
def test_inflation_is_a_number_with_its_interval_beside_each_model(subjects, style, half):
    """Over subjects where there are several, solid; of one over images, dotted."""
    figure, caption = inflation_figure(score_table(subjects))
    scores, differences = figure.axes[:2]
    labels = [label.get_text() for label in scores.get_yticklabels()]
    assert labels == ["encode, clip", "ridge, clip", "mlp, clip, 1", "mlp, clip, 0", "mean"]
    texts = [text.get_text() for text in differences.texts]
    # Leaked and one seen; encoding has no leaked split.
    assert texts[:4] == ["none", "+0.00", "+0.20", "+0.00"]
    assert texts[8:10] == ["+0.00", "+0.00"]
    lines = drawn_lines(differences, style)
    assert not len(drawn_lines(differences, {"-": ":", ":": "-"}[style]))
    # Three fits that gain by leakage, and six differences of zero.
    expected = np.sort([[0.2 - half, 0.2 + half]] * 3 + [[-half, half]] * 6, axis=0)
    np.testing.assert_allclose(lines, expected, atol=1e-12)
    assert "Largest gain on leaked pairs: +0.200" in caption
    assert "No leaked split: of models of responses" in caption


def test_the_headline_of_inflation_is_the_median_over_fits_and_subjects():
    scores = score_table()
    raised = (scores["model"] == "ridge") & (scores["split"] == "leaked")
    scores.loc[raised, "value"] += 0.3
    figure, caption = inflation_figure(scores)
    # Four fits with a leaked split, of three subjects by two metrics: 0, 0.2, 0.2 and 0.5.
    assert (
        "leaked less clean Spearman's rho: median +0.20 (+0.00 to +0.50)" in figure.get_suptitle()
    )
    assert "one seen less clean Spearman's rho: median +0.00 (+0.00 to +0.00)" in (
        figure.get_suptitle()
    )
    assert "median and range over 10 fits with their metrics and subjects" in caption


def test_inflation_says_how_leaked_pairs_differ_from_clean_ones():
    scores = score_table()
    _, caption = inflation_figure(scores)
    assert "tested on the same pairs as clean ones, and trained and stopped by as many" in caption
    assert "of more images, each in fewer pairs" in caption
    assert "standardised over all images" not in caption
    assert "Fits learned from 66 pairs in the fold with the fewest." in caption
    scores.loc[scores["split"] == "leaked", "n_training_pairs"] = 98
    _, caption = inflation_figure(scores, deal="random_pairs", labels="all")
    assert "these fits also see all images and more pairs" in caption
    assert "Fits learned from 66 (clean, one seen) and 98 (leaked) pairs in the fold" in caption
    assert "66 (clean, one seen) and 98 (leaked) pairs" in hidden_figure(scores, **REAL)[1]
    assert "standardised over all images" in caption


def test_inflation_says_where_intervals_are_cut():
    scores = score_table()
    assert "are cut there" not in inflation_figure(scores)[1]
    # Of two subjects the t distribution reaches far.
    figure, caption = inflation_figure(scores, mean_low=-2.5)
    assert "Intervals that go below -0.5 (lowest -2.5) are cut there." in caption
    assert drawn_lines(figure.axes[1], "-").min() == FLOOR


def test_rows_of_fewer_subjects_say_so():
    """A title says n = 3 subjects; a network that was fitted to one of them is a single case."""
    scores = score_table()
    one = (scores["model"] == "mlp") & (scores["subject"] != "subj01")
    scores = scores[~one]
    figure, caption = inflation_figure(scores)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[:3] == ["encode, clip", "ridge, clip", "mlp, clip, 1 (n = 1)"]
    assert len(drawn_lines(figure.axes[1], ":")) == 4
    assert "of fits to one subject (n = 1, white, dotted) over images" in caption
    place = {"roi": "V1", "split": "clean", "measure": "spearman"}
    figure, _ = plot_model_ranking(
        ranking_of(scores), scores, ceilings_of(0.82), **place, **SIMULATED
    )
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[:3] == ["encode, clip", "ridge, clip", "mlp, clip, 1 (n = 1)"]


def test_subjects_and_rois_show_every_score_and_grey_what_is_not_significant():
    scores = score_table()
    scores.loc[(scores["subject"] == "subj02") & (scores["roi"] == "all"), "value"] = np.nan
    scores.loc[(scores["subject"] == "subj03") & (scores["roi"] == "V1"), "p"] = 0.3
    kwargs = {"measure": "spearman", "alpha": 0.05, **SIMULATED}
    figure, caption = plot_subject_rois(scores, model="ridge", **kwargs)
    cells = {text.get_position(): text for text in figure.axes[0].texts}
    expected = {(0.5, 0.5): "0.30", (0.5, 1.5): "0.31", (0.5, 2.5): "0.32", (1.5, 1.5): "n/a"}
    assert {place: cells[place].get_text() for place in expected} == expected
    drawn = figure.axes[0].collections[0].get_array()
    np.testing.assert_array_equal(
        np.ma.getmaskarray(drawn).reshape(3, 2), [[False, False], [False, True], [True, False]]
    )
    assert "ridge, clip, mean over subjects V1 0.310, all 0.310." in caption
    assert "optimistic" not in caption


def test_the_best_model_is_said_to_have_been_chosen():
    kwargs = {"measure": "spearman", "alpha": 0.05, **SIMULATED}
    figure, caption = plot_subject_rois(score_table(), model=None, **kwargs)
    assert figure.axes[0].get_title().endswith("encode, clip")
    assert "the fit with the highest Spearman's rho of 5 on these clean test pairs" in caption


def test_learning_curves_over_training_images():
    scores = score_table()
    fewer = scores[scores["model"] == "ridge"].assign(n_training_images=6)
    fewer["value"] -= 0.1
    both = pd.concat([scores, fewer])
    figure, caption = plot_training_size(
        both, ceilings_of(0.82), roi=None, measure="spearman", **SIMULATED
    )
    lines = [line for line in figure.axes[1].lines if line.get_label() == "ridge, clip"]
    np.testing.assert_array_equal(lines[0].get_xdata(), [6, 12])
    np.testing.assert_allclose(lines[0].get_ydata(), [0.21, 0.31])
    assert "(6, 12)" in caption
    assert "ridge, clip, correlation: 0.210 to 0.310" in caption
    assert "leaked" not in [axis.get_title() for axis in figure.axes]
    # The ceiling is one of clean pairs alone.
    tops = [[x for x in axis.lines if list(x.get_ydata()) == [0.82] * 2] for axis in figure.axes]
    clean = [not axis.get_title().startswith("one") for axis in figure.axes[:2]]
    assert [bool(found) for found in tops[:2]] == clean
    assert "noiseless responses): correlation 0.820, euclidean 0.820." in caption


def test_no_learning_curve_is_said_to_be_none():
    _, caption = plot_training_size(
        score_table(), ceilings_of(0.82), roi="V1", measure="spearman", **SIMULATED
    )
    assert "not applicable" in caption


# True and predicted


def prediction(n_images=24, n_folds=3, *, seed=1):
    """Return a prediction of a clean split with known folds, of images in no order."""
    rng = np.random.default_rng(seed)
    folds = rng.permutation(np.arange(n_images) % n_folds)
    first, second = np.triu_indices(n_images, 1)
    true = rng.random(first.size).astype(np.float32)
    predicted = np.where(folds[first] == folds[second], 0.5 * true + 0.2, np.nan)
    return Prediction(true, predicted.astype(np.float32)), folds


def test_folds_are_what_test_pairs_connect():
    found, folds = prediction()
    tested = squareform(found.tested.astype(int))
    _, expected = connected_components(tested)
    pairs = np.equal.outer(folds_of(found), folds_of(found))
    np.testing.assert_array_equal(pairs, np.equal.outer(expected, expected))
    np.testing.assert_array_equal(pairs, np.equal.outer(folds, folds))
    everything = Prediction(found.true, found.true)
    assert set(folds_of(everything)) == {0}


def test_images_of_a_fold_stand_together_and_all_are_shown():
    found, folds = prediction()
    order = shown_images(found)
    np.testing.assert_array_equal(np.sort(order), np.arange(folds.size))
    assert np.count_nonzero(np.diff(folds[order])) == 2


def test_images_are_ordered_by_what_varies_most():
    """Two clusters: no image of one stands among those of the other."""
    n = 12
    clusters = np.random.default_rng(1).permutation(np.repeat([0, 1], n // 2))
    first, second = np.triu_indices(n, 1)
    noise = 0.1 * np.random.default_rng(2).random(first.size)
    true = ((clusters[first] != clusters[second]) + noise).astype(np.float32)
    order = shown_images(Prediction(true, true))
    assert np.count_nonzero(np.diff(clusters[order])) == 1


def test_predictions_are_read_as_they_were_written(tmp_path):
    found, folds = prediction()
    first, second = np.triu_indices(folds.size, 1)
    fit = {"roi": "V1", "metric": "correlation", "embedding": "", "variant": "", "split": "clean"}
    tests = [
        PairPredictions(
            first[of_fold],
            second[of_fold],
            found.true[of_fold].astype(float),
            found.predicted[of_fold].astype(float),
        )
        for of_fold in ((folds[first] == k) & (folds[second] == k) for k in range(3))
    ]
    names = [str(i) for i in range(folds.size)]
    with prediction_file(tmp_path / "p.h5", names, subject="s", model="m") as file:
        file.add(SplitPredictions(fit, tests), found.true)
        file.add(SplitPredictions({**fit, "split": "leaked"}, [], reason="has no leaked split"))
    again = read_prediction(tmp_path / "p.h5", fit)
    np.testing.assert_array_equal(again.true, found.true)
    np.testing.assert_array_equal(again.predicted, found.predicted)
    assert read_prediction(tmp_path / "p.h5", {**fit, "split": "leaked"}) is None


def test_figure_of_a_prediction_states_its_scores_and_sizes():
    found, _ = prediction()
    place = {"subject": "subj02", "roi": "V1", "metric": "correlation", "split": "clean"}
    fit, n_fits = choose_fit(score_table(), place, None)
    assert (fit["model"], fit["embedding"], n_fits) == ("encode", "clip", 5)
    figure, caption = plot_true_predicted(found, score_table(), fit=fit, n_fits=n_fits, **SIMULATED)
    n_tested = int(found.tested.sum())
    expected = r"$R^2$ = 0.410, $\rho$ = 0.410" + f"\nn = {n_tested} pairs"
    assert figure.axes[2].get_title() == expected
    assert f"n = {n_tested} test pairs of 24 images" in caption
    assert f"{276 - n_tested} pairs that no fold tests" in caption
    assert "0.410 (95 % interval over images 0.360 to 0.460)" in caption
    assert "subj02, a single case" in caption
    assert "scores are optimistic" in caption
    scatter = figure.axes[2]
    assert scatter.get_xlim() == scatter.get_ylim()
    assert scatter.get_aspect() == 1
    identity = scatter.lines[0]
    np.testing.assert_array_equal(identity.get_xdata(), identity.get_ydata())
    np.testing.assert_array_equal(identity.get_xdata(), scatter.get_xlim())
    # Drawn where it was tested: three folds of eight images, without the diagonal.
    shown = figure.axes[1].images[0].get_array()
    assert np.ma.count(np.ma.masked_invalid(shown)) == 2 * n_tested


def test_a_fit_that_is_not_applicable_has_an_empty_figure():
    place = {"subject": "subj01", "roi": None, "metric": None, "split": "leaked"}
    fit, n_fits = choose_fit(score_table(), place, "encode")
    figure, caption = plot_true_predicted(None, score_table(), fit=fit, n_fits=n_fits, **SIMULATED)
    assert caption == "encode was not applicable to V1 of subj01."
    assert "not applicable" in texts_of(figure)


def test_predictions_of_other_pairs_are_refused(tmp_path):
    fit = dict.fromkeys(("roi", "metric", "embedding", "variant", "split"), "a")
    with h5py.File(tmp_path / "p.h5", "w") as file:
        file["names"] = np.array([b"a", b"b", b"c", b"d"])
        group = file.create_group("fits 000000")
        group.attrs.update(fit)
        group["true"], group["predicted"] = np.zeros(6), np.zeros(10)
    with pytest.raises(InputError, match="10 predicted pairs for 6 true ones"):
        read_prediction(tmp_path / "p.h5", fit)


# Learning curves


def test_learning_curves_mark_the_lowest_validation_loss_of_every_fold():
    fit = {"subject": "subj01", "model": "mlp", "roi": "V1", "metric": "correlation"}
    losses = {0: [3.0, 1.0, 2.0], 1: [3.0, 2.5, 2.0]}
    rows = [
        {**fit, "embedding": "clip", "variant": "1", "split": "clean", "fold": fold}
        | {"epoch": epoch, "part": part, "measure": "loss", "value": value - (part == "training")}
        for fold, values in losses.items()
        for epoch, value in enumerate(values, 1)
        for part in ("training", "validation")
    ]
    others = [{**row, "roi": "all", "value": 99.0} for row in rows]
    history = pd.DataFrame(rows + others)
    figure, caption = plot_loss_curves(history, fit=fit, measure="loss", **SIMULATED)
    circles = next(line for line in figure.axes[0].lines if line.get_marker() == "o")
    assert sorted(zip(circles.get_xdata(), circles.get_ydata(), strict=True)) == [(2, 1), (3, 2)]
    mean = next(x for x in figure.axes[0].lines if x.get_label() == "validation, mean of folds")
    np.testing.assert_allclose(mean.get_ydata(), [3, 1.75, 2])
    assert "n = 2 folds" in caption
    assert "mlp, clip, 1, clean: 2.5" in caption
    # Of the second fold, whose loss falls to the end.
    assert "In 1 of 2 runs (a network and fold each) validation loss was still improving" in caption
    done = history.assign(value=history["value"].where(history["epoch"] != 3, 9.0))
    assert "improving" not in plot_loss_curves(done, fit=fit, measure="loss", **SIMULATED)[1]
    empty = plot_loss_curves(history[:0], fit=fit, measure="loss", **SIMULATED)
    assert "not trained by epochs, or was not applicable" in empty[1]


# Flow chart


STUDY = Study(
    source="simulated",
    rois={"V1": ["V1v", "V1d"], "PPA": ["PPA"], "all": "all"},
    metrics=["correlation", "euclidean"],
    embeddings={"clip": "clip", "an_embedding_of_a_long_name": "network"},
    models={f"model_{i}": "ridge" for i in range(14)},
    n_folds=5,
    validation_share=0.15,
)


def test_flow_chart_counts_what_there_is():
    figure, caption = plot_flow_chart(score_table(), STUDY, **SIMULATED)
    written = " ".join(texts_of(figure)).replace("\n", " ")
    for said in ("3 subjects", "20 images each", "190 pairs each", "18 RDMs", "V1 = V1v + V1d"):
        assert said in written, said
    assert "Splits, 5 folds" in written
    assert "n = 3 subjects, 20 images each, 3 ROI(s), 2 metric(s)" in caption
    assert_inside(figure)


def test_flow_chart_holds_the_text_of_every_box():
    figure, _ = plot_flow_chart(score_table(), STUDY, **SIMULATED)
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    axis = figure.axes[0]
    boxes = [p.get_window_extent(renderer) for p in axis.patches if isinstance(p, FancyBboxPatch)]
    for text in (text for text in axis.texts[:-1] if text.get_text()):
        extent = text.get_window_extent(renderer)
        inside = [box for box in boxes if box.x0 <= extent.x0 <= box.x1 and extent.height]
        if inside:
            assert extent.x1 <= max(box.x1 for box in inside) + 1, text.get_text()


def test_icons_show_what_splits_are():
    """Of twelve images four are held out."""
    pairs = [(i, j) for i in range(12) for j in range(i)]
    held_out = {pair: sum(image >= 8 for image in pair) for pair in pairs}
    for split, n in (("clean", 2), ("one_seen", 1)):
        cells = icon_cells(split)
        for purpose, expected in ((2, n), (1, 0)):
            drawn = {pair for pair in pairs if cells[pair] == purpose}
            assert drawn == {pair for pair in pairs if held_out[pair] == expected}
    # Leaked pairs are tested as clean ones, and as many are trained on, with the same images.
    clean, leaked, at_random = map(icon_cells, ("clean", "leaked", "random_pairs"))
    np.testing.assert_array_equal(leaked == 2, clean == 2)
    assert np.count_nonzero(leaked == 1) == np.count_nonzero(clean == 1)
    assert not {pair for pair in pairs if at_random[pair] == 0}
    for cells in (leaked, at_random):
        tested = {image for pair in pairs if cells[pair] == 2 for image in pair}
        trained = {image for pair in pairs if cells[pair] == 1 for image in pair}
        assert tested <= trained


def test_models_that_learn_from_responses_or_images_are_led_there():
    models = {"ridge": "ridge", "encode": "encode", "siamese": "siamese"}
    figure, _ = plot_flow_chart(score_table(), replace(STUDY, models=models), **SIMULATED)
    assert {"responses to encode", "images to siamese"} <= set(texts_of(figure))
    figure, _ = plot_flow_chart(score_table(), STUDY, **SIMULATED)
    assert not any(" to " in text for text in texts_of(figure))
    assert_inside(figure)


# Architectures


@pytest.fixture(scope="module")
def networks():
    return example_networks()


def test_boxes_hold_all_parameters_of_every_network(networks):
    for name, (network, pair) in networks.items():
        layers = layers_of(network, pair)
        weights = {layer.target: layer.n_parameters for layer in layers if layer.target}
        assert sum(weights.values()) == n_parameters(network), name
        assert layers[-1].shape in ((), (1,)), name


def test_published_siamese_network_is_drawn_as_it_was_published(networks):
    """Convolutions of 3 x 3 with 32 and 64 channels on 128 x 128 pixels, and a dense unit."""
    layers = layers_of(*networks["siamese, linear"])
    first = [layer for layer in layers if layer.branch == "first"]
    assert [layer.shape for layer in first[-4:]] == [
        (32, 126, 126),
        (32, 63, 63),
        (64, 61, 61),
        (64, 30, 30),
    ]
    assert [layer.n_parameters for layer in first[-4:]] == [9 * 32 + 32, 0, 9 * 32 * 64 + 64, 0]
    assert first[-4].label == "conv 3 x 3, 32, relu"
    assert shared_targets(layers) == set()
    assert layers[-1].n_parameters == 2 * 64 * 30 * 30 + 1


def test_common_weights_are_marked_and_joins_belong_to_both_images(networks):
    layers = layers_of(*networks["siamese, symmetric"])
    assert len(shared_targets(layers)) == 3
    join = next(layer for layer in layers if layer.branch == "both")
    assert {layers[i].branch for i in join.sources} == {"first", "second"}
    assert not has_branches(layers_of(*networks["MLP, 2 hidden layers"]))


def test_any_network_of_pairs_can_be_drawn():
    class Unlike(nn.Module):
        """Something else than what stands in the library."""

        def __init__(self):
            super().__init__()
            self.left, self.right = nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, first, second):
            return (self.left(first).relu() * self.right(second)).sum(dim=1)

    pair = torch.zeros(2, 4), torch.zeros(2, 4)
    layers = layers_of(Unlike(), pair)
    assert [layer.label for layer in layers] == ["dense 3, relu", "dense 3", "mul", "sum"]
    assert [layer.branch for layer in layers] == ["first", "second", "both", "both"]
    assert [layer.row for layer in layers] == [0, 0, 1, 2]
    assert [layer.n_parameters for layer in layers] == [15, 15, 0, 0]


def test_sizes_used_are_those_of_the_config():
    models = {
        "ridge": {"kind": "ridge", "options": {}, "variants": {}},
        "net": {"kind": "siamese", "options": {"side": 32, "widths": [8, 16]}, "variants": {}},
        "mlp": {
            "kind": "pair_mlp",
            "options": {"n_epochs": 5},
            "variants": {"0": {"n_hidden": 0}, "1": {"n_hidden": 1}},
        },
        "plain": {"kind": "pair_mlp", "options": {"batch": 8}, "variants": {}},
    }
    said = sizes_used(models, 16)
    assert "net (siamese): side 32, widths 8 and 16; mlp (pair_mlp): n_hidden 0 / 1" in said
    assert "plain (pair_mlp): as drawn" in said
    assert "16 components at most" in said
    assert not any(word in said for word in ("ridge", "n_epochs", "batch"))
    assert sizes_used(models, None).endswith("an embedding has its features as they are.")
    assert sizes_used({"ridge": models["ridge"]}, None) == "This study has none of them."


def test_architectures_lie_on_the_page_and_text_in_its_box(networks):
    figure, caption = plot_architectures(networks, used="Used.", title="Scenes")
    assert_inside(figure)
    renderer = figure.canvas.get_renderer()
    axis = figure.axes[0]
    boxes = [p.get_window_extent(renderer) for p in axis.patches if isinstance(p, FancyBboxPatch)]
    n_within = 0
    for text in axis.texts:
        extent = text.get_window_extent(renderer)
        middle = (extent.x0 + extent.x1) / 2, (extent.y0 + extent.y1) / 2
        for box in boxes:
            if box.contains(*middle) and extent.height > 0:
                assert extent.width <= box.width, text.get_text()
                n_within += 1
    assert n_within == len(boxes)
    for name, (network, _) in networks.items():
        assert f"{name}\n{n_parameters(network):,} parameters" in texts_of(figure)
    assert "absolute differences and products" in caption
    assert "siamese, symmetric" in caption
