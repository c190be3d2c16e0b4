"""RDMs of responses, their extreme pairs and ceilings, on a folder written by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from rsatoolbox.data import Dataset
from rsatoolbox.inference import boot_noise_ceiling
from rsatoolbox.rdm import RDMs, calc_rdm, load_rdm
from scipy.spatial.distance import pdist, squareform
from scipy.stats import linregress, pearsonr, spearmanr
from sklearn.preprocessing import StandardScaler

from scripts.dissimilarity.data.algonauts import Algonauts2023
from scripts.dissimilarity.data.brain_rdms import WITHOUT_VERTICES, fold_rdms, rdm_rows
from scripts.dissimilarity.data.compute_fmri_rdms import roi_rdms, rois_of_subject
from scripts.dissimilarity.data.pair_images import PairImages, read_pair_images, write_pair_images
from scripts.dissimilarity.evaluation.compute_pair_ceilings import (
    NOISELESS,
    SOURCES,
    ceilings_of_others,
    expected_distances,
    noiseless_ceilings,
    table_of,
)
from scripts.dissimilarity.evaluation.find_extreme_pairs import find_extreme_pairs
from scripts.dissimilarity.evaluation.same_images import nsd_image
from scripts.dissimilarity.fits.pair_folds import label_scalers, subject_folds
from workflow.lib.errors import InputError
from workflow.lib.layouts.algonauts2023 import (
    images_folder,
    mapping_file,
    mask_file,
    noiseless_file,
    responses_file,
)
from workflow.lib.rdms.store import RDMStore, write_rdms

N, SUBJECT = 40, "subj01"
METRICS = ["correlation", "euclidean"]
# Vertices of the left and the right hemisphere, by label.
LABELS = {"lh": [1] * 30 + [2] * 20 + [0] * 25, "rh": [0] * 10 + [2] * 35 + [1] * 15}
NAMES = {0: "Unknown", 1: "V1v", 2: "V1d"}
ROIS = {"V1": ["V1v", "V1d"], "ventral V1": ["V1v"], "all": "all"}


@pytest.fixture(scope="module")
def world():
    """True and measured responses of both hemispheres, (n_images, n_vertices)."""
    rng = np.random.default_rng(7)
    latents = rng.standard_normal((N, 6))
    truth, measured = {}, {}
    for hemisphere, labels in LABELS.items():
        scale = rng.uniform(0.2, 5, len(labels))
        truth[hemisphere] = np.float32(
            scale * (latents @ rng.standard_normal((6, len(labels)))) + 3 * scale
        )
        noise = 2 * scale * rng.standard_normal((N, len(labels)))
        measured[hemisphere] = np.float32(truth[hemisphere] + noise)
    return truth, measured


def write_folder(root, truth, measured):
    """Write responses, hemisphere -> (n_images, n_vertices), in the layout of the challenge."""

    def save(file, array):
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, array)

    (root / images_folder(SUBJECT)).mkdir(parents=True)
    for row in range(N):
        (root / images_folder(SUBJECT) / f"train-{row + 1:04d}_nsd-{row:05d}.png").touch()
    save(mapping_file(SUBJECT, "prf-visualrois"), NAMES)
    for hemisphere, labels in LABELS.items():
        save(noiseless_file(SUBJECT, hemisphere), truth[hemisphere])
        save(responses_file(SUBJECT, hemisphere), measured[hemisphere])
        save(mask_file(SUBJECT, hemisphere, "prf-visualrois"), np.array(labels))
    return root


@pytest.fixture(scope="module")
def folder(world, tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("challenge"), *world)


def vertices(kind, roi):
    """Return the responses of an ROI, both hemispheres together."""
    wanted = {"V1": [1, 2], "ventral V1": [1], "all": [0, 1, 2]}[roi]
    chosen = [kind[side][:, np.isin(labels, wanted)] for side, labels in LABELS.items()]
    return np.concatenate(chosen, axis=1).astype(np.float64)


@pytest.fixture(scope="module")
def rows():
    """Images that were chosen, not in the order of the files."""
    return np.random.default_rng(1).permutation(N)[:30]


def write_fmri_rdms(path, folder, rows):
    write_rdms(
        path,
        roi_rdms(folder, SUBJECT, rows, rois=ROIS, metrics=METRICS),
        names=[f"image {row}" for row in rows],
        measure=", ".join(METRICS),
        descriptors={"study": "scenes", "subject": SUBJECT},
    )
    return path


@pytest.fixture(scope="module")
def rdm_file(folder, rows, tmp_path_factory):
    return write_fmri_rdms(tmp_path_factory.mktemp("rdms") / "fmri_subj01.h5", folder, rows)


def test_rdms_are_those_of_standardised_vertices_of_both_hemispheres(world, rows, rdm_file):
    found = {(rdm.roi, rdm.metric): rdm.of(None) for rdm in fold_rdms(rdm_file)}
    assert list(found) == [(roi, metric) for roi in ROIS for metric in METRICS]
    for (roi, metric), vector in found.items():
        patterns = StandardScaler().fit_transform(vertices(world[1], roi)[rows])
        expected = pdist(patterns, metric)
        np.testing.assert_allclose(vector, expected, rtol=0, atol=2e-6 * expected.max())
        # What rsatoolbox calls "euclidean" is squared and divided by the number of channels.
        theirs = calc_rdm(Dataset(patterns), method=metric).dissimilarities[0]
        if metric == "euclidean":
            theirs = np.sqrt(theirs * patterns.shape[1])
        np.testing.assert_allclose(vector, theirs, rtol=0, atol=2e-6 * expected.max())


def test_rois_that_a_subject_has_not_are_left_out_of_what_is_asked_for(folder, rows, tmp_path):
    challenge = Algonauts2023(folder, SUBJECT)
    rois = {"V2": ["V2v"], **ROIS}
    found, missing = rois_of_subject(challenge, rois, rois_missing="skip")
    assert (list(found), missing) == (list(ROIS), ["V2"])
    path = tmp_path / "fmri.h5"
    write_rdms(
        path,
        roi_rdms(folder, SUBJECT, rows, rois=found, metrics=METRICS),
        names=[f"image {row}" for row in rows],
        measure="correlation",
        descriptors={WITHOUT_VERTICES: "\n".join(missing)},
    )
    store = RDMStore(path)
    asked = rdm_rows(store, ["V2", "V1"])
    assert list(asked) == [("V1", metric) for metric in METRICS]
    assert rdm_rows(store, ["V2"]) == {}
    assert [rdm.roi for rdm in fold_rdms(path, ["V2", "all"])] == ["all", "all"]
    with pytest.raises(InputError, match="expected V3 among them"):
        rdm_rows(store, ["V2", "V3"])


def test_rois_that_a_subject_has_not_are_refused_unless_they_may_be_skipped(folder, rows):
    challenge = Algonauts2023(folder, SUBJECT)
    rois = {"V2": ["V2v"]}
    assert rois_of_subject(challenge, rois, rois_missing="refuse") == (rois, [])
    with pytest.raises(InputError, match=r"V2v: found no vertex in either.*rois_missing: skip"):
        list(roi_rdms(folder, SUBJECT, rows, rois=rois, metrics=METRICS))
    with pytest.raises(InputError, match="subj01: found no vertex of V2, expected some of one"):
        rois_of_subject(challenge, rois, rois_missing="skip")


def test_rsatoolbox_opens_the_file(rdm_file, rows):
    rdms = load_rdm(str(rdm_file))
    assert rdms.n_rdm == len(ROIS) * len(METRICS)
    assert list(rdms.rdm_descriptors["metric"]) == METRICS * len(ROIS)
    assert list(rdms.pattern_descriptors["name"]) == [f"image {row}" for row in rows]


def test_an_roi_that_does_not_vary_is_named(world, rows, tmp_path):
    flat = {side: values.copy() for side, values in world[1].items()}
    for side, labels in LABELS.items():
        flat[side][:, np.array(labels) == 1] = 2.5
    folder = write_folder(tmp_path, world[0], flat)
    with pytest.raises(InputError, match="subj01, ventral V1: found no channel that varies"):
        list(roi_rdms(folder, SUBJECT, rows, rois=ROIS, metrics=METRICS))


SPLITS = {"n_folds": 3, "validation_share": 0.2, "duplicates": "refuse"}


def folds_of(rows):
    """Return the folds of the images that were chosen, whatever their pixels are."""
    images = PairImages([str(row) for row in rows], np.zeros((len(rows), 1, 1, 3), np.uint8), rows)
    return subject_folds(images, SPLITS, study="scenes", subject=SUBJECT, seed=5)


def write_labels(path, folder, rows, standardise="training"):
    """Write RDMs of responses that are standardised fold by fold, and return them."""
    write_rdms(
        path,
        roi_rdms(
            folder,
            SUBJECT,
            rows,
            rois=ROIS,
            metrics=METRICS,
            scalers=label_scalers(standardise, folds_of(rows)),
        ),
        names=[f"image {row}" for row in rows],
        measure=", ".join(METRICS),
        descriptors={"study": "scenes", "subject": SUBJECT},
    )
    return {(rdm.roi, rdm.metric): rdm for rdm in fold_rdms(path)}


def test_labels_of_a_fold_are_standardised_by_its_training_images(world, folder, rows, tmp_path):
    labels = write_labels(tmp_path / "rdms.h5", folder, rows)
    assert list(labels) == [(roi, metric) for roi in ROIS for metric in METRICS]
    for (roi, metric), rdm in labels.items():
        responses = vertices(world[1], roi)[rows]
        of_all = StandardScaler().fit(responses)
        scalers = [StandardScaler().fit(responses[fold.trained]) for fold in folds_of(rows)]
        for fold, scaler in [(None, of_all), *enumerate(scalers)]:
            expected = pdist(scaler.transform(responses), metric)
            np.testing.assert_allclose(rdm.of(fold), expected, rtol=0, atol=2e-6 * expected.max())
    with pytest.raises(InputError, match="found RDMs of the folds all, 0, 1, 2, expected fold 3"):
        rdm.of(3)


def test_figures_show_rdms_of_all_images(folder, rows, rdm_file, tmp_path):
    write_labels(tmp_path / "rdms.h5", folder, rows)
    alone, among = RDMStore(rdm_file), RDMStore(tmp_path / "rdms.h5")
    assert (alone.n_rdms, among.n_rdms) == (6, 24)
    for label, row in rdm_rows(among).items():
        np.testing.assert_array_equal(among.vector(row), alone.vector(rdm_rows(alone)[label]))


@pytest.mark.parametrize(
    ("standardise", "by"), [("all", lambda x: StandardScaler().fit_transform(x)), ("none", None)]
)
def test_labels_can_be_those_of_all_images_or_of_raw_responses(
    world, folder, rows, tmp_path, standardise, by
):
    labels = write_labels(tmp_path / "rdms.h5", folder, rows, standardise)
    for (roi, metric), rdm in labels.items():
        responses = vertices(world[1], roi)[rows]
        expected = pdist(by(responses) if by else responses, metric)
        for fold in (None, 1):
            np.testing.assert_allclose(rdm.of(fold), expected, rtol=0, atol=1e-5 * expected.max())


def test_labels_of_a_fold_know_nothing_of_its_test_images(world, folder, rows, tmp_path):
    before = write_labels(tmp_path / "before.h5", folder, rows)
    for fold in folds_of(rows):
        rng = np.random.default_rng(fold.number)
        measured = {side: values.copy() for side, values in world[1].items()}
        for values in measured.values():
            values[rows[fold.tested]] = 50 * rng.standard_normal(
                (fold.tested.size, values.shape[1])
            )
        changed = write_folder(tmp_path / str(fold.number), world[0], measured)
        after = write_labels(tmp_path / f"{fold.number}.h5", changed, rows)
        known = np.concatenate([fold.trained, fold.validated])
        for label, rdm in before.items():
            own, other = (squareform(part.of(fold.number)) for part in (rdm, after[label]))
            among = np.ix_(known, known)
            np.testing.assert_allclose(own[among], other[among], atol=1e-5 * own.max())
            # What is tested did change, and so would labels that all images are scaled by.
            assert np.abs(own - other).max() > 0.1 * own.max()
            of_all = (squareform(part.of(None))[among] for part in (rdm, after[label]))
            assert np.abs(np.subtract(*of_all)).max() > 0.01 * own.max()


def session_file(path, vectors, subject="sub01", names=None):
    """Write RDMs as the stage of `rsa` does: two sessions and their mean."""
    n = len(squareform(vectors[0]))
    labels = [{"roi": "IT", "session": session} for session in ("1", "2", "mean")]
    write_rdms(
        path,
        zip(labels, vectors, strict=True),
        names=names or [f"image {i}" for i in range(n)],
        measure="as published",
        descriptors={"study": "images92", "subject": subject},
    )
    return path


def test_rdms_of_rsa_are_means_over_sessions_under_the_metric_of_their_study(tmp_path):
    vectors = np.random.default_rng(0).uniform(0, 2, (3, 45))
    path = session_file(tmp_path / "brain.h5", vectors)
    (rdm,) = fold_rdms(path)
    assert (rdm.roi, rdm.metric) == ("IT", "as published")
    for fold in (None, 0, 4):
        np.testing.assert_allclose(rdm.of(fold), vectors[2], rtol=1e-6)


def test_rois_are_kept_by_name(rdm_file):
    store = RDMStore(rdm_file)
    assert rdm_rows(store, ["all"]) == {("all", "correlation"): 4, ("all", "euclidean"): 5}
    with pytest.raises(InputError, match="V1, ventral V1, all, expected hV4"):
        rdm_rows(store, ["hV4"])


def test_extreme_pairs_are_those_of_the_square_matrix(rdm_file):
    table = find_extreme_pairs([RDMStore(rdm_file)])
    assert len(table) == len(ROIS) * (3 + 2)
    for rdm in fold_rdms(rdm_file):
        roi, metric, vector = rdm.roi, rdm.metric, rdm.of(None)
        rows = table[(table["roi"] == roi) & (table["metric"] == metric)].set_index("which")
        expected = {"smallest": vector.min(), "largest": vector.max()}
        if metric == "correlation":
            expected["closest to 1"] = min(vector, key=lambda value: abs(value - 1))
        assert rows["value"].to_dict() == expected
        square, names = squareform(vector), RDMStore(rdm_file).names
        for _, row in rows.iterrows():
            assert square[names.index(row["first"]), names.index(row["second"])] == row["value"]


def test_extreme_pairs_of_an_rdm_by_hand(tmp_path):
    #                    0-1  0-2  0-3  1-2  1-3   2-3
    vector = np.array([0.50, 0.9, 1.9, 0.1, 1.2, 1.05])
    labels = [{"roi": "V1", "metric": "correlation"}]
    write_rdms(
        tmp_path / "rdms.h5",
        zip(labels, [vector], strict=True),
        names=list("abcd"),
        measure="correlation",
        descriptors={"study": "s", "subject": "subj01"},
    )
    table = find_extreme_pairs([RDMStore(tmp_path / "rdms.h5")]).set_index("which")
    pairs = (table["first"] + table["second"]).to_dict()
    assert pairs == {"smallest": "bc", "closest to 1": "cd", "largest": "ad"}


def ceilings(store, folder, rows, standardise="all"):
    found = noiseless_ceilings(store, folder, rows, ROIS, folds_of(rows), standardise)
    return table_of(found, study="scenes", kind=NOISELESS)


@pytest.mark.parametrize("standardise", ["training", "all", "none"])
def test_ceiling_is_how_well_responses_without_noise_tell_measured_pairs_of_each_fold(
    world, folder, rows, tmp_path, standardise
):
    """In units of the images that labels are standardised by, pairs of tested images alone."""
    folds = folds_of(rows)
    path = tmp_path / "rdms.h5"
    write_labels(path, folder, rows, standardise)
    table = ceilings(RDMStore(path), folder, rows, standardise)
    assert len(table) == len(ROIS) * len(METRICS) * 3
    for (roi, metric), group in table.groupby(["roi", "metric"]):
        truth, measured = (vertices(kind, roi)[rows] for kind in world)
        pairs = []
        for fold in folds:
            over = {"training": fold.trained, "all": np.arange(len(rows)), "none": []}[standardise]
            x, y = truth, measured
            if len(over):
                x = (truth - truth[over].mean(axis=0)) / measured[over].std(axis=0)
                y = (measured - measured[over].mean(axis=0)) / measured[over].std(axis=0)
            pairs.append([pdist(values[fold.tested], metric) for values in (x, y)])
        line = linregress(*np.concatenate(pairs, axis=1))
        expected = {
            "pearson": np.mean([pearsonr(*fold).statistic for fold in pairs]),
            "spearman": np.mean([spearmanr(*fold).statistic for fold in pairs]),
            "r2": line.rvalue**2,
        }
        found = group.set_index("measure")["value"].to_dict()
        assert found == pytest.approx(expected, abs=1e-5)
        # Neither without noise, nor without signal.
        assert 0.3 < expected["spearman"] < 0.98
    assert set(table["n_images"]) == {len(rows)}


@pytest.mark.parametrize("metric", METRICS)
def test_no_prediction_does_better_than_responses_without_noise_and_its_strength(metric):
    """The mean distance over many noises, which is the best prediction of one of them."""
    rng = np.random.default_rng(2)
    truth = rng.standard_normal((30, 400)) * rng.uniform(0.3, 2, (30, 1))
    measured = [truth + 2 * rng.standard_normal(truth.shape) for _ in range(200)]
    best = np.mean([pdist(values, metric) for values in measured], axis=0)
    noiseless, expected = expected_distances(truth, measured[0], metric)
    np.testing.assert_allclose(noiseless, pdist(truth, metric), rtol=1e-6)
    np.testing.assert_allclose(expected, best, rtol=0.02)
    # Distances of responses that differ in strength are none of those without noise.
    assert np.abs(noiseless / best - 1).max() > 0.1


def test_without_noise_the_ceiling_is_one_and_of_an_unrelated_truth_zero(world, rows, tmp_path):
    rng = np.random.default_rng(9)
    unrelated = {
        side: rng.standard_normal(values.shape).astype(np.float32)
        for side, values in world[0].items()
    }
    for name, truth, expected, tolerance in (
        ("same", world[1], 1.0, 1e-5),
        ("unrelated", unrelated, 0.0, 0.2),
    ):
        folder = write_folder(tmp_path / name, truth, world[1])
        store = RDMStore(write_fmri_rdms(tmp_path / f"{name}.h5", folder, rows))
        table = ceilings(store, folder, rows)
        np.testing.assert_allclose(table["value"], expected, atol=tolerance)
        np.testing.assert_allclose(table["upper"], expected, atol=tolerance)


def subject_files(folder, names, seed=3):
    """Write an RDM for each subject, alike but for noise; `names` are the images of each."""
    rng = np.random.default_rng(seed)
    seen = sorted({nsd_image(name) for own in names for name in own})
    points = {image: rng.standard_normal(5) for image in seen}
    stores, squares = [], []
    for number, own in enumerate(names):
        vector = pdist([points[nsd_image(name)] for name in own])
        vector += rng.uniform(0, 2, vector.size)
        write_rdms(
            folder / f"{number}.h5",
            [({"roi": "V1", "metric": "euclidean"}, vector)],
            names=own,
            measure="euclidean",
            descriptors={"study": "s", "subject": f"subj{number:02d}"},
        )
        stores.append(RDMStore(folder / f"{number}.h5"))
        squares.append(pd.DataFrame(squareform(np.float32(vector)), own, own))
    return stores, squares


def test_ceiling_of_other_subjects_is_that_of_rsatoolbox_over_the_images_of_all(tmp_path):
    rng = np.random.default_rng(5)
    shared = [f"train-{i:04d}_nsd-{i:05d}" for i in range(20)]
    names = [
        list(rng.permutation([*shared, *(f"train-{i:04d}_nsd-9{s}{i:03d}" for i in range(s, 9))]))
        for s in range(3)
    ]
    # The same image has another place among each subject's training images.
    names = [
        [f"train-{place:04d}_{name.split('_')[1]}" for place, name in enumerate(own)]
        for own in names
    ]
    stores, squares = subject_files(tmp_path, names)
    of_others = list(ceilings_of_others(stores, [], identity=nsd_image, min_shared=20))
    of_nsd = [square.rename(nsd_image, axis=0).rename(nsd_image, axis=1) for square in squares]
    common = [f"{i:05d}" for i in range(20)]
    vectors = np.stack([squareform(square.loc[common, common]) for square in of_nsd])
    for name, method in (("pearson", "corr"), ("spearman", "spearman")):
        lower, upper = boot_noise_ceiling(RDMs(vectors), method=method)
        found = np.array([getattr(ceiling, name) for *_, ceiling in of_others])
        np.testing.assert_allclose(found.mean(axis=0), [lower, upper], atol=1e-6)
    subjects = [store.descriptors["subject"] for store, *_ in of_others]
    assert subjects == ["subj00", "subj01", "subj02"]
    table = table_of(iter(of_others), study="s", kind="other subjects")
    wide = table.pivot_table(index="subject", columns="measure", values="value")
    np.testing.assert_allclose(wide["r2"], wide["pearson"] ** 2)
    assert (wide["pearson"] > 0.5).all()


def test_without_others_or_common_images_there_is_no_ceiling_and_a_reason(tmp_path):
    names = [[f"train-{i:04d}_nsd-{i + 10 * s:05d}" for i in range(20)] for s in range(2)]
    stores, _ = subject_files(tmp_path, names)
    for chosen, reason in ((stores, "10 images"), (stores[:1], "one subject")):
        of_others = ceilings_of_others(chosen, [], identity=nsd_image, min_shared=50)
        table = table_of(of_others, study="s", kind="other subjects")
        assert table["value"].isna().all()
        assert table["note"].str.contains(reason).all()
        assert len(table) == 3 * len(chosen)


def test_what_is_known_depends_on_the_source(folder, rows, rdm_file, tmp_path):
    images = tmp_path / "subj01.npz"
    pictures = np.zeros((len(rows), 2, 2, 3), np.uint8)
    write_pair_images(images, PairImages([f"image {row}" for row in rows], pictures, rows))
    splits = {"n_folds": 2, "validation_share": 0.15, "duplicates": "refuse"}
    job = SimpleNamespace(
        input=SimpleNamespace(images=[images]),
        params=SimpleNamespace(rois=ROIS, folder=folder, splits=splits, labels="all", seed=3),
        wildcards=SimpleNamespace(study="s"),
    )
    stores = [RDMStore(rdm_file)]
    tables = {}
    for source, of_source in SOURCES.items():
        kind, found = of_source(job, stores)
        tables[source] = table_of(found, study="s", kind=kind)
    folds = subject_folds(read_pair_images(images), splits, study="s", subject=SUBJECT, seed=3)
    expected = table_of(
        noiseless_ceilings(stores[0], folder, rows, ROIS, folds, "all"),
        study="s",
        kind="noiseless responses",
    )
    pd.testing.assert_frame_equal(tables["simulated"], expected)
    for source in ("path", "rsa"):
        assert set(tables[source]["kind"]) == {"other subjects"}
        assert tables[source]["value"].isna().all()


def test_ceiling_of_subjects_of_rsa_is_over_the_mean_of_sessions(tmp_path):
    rng = np.random.default_rng(4)
    common = rng.uniform(0, 2, 45)
    means = common + rng.uniform(0, 2, (4, 45))
    stores = [
        RDMStore(
            session_file(
                tmp_path / f"{i}.h5", [*rng.uniform(0, 2, (2, 45)), mean], subject=f"sub{i}"
            )
        )
        for i, mean in enumerate(means)
    ]
    job = SimpleNamespace(params=SimpleNamespace(rois={"IT": ["IT"]}))
    kind, found = SOURCES["rsa"](job, stores)
    table = table_of(found, study="images92", kind=kind)
    lower, upper = boot_noise_ceiling(RDMs(means.astype(np.float32)), method="spearman")
    of_spearman = table[table["measure"] == "spearman"]
    assert of_spearman["value"].mean() == pytest.approx(lower, abs=1e-6)
    assert of_spearman["upper"].mean() == pytest.approx(upper, abs=1e-6)
    assert set(table["metric"]) == {"as published"}
