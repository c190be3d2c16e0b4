"""From RDM files to draws, tables of similarities and tables over layers and subjects."""

import itertools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import rsatoolbox
import scipy.optimize
import scipy.stats
from scipy.spatial.distance import pdist, squareform

from scripts.compare.compare_rdms import compare_rdms, similarity_columns
from scripts.compare.estimate_noise_ceiling import ceiling_table, estimate_noise_ceiling
from scripts.compare.resample_images import descriptors_of, resample_images
from scripts.infer.control_models import control_models
from scripts.infer.cross_validate_group import cross_validate_group
from scripts.infer.cross_validate_layers import cross_validate_layers
from scripts.infer.infer_group import group_columns, infer_group
from scripts.infer.infer_layers import infer_layers
from scripts.infer.partition_variance import partition_subject
from scripts.report.gather_tables import gather_tables
from scripts.report.summarise_study import summarise_study
from workflow.lib.errors import InputError
from workflow.lib.inference.bootstrap import bootstrap_similarities
from workflow.lib.inference.draw_store import (
    CeilingDraws,
    CeilingStore,
    DrawStore,
    write_ceiling_draws,
    write_draws,
)
from workflow.lib.inference.jackknife import image_influence
from workflow.lib.inference.study_resamples import (
    REPEATS,
    jackknife_error,
    n_drawn,
    n_exact_resamples,
    stretched,
    study_counts,
    study_folds,
)
from workflow.lib.inference.variance import interval, one_factor_variance
from workflow.lib.rdms.store import RDMStore, write_rdms
from workflow.lib.rsa.comparators import COMPARATORS, compare
from workflow.lib.rsa.model_layers import ModelLayers

CAPTIONS = Path(__file__).parents[2] / "workflow/report"
N_IMAGES = 20
N_PAIRS = N_IMAGES * (N_IMAGES - 1) // 2
SUBJECTS = ("s1", "s2", "s3")
ROIS = ("early", "late")
LAYERS = ("first", "second", "third")
GROUPS = [f"group {i % 4}" for i in range(N_IMAGES)]


def written(path, rdms, **descriptors):
    write_rdms(
        path,
        rdms,
        names=[f"image_{i}" for i in range(N_IMAGES)],
        groups=GROUPS,
        measure="correlation",
        descriptors={"study": "test", **descriptors},
    )
    return RDMStore(path)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return brains of three subjects, a network of two seeds, and the image groups as a model.

    ROI early resembles the first layer, ROI late the third.
    """
    folder = tmp_path_factory.mktemp("rdms")
    rng = np.random.default_rng(4)
    layers = rng.random((3, N_PAIRS))
    network = [
        ({"layer": name, "seed": str(seed)}, layer + 0.1 * rng.random(N_PAIRS))
        for name, layer in zip(LAYERS, layers, strict=True)
        for seed in (0, 1)
    ]
    first, second = np.triu_indices(N_IMAGES, 1)
    between = np.array([GROUPS[i] != GROUPS[j] for i, j in zip(first, second, strict=True)])
    models = [
        written(folder / "network.h5", network, model="network"),
        written(folder / "groups.h5", [({"layer": "groups"}, between * 1.0)], model="groups"),
    ]
    brains = [
        written(
            folder / f"{subject}.h5",
            [
                ({"roi": roi, "session": "mean"}, layer + rng.random(N_PAIRS))
                for roi, layer in zip(ROIS, layers[[0, 2]], strict=True)
            ],
            subject=subject,
        )
        for subject in SUBJECTS
    ]
    return brains, models, folder


def drawn(study, comparators, engine="fast", n_resamples=30, n_exact_ranks=30, resample="images"):
    """Return each subject's draws, and those of the ceiling, as the workflow stores them."""
    brains, models, folder = study
    counts = study_counts(brains[0], n_resamples=n_resamples, resample=resample, seed=1)
    stores = []
    for brain in brains:
        path = folder / f"draws_{brain.descriptors['subject']}_{engine}.h5"
        options = {"resample": resample, "comparators": comparators}
        options |= {"n_exact_ranks": n_exact_ranks, "engine": engine}
        draws = resample_images(brain, models, counts, **options)
        write_draws(
            path,
            draws,
            rows=brain.rows(),
            layers=ModelLayers(models).table,
            descriptors=descriptors_of(brain, resample),
        )
        stores.append(DrawStore(path))
    ceilings = estimate_noise_ceiling(brains, counts, **options)
    write_ceiling_draws(folder / "ceiling.h5", ceilings, rois=ROIS, subjects=SUBJECTS)
    return (
        stores,
        CeilingStore(folder / "ceiling.h5"),
        ceiling_table(ceilings, brains, resample=resample),
    )


def test_engines_agree_in_every_column(study):
    """Whitened and tau comparators have no bootstrap in either: their estimates are compared."""
    names = list(COMPARATORS)
    (ours, _, our_ceiling), (theirs, _, their_ceiling) = (
        drawn(study, names, engine) for engine in ("fast", "rsatoolbox")
    )
    for one, other in zip(ours, theirs, strict=True):
        for name in names:
            left, right = one.draws(name), other.draws(name)
            np.testing.assert_allclose(left.estimate, right.estimate, atol=1e-6)
            np.testing.assert_allclose(left.exact, right.exact, atol=1e-6)
            np.testing.assert_allclose(left.bootstrap_error, right.bootstrap_error, atol=1e-6)
    for bound in ("lower", "upper"):
        np.testing.assert_allclose(our_ceiling[bound], their_ceiling[bound], atol=1e-6)


def test_similarity_is_the_mean_over_seeds_by_rsatoolbox(study):
    brains, models, _ = study
    stores, _, _ = drawn(study, ["rho-a"])
    expected = rsatoolbox.rdm.compare(
        rsatoolbox.rdm.RDMs(brains[1].vectors()), rsatoolbox.rdm.RDMs(models[0].vectors()), "rho-a"
    )
    estimate = stores[1].draws("rho-a").estimate
    np.testing.assert_allclose(estimate[:, :3], expected.reshape(2, 3, 2).mean(axis=2), atol=1e-10)


def test_draws_read_back_with_their_labels(study):
    stores, ceiling, _ = drawn(study, ["pearson", "tau-a"], n_resamples=120, n_exact_ranks=40)
    store = stores[0]
    assert store.rows.to_dict("list") == {"roi": list(ROIS), "session": ["mean", "mean"]}
    assert store.layers.to_dict("list") == {
        "model": ["network"] * 3 + ["groups"],
        "layer": [*LAYERS, "groups"],
    }
    assert (ceiling.rois, ceiling.subjects) == (list(ROIS), list(SUBJECTS))
    assert store.draws("pearson").draws.shape == (120, 2, 4)
    assert store.draws("tau-a").exact.shape == (0, 2, 4)
    assert np.isnan(store.draws("tau-a").bootstrap_error).all()
    assert (store.draws("tau-a").standard_error > 0).all()


def test_linearised_draws_vary_as_the_jackknife_says(study):
    stores, _, _ = drawn(study, ["spearman"], n_resamples=4000, n_exact_ranks=2)
    draws = stores[0].draws("spearman")
    np.testing.assert_allclose(draws.draws.std(axis=0), draws.jackknife_error, rtol=0.06)


# With four groups the jackknife of whole groups is too coarse to compare.
@pytest.mark.parametrize("resample", ["images", "within_groups"])
def test_jackknife_follows_what_is_resampled(study, resample):
    """The jackknife is the bootstrap but for terms that shrink with the number of images."""
    stores, _, _ = drawn(study, ["pearson"], n_resamples=3000, resample=resample)
    draws = stores[0].draws("pearson")
    ratio = draws.jackknife_error / draws.bootstrap_error
    assert (ratio > 0.6).all()
    assert (ratio < 1.2).all()


def test_whole_groups_are_drawn_together(study):
    counts = study_counts(study[0][0], n_resamples=50, resample="groups", seed=3)
    for label in set(GROUPS):
        members = counts[:, np.array(GROUPS) == label]
        assert (members == members[:, :1]).all()


def test_one_group_cannot_be_drawn_from(tmp_path):
    names = [f"image_{i}" for i in range(4)]
    rdms = [({"roi": "early", "session": "mean"}, np.arange(6.0))]
    labels = {"study": "lab", "subject": "s1"}
    path = tmp_path / "brain.h5"
    write_rdms(path, rdms, names=names, measure="correlation", descriptors=labels)
    with pytest.raises(InputError, match=r"rsa\.lab\.inference\.resample: found 'groups'"):
        study_counts(RDMStore(path), n_resamples=10, resample="groups", seed=1)


def test_a_group_of_one_image_cannot_be_drawn_within(tmp_path):
    names = [f"image_{i}" for i in range(5)]
    rdms = [({"roi": "early", "session": "mean"}, np.arange(10.0))]
    labels = {"study": "lab", "subject": "s1"}
    options = {"names": names, "groups": list("aabcc"), "measure": "x", "descriptors": labels}
    write_rdms(tmp_path / "brain.h5", rdms, **options)
    with pytest.raises(InputError, match=r"found 'within_groups' and one image alone in 'b'"):
        study_counts(
            RDMStore(tmp_path / "brain.h5"), n_resamples=9, resample="within_groups", seed=1
        )


@pytest.mark.parametrize("sizes", [[2] * 20, [3] * 20, [5] * 20, [2] * 12 + [9] * 4])
def test_intervals_within_groups_hold_the_truth(sizes):
    """New images of the same groups; plain draws would vary by 1/2 to 4/5 of these."""
    rng = np.random.default_rng(sum(sizes))
    n_images = sum(sizes)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    brain = SimpleNamespace(
        groups=[str(group) for group in groups], n_images=n_images, descriptors={"study": "test"}
    )
    centres = 0.7 * rng.standard_normal((len(sizes), 4))[groups]
    estimates, found = [], {"bootstrap": [], "jackknife": []}
    for study_number in range(300):
        signal = centres + rng.standard_normal(centres.shape)
        views = [pdist(signal + rng.standard_normal(signal.shape)) for _ in range(2)]
        sides = views[0][np.newaxis], views[1][np.newaxis]
        options = {"resample": "within_groups", "seed": study_number}
        counts = study_counts(brain, n_resamples=150, **options)
        draws = bootstrap_similarities(*sides, "pearson", counts, n_images=n_images)
        draws = stretched(draws, brain, "within_groups")
        n = n_drawn(brain, "within_groups")
        influence = image_influence(*sides, "pearson", n_images)
        estimates.append(compare(*sides, "pearson").item())
        for name, variance in (
            ("bootstrap", one_factor_variance(draws, n)),
            ("jackknife", jackknife_error(influence, brain, "within_groups") ** 2),
        ):
            found[name].append(np.ravel(interval(estimates[-1], variance, n - 1)))
    truth = np.mean(estimates)
    for name, intervals in found.items():
        low, high = np.transpose(intervals)
        assert 0.92 < np.mean((low <= truth) & (truth <= high)) < 0.99, name


@pytest.mark.parametrize("resample", ["within_groups", "groups"])
def test_folds_follow_what_is_resampled(study, resample):
    options = {"n_folds": 2, "resample": resample, "seed": 1}
    repeats = study_folds(study[0][0], **options)
    assert len(repeats) == REPEATS
    for folds in repeats:
        np.testing.assert_array_equal(np.sort(np.concatenate(folds)), np.arange(N_IMAGES))
        for label in set(GROUPS):
            held = [sum(GROUPS[image] == label for image in fold) for fold in folds]
            assert sorted(held) == ([2, 3] if resample == "within_groups" else [0, 5])


# Over images as many degrees of freedom as images less one; over groups as groups less one.
# Each group within which images are drawn has a mean of its own.
@pytest.mark.parametrize(
    ("resample", "n_drawn"), [("images", N_IMAGES), ("within_groups", N_IMAGES - 3), ("groups", 4)]
)
def test_intervals_count_what_is_drawn(study, resample, n_drawn):
    brains, models, _ = study
    stores, ceiling, noise_ceiling = drawn(study, ["pearson"], n_resamples=300, resample=resample)
    draws = stores[0].draws("pearson")
    t = scipy.stats.t.ppf(0.975, n_drawn - 1)
    new = np.sqrt(n_drawn / (n_drawn - 1))

    table = compare_rdms(brains[0], models, stores[0], n_permutations=0, permuted="images", seed=1)
    np.testing.assert_allclose(table["se"], new * np.nanstd(draws.draws, axis=0, ddof=1).ravel())
    np.testing.assert_allclose(table["high"] - table["similarity"], t * table["se"])

    layers, differences, _ = infer_layers(stores[0], ceiling, ordered=["network"])
    np.testing.assert_allclose(
        differences["high"] - differences["difference"], t * differences["se"]
    )
    first_second = draws.draws[:, :, 0] - draws.draws[:, :, 1]
    found = differences.query("first == 'first' and second == 'second'")
    np.testing.assert_allclose(found["se"], new * first_second.std(axis=0, ddof=1))
    two_sided = 2 * scipy.stats.t.sf(np.abs(found["difference"] / found["se"]), n_drawn - 1)
    np.testing.assert_allclose(found["p"], two_sided)
    below = ceiling.draws("pearson").lower_draws[:, :, :1] - draws.draws[:, :, :3]
    np.testing.assert_allclose(
        layers["below_ceiling_high"] - layers["below_ceiling"],
        t * new * below.std(axis=0, ddof=1).ravel(),
    )

    group = infer_group(stores, ceiling, seed=1)
    assert (group["dof"] == min(len(SUBJECTS), n_drawn) - 1).all()
    mean = np.mean([store.draws("pearson").draws for store in stores], axis=0)
    np.testing.assert_allclose(group["se_images"], new * np.nanstd(mean, axis=0, ddof=1).ravel())
    of_ceiling = ceiling.draws("pearson").lower_draws.mean(axis=2)
    errors = noise_ceiling.groupby("roi")["lower_se"].first()[list(ROIS)]
    np.testing.assert_allclose(errors, new * of_ceiling.std(axis=0, ddof=1))
    below = of_ceiling[:, :, np.newaxis] - mean
    # The model of groups is constant where one group alone is drawn: such resamples are left out.
    below = below[np.isfinite(below).all(axis=(1, 2))]
    np.testing.assert_allclose(
        group["below_ceiling_high"] - group["below_ceiling"],
        t * new * below.std(axis=0, ddof=1).ravel(),
    )


@pytest.mark.slow
def test_intervals_over_groups_hold_the_truth(tmp_path):
    """Images of a group are much alike, and so is their noise: there are six, not 48 of them.

    The truth is the mean over many studies. Of intervals made as if 48 images had been drawn a
    tenth misses it; of those that draw the images one by one more than a third.
    """
    rng = np.random.default_rng(5)
    n_groups, n_each, n_studies = 6, 8, 300
    groups = np.repeat(np.arange(n_groups), n_each)

    def spread(scale):
        return scale * rng.standard_normal((n_groups, 4))[groups]

    def simulated():
        signal = spread(1.0) + 0.3 * rng.standard_normal((groups.size, 4))
        for name in ("model", "brain"):
            view = signal + spread(0.5) + 0.5 * rng.standard_normal(signal.shape)
            write_rdms(
                tmp_path / f"{name}.h5",
                [
                    (
                        {"roi": "r", "session": "mean"} if name == "brain" else {"layer": "l"},
                        pdist(view),
                    )
                ],
                names=[str(image) for image in range(groups.size)],
                groups=[str(group) for group in groups],
                measure="euclidean",
                descriptors={"study": "test", "model": "m", "subject": "s"},
            )
        return RDMStore(tmp_path / "brain.h5"), RDMStore(tmp_path / "model.h5")

    similarities, intervals = [], {"groups": [], "images": []}
    for study_number in range(n_studies):
        brain, model = simulated()
        for resample, found in intervals.items():
            counts = study_counts(brain, n_resamples=200, resample=resample, seed=study_number)
            draws = resample_images(
                *(brain, [model], counts),
                resample=resample,
                comparators=["pearson"],
                n_exact_ranks=None,
                engine="fast",
            )
            columns = similarity_columns(draws["pearson"], n_drawn(brain, resample))
            found.append((columns["low"].item(), columns["high"].item()))
        similarities.append(columns["similarity"].item())
    truth = np.mean(similarities)
    hold = {
        resample: np.mean([low <= truth <= high for low, high in found])
        for resample, found in intervals.items()
    }
    assert 0.93 < hold["groups"] < 0.99
    assert hold["images"] < 0.75


@pytest.mark.parametrize(
    ("name", "n_images", "n_exact_ranks", "expected"),
    [
        ("pearson", 3000, 10, 200),
        ("spearman", 50, 10, 10),
        ("rho-a", 50, 500, 200),
        ("spearman", 50, None, 200),
        ("spearman", 3000, None, 100),
        ("tau-b", 50, None, 0),
    ],
)
def test_number_of_exact_resamples(name, n_images, n_exact_ranks, expected):
    assert n_exact_resamples(name, n_images, 200, n_exact_ranks) == expected


def test_table_has_intervals_and_no_p_where_no_permutation_changes_a_cell(study):
    """Images of a group are alike to the model of groups: nothing changes within groups."""
    brains, models, _ = study
    stores, _, _ = drawn(study, ["pearson", "spearman"])
    table = compare_rdms(
        *(brains[0], models, stores[0]), n_permutations=99, permuted="within_groups", seed=1
    )
    half = (table["high"] - table["low"]) / 2
    quantile = scipy.stats.t.ppf(0.975, N_IMAGES - 1)
    np.testing.assert_allclose(half, quantile * table["se"], rtol=1e-9)
    of_groups = table["model"] == "groups"
    assert table.loc[of_groups, ["p", "q", "p_fwe"]].isna().all(axis=None)
    tested = table[~of_groups & (table["comparator"] == "pearson")]
    adjusted = scipy.stats.false_discovery_control(tested["p"])
    np.testing.assert_allclose(tested["q"], adjusted)
    assert (tested["p_fwe"] >= tested["p"]).all()


def compared(path, brain, models):
    """Return the table of one subject, its draws stored at `path`."""
    counts = study_counts(brain, n_resamples=10, resample="images", seed=1)
    options = {"resample": "images", "comparators": ["pearson", "spearman"]}
    draws = resample_images(brain, models, counts, **options, n_exact_ranks=10, engine="fast")
    write_draws(
        path,
        draws,
        rows=brain.rows(),
        layers=ModelLayers(models).table,
        descriptors=descriptors_of(brain, "images"),
    )
    options = {"n_permutations": 199, "permuted": "images", "seed": 1}
    return compare_rdms(brain, models, DrawStore(path), **options)


def test_sessions_are_corrected_for_one_by_one(study, tmp_path):
    """A subject with sessions has for each of them what a subject of that session alone would."""
    _, models, _ = study
    rng = np.random.default_rng(11)
    layer = models[0].vectors()[0]
    noise = {"1": 0.5, "2": 20, "mean": 2}
    rdms = [
        ({"roi": roi, "session": session}, layer + size * rng.random(N_PAIRS))
        for session, size in noise.items()
        for roi in ROIS
    ]
    brain = written(tmp_path / "sessions.h5", rdms, subject="s9")
    table = compared(tmp_path / "draws.h5", brain, models)
    for session in noise:
        own = [labelled for labelled in rdms if labelled[0]["session"] == session]
        alone = written(tmp_path / f"{session}.h5", own, subject="s9")
        expected = compared(tmp_path / f"draws_{session}.h5", alone, models)
        found = table[table["session"] == session].reset_index(drop=True)
        pd.testing.assert_frame_equal(found, expected)
        for _, family in found.groupby("comparator"):
            adjusted = scipy.stats.false_discovery_control(family["p"])
            np.testing.assert_allclose(family["q"], adjusted)


def test_whole_groups_change_places(study):
    """All 4! orders of four groups of five images, none of which changes the model of groups."""
    brains, models, _ = study
    stores, _, _ = drawn(study, ["pearson"])
    options = {"n_permutations": 99, "permuted": "groups", "seed": 1}
    table = compare_rdms(brains[0], models, stores[0], **options)
    assert set(table["n_permutations"]) == {24}
    of_groups = table["model"] == "groups"
    assert table.loc[of_groups, ["p", "q", "p_fwe"]].isna().all(axis=None)
    places = [np.flatnonzero(np.equal(GROUPS, group)) for group in sorted(set(GROUPS))]
    first, second = np.triu_indices(N_IMAGES, 1)
    layer = models[0].vectors()[0:2]
    reached = []
    for arranged in itertools.permutations(places):
        order = np.empty(N_IMAGES, int)
        order[np.concatenate(places)] = np.concatenate(arranged)
        moved = [squareform(seed)[order[first], order[second]] for seed in layer]
        reached.append(compare(np.array(moved), brains[0].vectors()[:1], "pearson").mean())
    row = table[(table["roi"] == "early") & (table["layer"] == "first")].iloc[0]
    assert row["similarity"] == pytest.approx(reached[0])
    assert row["p"] == pytest.approx(np.mean(np.array(reached) >= reached[0] - 1e-9))


def test_groups_that_are_all_of_another_size_are_not_tested(study, caplog):
    _, models, folder = study
    stores, _, _ = drawn(study, ["pearson"])
    brain = RDMStore(folder / "s1.h5")
    brain.groups = list("aaaaaaabbbbbbccccdde")
    options = {"n_permutations": 99, "permuted": "groups", "seed": 1}
    table = compare_rdms(brain, models, stores[0], **options)
    assert table[["p", "q", "p_fwe"]].isna().all(axis=None)
    assert table[["similarity", "low", "high"]].notna().all(axis=None)
    assert set(table["n_permutations"]) == {0}
    assert "test, s1: nothing is tested by permutation" in caplog.text
    assert "of 1, 2, 4, 6, 7 images" in caplog.text


def test_planted_layers_are_found(study):
    stores, ceiling, _ = drawn(study, ["pearson"], n_resamples=200)
    layers, differences, centres = infer_layers(stores[0], ceiling, ordered=["network"])
    best = layers.loc[layers.groupby("roi")["p_best"].idxmax()].set_index("roi")["layer"]
    assert best.to_dict() == {"early": "first", "late": "third"}
    np.testing.assert_allclose(layers.groupby("roi")["p_best"].sum(), 1)
    assert centres.set_index("roi")["centre"].diff().iloc[-1] > 0
    assert (centres["interaction_p"] < 0.05).all()
    early = differences.query("roi == 'early' and first == 'first' and second == 'third'")
    assert (early["low"] > 0).all()
    assert (early["q"] < 0.05).all()


def test_subject_ceiling_is_that_of_the_ceiling_table(study):
    stores, ceiling, table = drawn(study, ["pearson"])
    layers, _, _ = infer_layers(stores[1], ceiling, ordered=["network"])
    lower = table[table["subject"] == "s2"].set_index("roi")["lower"]
    np.testing.assert_allclose(
        layers["below_ceiling"], layers["roi"].map(lower) - layers["similarity"]
    )
    no_ceiling, _, _ = infer_layers(stores[1], None, ordered=["network"])
    assert no_ceiling["p_ceiling"].isna().all()


def test_undefined_resamples_leave_the_error_of_the_ceiling_defined(study):
    """A resample of too few distinct images has no ceiling, and the others tell the error."""
    rng = np.random.default_rng(3)
    lower, upper = rng.random((2, 50, len(ROIS), len(SUBJECTS)))
    lower[7, 0, 1] = np.nan
    ceilings = {"pearson": CeilingDraws(lower.mean(axis=0), upper.mean(axis=0), lower, upper)}
    table = ceiling_table(ceilings, study[0], resample="groups").groupby("roi").first()
    means = np.delete(lower[:, 0].mean(axis=1), 7)
    # Four groups are drawn from.
    expected = np.sqrt(4 / 3 * means.var(ddof=1))
    np.testing.assert_allclose(table.loc["early", "lower_se"], expected)
    expected = np.sqrt(4 / 3 * upper[:, 1].mean(axis=1).var(ddof=1))
    np.testing.assert_allclose(table.loc["late", "upper_se"], expected)


def test_group_table_by_hand(study):
    stores, ceiling, _ = drawn(study, ["pearson"], n_resamples=400)
    table = infer_group(stores, ceiling, seed=1)
    estimates = np.stack([store.draws("pearson").estimate for store in stores])
    np.testing.assert_allclose(table["similarity"], estimates.mean(axis=0).ravel())
    between = scipy.stats.sem(estimates, axis=0).ravel()
    np.testing.assert_allclose(table["se_subjects"], between)
    # Never less sure than with the images held fixed, but for the noise of 400 resamples.
    assert (table["se"] > 0.85 * between).all()
    # Three subjects and twenty images: two degrees of freedom.
    assert (table["dof"] == 2).all()
    half = scipy.stats.t.ppf(0.975, 2) * table["se"]
    np.testing.assert_allclose(table["low"], table["similarity"] - half, rtol=1e-9)
    np.testing.assert_allclose(table["high"], table["similarity"] + half, rtol=1e-9)
    assert table["p_subjects"].isna().all(), "three subjects allow no sign-flip test"
    assert (table["ceiling_low"] < table["ceiling_high"]).all()


def test_cosines_of_unrelated_rdms_are_not_tested_against_zero():
    """Eight subjects who share nothing with a model: every cosine is far above zero."""
    rng = np.random.default_rng(8)
    views = np.stack([pdist(rng.standard_normal((N_IMAGES, 6))) for _ in range(9)])
    for name, expected in (("cosine", True), ("cosine_cov", True), ("pearson", False)):
        estimate = compare(views[1:], views[:1], name)[:, np.newaxis]
        draws = np.broadcast_to(estimate, (30, *estimate.shape))
        columns = group_columns(
            *(estimate, draws),
            n_drawn=N_IMAGES,
            zero_is_null=COMPARATORS[name].zero_is_null,
            seed=(1, "test"),
        )
        for p in ("p_subjects", "p_subjects_fwe"):
            assert np.isnan(columns[p]).all() == expected
        assert (estimate > 0.1).all() == expected, estimate


def test_cosines_have_no_layer_centre(study):
    stores, ceiling, _ = drawn(study, ["cosine", "pearson"])
    _, _, centres = infer_layers(stores[0], ceiling, ordered=["network"])
    missing = centres.groupby("comparator")[["centre", "low", "high"]].agg(lambda x: x.isna().all())
    assert missing.loc["cosine"].all()
    assert not missing.loc["pearson"].any()
    assert centres["interaction_p"].notna().all()


def test_held_out_layers_do_not_profit_from_the_choice(study):
    brains, models, _ = study
    table = cross_validate_layers(
        brains[0], models, comparator="pearson", n_folds=4, resample="images", seed=2
    )
    assert table["model"].tolist() == ["network"] * 2, "one layer leaves nothing to choose"
    assert (table["optimistic"] >= table["held_out"]).all()
    assert dict(zip(table["roi"], table["chosen"], strict=True)) == {
        "early": "first",
        "late": "third",
    }


def test_mixtures_over_subjects_are_those_of_explicit_pairs(study):
    """scipy's least squares, on the mean of the others' standardised RDMs of training images."""
    brains, models, _ = study
    options = {"n_folds": 4, "resample": "images", "seed": 2}
    table = cross_validate_group(brains, models, comparator="pearson", **options)
    assert set(table["model"]) == {"network"}, "one layer leaves nothing to mix"
    layers = models[0].vectors().reshape(3, 2, -1).mean(axis=1)
    first, second = np.triu_indices(N_IMAGES, 1)
    splits = np.concatenate(study_folds(brains[0], **options))
    for (row, roi), (number, subject) in itertools.product(enumerate(ROIS), enumerate(SUBJECTS)):
        mixtures, singles, choices = [], [], []
        for test in splits:
            train = ~(np.isin(first, test) | np.isin(second, test))
            held = np.isin(first, test) & np.isin(second, test)
            others = [brain.vector(row)[train] for brain in brains if brain is not brains[number]]
            target = scipy.stats.zscore(others, axis=1).mean(axis=0)
            x = layers[:, train]
            weights = scipy.optimize.nnls((x - x.mean(axis=1, keepdims=True)).T, target)[0]
            own = brains[number].vector(row)[held]
            mixtures.append(np.corrcoef(weights @ layers[:, held], own)[0, 1])
            choices.append(np.argmax([np.corrcoef(layer, target)[0, 1] for layer in x]))
            singles.append(np.corrcoef(layers[choices[-1], held], own)[0, 1])
        found = table[(table["roi"] == roi) & (table["subject"] == subject)].squeeze()
        assert found["reweighted"] == pytest.approx(np.mean(mixtures), abs=1e-8)
        assert found["held_out"] == pytest.approx(np.mean(singles), abs=1e-8)
        assert found["chosen"] == {"early": "first", "late": "third"}[roi]
        assert found["chosen_share"] == np.mean(np.array(choices) == LAYERS.index(found["chosen"]))
    assert len(table) == len(ROIS) * len(SUBJECTS)


def test_too_few_images_to_hold_out_leave_an_empty_table(tmp_path):
    rng = np.random.default_rng(0)
    brain, model = (
        tmp_path / "brain.h5",
        tmp_path / "model.h5",
    )
    names = [f"image_{i}" for i in range(5)]
    for path, labels, what in (
        (brain, [{"roi": "early", "session": "mean"}], {"subject": "s1"}),
        (model, [{"layer": "first"}, {"layer": "second"}], {"model": "network"}),
    ):
        rdms = [(label, rng.random(10)) for label in labels]
        write_rdms(
            path, rdms, names=names, measure="correlation", descriptors={"study": "x"} | what
        )
    table = cross_validate_layers(
        RDMStore(brain),
        [RDMStore(model)],
        comparator="pearson",
        n_folds=5,
        resample="images",
        seed=1,
    )
    assert isinstance(table, pd.DataFrame)
    assert table.empty


def test_captions_explain_every_column(study):
    brains, models, _ = study
    stores, ceiling, noise_ceiling = drawn(study, ["pearson"])
    folds = {"comparator": "pearson", "n_folds": 2, "resample": "images", "seed": 1}
    of_layers, differences, centres = infer_layers(stores[0], ceiling, ordered=["network"])
    permuted = {"n_permutations": 9, "permuted": "images", "seed": 1}
    similarities = compare_rdms(brains[0], models, stores[0], **permuted)
    tables = {
        "summary": summarise_study([similarities]),
        "group": infer_group(stores, ceiling, seed=1),
        "noise_ceiling": noise_ceiling,
        "layers": gather_tables([of_layers]),
        "layer_differences": gather_tables([differences]),
        "layer_centre": gather_tables([centres]),
        "held_out": gather_tables([cross_validate_layers(brains[0], models, **folds)]),
        "held_out_group": cross_validate_group(brains, models, **folds),
        "partition": partition_subject(
            *(brains[0], models, study_counts(brains[0], n_resamples=5, resample="images", seed=1)),
            partition=["network/first", "groups"],
            comparators=["pearson"],
            resample="images",
            n_exact_ranks=None,
        ),
        "partial": control_models(
            brains[0], models, controls=["groups"], comparators=["pearson"], **permuted
        ),
    }
    for name, table in tables.items():
        caption = (CAPTIONS / f"{name}_table.rst").read_text()
        missing = [column for column in table if f"*{column}*" not in caption]
        assert not missing, f"{name}_table.rst: {missing}"


def test_pages_have_four_digits_and_leave_missing_numbers_out():
    table = pd.DataFrame(
        {"study": "lab", "roi": ["01", "02"], "p": [0.000123456, np.nan], "model": "m", "n": 3}
    )
    found = gather_tables([table, table])
    assert list(found) == ["model", "roi", "p", "n"]
    assert found["p"].fillna("").to_list() == ["0.0001235", ""] * 2
    assert found["roi"].to_list() == ["01", "02"] * 2
