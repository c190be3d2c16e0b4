"""A user's activations, beside response patterns, from the config to RSA and encoding."""

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from workflow.lib.rdms.store import RDMStore

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]

RESULTS = "results/mine/lab"
N, N_CHANNELS = 30, 40
NAMES = [f"image_{i:02d}.png" for i in range(N)]


def write_study(folder):
    """Write activations of two layers, of which the brain reads the late one, and its config."""
    rng = np.random.default_rng(0)
    layers = {"early": rng.standard_normal((N, 60)), "late": rng.standard_normal((N, 25))}
    order = rng.permutation(N)
    np.savez(
        folder / "clip.npz",
        names=[NAMES[i] for i in order],
        **{layer: values[order].astype(np.float32) for layer, values in layers.items()},
    )
    responses = layers["late"] @ rng.standard_normal((25, N_CHANNELS)) / 5
    np.savez(
        folder / "s1.npz",
        V1=responses + 0.3 * rng.standard_normal(responses.shape),
        names=NAMES,
    )
    study = {
        "title": "Lab",
        "source": "path",
        "path": str(folder),
        "brain": {
            "data": "patterns",
            "files": "{subject}.npz",
            "key": "V1",
            "subjects": {"names": ["s1"], "from": "file_name"},
            "rois": {"names": ["V1"], "from": "constant"},
            "conditions": {"from": "stored", "key": "names"},
        },
        "models": {
            "clip": {
                "features": "clip.npz",
                "key": "{layer}",
                "layers": {"names": ["early", "late"], "from": "key"},
                "conditions": {"from": "stored", "key": "names"},
            }
        },
        "inference": {"n_permutations": 99, "n_bootstrap": 100},
    }
    return layers, {"run": "mine", "studies": ["lab"], "rsa": {"lab": study}}


def test_activations_become_rdms_similarities_and_encoding(fresh):
    raw = fresh.folder / "raw"
    raw.mkdir()
    layers, config = write_study(raw)
    fresh.write("config/mine.yaml", yaml.safe_dump(config))
    targets = [f"{RESULTS}/tables/{name}_s1.csv" for name in ("rsa", "encoding")]
    fresh.snakemake(*targets, "--configfile", "config/mine.yaml")

    store = RDMStore(fresh.folder / f"{RESULTS}/rdms/model_clip.h5")
    order = [NAMES.index(name) for name in store.names]
    brain = RDMStore(fresh.folder / f"{RESULTS}/rdms/brain_s1.h5").vector(0)
    rsa, encoding = (pd.read_csv(fresh.folder / target) for target in targets)
    similarity = rsa.query("comparator == 'spearman'").set_index("layer")["similarity"]
    for row, (layer, values) in enumerate(layers.items()):
        assert store.labels["layer"][row] == layer
        expected = pdist(values[order], "correlation")
        np.testing.assert_allclose(store.vector(row), expected, rtol=0, atol=1e-5)
        assert similarity[layer] == pytest.approx(spearmanr(expected, brain)[0], abs=1e-4)
    score = encoding.set_index("layer")["similarity"]
    assert score["late"] > 0.5 > 0.2 > score["early"]
