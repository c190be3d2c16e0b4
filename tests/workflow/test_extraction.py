"""What makes networks and controls see the images again, and what does not."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.spatial.distance import pdist

from workflow.lib.rdms.store import RDMStore

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]

TABLE = "results/tiny/objects/tables/summary.csv"
ENCODING = "results/tiny/objects/tables/encoding_s1.csv"


def extractions(jobs):
    """Return the jobs that look at images."""
    return {rule for rule in jobs if rule.startswith(("extract_network", "compute_control"))}


def config_with(run, changes):
    """Return the command line of the tiny run with changes to its study of objects."""
    config = run.write("config/changed.yaml", f"rsa: {{objects: {changes}}}\n")
    return ("--configfile", "config/tiny.yaml", str(config))


def test_adding_a_precomputed_model_extracts_nothing(changed_run):
    """Its file lacks images, so that all models are compared over others than before."""
    images = pd.read_csv(changed_run.folder / "results/tiny/objects/rdms/images.csv")
    kept = list(images["name"])[5:]
    points = np.random.default_rng(0).random((len(kept), 3))
    square = np.linalg.norm(points[:, None] - points, axis=2)
    raw = changed_run.folder / "resources/simulated/tiny/objects/extra.csv"
    pd.DataFrame(square, columns=kept).to_csv(raw, index=False)
    config = config_with(
        changed_run,
        "{models: {extra: {files: extra.csv}}, images: {unmatched: drop}, "
        "source: path, path: resources/simulated/tiny/objects}",
    )
    planned = changed_run.planned_jobs(TABLE, ENCODING, *config)
    assert planned["align_images"] == 1
    assert planned["select_images"] == 4
    assert not extractions(planned)

    changed_run.snakemake(TABLE, ENCODING, *config)
    table = pd.read_csv(changed_run.folder / TABLE)
    assert set(table["n_images"]) == {len(kept)}
    assert "extra" in set(table["model"])
    encoding = pd.read_csv(changed_run.folder / ENCODING)
    assert set(encoding["n_images"]) == {len(kept)}


def test_changing_the_least_number_of_images_extracts_nothing(changed_run):
    config = config_with(changed_run, "{images: {min_common: 9}}")
    planned = changed_run.planned_jobs(TABLE, ENCODING, *config)
    assert "align_images" in planned
    assert not extractions(planned)


def test_options_of_a_control_reach_it_and_no_other(changed_run):
    config = config_with(changed_run, "{models: {pixel: {options: {side: 6, colour: true}}}}")
    planned = changed_run.planned_jobs(TABLE, ENCODING, *config)
    assert extractions(planned) == {"compute_control_with_grams"}
    assert planned["compute_control_with_grams"] == 1
    output = "results/tiny/objects/features/rdms/model_pixel.h5"
    changed_run.snakemake(output, *config)
    store = RDMStore(changed_run.folder / output)
    raw = np.load(changed_run.folder / "resources/simulated/tiny/objects/images.npz")
    images = [Image.fromarray(pixels).resize((6, 6), Image.BICUBIC) for pixels in raw["images"]]
    assert store.names == list(raw["names"])
    features = np.array([np.asarray(image, dtype=float).ravel() for image in images])
    np.testing.assert_allclose(store.vector(0), pdist(features, "correlation"), atol=1e-5)


@pytest.mark.parametrize(
    ("setting", "rules"),
    [
        (
            "models: {squeezenet_untrained: {standardise_units: true}}",
            ["extract_network_with_grams"],
        ),
        (
            "stimuli: {extract: common}",
            ["extract_network_with_grams", "compute_control_with_grams"],
        ),
    ],
)
def test_models_that_depend_on_the_common_images_wait_for_them(fresh, setting, rules):
    config = config_with(fresh, f"{{{setting}}}")
    outputs = [
        f"results/tiny/objects/features/rdms/model_{model}.h5"
        for model in ("squeezenet_untrained", "pixel")
    ]
    for output, rule in zip(outputs, rules, strict=False):
        planned = fresh.planned_jobs(output, *config)
        assert planned["align_images"] == 1
        assert planned[rule] == 1
    assert "align_images" not in fresh.planned_jobs(*outputs, "--configfile", "config/tiny.yaml")
