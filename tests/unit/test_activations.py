"""Activations that were computed elsewhere: every format gives the numbers of scipy."""

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
from scipy.spatial.distance import pdist
from sklearn.metrics.pairwise import linear_kernel
from sklearn.preprocessing import scale

from scripts.check.check_config import check_study
from scripts.features.compute_feature_rdms import feature_rdms
from scripts.rdms.align_images import align_images
from tests.unit.raw_files import (
    cells,
    completed_config,
    shortest_brain,
    write_matlab73_variables,
)
from workflow.lib.errors import InputError
from workflow.lib.features import activations as module
from workflow.lib.features.activations import read_activations
from workflow.lib.layout import study_raw_files
from workflow.lib.rdms.gram_store import GramStore, gram_writer
from workflow.lib.sources import model_source

N, LAYERS = 12, {"early": 30, "late": 7}
NAMES = [f"Image_{i:02d}.png" for i in range(N)]
# Those that a study compares, in another order.
COMMON = [f"image_{i:02d}" for i in (7, 2, 11, 0, 5, 3)]
ROWS = [7, 2, 11, 0, 5, 3]
RNG = np.random.default_rng(0)
VALUES = {layer: RNG.gamma(2, size=(N, width)) for layer, width in LAYERS.items()}
BY_FILE = {"names": list(LAYERS), "from": "file_name"}
BY_KEY = {"names": list(LAYERS), "from": "key"}
STORED = {"from": "stored", "key": "names"}


def write_list(folder):
    (folder / "names.txt").write_text("\n".join(NAMES))
    return {"from": "list", "file": "names.txt"}


def write_npy(folder):
    for layer, values in VALUES.items():
        np.save(folder / f"clip_{layer}.npy", values.astype(np.float32))
    return {"features": "clip_{layer}.npy", "layers": BY_FILE, "conditions": write_list(folder)}


def write_maps(folder):
    """As hooks give them: images x channels x height x width."""
    np.save(folder / "early.npy", VALUES["early"].reshape(N, 5, 3, 2))
    np.save(folder / "late.npy", VALUES["late"][:, :, None, None])
    return {"features": "{layer}.npy", "layers": BY_FILE, "conditions": write_list(folder)}


def write_npz(folder):
    np.savez(folder / "all.npz", names=NAMES, **VALUES)
    return {"features": "all.npz", "key": "{layer}", "layers": BY_KEY, "conditions": STORED}


def write_hdf5(folder):
    with h5py.File(folder / "all.h5", "w") as file:
        file["names"] = NAMES
        for layer, values in VALUES.items():
            file[f"model/{layer}"] = values
    return {"features": "all.h5", "key": "model/{layer}", "layers": BY_KEY, "conditions": STORED}


def write_csv(folder):
    for layer, values in VALUES.items():
        table = pd.DataFrame(values, columns=[f"unit{i}" for i in range(values.shape[1])])
        table.insert(0, "image", NAMES)
        table.to_csv(folder / f"{layer}.csv", index=False)
    return {"features": "{layer}.csv", "layers": BY_FILE}


def write_matlab5(folder):
    """Units x images, as MATLAB users have them."""
    arrays = {layer: values.T for layer, values in VALUES.items()}
    scipy.io.savemat(folder / "all.mat", arrays | {"names": cells(NAMES)})
    return {"features": "all.mat", "key": "{layer}", "layers": BY_KEY, "conditions": STORED}


def write_matlab73(folder):
    write_matlab73_variables(folder / "all.mat", VALUES | {"names": cells(NAMES)})
    return {"features": "all.mat", "key": "{layer}", "layers": BY_KEY, "conditions": STORED}


WRITERS = [write_npy, write_maps, write_npz, write_hdf5, write_csv, write_matlab5, write_matlab73]


def study_of(model, folder, **keys):
    """Return a config with one model of activations, and a brain of patterns."""
    np.savez(
        folder / "brain.npz",
        V1=np.random.default_rng(1).standard_normal((N, 20)),
        names=[name.lower() for name in NAMES],
    )
    brain = {**shortest_brain(), "data": "patterns", "files": "brain.npz", "key": "V1"}
    return completed_config(
        path=str(folder),
        brain={**brain, "conditions": STORED},
        models={"clip": model},
        images={"match": "normalised"},
        encoding={"folds": 3},
        **keys,
    )


def source_of(model, folder):
    return model_source(study_of(model, folder)["rsa"]["lab"]["models"]["clip"])


def rdms_of(model, folder, *, metric="correlation", standardise_units=False, write_gram=None):
    found = feature_rdms(
        source_of(model, folder),
        folder,
        COMMON,
        match="normalised",
        metric=metric,
        standardise_units=standardise_units,
        write_gram=write_gram,
    )
    return {labels["layer"]: vector for labels, vector in found}


@pytest.mark.parametrize("write", WRITERS)
def test_rdms_of_every_format_are_those_of_scipy(tmp_path, write):
    found = rdms_of(write(tmp_path), tmp_path)
    assert list(found) == list(LAYERS)
    for layer, values in VALUES.items():
        np.testing.assert_allclose(found[layer], pdist(values[ROWS], "correlation"), atol=1e-6)


@pytest.mark.parametrize("standardise_units", [False, True])
@pytest.mark.parametrize("metric", ["correlation", "cosine", "euclidean", "sq_euclidean"])
def test_metrics_are_those_of_scipy(tmp_path, metric, standardise_units):
    """Units are standardised over the images that are compared, not over all that are stored."""
    found = rdms_of(
        write_npz(tmp_path), tmp_path, metric=metric, standardise_units=standardise_units
    )
    for layer, values in VALUES.items():
        own = scale(values[ROWS]) if standardise_units else values[ROWS]
        expected = pdist(own, metric.replace("sq_", "sq"))
        np.testing.assert_allclose(found[layer], expected, rtol=1e-5, atol=1e-6)


def test_grams_for_encoding_are_those_of_scikit_learn(tmp_path):
    with gram_writer(tmp_path / "grams.h5", names=COMMON, model="clip") as write_gram:
        rdms_of(write_npy(tmp_path), tmp_path, write_gram=write_gram)
    store = GramStore(tmp_path / "grams.h5")
    assert [labels["layer"] for labels in store.labels] == list(LAYERS)
    for number, values in enumerate(VALUES.values()):
        expected = linear_kernel(scale(values[ROWS]))
        np.testing.assert_allclose(store.gram(number), expected, rtol=1e-4, atol=1e-4)


def test_images_without_names_have_an_order(tmp_path):
    np.save(tmp_path / "one.npy", VALUES["late"])
    model = {"features": "one.npy", "conditions": {"from": "order", "pattern": "image_{:02d}"}}
    source = source_of(model, tmp_path)
    ((labels, found),) = read_activations(source, tmp_path, ["image_03"], match="exact")
    assert labels == {"layer": "clip"}
    np.testing.assert_allclose(next(found.rows()), VALUES["late"][2:3], rtol=1e-6)


@pytest.mark.parametrize("write", [write_hdf5, write_matlab5])
def test_chunks_do_not_change_what_is_read(tmp_path, monkeypatch, write):
    monkeypatch.setattr(module, "CHUNK_BYTES", 4 * 30 * 2)
    source = source_of(write(tmp_path), tmp_path)
    for labels, found in read_activations(source, tmp_path, COMMON, match="normalised"):
        rows = list(found.rows())
        assert len(rows) > 1 or labels["layer"] == "late"
        np.testing.assert_allclose(np.vstack(rows), VALUES[labels["layer"]][ROWS], rtol=1e-6)


def test_images_are_aligned_with_those_of_the_brain(tmp_path):
    config = study_of(write_npz(tmp_path), tmp_path)
    study = config["rsa"]["lab"]
    common, _ = align_images(
        study["brain"],
        {"clip": source_of(write_npz(tmp_path), tmp_path)},
        None,
        study["images"],
        tmp_path,
    )
    assert sorted(common["name"]) == [f"image_{i:02d}" for i in range(N)]
    assert study_raw_files(study, {}, "test") == ["brain.npz", "all.npz"]
    assert check_study("lab", config, {}) == []


# Bad input.


def assert_stops(model, folder, sentence):
    """Check that a run and `make check` stop with this sentence."""
    config = study_of(model, folder)
    (problem,) = check_study("lab", config, {})
    assert problem == f"lab: {sentence}"


def test_activations_that_are_not_finite(tmp_path):
    model = write_npy(tmp_path)
    values = VALUES["late"].copy()
    values[4, 2:5] = np.nan, np.inf, 1e300
    np.save(tmp_path / "clip_late.npy", values)
    assert_stops(
        model,
        tmp_path,
        "clip_late.npy: found 3 activations that are NaN, infinite or beyond single precision, the "
        "first for the image 'image_04', expected numbers; compute them again",
    )


def test_other_number_of_names(tmp_path):
    model = write_npy(tmp_path)
    (tmp_path / "names.txt").write_text("\n".join(NAMES[:-1]))
    assert_stops(
        model,
        tmp_path,
        "clip_early.npy: found an array of shape (12, 30) and 11 names, expected activations, a "
        "row per image that has a name; correct `conditions`, or name another variable by `key`",
    )


def test_image_without_a_pattern(tmp_path):
    model = write_npy(tmp_path)
    values = VALUES["late"].copy()
    values[5] = 3
    np.save(tmp_path / "clip_late.npy", values)
    with pytest.raises(InputError) as stopped:
        rdms_of(model, tmp_path)
    assert str(stopped.value).startswith(
        "clip_late.npy: found 1 image(s) whose pattern does not vary over units (for example "
        "'image_05')"
    )


CONFIG_ERRORS = {
    "layers along an axis": (
        {"layers": {"names": ["a", "b"], "from": "axis", "axis": 0}},
        "config, rsa.lab.models.clip.layers: found `from: axis` for activations, expected one of "
        "file_name, key, constant; give a file or a variable for each layer",
    ),
    "a list of layers": (
        {"layers": ["a", "b"]},
        "config, rsa.lab.models.clip.layers: found ['a', 'b'], expected labels and where the files "
        "keep them; write {names: [...], from: file_name}, or what else config/README.md has",
    ),
    "no placeholder": (
        {"layers": {"names": ["a", "b"], "from": "file_name"}},
        "config, rsa.lab.models.clip.features: found 'a.npy', expected {layer} in it because "
        "config, rsa.lab.models.clip takes the layer from the file name; write it there, or "
        "correct `from`",
    ),
    "average": (
        {"average": {"names": [1, 2], "from": "axis", "axis": 0}},
        "config, rsa.lab.models.clip.average: found it for a model of activations, expected RDMs "
        "to average over; leave it out",
    ),
    "two kinds": (
        {"files": "b.npy"},
        "config, rsa.lab.models.clip: found files, features, expected exactly one of files, "
        "features, network, control, made; keep the one that gives the model",
    ),
}


@pytest.mark.parametrize(("keys", "sentence"), CONFIG_ERRORS.values(), ids=CONFIG_ERRORS)
def test_config_of_activations(tmp_path, keys, sentence):
    with pytest.raises(InputError) as stopped:
        study_of({"features": "a.npy", **keys}, tmp_path)
    assert str(stopped.value) == sentence


@pytest.mark.parametrize(
    ("suffix", "shape"),
    # 45 is the number of pairs of ten images.
    [
        ("npy", (N, 512)),
        ("npy", (N, 45)),
        ("npy", (36, 64, 7, 7)),
        ("npy", (N, 13)),
        ("csv", (N, 512)),
        ("csv", (N, 45)),
    ],
)
def test_activations_in_place_of_rdms_point_to_features(tmp_path, suffix, shape):
    values = np.random.default_rng(0).random(shape)
    conditions = write_list(tmp_path)
    if suffix == "csv":
        pd.DataFrame(values, index=NAMES).to_csv(tmp_path / "net.csv")
        conditions = {"from": "stored"}
    else:
        np.save(tmp_path / "net.npy", values)
    config = study_of({"files": f"net.{suffix}", "conditions": conditions}, tmp_path)
    (problem,) = check_study("lab", config, {})
    assert "activations (images x units) are given by `features`" in problem
