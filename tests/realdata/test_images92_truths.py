"""Known numbers of the 92-image data set, through the workflow's own readers and comparators.

Raw files: github.com/rsagroup/rsatoolbox, demos/92imageData (Kriegeskorte et al. 2008).
"""

from pathlib import Path

import numpy as np
import pytest
import yaml

from workflow.lib.config.complete import complete_config
from workflow.lib.rdms.source import averaged, names_by_file, read_aligned
from workflow.lib.rsa.comparators import compare
from workflow.lib.rsa.noise_ceiling import noise_ceiling

pytestmark = pytest.mark.realdata

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def study():
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    return complete_config(config)["rsa"]["images92"]


@pytest.fixture(scope="module")
def folder(mirror, study):
    found = mirror / study["dataset"]
    if not found.is_dir():
        pytest.skip(f"no folder {study['dataset']} among the real raw files at {mirror}")
    return found


@pytest.fixture(scope="module")
def images(study, folder):
    names = list(names_by_file(study["brain"], folder).values())
    assert len(names[0]) == 92
    return names[0]


@pytest.fixture(scope="module")
def human_it(study, folder, images):
    """Human IT, (4 subjects, 4186 pairs): the mean of each subject's two sessions."""
    rdms = read_aligned(study["brain"], folder, images, match=study["images"]["match"])
    means = {labels["subject"]: mean for labels, mean in averaged(rdms, over="session", n=2)}
    assert list(means) == ["BE", "KO", "SN", "TI"]
    return np.stack(list(means.values()))


@pytest.fixture(scope="module")
def models(study, folder, images):
    (source,) = (
        model for model in study["models"].values() if model.get("files") == "92_modelRDMs.mat"
    )
    rdms = read_aligned(source, folder, images, match=study["images"]["match"])
    return {labels["layer"]: vector for labels, vector in rdms}


def test_human_and_monkey_it_correlate(human_it, models):
    similarity = compare(models["monkeyIT"], human_it.mean(axis=0), "pearson").item()
    assert similarity == pytest.approx(0.491, abs=5e-4)


@pytest.mark.parametrize(
    ("model", "expected"), [("animacy", 0.588), ("HMAX", 0.222), ("V1", 0.039)]
)
def test_models_and_human_it_correlate(model, expected, human_it, models):
    similarity = compare(models[model], human_it.mean(axis=0), "spearman").item()
    assert similarity == pytest.approx(expected, abs=5e-4)


def test_noise_ceiling_over_four_subjects(human_it):
    lower, upper = noise_ceiling(human_it, "spearman")
    assert lower.mean() == pytest.approx(0.3723, abs=5e-5)
    assert upper.mean() == pytest.approx(0.6657, abs=5e-5)
