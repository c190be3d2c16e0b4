"""Stage infer, from RDM files to tables: controls taken out, and variance shared out."""

import copy
import itertools

import numpy as np
import pandas as pd
import pingouin
import pytest
import scipy.stats
import yaml
from scipy.spatial.distance import pdist, squareform
from sklearn.linear_model import LinearRegression

from scripts.figures.plot_variance_partition import plot_variance_partition
from scripts.infer.control_models import control_models
from scripts.infer.partition_variance import partition_subject, share_draws
from tests.unit.test_config import config_of, default_config
from workflow.lib.config.complete import complete_config
from workflow.lib.errors import InputError
from workflow.lib.inference.counts import image_counts
from workflow.lib.inference.study_resamples import study_counts
from workflow.lib.plotting import test_note as note_on_tests
from workflow.lib.rdms.store import RDMStore, write_rdms
from workflow.lib.rsa.partial import correlation_shares, partition_variance
from workflow.lib.rsa.tables import column_labels, rows_of_layers

N_IMAGES = 24
N_PAIRS = N_IMAGES * (N_IMAGES - 1) // 2
GROUPS = [f"group {i % 3}" for i in range(N_IMAGES)]
COMPARATORS = ["pearson", "spearman"]
# Tables are computed in float64 from RDMs stored in float32.
STORED = 1e-10


def written(path, rdms, **descriptors):
    write_rdms(
        path,
        rdms,
        names=[f"image_{i}" for i in range(N_IMAGES)],
        groups=GROUPS,
        measure="euclidean",
        descriptors={"study": "lab", **descriptors},
    )
    return RDMStore(path)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return brain and models: a network of two layers, of two seeds, pixels, colours, groups.

    The first layer is the pixels with noise; the second owes them nothing. ROI early holds pixels
    alone, ROI late pixels and the second layer.
    """
    folder = tmp_path_factory.mktemp("rdms")
    rng = np.random.default_rng(20)
    pixel, own, colour = (pdist(rng.standard_normal((N_IMAGES, 6))) for _ in range(3))

    def noise():
        return 0.3 * rng.standard_normal(N_PAIRS)

    network = [
        ({"layer": layer, "seed": seed}, rdm + noise())
        for layer, rdm in (("first", pixel), ("second", own))
        for seed in ("0", "1")
    ]
    first, second = np.triu_indices(N_IMAGES, 1)
    between = np.array([GROUPS[i] != GROUPS[j] for i, j in zip(first, second, strict=True)])
    models = [
        written(folder / "network.h5", network, model="network"),
        written(folder / "pixel.h5", [({"layer": "pixel"}, pixel)], model="pixel"),
        written(folder / "colour.h5", [({"layer": "histogram"}, colour + pixel)], model="colour"),
        written(folder / "source.h5", [({"layer": "groups"}, between * 1.0)], model="source"),
    ]
    rois = {"early": pixel + noise(), "late": pixel + own + noise()}
    brain = written(
        folder / "s1.h5",
        [({"roi": roi, "session": "mean"}, rdm) for roi, rdm in rois.items()],
        subject="s1",
    )
    return brain, models


def controlled(study, controls, permuted="images", n_permutations=199):
    return control_models(
        *study,
        controls=controls,
        comparators=["pearson", "rho-a", "spearman"],
        n_permutations=n_permutations,
        permuted=permuted,
        seed=1,
    )


def partitioned(study, partition, comparators=COMPARATORS, n_resamples=100, n_exact_ranks=None):
    brain, models = study
    counts = study_counts(brain, n_resamples=n_resamples, resample="images", seed=2)
    return partition_subject(
        brain,
        models,
        counts,
        partition=partition,
        comparators=comparators,
        resample="images",
        n_exact_ranks=n_exact_ranks,
    )


def rdm_of(study, model, row=0):
    return next(store for store in study[1] if store.descriptors["model"] == model).vector(row)


# Controls.


@pytest.mark.parametrize("comparator", COMPARATORS)
@pytest.mark.parametrize("kind", ["partial", "semi-partial"])
def test_table_equals_pingouin(study, comparator, kind):
    """The cell of a layer of two seeds holds their mean."""
    table = controlled(study, ["pixel", "source"], n_permutations=0)
    chosen = table.query("comparator == @comparator and kind == @kind")
    assert len(chosen) == 2 * 3
    removed = {"partial": "covar", "semi-partial": "x_covar"}[kind]
    for cell in chosen.itertuples():
        rows = {"first": (0, 1), "second": (2, 3), "histogram": (0,)}[cell.layer]
        expected = []
        for row in rows:
            data = pd.DataFrame(
                {
                    "model": rdm_of(study, cell.model, row),
                    "brain": study[0].vector(["early", "late"].index(cell.roi)),
                    "pixel": rdm_of(study, "pixel"),
                    "source": rdm_of(study, "source"),
                }
            )
            given = {removed: ["pixel", "source"], "method": comparator}
            found = pingouin.partial_corr(data, x="model", y="brain", **given)
            expected.append(found["r"].item())
        assert cell.controlled == pytest.approx(np.mean(expected), abs=STORED)


def test_raw_similarity_stands_beside_and_controls_are_no_cells(study):
    table = controlled(study, ["pixel"], n_permutations=0)
    assert set(table["comparator"]) == set(COMPARATORS)
    assert set(table["model"]) == {"network", "colour", "source"}
    assert table[["p", "q"]].isna().all(axis=None)
    cell = table.query("comparator == 'spearman' and roi == 'late' and model == 'colour'")
    expected = scipy.stats.spearmanr(rdm_of(study, "colour"), study[0].vector(1)).statistic
    np.testing.assert_allclose(cell["similarity"], expected, atol=STORED)


@pytest.mark.parametrize("comparator", COMPARATORS)
def test_layer_that_lives_by_the_control_vanishes_and_an_independent_one_stays(study, comparator):
    table = controlled(study, ["pixel"], n_permutations=999)
    cells = table.query("comparator == @comparator and model == 'network'").set_index(
        ["kind", "roi", "layer"]
    )
    for kind in ("partial", "semi-partial"):
        through_control = cells.loc[(kind, "early", "first")]
        assert through_control["similarity"] > 0.8
        assert through_control["q"] > 0.05
        assert abs(through_control["controlled"]) < 0.2
        stays = cells.loc[(kind, "late", "second")]
        assert stays["q"] < 0.05
    # Without the pixels in the ROI the layer of its own is seen the better.
    partial = cells.loc[("partial", "late", "second")]
    assert partial["controlled"] > partial["similarity"] > 0.4


def test_false_discovery_rate_is_over_cells_of_one_comparator_and_kind(study):
    table = controlled(study, ["pixel"])
    for _, family in table.groupby(["comparator", "kind"]):
        assert len(family) == 2 * 4
        np.testing.assert_allclose(family["q"], scipy.stats.false_discovery_control(family["p"]))


def test_groups_taken_out_and_permuted_within_are_an_exact_test(study):
    """No order within groups changes the control: residuals are permuted, or RDMs, alike."""
    brain, _ = study
    table = controlled(study, ["source"], permuted="within_groups")
    layer = rdm_of(study, "colour")
    between = rdm_of(study, "source")

    def partial(vector):
        data = pd.DataFrame({"x": vector, "y": brain.vector(0), "source": between})
        return pingouin.partial_corr(data, x="x", y="y", covar="source")["r"].item()

    rng, square, null = np.random.default_rng(5), squareform(layer), [partial(layer)]
    for _ in range(199):
        order = np.arange(N_IMAGES)
        for group in set(GROUPS):
            members = np.flatnonzero(np.array(GROUPS) == group)
            order[members] = rng.permutation(members)
        null.append(partial(squareform(square[np.ix_(order, order)])))
    expected = np.mean(np.array(null) >= null[0] - 1e-9)
    cell = table.query(
        "comparator == 'pearson' and kind == 'partial' and roi == 'early' and model == 'colour'"
    )
    # Both p from 199 random orders of their own.
    error = 3 * np.sqrt(2 * max(expected, 0.01) / 199)
    assert cell["p"].item() == pytest.approx(expected, abs=error)


def test_explained_models_and_unknown_controls_are_named(study, tmp_path):
    brain, models = study
    copied = written(
        tmp_path / "copy.h5", [({"layer": "fc"}, 2 * rdm_of(study, "pixel"))], model="copy"
    )
    sentence = r"rsa.lab.controls: found that pixel/pixel explains all of copy/fc, expected"
    with pytest.raises(InputError, match=sentence):
        controlled((brain, [*models, copied]), ["pixel"])
    with pytest.raises(InputError, match=r"copy/fc.* leave one of them out"):
        controlled((brain, [*models, copied]), ["pixel", "copy"])
    same = written(
        tmp_path / "same.h5",
        [({"roi": "V1", "session": "mean"}, rdm_of(study, "pixel"))],
        subject="s2",
    )
    with pytest.raises(InputError, match="pixel/pixel explains all of V1 mean"):
        controlled((same, models), ["pixel"])
    with pytest.raises(InputError, match="controls: found 'pixels', expected some of network"):
        controlled(study, ["pixels"])


# Partition of the variance.


@pytest.mark.parametrize("comparator", COMPARATORS)
def test_shares_equal_those_of_scikit_learn(study, comparator):
    names = ["pixel", "source", "colour"]
    table = partitioned(study, names, [comparator]).query("roi == 'late'").set_index("models")
    columns = {name: rdm_of(study, name) for name in names}
    target = study[0].vector(1)
    if comparator == "spearman":
        columns = {name: scipy.stats.rankdata(rdm) for name, rdm in columns.items()}
        target = scipy.stats.rankdata(target)

    def r_squared(*chosen):
        if not chosen:
            return 0
        design = np.column_stack([columns[name] for name in chosen])
        return LinearRegression().fit(design, target).score(design, target)

    for size in (1, 2, 3):
        for chosen in itertools.combinations(names, size):
            found = table.loc[" + ".join(chosen), "r_squared"]
            assert found == pytest.approx(r_squared(*chosen), abs=STORED)
    a, b, c = names
    whole = r_squared(*names)
    expected = {
        a: whole - r_squared(b, c),
        f"{a} + {b}": r_squared(a, c) + r_squared(b, c) - r_squared(c) - whole,
        " + ".join(names): sum(map(r_squared, names))
        - r_squared(a, b)
        - r_squared(a, c)
        - r_squared(b, c)
        + whole,
    }
    for models, share in expected.items():
        assert table.loc[models, "share"] == pytest.approx(share, abs=STORED)
    assert table["share"].sum() == pytest.approx(whole, abs=STORED)


def test_planted_shares_are_found(study):
    """ROI late holds pixels and the second layer in equal parts, ROI early pixels alone."""
    table = partitioned(study, ["pixel", "network/second"], ["pearson"])
    cells = table.set_index(["roi", "models"])
    assert cells.loc[("early", "network/second"), "share"] < 0.02
    assert cells.loc[("early", "pixel"), "share_low"] > 0.5
    for models in ("pixel", "network/second"):
        assert cells.loc[("late", models), "share_low"] > 0.2
    assert (table["share_low"] <= table["share"]).all()
    assert (table["share"] <= table["share_high"]).all()


def test_suppression_is_a_negative_share(tmp_path):
    """A model of the noise in another explains nothing alone, and helps: Seibold & McPhee."""
    rng = np.random.default_rng(6)
    signal, noise = rng.standard_normal((2, N_PAIRS))
    brain = written(
        tmp_path / "brain.h5", [({"roi": "V1", "session": "mean"}, signal)], subject="s"
    )
    models = [
        written(tmp_path / "a.h5", [({"layer": "a"}, signal + noise)], model="a"),
        written(tmp_path / "b.h5", [({"layer": "b"}, noise)], model="b"),
    ]
    table = partitioned((brain, models), ["a", "b"], ["pearson"]).set_index("models")
    assert table.loc["a + b", "share"] < -0.3
    assert table.loc["a + b", "r_squared"] == pytest.approx(1)
    assert table["share"].sum() == pytest.approx(1)


@pytest.mark.parametrize("comparator", COMPARATORS)
def test_resampled_shares_are_those_of_the_resampled_rdms(study, comparator):
    """Built from the images, without pairs of an image and its copy."""
    brain, _ = study
    models = np.stack([rdm_of(study, name) for name in ("pixel", "source", "colour")])
    counts = image_counts(N_IMAGES, 6, np.random.default_rng(7))
    draws = share_draws(models, brain.vectors(), comparator, counts, exact=True)
    for resample, count in enumerate(counts):
        images = np.repeat(np.arange(N_IMAGES), count)
        first, second = np.triu_indices(len(images), 1)
        differ = images[first] != images[second]
        pairs = images[first[differ]], images[second[differ]]
        left, right = (
            np.stack([squareform(rdm)[pairs] for rdm in rdms]) for rdms in (models, brain.vectors())
        )
        expected = partition_variance(left, right, comparator, model_names=list("abc"))
        np.testing.assert_allclose(draws[0][resample], expected.r_squared, atol=1e-9)
        np.testing.assert_allclose(draws[1][resample], expected.components, atol=1e-9)


def test_jackknife_and_bootstrap_agree_on_what_is_large(study):
    names = ["pixel", "network/second"]
    exact = partitioned(study, names, ["spearman"], n_resamples=1000, n_exact_ranks=1000)
    linear = partitioned(study, names, ["spearman"], n_resamples=1000, n_exact_ranks=0)
    np.testing.assert_allclose(linear["share"], exact["share"])
    large = exact["share"] > 0.2
    assert large.sum() == 3
    ratio = linear.loc[large, "share_se"] / exact.loc[large, "share_se"]
    assert ratio.between(0.6, 1.3).all()


def test_collinear_partition_is_named(study, tmp_path):
    copied = written(
        tmp_path / "copy.h5", [({"layer": "fc"}, 3 - rdm_of(study, "pixel"))], model="copy"
    )
    with pytest.raises(
        InputError, match=r"rsa.lab.partition: found that pixel explains all of copy, expected"
    ):
        partitioned((study[0], [*study[1], copied]), ["pixel", "copy"])


def test_shares_of_correlations_that_are_unknown_or_collinear_are_unknown():
    among = np.array([[[1, 1], [1, 1]], [[1, 0.5], [0.5, 1]], [[1, np.nan], [np.nan, 1]]])
    across = np.full((3, 2, 1), 0.3)
    r_squared, shares = correlation_shares(among, across)
    assert np.isnan(shares[[0, 2], 2]).all()
    # Of two regressors that correlate 0.5, each 0.3 with the target: 2 * 0.09 * (1 - 0.5) / 0.75.
    assert r_squared[1, 2, 0] == pytest.approx(0.12)
    assert shares[1, :, 0] == pytest.approx([0.03, 0.03, 0.06])


# Config.


def lab_config(**keys):
    config = config_of({})
    lab = config["rsa"]["lab"]
    layers = {"names": ["conv", "fc"], "from": "descriptor"}
    lab["models"] = {
        "net": {"files": "net.h5", "layers": layers},
        "pixel": {"files": "pixel.h5", "layers": {"names": ["pixel"], "from": "constant"}},
    }
    config["rsa"]["lab"] = lab | keys
    return config


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"controls": ["pixels"]}, r"controls: found 'pixels'.* did you mean 'pixel'"),
        ({"controls": ["net", "pixel"]}, "controls: found all models"),
        ({"partition": ["pixel"]}, "partition: found 'pixel' alone"),
        ({"partition": ["pixel", "net"]}, "found 'net', which has 2 layers"),
        ({"partition": ["pixel", "net/fc6"]}, "found 'net/fc6', expected one of the layers"),
        ({"partition": ["pixel", "pixel/pixel"]}, "which are one RDM"),
        ({"controls": ["pixel"], "comparators": ["rho-a"]}, "expected pearson or spearman among"),
    ],
)
def test_controls_and_partition_that_cannot_be_are_refused(keys, sentence):
    with pytest.raises(InputError, match=sentence):
        complete_config(lab_config(**keys))


def test_controls_and_partition_of_layers_are_accepted():
    study = complete_config(lab_config(controls=["pixel"], partition=["pixel", "net/fc"]))
    assert study["rsa"]["lab"]["partition"] == ["pixel", "net/fc"]


def test_study_within_image_source_differs_in_inference_alone():
    config = complete_config(copy.deepcopy(default_config()))
    plain, within = (config["rsa"][name] for name in ("bold5000", "bold5000_within_source"))
    assert within["inference"]["within_groups"]
    assert within["inference"]["resample"] == "within_groups"
    assert set(within["comparators"]) <= set(plain["comparators"])
    for key in ("source", "simulation", "brain", "models", "images"):
        assert yaml.safe_dump(plain[key]) == yaml.safe_dump(within[key])


# Figures.


def test_labels_of_layers_are_distinct_and_only_layers_are_called_as_their_model():
    rows = [
        *(("net", "conv"), ("net", "fc"), ("other", "conv"), ("other", "pixel")),
        *(("pixel", "pixel"), ("source", "groups")),
    ]
    table = pd.DataFrame(rows, columns=["model", "layer"])
    labels = list(column_labels(table))
    assert labels == ["net conv", "fc", "other conv", "other pixel", "pixel pixel", "source"]
    assert list(rows_of_layers(table)["model"]) == ["net", "net", "other", "other"]
    assert len(rows_of_layers(table[4:])) == 2


def test_note_counts_the_cells_that_were_tested():
    """A model of groups has no p where images are permuted within groups."""
    table = pd.DataFrame({"n_permutations": 99, "q": [0.01, 0.2, np.nan]})
    note = note_on_tests(table, 0.05, permuted="within_groups", called="images")
    assert "99 permutations of the images within their group" in note
    assert "over the subject's 2 cells" in note
    single = note_on_tests(table[:1], 0.05, permuted="images", called="images")
    assert "99 permutations of the images; " in single
    assert "over the subject's only cell." in single


def test_figure_draws_every_share_with_its_sign():
    sets = ["a", "b", "a + b"]
    table = pd.DataFrame(
        {
            "subject": "s1",
            "roi": np.repeat(["V1", "IT"], 3),
            "comparator": "pearson",
            "models": sets * 2,
            "n_models": [1, 1, 2] * 2,
            "r_squared": [0.3, 0.1, 0.25, 0.1, 0.1, 0.2],
            "r_squared_low": 0.0,
            "r_squared_high": 0.4,
            "share": [0.2, 0.15, -0.1, 0.1, 0.1, 0.0],
            "share_low": -0.2,
            "share_high": 0.3,
            "n_resamples": 100,
            "n_images": 20,
            "n_pairs": 190,
        }
    )
    figure, caption = plot_variance_partition(
        table, title="Lab", simulated=False, called="images", resample="groups"
    )
    panel = figure.axes[0]
    assert [bar.get_width() for bar in panel.patches] == pytest.approx([20, 15, -10])
    assert [text.get_text() for text in panel.texts] == ["20.0", "15.0", "-10.0"]
    assert "n = 20 images" in caption
    assert "Circles" not in caption
