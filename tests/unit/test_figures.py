"""Figures, pages and captions say what a study compares: categories are not images."""

import copy
import itertools
import re
from pathlib import Path
from types import SimpleNamespace

import jinja2
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from scripts.bold5000.plot_tiers import plot_tiers
from scripts.figures.plot_composition import plot_composition
from scripts.figures.plot_encoding import plot_encoding
from scripts.figures.plot_heatmap import plot_heatmap
from scripts.figures.plot_layer_preference import plot_layer_preference
from scripts.figures.plot_layer_profile import plot_layer_profile
from scripts.figures.plot_noise_ceiling import plot_noise_ceiling
from scripts.figures.plot_radar import plot_radar
from scripts.figures.plot_rdms import plot_rdms
from scripts.figures.plot_roi_groups import plot_roi_groups
from scripts.figures.plot_surface import plot_surface
from scripts.figures.plot_variance_partition import plot_variance_partition
from scripts.report.write_explorer import explorer_page
from tests.unit.test_config import default_config
from workflow.lib.config.complete import complete_config
from workflow.lib.errors import InputError
from workflow.lib.plotting import DRAWN, PERMUTED
from workflow.lib.rdms.store import RDMStore, write_rdms

ROOT = Path(__file__).parents[2]
STAGES = ROOT / "workflow/rules/stages"
N, N_PAIRS = 8, 28
NAMES = ["face", "house", "cat", "bottle", "scissors", "shoe", "chair", "scrambled"]
GROUPS = ["animate", "house", "animate", *["object"] * 4, "scrambled"]
ROIS, LAYERS, SUBJECTS = ("V1", "IT"), ("first", "second"), ("s1", "s2")
ROI_GROUPS = {"early": ["V1"], "late": ["IT"]}
STUDY = {"title": "Lab", "simulated": False, "called": "categories"}
# Words that speak of images, but not columns such as n_images.
IMAGES = re.compile(r"(?<![\w*])images?\b", re.IGNORECASE)


def similarities(subject):
    """Return rows of a `rsa_<subject>.csv`, with all that figures read."""
    cells = itertools.product(ROIS, LAYERS)
    table = pd.DataFrame(cells, columns=["roi", "layer"])
    table["similarity"] = [0.3, 0.2, 0.1, 0.4]
    table["q"] = [0.01, 0.2, 0.2, 0.01]
    sizes = {"n_images": N, "n_pairs": N_PAIRS, "n_permutations": 99, "n_bootstrap": 100}
    spread = {"se": 0.05, "se_bootstrap": 0.05}
    limits = {"low": table["similarity"] - 0.1, "high": table["similarity"] + 0.1}
    labels = {"subject": subject, "session": "mean", "model": "net", "comparator": "pearson"}
    return table.assign(**labels, **sizes, **spread, **limits)


def ceilings():
    cells = itertools.product(ROIS, SUBJECTS)
    table = pd.DataFrame(cells, columns=["roi", "subject"])
    return table.assign(lower=0.3, upper=0.6, n_subjects=2, n_images=N, comparator="pearson")


def layer_tables():
    """Return rows of `layers_<subject>.csv` and of `layer_centre_<subject>.csv`."""
    layers = similarities("s1").assign(
        p_best=0.5, interaction=0.1, interaction_p=0.2, n_resamples=100
    )
    centres = pd.DataFrame({"roi": ROIS, "model": "net", "subject": "s1", "comparator": "pearson"})
    numbers = {"centre": 1.5, "low": 1.2, "high": 1.8, "n_undefined": 3, "interaction_p": 0.2}
    return layers, centres.assign(**numbers)


def shares():
    cells = itertools.product(ROIS, ["a", "b", "a + b"])
    table = pd.DataFrame(cells, columns=["roi", "models"])
    limits = {f"{what}_{end}": 0.1 for what in ("share", "r_squared") for end in ("low", "high")}
    sizes = {"n_images": N, "n_pairs": N_PAIRS, "n_resamples": 100, "n_models": [1, 1, 2] * 2}
    return table.assign(
        subject="s1", comparator="pearson", share=0.1, r_squared=0.3, **limits, **sizes
    )


def stores(folder):
    """Return brain and model RDMs over the eight categories."""
    rng = np.random.default_rng(3)

    def written(name, labels, **descriptors):
        path = folder / f"{name}.h5"
        rdms = [(label, rng.random(N_PAIRS)) for label in labels]
        descriptors = {"study": "lab", **descriptors}
        write_rdms(
            path, rdms, names=NAMES, groups=GROUPS, measure="euclidean", descriptors=descriptors
        )
        return RDMStore(path)

    brain = written("brain", [{"roi": roi, "session": "mean"} for roi in ROIS], subject="s1")
    return brain, [written("net", [{"layer": layer} for layer in LAYERS], model="net")]


def heatmap(folder, resample="images", permuted="within_groups"):
    return plot_heatmap(
        similarities("s1"),
        **STUDY,
        alpha=0.05,
        permuted=permuted,
        resample=resample,
        roi_groups=ROI_GROUPS,
    )


def layer_profile(folder):
    tables = [similarities(subject) for subject in SUBJECTS]
    return plot_layer_profile(tables, ceilings(), **STUDY, ordered=["net"], resample="groups")


def encoding(folder):
    table = similarities("s1").assign(ceiling=0.7)
    return plot_encoding([table], [table], **STUDY, n_folds=2)


def too_few_to_encode(folder):
    table = similarities("s1")
    return plot_encoding([table], [table[:0]], **STUDY, n_folds=5)


def composition(folder):
    images = pd.DataFrame({"name": NAMES, "label": NAMES, "group": GROUPS})
    lost = pd.DataFrame({"file": ["a.h5"], "label": ["dog"], "group": ["animate"]})
    return plot_composition(images, lost, **STUDY, match="exact")


def whole_composition(folder):
    images = pd.DataFrame({"name": NAMES, "label": NAMES, "group": GROUPS})
    lost = pd.DataFrame({"file": [], "label": [], "group": []})
    return plot_composition(images, lost, **STUDY, match="exact")


def roi_groups(folder):
    return plot_roi_groups([similarities("s1")], **STUDY, roi_groups=ROI_GROUPS)


def tiers(folder):
    one = {"tiers": {"low": ["early"], "high": ["late"]}, "roi_groups": ROI_GROUPS}
    return plot_tiers([similarities("s1")], **STUDY, **one)


FIGURES = {
    "heatmap": heatmap,
    "layer_profile": layer_profile,
    "layer_preference": lambda folder: plot_layer_preference(
        *layer_tables(), **STUDY, resample="within_groups"
    ),
    "variance_partition": lambda folder: plot_variance_partition(
        shares(), **STUDY, resample="images"
    ),
    "noise_ceiling": lambda folder: plot_noise_ceiling(ceilings(), **STUDY),
    "radar": lambda folder: plot_radar(similarities("s1"), **STUDY),
    "surface": lambda folder: plot_surface(similarities("s1"), **STUDY),
    "rdms": lambda folder: plot_rdms(*stores(folder), **STUDY),
    "roi_groups": roi_groups,
    "tiers": tiers,
    "composition": composition,
    "whole_composition": whole_composition,
    "encoding": encoding,
    "too_few_to_encode": too_few_to_encode,
}


@pytest.mark.parametrize("name", FIGURES)
def test_figure_and_caption_name_what_is_compared(name, tmp_path):
    figure, caption = FIGURES[name](tmp_path)
    texts = [text.get_text() for text in figure.findobj(Text)]
    assert f"n = {N} categories" in caption
    assert any("categories" in text for text in texts)
    assert not IMAGES.search("\n".join([caption, *texts]))


@pytest.mark.parametrize("resample", DRAWN)
def test_caption_says_what_resamples_and_permutations_draw(resample, tmp_path):
    _, caption = heatmap(tmp_path, resample)
    assert "99 permutations of the categories within their group" in caption
    ends = {
        "images": "over categories, bootstrap",
        "within_groups": "over categories, drawn within their groups, bootstrap",
        "groups": "over categories, drawn in whole groups, bootstrap",
    }
    assert f"Lines: 95 % intervals {ends[resample]} with 100 resamples." in caption


@pytest.mark.parametrize(("permuted", "what"), PERMUTED.items())
def test_caption_says_what_was_permuted(permuted, what, tmp_path):
    _, caption = heatmap(tmp_path, permuted=permuted)
    assert f"99 permutations of {what.format(called='categories')}; Benjamini" in caption


@pytest.mark.parametrize("n_subjects", [1, 2])
def test_layers_of_one_subject_are_called_a_single_case(n_subjects):
    tables = [similarities(subject) for subject in SUBJECTS[:n_subjects]]
    ceiling = ceilings() if n_subjects > 1 else None
    figure, caption = plot_layer_profile(
        tables, ceiling, **STUDY, ordered=["net"], resample="images"
    )
    words = f"{figure.get_suptitle()} {caption}"
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    alone = n_subjects == 1
    assert words.count("subject s1, a single case") == 2 * alone
    assert ("nothing is claimed about others" in caption) == alone
    assert ("their mean (n = 2)" in caption) != alone
    lines = {"the subject"} if alone else {"single subjects", "mean of subjects", "noise ceiling"}
    assert legend == lines


@pytest.mark.parametrize(("subject", "is_single"), [("s1", True), ("joint", False)])
def test_heatmap_of_a_subject_is_called_a_single_case(subject, is_single):
    _, caption = plot_heatmap(
        similarities(subject),
        **STUDY,
        alpha=0.05,
        permuted="images",
        resample="images",
        roi_groups=ROI_GROUPS,
    )
    said = "subject s1, a single case, which says nothing about other subjects; n = 8 categories"
    assert (said in caption) == is_single
    assert ("single case" in caption) == is_single


def test_explorer_names_what_is_compared(tmp_path):
    template = (ROOT / "workflow/report/explorer.html").read_text()
    page = explorer_page(
        template.replace("__PLOTLY__", ""),
        similarities("s1"),
        *stores(tmp_path),
        labels=NAMES,
        stimuli=None,
        **STUDY,
    )
    assert "8 categories, sorted by group." in page
    assert "which two categories a point compares" in page
    assert '"called": "categories"' in page
    # An element of the page that shows a stimulus is an image, whatever it is called.
    prose = re.sub(r"data:image|const image\b|\bimage\.(src|alt)|unshift\(image\)", "", page)
    assert not IMAGES.search(prose)


# These tell of runs and of whole studies.
OF_RUNS = ("provenance", "cost_table", "methods", "scorecard", "figure")


def captions_of_tables():
    """Return the templates that the rules of three stages give their tables and pages."""
    rules = "".join(
        (STAGES / f"{stage}.smk").read_text() for stage in ("compare", "infer", "report")
    )
    found = dict.fromkeys(re.findall(r'caption="\.\./\.\./report/(\w+)\.rst"', rules))
    return [name for name in found if name not in OF_RUNS]


@pytest.mark.parametrize("name", captions_of_tables())
@pytest.mark.parametrize("resample", DRAWN)
def test_caption_of_a_table_names_what_is_compared(name, resample):
    params = {
        "resample": resample,
        "simulated": True,
        "permuted": resample,
        "n_folds": 5,
        "n_permutations": 99,
        "comparator": "pearson",
        "controls": ["pixel"],
        "partition": ["pixel", "net"],
    }
    template = (ROOT / "workflow/report" / f"{name}.rst").read_text()
    text = jinja2.Template(template, undefined=jinja2.StrictUndefined).render(
        snakemake=SimpleNamespace(
            params=SimpleNamespace(**params),
            wildcards=SimpleNamespace(study="lab"),
            config={"rsa": {"lab": {"images": {"called": "categories"}}}},
        )
    )
    assert "categories" in text
    assert not IMAGES.search(text)


def test_studies_compare_images_unless_they_say_otherwise():
    studies = complete_config(copy.deepcopy(default_config()))["rsa"]
    assert studies["bold5000"]["images"]["called"] == "images"
    assert studies["haxby_slice"]["images"]["called"] == "categories"


@pytest.mark.parametrize("called", ["", "a|b", "*bold*", 8])
def test_name_that_a_caption_cannot_hold_is_refused(called):
    config = copy.deepcopy(default_config())
    config["rsa"]["haxby_slice"]["images"]["called"] = called
    with pytest.raises(InputError, match=r"rsa\.haxby_slice\.images\.called"):
        complete_config(config)
