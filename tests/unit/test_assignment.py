"""The layer that each place resembles most: by hand, by brute force, and how sure it is."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from scipy.spatial.distance import pdist

from scripts.figures.plot_assignment import plot_assignment
from scripts.searchlight.assign_layers import assign_layers, resampled_conditions
from scripts.searchlight.assign_layers_group import subject_z
from workflow.lib.errors import InputError
from workflow.lib.inference.counts import image_counts, subject_counts
from workflow.lib.inference.sign_flip import all_signs
from workflow.lib.nifti.maps import read_maps, write_maps
from workflow.lib.patterns.reading import Patterns
from workflow.lib.patterns.store import PatternStore, write_patterns
from workflow.lib.rdms.store import RDMStore, write_rdms
from workflow.lib.searchlight.assignment import (
    NOWHERE,
    VOLUMES,
    Assignment,
    assign,
    assignment_maps,
    condition_draws,
    group_tests,
    layer_groups,
    subject_draws,
    winning_shares,
)
from workflow.lib.searchlight.regions import layer_histogram, region_masks
from workflow.lib.searchlight.similarity import prepared_models, similarity_maps
from workflow.lib.searchlight.sphere_rdms import COMPARATORS, Searchlight

GROUPS = ["initial", "initial", "FC"]
MAPS = np.array([[0.5, 0.1, np.nan, 0.2], [0.4, 0.3, np.nan, 0.2], [0.1, 0.35, np.nan, -0.1]])
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
N_CONDITIONS = 12


# By hand.


def test_best_layer_and_margins_by_hand():
    best = assign(MAPS, GROUPS)
    assert best.layer.tolist() == [0, 2, NOWHERE, 0]
    assert best.group.tolist() == [0, 1, NOWHERE, 0]
    np.testing.assert_allclose(best.margin, [0.1, 0.05, np.nan, 0.0])
    np.testing.assert_allclose(best.group_margin, [0.4, 0.05, np.nan, 0.3])


def test_with_one_group_there_is_no_margin_to_another():
    assert np.isnan(assign(MAPS, ["all"] * 3).group_margin).all()


def test_one_layer_is_nothing_to_choose_from():
    with pytest.raises(InputError, match="found 1 layer, expected at least two"):
        assign(MAPS[:1], GROUPS[:1])


def test_shares_count_the_draws_in_which_layer_and_group_win():
    best = assign(MAPS, GROUPS)
    # At the first centre the layers 0, 1, 2 and 0 win; at the second always layer 2.
    winners = np.array([[0, 2], [1, 2], [2, 2], [0, 2]])
    draws = np.eye(3)[winners].transpose(0, 2, 1)
    layer, group = winning_shares([(np.array([0, 1]), draws)], best, GROUPS)
    np.testing.assert_allclose(layer, [0.5, 1, np.nan, np.nan])
    np.testing.assert_allclose(group, [0.75, 1, np.nan, np.nan])


@pytest.mark.parametrize(
    ("p", "reliable"),
    [
        # Of the best layer, not of any: the second centre's best is the third layer.
        ([[0.01, 0.01], [1, 0.01], [1, 0.2]], [1, 0]),
        ([[0.2, 1], [0.01, 1], [0.01, 0.05]], [0, 1]),
        # Without a test, the shares decide.
        (np.full((3, 2), np.nan), [1, 1]),
    ],
)
def test_reliable_is_what_is_significant_and_wins_in_nearly_all_draws(p, reliable):
    draws = np.repeat(MAPS[np.newaxis, :, :2], 20, axis=0)
    volumes = assignment_maps(MAPS[:, :2], np.array(p), [(np.arange(2), draws)], GROUPS, 0.05)
    assert volumes["reliable"].tolist() == reliable
    assert volumes["layer"].tolist() == [1, 3]
    # Two of twenty draws in which the other group wins are too many.
    draws[:2, :, 0] = [0, 0, 1]
    volumes = assignment_maps(MAPS[:, :2], np.array(p), [(np.arange(2), draws)], GROUPS, 0.05)
    assert volumes["reliable"].tolist() == [0, reliable[1]]


def test_layers_without_groups_are_one_each_and_a_forgotten_one_is_named():
    assert layer_groups(["a", "b"], {}) == ["a", "b"]
    assert layer_groups(["a", "b"], {"first": ["a"], "last": ["b", "c"]}) == ["first", "last"]
    with pytest.raises(InputError, match="found no group of the layer 'b'"):
        layer_groups(["a", "b"], {"first": ["a"]})


def test_histogram_counts_each_region_by_hand():
    volumes = {
        "layer": np.array([1, 3, np.nan, 1, 2.0]),
        "reliable": np.array([1, 0, np.nan, 0, 1.0]),
    }
    regions = {"front": np.array([True, True, True, False, False])}
    table = layer_histogram(volumes, ["a", "b", "c"], GROUPS, regions)
    assert table["n_voxels"].tolist() == [2, 1, 1, 1, 0, 1]
    assert table["n_reliable"].tolist() == [1, 1, 0, 1, 0, 0]
    assert table["n_in_region"].tolist() == [4, 4, 4, 2, 2, 2]
    assert table["group"].tolist() == GROUPS * 2


def test_a_region_holds_what_half_of_the_subjects_have(tmp_path):
    stores = []
    for subject, voxels in enumerate(([0, 1], [1, 2], [1, 3])):
        channels = {"x": np.array(voxels), "y": np.zeros(2, int), "z": np.zeros(2, int)}
        patterns = {
            "V1": Patterns(np.random.default_rng(0).random((2, 2)), ["a", "b"], None, channels)
        }
        write_patterns(tmp_path / f"{subject}.h5", patterns)
        stores.append(PatternStore(tmp_path / f"{subject}.h5"))
    assert region_masks(stores, (4, 1, 1))["V1"].ravel().tolist() == [False, True, False, False]
    assert region_masks(stores[:2], (4, 1, 1))["V1"].ravel().tolist() == [True, True, True, False]


# By brute force.


def test_draws_over_subjects_are_means_of_the_drawn(monkeypatch):
    maps = np.random.default_rng(0).standard_normal((4, 3, 50))
    maps[2, 1, 7] = np.nan
    monkeypatch.setattr("workflow.lib.searchlight.assignment.DRAWS_BYTES", 8 * 6 * 3 * 10)
    counts = subject_counts(4, 6, np.random.default_rng(1))
    seen = []
    for centres, draws in subject_draws(maps, 6, np.random.default_rng(1)):
        for draw, count in zip(draws, counts, strict=True):
            drawn = np.repeat(np.arange(4), count)
            np.testing.assert_allclose(draw, maps[drawn][:, :, centres].mean(axis=0))
        seen += centres.tolist()
    assert seen == [centre for centre in range(50) if centre != 7]


def test_p_of_groups_is_that_of_flips_done_one_by_one():
    means = np.array([0.8, 0.5, 0.4, 0.0])
    maps = np.random.default_rng(0).standard_normal((5, 4, 3)) + means[:, np.newaxis]
    maps[2, 1, 2] = np.nan
    groups = ["one", "two", "one", "three"]
    signs = all_signs(5)
    found = group_tests(maps, groups, signs)
    for centre in (0, 1):
        values = maps[:, :, centre]
        for number, group in enumerate(("one", "two", "three")):
            expected = []
            own = [layer for layer in range(4) if groups[layer] == group]
            for rival in [layer for layer in range(4) if layer not in own]:
                differences = [values[:, layer] - values[:, rival] for layer in own]
                largest = [
                    max(scipy.stats.ttest_1samp(sign * one, 0).statistic for one in differences)
                    for sign in signs
                ]
                expected.append(np.mean(np.array(largest) >= largest[0] - 1e-9))
            assert found[number, centre] == pytest.approx(max(expected))
    assert np.isnan(found[:, 2]).all()


def test_an_only_group_is_the_best_and_one_subject_shows_nothing():
    maps = np.random.default_rng(0).standard_normal((6, 3, 4))
    assert (group_tests(maps, ["all"] * 3, all_signs(6)) == 0).all()
    assert (group_tests(maps[:1], GROUPS, all_signs(1)) == 1).all()


def small_searchlight(seed=0, features=None, noise=1.0, n_conditions=N_CONDITIONS):
    """A searchlight of 4 x 4 x 3 voxels whose patterns have the geometry of features."""
    rng = np.random.default_rng(seed)
    mask = np.ones((4, 4, 3), bool)
    patterns = noise * rng.standard_normal((n_conditions, mask.sum()))
    if features is not None:
        patterns += features @ rng.standard_normal((features.shape[1], mask.sum()))
    return Searchlight(patterns, np.argwhere(mask), mask=mask, affine=AFFINE, radius=1.5)


def some_models(n_pairs):
    """Two models without ties, and two of a few groups of equal dissimilarities."""
    rng = np.random.default_rng(1)
    return np.vstack([rng.random((2, n_pairs)), rng.integers([[4], [2]], size=(2, n_pairs)) + 1])


@pytest.mark.parametrize("comparator", COMPARATORS)
def test_a_draw_of_every_condition_once_is_the_map(comparator, monkeypatch):
    light = small_searchlight()
    prepared = prepared_models(some_models(light.n_pairs), comparator)
    maps = similarity_maps(light, prepared, comparator)
    once = np.ones((1, N_CONDITIONS), dtype=np.int64)
    monkeypatch.setattr("workflow.lib.searchlight.assignment.image_counts", lambda *_, **__: once)
    for centres, draws in condition_draws(light, prepared, comparator, 1, None):
        # Up to a factor of each sphere, the same for all layers.
        lengths = [np.linalg.norm(values, axis=0) for values in (draws[0], maps[:, centres])]
        np.testing.assert_allclose(draws[0] / lengths[0], maps[:, centres] / lengths[1], atol=1e-8)


@pytest.mark.parametrize("comparator", ["pearson", "spearman", "rho-a"])
def test_draws_over_conditions_rank_layers_as_similarities_over_the_drawn_pairs(comparator):
    light = small_searchlight()
    models = some_models(light.n_pairs)
    prepared = prepared_models(models, comparator)
    counts = image_counts(N_CONDITIONS, 5, np.random.default_rng(2))
    rdms = light.rdms(np.arange(light.n_centres))
    if comparator != "pearson":
        models, rdms = scipy.stats.rankdata(models, axis=1), scipy.stats.rankdata(rdms, axis=1)
    # rho-a is the covariance of ranks over a number that does not depend on their ties.
    similarity = np.cov if comparator == "rho-a" else np.corrcoef
    first, second = np.triu_indices(N_CONDITIONS, 1)
    for centres, draws in condition_draws(light, prepared, comparator, 5, np.random.default_rng(2)):
        for draw, count in zip(draws, counts, strict=True):
            pairs = np.repeat(np.arange(light.n_pairs), count[first] * count[second])
            for centre, values in zip(centres, draw.T, strict=True):
                expected = similarity(rdms[centre][pairs], models[:, pairs])[0, 1:]
                # Up to the deviation of the sphere's RDM, the same for all layers.
                np.testing.assert_allclose(values / values[0], expected / expected[0], atol=1e-8)


def test_a_draw_of_a_layer_with_seeds_is_the_mean_of_their_similarities(tmp_path):
    light = small_searchlight()
    models = some_models(light.n_pairs)
    labels = [{"layer": layer, "seed": seed} for layer in ("one", "two") for seed in ("0", "1")]
    write_rdms(
        tmp_path / "net.h5",
        list(zip(labels, models, strict=True)),
        names=[f"c{i}" for i in range(N_CONDITIONS)],
        measure="correlation",
        descriptors={"study": "s", "model": "net"},
    )
    draws = resampled_conditions(
        light,
        [RDMStore(tmp_path / "net.h5")],
        "net",
        comparator="pearson",
        controls=[],
        n_resamples=20,
        rng=np.random.default_rng(2),
    )
    counts = image_counts(N_CONDITIONS, 20, np.random.default_rng(2))
    rdms = light.rdms(np.arange(light.n_centres))
    first, second = np.triu_indices(N_CONDITIONS, 1)
    for centres, values in draws:
        for draw, count in zip(values, counts, strict=True):
            pairs = np.repeat(np.arange(light.n_pairs), count[first] * count[second])
            for centre, (one, two) in zip(centres, draw.T, strict=True):
                of_seeds = np.corrcoef(rdms[centre][pairs], models[:, pairs])[0, 1:]
                expected = of_seeds[:2].mean(), of_seeds[2:].mean()
                # Up to a positive factor, the same for both.
                assert one * expected[1] == pytest.approx(two * expected[0], abs=1e-8)
                assert np.sign(one) == np.sign(expected[0])


@pytest.mark.parametrize("n_conditions", [3, 4, 5])
def test_shares_do_not_depend_on_which_layer_is_the_first(n_conditions):
    """Of few conditions many draws hold one pair, over which all layers are equally good."""
    rng = np.random.default_rng(0)
    light = small_searchlight(n_conditions=n_conditions)
    models = prepared_models(rng.random((4, light.n_pairs)), "pearson")

    def shares(order):
        draws = condition_draws(light, models[order], "pearson", 300, np.random.default_rng(1))
        everywhere = [(centres, values.copy()) for centres, values in draws]
        found = np.empty((4, light.n_centres))
        for place, layer in enumerate(order):
            places = np.full(light.n_centres, place)
            layer_is = Assignment(places, places, margin=None, group_margin=None)
            found[layer], of_group = winning_shares(everywhere, layer_is, ["a", "b", "c", "d"])
            np.testing.assert_array_equal(of_group, found[layer])
        return found

    first = shares([0, 1, 2, 3])
    np.testing.assert_allclose(first.sum(axis=0), 1)
    np.testing.assert_allclose(shares([3, 2, 1, 0]), first, atol=1e-12)


def test_a_draw_of_one_condition_alone_is_no_error():
    light = small_searchlight()
    models = prepared_models(np.random.default_rng(1).random((2, light.n_pairs)), "pearson")

    class OneCondition:
        def multinomial(self, n, chances, size):
            return np.array([[n, *[0] * (len(chances) - 1)]] * size)

    for _, draws in condition_draws(light, models, "pearson", 3, OneCondition()):
        assert np.isfinite(draws).all()


# What reliability says.


def alternatives(seed=0):
    """Features of two layers that have little in common, and a copy of the first."""
    rng = np.random.default_rng(seed)
    first, second = rng.standard_normal((2, N_CONDITIONS, 4))
    return first, second


def rows_of(features, folder):
    write_rdms(
        folder / "net.h5",
        [({"layer": name}, pdist(values, "correlation")) for name, values in features.items()],
        names=[f"c{i}" for i in range(N_CONDITIONS)],
        measure="correlation",
        descriptors={"study": "s", "model": "net"},
    )
    return RDMStore(folder / "net.h5")


def reliable_share(light, store):
    """The share of voxels that are reliable for one subject, without a test of similarity."""
    models = prepared_models(store.vectors().astype(float), "spearman")
    maps = np.full((store.n_rdms, light.n_centres), np.nan)
    for centres, brains in light.prepared_blocks("spearman"):
        maps[:, centres] = models @ brains.T
    draws = resampled_conditions(
        light,
        [store],
        "net",
        comparator="spearman",
        controls=[],
        n_resamples=500,
        rng=np.random.default_rng(0),
    )
    names = store.labels["layer"]
    volumes = assignment_maps(maps, np.full(maps.shape, np.nan), draws, names, 0.05)
    return volumes["layer"], np.nanmean(volumes["reliable"])


def test_a_layer_that_is_far_ahead_is_reliable_and_one_of_two_like_ones_is_not(tmp_path):
    first, second = alternatives()
    light = small_searchlight(3, first, noise=0.2)
    layer, share = reliable_share(light, rows_of({"one": first, "other": second}, tmp_path))
    assert (layer == 1).all()
    assert share > 0.9
    noise = 0.05 * np.random.default_rng(4).standard_normal((2, *first.shape))
    twins = {"one": first + noise[0], "its twin": first + noise[1]}
    _, share = reliable_share(light, rows_of(twins, tmp_path))
    assert share < 0.35


def test_without_any_geometry_few_voxels_are_reliable(tmp_path):
    """Noise alone: the best of two layers that are as good as each other changes with the draw."""
    first, second = alternatives()
    store = rows_of({"one": first, "other": second}, tmp_path)
    shares = [reliable_share(small_searchlight(seed), store)[1] for seed in range(20)]
    assert np.mean(shares) < 0.2


def group_assignment(maps, groups):
    """The assignment of subjects' maps, every flip of their signs taken, similarities untested."""
    draws = subject_draws(maps, 50, np.random.default_rng(1))
    p = group_tests(maps, groups, all_signs(len(maps)))
    mean, untested = maps.mean(axis=0), np.full(maps.shape[1:], np.nan)
    return assignment_maps(mean, untested, draws, groups, 0.05, p)


def test_subjects_who_disagree_make_nothing_reliable():
    rng = np.random.default_rng(0)
    agreeing = np.array([0.6, 0.3, 0.1])[:, np.newaxis] + 0.05 * rng.standard_normal((8, 3, 30))
    divided = np.where(np.arange(8)[:, None, None] % 2, agreeing, agreeing[:, ::-1])
    # The first two layers are one group.
    ahead = agreeing[:, [0, 2, 1]]
    for maps, expected in ((ahead, 1), (divided, 0)):
        assert group_assignment(maps, GROUPS)["reliable"].mean() == expected


FIFTEEN = np.repeat(["initial", "middle", "later", "FC"], [4, 6, 3, 2])
NEAR_TIES = {
    # Groups of layers, their means in deviations between subjects, correlation of neighbours.
    "two layers": (["one", "other"], [0, 1e-6], 0),
    "three layers": (["one", "other", "third"], [0, 0, 1e-6], 0),
    "two groups": (FIFTEEN, np.select([FIFTEEN == "middle", FIFTEEN == "later"], [0, 1e-6], -5), 0),
    "neighbours alike": (
        FIFTEEN,
        np.select([FIFTEEN == "middle", FIFTEEN == "later"], [0, 1e-6], -5),
        0.98,
    ),
    # A group of six nearly as good as the one best layer has six chances to look better.
    "one layer, six rivals": (
        FIFTEEN,
        np.select([FIFTEEN == "middle", np.arange(15) == 10], [0, 1e-6], -5),
        0.9,
    ),
    "all": (FIFTEEN, np.where(FIFTEEN == "FC", 1e-6, 0), 0.9),
}


@pytest.mark.parametrize("tie", NEAR_TIES)
def test_a_wrong_group_is_reliable_at_most_at_the_nominal_rate(tie):
    """2,000 independent voxels of eight subjects, below the 99.9 % bound of a binomial at 0.05."""
    groups, means, alike = NEAR_TIES[tie]
    n_voxels, layers = 2000, np.arange(len(groups))
    covariance = np.power(float(alike), np.abs(layers[:, np.newaxis] - layers))
    rng = np.random.default_rng(0)
    noise = rng.multivariate_normal(means, covariance, size=(8, n_voxels))
    found = group_assignment(noise.transpose(0, 2, 1), groups)
    right = pd.factorize(np.asarray(groups))[0][np.argmax(means)] + 1
    wrong = (found["group"] != right) & (found["reliable"] == 1)
    assert wrong.sum() <= scipy.stats.binom.ppf(0.999, n_voxels, 0.05)


def test_a_group_that_is_far_ahead_is_reliable_in_most_voxels():
    """Two deviations between subjects ahead of 12 layers like one another, with eight subjects."""
    layers = np.arange(15)
    covariance = 0.9 ** np.abs(layers[:, np.newaxis] - layers)
    rng = np.random.default_rng(0)
    maps = rng.multivariate_normal(2.0 * (FIFTEEN == "later"), covariance, size=(8, 500))
    found = group_assignment(maps.transpose(0, 2, 1), FIFTEEN)
    assert (found["group"] == 3).mean() > 0.99
    assert found["reliable"].mean() > 0.8


# Files and figure.


@pytest.fixture
def assigned(tmp_path):
    """The image and table of an assignment of eight subjects, as the group's rule writes them."""
    mask = np.ones((4, 4, 3), bool)
    mask[0, 0, 0] = False
    rng = np.random.default_rng(0)
    subjects = []
    for number in range(8):
        maps = np.array([0.5, 0.3, 0.1])[:, np.newaxis] + 0.1 * rng.standard_normal((3, mask.sum()))
        write_maps(tmp_path / f"{number}.nii.gz", maps, mask, AFFINE)
        subjects.append(read_maps(tmp_path / f"{number}.nii.gz"))
    z = subject_z(subjects, [0, 1, 2], mask)
    rows = searchlight_rows()
    volumes, table = assign_layers(
        rows,
        z.mean(axis=0),
        np.full(z.shape[1:], 0.01),
        subject_draws(z, 200, np.random.default_rng(1)),
        groups={"initial": ["a", "b"], "FC": ["c"]},
        regions={"front": mask[mask]},
        group_p=group_tests(z, GROUPS, all_signs(8)),
    )
    write_maps(tmp_path / "assignment.nii.gz", volumes, mask, AFFINE)
    table = table.assign(subject="group", resampled="subjects", n_resamples=200, n_flips=256)
    return read_maps(tmp_path / "assignment.nii.gz"), table


def searchlight_rows():
    return pd.DataFrame(
        {
            **{"model": "net", "layer": ["a", "b", "c"], "comparator": "spearman"},
            **{"status": "inferential", "n_subjects": 8, "n_images": 12, "alpha": 0.05},
        }
    )


def test_the_image_of_an_assignment_holds_its_volumes(assigned):
    maps, table = assigned
    assert len(maps.values) == len(VOLUMES)
    layer = maps.values[VOLUMES.index("layer")]
    assert np.isnan(layer[0, 0, 0])
    whole = table[table["region"] == "all voxels"]
    assert whole["n_voxels"].tolist() == [int((layer == number).sum()) for number in (1, 2, 3)]
    assert whole["n_reliable"].sum() == (maps.values[VOLUMES.index("reliable")] == 1).sum()
    assert bool(table["tested"].all())


def test_the_figure_says_what_is_reliable_and_over_what(assigned):
    maps, table = assigned
    figure, caption = plot_assignment(
        maps, table, title="Study", simulated=True, called="categories"
    )
    assert "8 subjects" in figure.get_suptitle()
    assert "corrected p ≤ 0.05 and its group is the best (256 sign flips" in caption
    assert "so few cannot reach it" not in caption
    assert "p ≤ 0.05 per voxel, not corrected over voxels" in caption
    assert "holds for the voxels of one map; for all layers together only where" in caption
    assert "n = 12 categories" in caption
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {"L", "R"} <= texts
    titles = {axes.get_title() for axes in figure.axes}
    height = AFFINE[2, 2] + AFFINE[2, 3]
    assert f"z = {round(height)} mm" in titles
    reliable = int(table[table["region"] == "all voxels"]["n_reliable"].sum())
    assert f"{reliable:,} of 47 voxels" in caption


def test_the_figure_says_where_flips_are_too_few(assigned):
    """Four subjects have 16 flips, of which one is 6 % of all."""
    maps, table = assigned
    few = table.assign(n_subjects=4, n_flips=16, status="descriptive", tested=False)
    _, caption = plot_assignment(maps, few, title="Study", simulated=True, called="categories")
    assert "16 sign flips of the subjects, p ≤ 0.05 per voxel" in caption
    assert "so few cannot reach it" in caption


def test_a_single_case_says_so(assigned):
    maps, table = assigned
    table = table.drop(columns="n_subjects").assign(
        subject="01", status="single case", resampled="conditions"
    )
    figure, caption = plot_assignment(
        maps, table, title="Study", simulated=False, called="categories"
    )
    assert "subject 01, a single case" in figure.get_suptitle()
    assert "say nothing about other subjects" in caption
    assert "a layer of the same group is the best in at least 95% of 200 resamples" in caption
    assert "per voxel, not corrected over voxels" in caption
