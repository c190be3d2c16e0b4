"""Pattern files: rsatoolbox opens them, and RDMs computed from them are those of rsatoolbox."""

import numpy as np
import pytest
from rsatoolbox.data.dataset import load_dataset
from rsatoolbox.data.noise import prec_from_residuals
from rsatoolbox.rdm import calc_rdm
from scipy.spatial.distance import pdist

from workflow.lib.errors import InputError
from workflow.lib.patterns.preparation import noise_residuals
from workflow.lib.patterns.rdms import brain_rdms, extract_patterns
from workflow.lib.patterns.reading import Patterns
from workflow.lib.patterns.store import PatternStore, write_patterns
from workflow.lib.rdms.store import RDMStore, write_rdms
from workflow.lib.sources import MEAN_SESSION

CONDITIONS = ["face", "house", "café"] * 4
RUNS = [run for run in "1234" for _ in range(3)]
SIZES = {"V1": 5, "hIT": 7, "PPA": 1}


def patterns_of(roi, *, runs=RUNS, seed=0):
    rng = np.random.default_rng([seed, *map(ord, roi)])
    values = rng.standard_normal((12, SIZES[roi])).astype(np.float32).astype(np.float64)
    channels = {axis: rng.integers(0, 60, SIZES[roi]) for axis in "xyz"}
    return Patterns(values, CONDITIONS, runs, channels)


@pytest.fixture
def patterns():
    return {roi: patterns_of(roi) for roi in SIZES}


@pytest.fixture
def path(tmp_path, patterns):
    write_patterns(tmp_path / "brain.h5", patterns, {"study": "lab", "subject": "01"})
    return tmp_path / "brain.h5"


def test_rsatoolbox_opens_the_file(path, patterns):
    dataset = load_dataset(str(path))
    assert dataset.descriptors == {"study": "lab", "subject": "01"}
    for roi, own in patterns.items():
        subset = dataset.subset_channel("roi", roi)
        np.testing.assert_array_equal(subset.measurements, own.measurements)
        assert list(subset.channel_descriptors["x"]) == own.channels["x"].tolist()
    assert list(dataset.obs_descriptors["run"]) == RUNS
    faces = dataset.subset_obs("run", "3").measurements
    np.testing.assert_array_equal(faces[:, :5], patterns["V1"].measurements[6:9])


def test_rsatoolbox_selects_ascii_conditions_by_name(tmp_path, patterns):
    ascii_names = [name.replace("é", "e") for name in CONDITIONS]
    own = patterns["V1"]
    renamed = Patterns(own.measurements, ascii_names, own.runs, own.channels)
    write_patterns(tmp_path / "brain.h5", {"V1": renamed})
    houses = load_dataset(str(tmp_path / "brain.h5")).subset_obs("condition", "house")
    np.testing.assert_array_equal(houses.measurements, own.measurements[1::3])


def test_what_is_written_is_read(path, patterns):
    store = PatternStore(path)
    assert store.rois == list(SIZES)
    assert (store.conditions, store.runs) == (CONDITIONS, RUNS)
    assert store.descriptors == {"study": "lab", "subject": "01"}
    for roi, own in patterns.items():
        found = store.patterns(roi)
        assert found.measurements.dtype == np.float64
        np.testing.assert_array_equal(found.measurements, own.measurements)
        assert (found.conditions, found.runs) == (own.conditions, own.runs)
        assert list(found.channels) == ["x", "y", "z"]
        for axis in "xyz":
            np.testing.assert_array_equal(found.channels[axis], own.channels[axis])


def test_patterns_without_runs(tmp_path):
    write_patterns(tmp_path / "brain.h5", {"V1": patterns_of("V1", runs=None)})
    assert PatternStore(tmp_path / "brain.h5").runs is None
    assert "run" not in load_dataset(str(tmp_path / "brain.h5")).obs_descriptors


def test_named_channels(tmp_path):
    own = patterns_of("V1")
    names = np.array(["a", "b", "ç", "d", "e"])
    named = Patterns(own.measurements, CONDITIONS, RUNS, {"name": names})
    write_patterns(tmp_path / "brain.h5", {"V1": named, "hIT": patterns_of("hIT")})
    # What only some ROIs have cannot describe all channels.
    assert PatternStore(tmp_path / "brain.h5").patterns("V1").channels == {}
    write_patterns(tmp_path / "brain.h5", {"V1": named})
    found = PatternStore(tmp_path / "brain.h5").patterns("V1").channels
    assert found["name"].tolist() == names.tolist()


def test_rois_must_have_the_same_observations(tmp_path, patterns):
    patterns["hIT"] = patterns_of("hIT", runs=RUNS[::-1])
    message = "brain.h5, hIT: found other observations than in V1, expected the same.*; sort"
    with pytest.raises(InputError, match=message):
        write_patterns(tmp_path / "brain.h5", patterns)
    assert not list(tmp_path.iterdir())


def test_our_file_is_a_source_of_patterns(path, patterns):
    source = {
        "files": "brain.h5",
        "subjects": {"names": ["01"], "from": "constant"},
        "rois": {"names": ["hIT", "V1"], "from": "descriptor", "descriptor": "roi"},
        "conditions": {"from": "stored", "key": "condition"},
        "observations": {"file": None, "condition": None, "run": "run", "drop": ["house"]},
    }
    found = extract_patterns(
        source,
        path.parent,
        "01",
        match="exact",
        detrend=False,
        standardise="none",
        remove_mean_pattern=False,
    )
    kept = [row for row, name in enumerate(CONDITIONS) if name != "house"]
    for roi in ("hIT", "V1"):
        expected = patterns[roi].measurements[kept]
        np.testing.assert_array_equal(found[roi].measurements, expected)
        assert found[roi].runs == [RUNS[row] for row in kept]
        np.testing.assert_array_equal(found[roi].channels["z"], patterns[roi].channels["z"])


# RDMs of a pattern file.


def rdms(path, images, *, metric, noise_normalisation="none", match="exact"):
    found = brain_rdms(
        PatternStore(path),
        images,
        metric=metric,
        noise_normalisation=noise_normalisation,
        match=match,
    )
    return {(labels["roi"], labels["session"]): vector for labels, vector in found}


@pytest.fixture
def two_rois(tmp_path):
    write_patterns(tmp_path / "brain.h5", {roi: patterns_of(roi) for roi in ("V1", "hIT")})
    return tmp_path / "brain.h5"


@pytest.mark.parametrize("metric", ["correlation", "cosine", "euclidean", "sq_euclidean"])
def test_rdms_come_in_the_common_order(two_rois, metric):
    images = ["café", "house", "face"]
    found = rdms(two_rois, images, metric=metric)
    assert list(found) == [("V1", MEAN_SESSION), ("hIT", MEAN_SESSION)]
    for (roi, _), vector in found.items():
        means = patterns_of(roi).measurements.reshape(4, 3, -1).mean(axis=0)[::-1]
        expected = pdist(means, metric.replace("sq_", "sq"))
        np.testing.assert_allclose(vector, expected, rtol=0, atol=1e-10)


def test_names_are_matched_as_for_models(two_rois):
    (vector, _) = rdms(two_rois, ["face", "house"], metric="cosine", match="normalised").values()
    assert vector.shape == (1,)
    with pytest.raises(InputError, match=r"brain\.h5: found no image 'cat'"):
        rdms(two_rois, ["face", "cat"], metric="cosine")


@pytest.mark.parametrize(
    ("noise_normalisation", "theirs"),
    [("none", None), ("diagonal", "diag"), ("shrinkage", "shrinkage_diag")],
)
def test_crossnobis_of_a_file_is_that_of_rsatoolbox(tmp_path, noise_normalisation, theirs):
    rng = np.random.default_rng(0)
    names = [f"c{i}" for i in rng.permutation(np.repeat(np.arange(4), 9))]
    runs = ["1", "2", "3"] * 12
    for name in set(names):  # three observations of each condition in each run
        rows = [row for row, other in enumerate(names) if other == name]
        for row, run in zip(rows, ["1", "2", "3"] * 3, strict=True):
            runs[row] = run
    values = rng.standard_normal((36, 10)) * rng.uniform(0.5, 3, 10)
    own = Patterns(values, names, runs, {})
    write_patterns(tmp_path / "brain.h5", {"V1": own})
    dataset = load_dataset(str(tmp_path / "brain.h5"))
    dataset.measurements = dataset.measurements.astype(np.float64)
    residuals, dof = noise_residuals(PatternStore(tmp_path / "brain.h5").patterns("V1"))
    noise = theirs and prec_from_residuals(residuals, dof=dof, method=theirs)
    expected = calc_rdm(dataset, "crossnobis", "condition", noise=noise, cv_descriptor="run")
    found = rdms(
        tmp_path / "brain.h5",
        ["c0", "c1", "c2", "c3"],
        metric="crossnobis",
        noise_normalisation=noise_normalisation,
    )
    assert dof == 36 - 12
    np.testing.assert_allclose(
        found["V1", MEAN_SESSION], expected.dissimilarities[0], rtol=0, atol=1e-10
    )


@pytest.mark.parametrize(
    ("noise_normalisation", "theirs"),
    [("none", "shrinkage_diag"), ("shrinkage", "shrinkage_diag"), ("diagonal", "diag")],
)
def test_mahalanobis_of_a_file_is_that_of_scipy(tmp_path, noise_normalisation, theirs):
    """By the covariance of noise that rsatoolbox estimates from the same repeats."""
    rng = np.random.default_rng(3)
    names = [*"abcd"] * 6
    runs = [run for run in "123" for _ in range(8)]
    values = rng.standard_normal((24, 7)) @ rng.standard_normal((7, 7)) + 2
    write_patterns(tmp_path / "brain.h5", {"V1": Patterns(values, names, runs, {})})
    stored = PatternStore(tmp_path / "brain.h5").patterns("V1")
    cells = [name + run for name, run in zip(names, runs, strict=True)]
    own = np.array([stored.measurements[[c == cell for c in cells]].mean(axis=0) for cell in cells])
    precision = prec_from_residuals(stored.measurements - own, dof=24 - 12, method=theirs)
    means = stored.measurements.reshape(6, 4, 7).mean(axis=0)
    expected = pdist(means, "mahalanobis", VI=precision)
    found = rdms(
        tmp_path / "brain.h5",
        [*"abcd"],
        metric="mahalanobis",
        noise_normalisation=noise_normalisation,
    )
    np.testing.assert_allclose(found["V1", MEAN_SESSION], expected, rtol=1e-9)


def test_negative_distances_are_written(tmp_path):
    noise = Patterns(
        np.random.default_rng(1).standard_normal((12, 30)), ["a", "b", "c"] * 4, RUNS, {}
    )
    write_patterns(tmp_path / "brain.h5", {"V1": noise})
    found = rdms(tmp_path / "brain.h5", ["a", "b", "c"], metric="crossnobis")
    assert min(found["V1", MEAN_SESSION]) < 0
    items = [({"roi": roi, "session": session}, v) for (roi, session), v in found.items()]
    write_rdms(tmp_path / "rdms.h5", items, names=["a", "b", "c"], measure="crossnobis")
    store = RDMStore(tmp_path / "rdms.h5")
    assert store.measure == "crossnobis"
    np.testing.assert_allclose(store.vector(0), found["V1", MEAN_SESSION], rtol=1e-6)


BAD_METRICS = {
    "one channel": ("correlation", "none", RUNS, "PPA", "patterns of 1 channel"),
    "no runs": ("crossnobis", "none", None, "V1", "observations without runs"),
    "no repeats": ("cosine", "diagonal", list("abcdefghijkl"), "V1", "one observation of each"),
    "no repeats for mahalanobis": (
        *("mahalanobis", "none", list("abcdefghijkl"), "V1"),
        "one observation of each.* for the Mahalanobis distance",
    ),
    "one run": ("crossnobis", "none", ["1"] * 12, "V1", "1 run"),
}


@pytest.mark.parametrize("case", BAD_METRICS)
def test_impossible_rdms_name_the_roi(tmp_path, case):
    metric, noise_normalisation, runs, roi, found = BAD_METRICS[case]
    write_patterns(tmp_path / "brain.h5", {roi: patterns_of(roi, runs=runs)})
    with pytest.raises(InputError, match=f"brain.h5, {roi}: found (?=.*{found}).*expected.*;"):
        rdms(
            tmp_path / "brain.h5",
            ["face", "house", "café"],
            metric=metric,
            noise_normalisation=noise_normalisation,
        )
