"""Figures of layers and codes show all that they say, and say what they show."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from scripts.digits.codes.codes import code_rdms
from scripts.digits.codes.compare_codes import compare_codes
from scripts.digits.codes.fit_codes import fit_codes, group_table
from scripts.digits.figures.plot_code_cosines import plot_code_cosines
from scripts.digits.figures.plot_code_fit import plot_code_fit
from scripts.digits.figures.plot_layer_rdms import plot_layer_rdms
from tests.unit.test_code_fit import SETTINGS, brain_store, geometry
from tests.unit.test_codes import CATEGORIES, CODES, CONTRASTS, GROUPS, KINDS, store_of
from workflow.lib.rdms.store import RDMStore, write_rdms

LABELS = {"title": "Digits", "simulated": True}


@pytest.fixture(scope="module")
def codes(tmp_path_factory):
    rdms = code_rdms(CODES, KINDS, GROUPS)
    return store_of(tmp_path_factory.mktemp("codes") / "codes.h5", rdms, "codes")


def layers_of(path, part="validation"):
    rng = np.random.default_rng(1)
    write_rdms(
        path,
        [({"layer": f"conv{i}"}, (i + 1) * geometry(rng, versus=2)) for i in range(7)],
        names=CATEGORIES,
        groups=[kind for kind, members in KINDS.items() for _ in members],
        measure="cosine",
        descriptors={"study": "digits", "model": "vgg", "images": part, "n_images": "400"},
    )
    return RDMStore(path)


def brains(codes, folder, n_subjects):
    rng = np.random.default_rng(2)
    fits = {}
    for i in range(n_subjects):
        rdms = {"early": geometry(rng, versus=3), "late": -geometry(rng, magnitude=2)}
        store = brain_store(folder / f"{i}.h5", rdms, f"s{i}")
        fits[f"s{i}"] = fit_codes(store, codes, CONTRASTS, **SETTINGS)
    table = pd.concat({who: fit.table for who, fit in fits.items()}, names=["subject"])
    group = group_table(list(fits.values()), n_categories=15, seed=(1, "digits"))
    return table.reset_index(level=0), group


@pytest.mark.parametrize("n_subjects", [1, 8])
def test_axes_hold_all_coefficients_and_their_intervals(codes, tmp_path, n_subjects):
    table, group = brains(codes, tmp_path, n_subjects)
    figure, _ = plot_code_fit(table, group, alpha=0.05, **LABELS)
    shown = table if n_subjects == 1 else pd.concat([group, table[["coefficient", "contrast"]]])
    for axis, contrast in zip(figure.axes, CONTRASTS, strict=False):
        rows = shown.loc[shown["contrast"] == contrast, ["coefficient", "low", "high"]]
        low, high = axis.get_ylim()
        assert low <= np.nanmin(rows)
        assert np.nanmax(rows) <= high


def test_one_subject_is_called_a_single_case(codes, tmp_path):
    table, group = brains(codes, tmp_path, 1)
    figure, caption = plot_code_fit(table, group, alpha=0.05, **LABELS)
    assert "a single case" in figure.get_suptitle()
    assert "a single case, nothing is said of others" in caption


def test_several_subjects_are_counted(codes, tmp_path):
    table, group = brains(codes, tmp_path, 8)
    figure, caption = plot_code_fit(table, group, alpha=0.05, **LABELS)
    assert "single case" not in figure.get_suptitle() + caption
    assert "n = 8 subjects" in figure.get_suptitle()
    assert "n = 8 subjects" in caption


@pytest.mark.parametrize(
    ("part", "said"), [("validation", "validation images"), ("stimuli", "participants' stimuli")]
)
def test_figures_say_which_images_the_rdms_are_of(codes, tmp_path, part, said):
    layers = layers_of(tmp_path / "layers.h5", part)
    table = compare_codes(layers, codes, **SETTINGS)
    for figure, caption in (
        plot_layer_rdms(layers, scaling="common", **LABELS),
        plot_code_cosines(table, part=part, alpha=0.05, **LABELS),
    ):
        assert said in figure.get_suptitle()
        assert said in caption
        plt.close(figure)


def test_scales_are_common_or_each_layers_own(tmp_path):
    layers = layers_of(tmp_path / "layers.h5")
    limits = {}
    for scaling in ("common", "own"):
        figure, _ = plot_layer_rdms(layers, scaling=scaling, **LABELS)
        limits[scaling] = [axis.images[0].get_clim() for axis in figure.axes if axis.images]
        plt.close(figure)
    vectors = layers.vectors()
    assert limits["common"] == [(vectors.min(), vectors.max())] * 7
    assert limits["own"] == [(vector.min(), vector.max()) for vector in vectors]


def test_cosines_stand_beside_those_of_a_constant_rdm(codes, tmp_path):
    table = compare_codes(layers_of(tmp_path / "layers.h5"), codes, **SETTINGS)
    figure, caption = plot_code_cosines(table, part="stimuli", alpha=0.05, **LABELS)
    for number, code in enumerate(CODES):
        constant = table.loc[table["code"] == code, "cosine_constant"].iloc[0]
        # The first panel of each pair is the cosine.
        drawn = [line.get_ydata()[0] for line in figure.axes[2 * number].lines]
        assert pytest.approx(constant) in drawn
        assert f"{code} {constant:.3f}" in caption


def test_stars_stand_where_a_code_within_a_kind_is_above_its_null(codes, tmp_path):
    """Also where objects, farther apart, make Pearson's r with all pairs negative."""
    apart = code_rdms({"Magnitude": CODES["Magnitude"], "Digit": CODES["Digit"]}, KINDS, GROUPS)
    noise = 0.1 * np.random.default_rng(1).random(120)
    rdm = 3 + 0.5 * apart["Magnitude"] - 2 * apart["Digit"] + noise
    table = compare_codes(store_of(tmp_path / "l.h5", {"l": rdm}, "vgg"), codes, **SETTINGS)
    assert table.set_index("code").loc["Magnitude", "pearson"] < 0
    figure, _ = plot_code_cosines(table, part="stimuli", alpha=0.05, **LABELS)
    starred = [any(text.get_text() == "*" for text in axis.texts) for axis in figure.axes]
    # The first panel of each pair is the cosine, beside its null.
    assert starred[::2] == [code == "Magnitude" for code in CODES]
    assert not any(starred[1::2])


def test_captions_explain_every_column(codes, tmp_path):
    report = Path(__file__).parents[2] / "workflow" / "report"
    table, group = brains(codes, tmp_path, 8)
    store = brain_store(tmp_path / "b.h5", {"r": geometry(np.random.default_rng(1))}, "s")
    partition = fit_codes(store, codes, CONTRASTS, **SETTINGS).partition
    cosines = compare_codes(layers_of(tmp_path / "layers.h5"), codes, **SETTINGS)
    captions = {"fit": table, "group": group, "partition": partition, "cosines": cosines}
    for name, columns in captions.items():
        caption = (report / f"code_{name}_table.rst").read_text()
        assert [column for column in columns if f"*{column}*" not in caption] == []
