"""Methods are true of the config and its tables, and what they cite is in the bibliography."""

import copy
import importlib
import re
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from scripts.report.write_methods import described, page, read_tables
from tests.unit.test_environments import third_party_imports
from workflow.lib.acquire.datasets import load_datasets
from workflow.lib.config.complete import complete_config
from workflow.lib.config.merging import laid_over
from workflow.lib.config.pair_options import default_option
from workflow.lib.config.sections import study_sections
from workflow.lib.digest import imported_modules, module_file
from workflow.lib.errors import InputError
from workflow.lib.inference.held_out_null import WIDENING
from workflow.lib.methods import (
    cited_network,
    counted,
    enumerated,
    merged_paragraphs,
    methods_text,
    only,
    package_versions,
    software_sentences,
)
from workflow.lib.references import cited_keys, read_bibliography, with_citations

ROOT = Path(__file__).parents[2]
BIBLIOGRAPHY = ROOT / "config/references.bib"
MODULES = sorted((ROOT / "scripts").glob("*/methods.py"))
RSA = pd.DataFrame(
    {
        **{"comparator": "spearman", "se": [0.1, 0.2], "se_bootstrap": [0.1, 0.2]},
        **{"n_bootstrap": 400},
        **{"n_permutations": 700, "n_images": 239, "n_pairs": 28441},
    }
)
DECODING = pd.DataFrame({"n_times": [57, 60], "n_volumes": [171, 180], "n_shifts": [0, 333]})
EMOTIONS = pd.DataFrame({"comparator": ["spearman"] * 2, "n_orders": 120, "complete": True})
SCORES = pd.DataFrame(
    {
        **{"subject": ["subj01", "subj02"], "roi": "V1", "n_images": [140, 160]},
        **{"split": ["clean", "leaked"], "measure": "r2", "model": "ridge"},
        **{"value": [0.2, 0.3]},
    }
)
DISTANCES = pd.DataFrame(
    {
        **{"distance": ["correlation", "cosine"], "n_permutations": 444},
        **{"n_images": [150, 160], "n_resamples": 300},
    }
)
ACCURACY = pd.DataFrame(
    {"level": ["all"], "n": [400], "n_correct": [362], "accuracy": 0.905, "low": 0.87, "high": 0.93}
)
DECODERS = pd.DataFrame({"part": ["training", "natural"], "n_images": [240, 40]})
RECONSTRUCTIONS = pd.DataFrame({"measure": ["pixel_correlation", "identification"]})
TABLES = {
    "rsa": {"rsa": RSA},
    "digits": {"accuracy": ACCURACY},
    "dissimilarity": {"scores": SCORES},
    "emotions": {"decoding": DECODING, "rsa": EMOTIONS},
    "reconstruction": {"decoders": DECODERS, "reconstructions": RECONSTRUCTIONS},
}
STUDIES = {
    "rsa": "bold5000",
    "digits": "digits",
    "dissimilarity": "scenes",
    "emotions": "movie",
    "reconstruction": "pictures",
}


@pytest.fixture(scope="module")
def default():
    return complete_config(yaml.safe_load((ROOT / "config/config.yaml").read_text()))


def changed(block, path, value):
    """Return a copy of a block with another value at keys joined by dots."""
    result = copy.deepcopy(block)
    *outer, last = path.split(".")
    inner = result
    for key in outer:
        inner = inner[key]
    inner[last] = value
    return result


def told(section, entry, **more):
    """Return the sentences of a section as one text, with its citations."""
    tables = {section: TABLES[section] | more}
    paragraphs = merged_paragraphs(described({section: entry}, tables))
    text = " ".join(sentence for sentences in paragraphs.values() for sentence in sentences)
    assert not re.search(r"\bnan\b|None|\{|\}", text), text
    return text


def test_every_section_of_studies_tells_what_it_did():
    assert {file.parent.name for file in MODULES} == set(study_sections())


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.parent.name)
def test_modules_need_no_more_than_their_rule_declares(file):
    declared = yaml.safe_load((ROOT / "envs/rsa.yaml").read_text())["dependencies"]
    packages = {re.match(r"[\w-]+", line)[0] for line in declared if isinstance(line, str)}
    files = [file, *map(module_file, imported_modules(file))]
    needed = {name for each in files for name in third_party_imports(each)}
    names = {"yaml": "pyyaml", "sklearn": "scikit-learn"}
    assert {names.get(name, name) for name in needed} <= packages


def test_every_key_that_is_cited_is_in_the_bibliography_and_no_entry_is_idle():
    known = read_bibliography(BIBLIOGRAPHY)
    texts = [file.read_text() for file in (*MODULES, ROOT / "workflow/lib/methods.py")]
    cited = {*cited_keys(texts), *importlib.import_module("workflow.lib.methods").CITED.values()}
    cited |= set(importlib.import_module("workflow.lib.methods").NETWORKS.values())
    registry = load_datasets(ROOT / "config/datasets.yaml")
    cited |= {dataset.reference for dataset in registry.values()} - {None}
    # The form itself, in a docstring.
    assert cited - {"key"} == set(known)


def test_references_have_an_address_or_a_reason():
    """Older papers have no DOI."""
    without = [key for key, entry in read_bibliography(BIBLIOGRAPHY).items() if not entry.address()]
    assert without == ["mantel1967"]
    dois = [entry.fields.get("doi", "10.1/x") for entry in read_bibliography(BIBLIOGRAPHY).values()]
    assert all(re.fullmatch(r"10\.\d{1,5}/\S+", doi) for doi in dois)


def test_reference_as_lists_and_texts_have_it():
    known = read_bibliography(BIBLIOGRAPHY)
    assert known["benjamini1995"].formatted() == (
        "Benjamini, Y., Hochberg, Y. (1995). Controlling the false discovery rate: a practical and "
        "powerful approach to multiple testing. Journal of the Royal Statistical Society: Series B "
        "57(1), 289-300. https://doi.org/10.1111/j.2517-6161.1995.tb02031.x"
    )
    text = with_citations("Tested [@mantel1967; @benjamini1995] as others [@nili2014].", known)
    assert (
        text == "Tested (Mantel, 1967; Benjamini & Hochberg, 1995) as others (Nili et al., 2014)."
    )


def test_references_are_listed_by_name_whatever_its_case():
    known = read_bibliography(BIBLIOGRAPHY)
    text = methods_text(
        "x", {"A": ["[@walther2016; @vandermaaten2008; @benjamini1995]"]}, known, simulated=False
    )
    listed = [line.split(",")[0] for line in text.splitlines() if line.startswith("- ")]
    assert listed == ["- Benjamini", "- van der Maaten", "- Walther"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("@article{a,\n  author = {A, B},\n  year = {1},\n}\n", "no title"),
        ("@misc{a,\n  author = Alone,\n}\n", "a field per line"),
        ("@misc{a,\n  author = {A},\n  year = {1},\n  title = {T},\n}\n" * 2, "a second entry"),
    ],
)
def test_faulty_bibliography_is_refused(tmp_path, text, sentence):
    file = tmp_path / "references.bib"
    file.write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_bibliography(file)


def test_key_that_is_not_there_is_refused():
    with pytest.raises(InputError, match=r"no entry 'nili2041'.*did you mean 'nili2014'"):
        with_citations("Ceilings [@nili2041].", read_bibliography(BIBLIOGRAPHY))


# Numbers are those of the tables.


@pytest.mark.parametrize(
    ("section", "number"),
    [
        ("rsa", "239 images (28,441 pairs)"),
        ("rsa", "700 permutations of the images"),
        ("rsa", "400 resamples"),
        ("digits", "362 of 400 validation images right (90.5 %"),
        ("dissimilarity", "140 to 160 images each"),
        ("emotions", "60 labelled moments and 180 labelled volumes"),
        ("emotions", "333 circular shifts"),
        ("emotions", "120 permutations of the emotion labels, all there are"),
        ("reconstruction", "240 images (training)"),
    ],
)
def test_numbers_are_those_of_the_tables(default, section, number):
    assert number in told(section, entry_of(default, section))


def entry_of(config, section):
    if section == "reconstruction":
        tiny = yaml.safe_load((ROOT / "config/tiny.yaml").read_text())
        return complete_config({"run": "x", "studies": ["pictures"], **only_section(tiny)})[
            "reconstruction"
        ]["pictures"]
    return config[section][STUDIES[section]]


def only_section(config):
    return {"reconstruction": config["reconstruction"]}


# Sentences follow the config, and what it switches off is not told.


@pytest.mark.parametrize(
    ("section", "key", "value", "gone", "come"),
    [
        ("rsa", "inference.cross_validation", 0, "(5 folds)", ""),
        ("rsa", "inference.within_groups", True, "", "within their groups"),
        ("rsa", "inference.resample", "groups", "", "of whole groups of images, those of one"),
        ("rsa", "inference.alpha", 0.01, "q < 0.05", "q < 0.01"),
        ("rsa", "controls", [], "taken out", ""),
        ("rsa", "comparators", ["cosine_cov"], "Pearson's r", "the whitened cosine"),
        ("rsa", "joint", "standardised", "", "z-scored dissimilarities"),
        ("rsa", "source", "mirror", "were simulated", "were taken"),
        ("rsa", "simulation.null_effect", True, "", "nothing to do with any model (null)"),
        ("rsa", "images.called", "objects", "239 images", "239 objects"),
        ("rsa", "images.match", "exact", "without folder", "equal names"),
        ("digits", "network.weight_decay", 0, "weight decay", ""),
        ("digits", "network.n_epochs", 77, "12 epochs", "77 epochs"),
        ("digits", "images.stimuli", 0, "that participants saw", "not to be had"),
        ("digits", "layer_rdms.metric", "correlation", "1 - cosine", "1 - Pearson's r"),
        ("digits", "codes", {}, "Perception codes", ""),
        ("digits", "source", "mirror", "Simulated images", "Images of 16 categories"),
        ("dissimilarity", "labels.standardise", "none", "standardising each vertex", ""),
        ("dissimilarity", "labels.standardise", "all", "", "test images too, as published"),
        ("dissimilarity", "splits.leaked", "random_pairs", "the same test pairs", "at random"),
        ("dissimilarity", "metrics", ["euclidean"], "1 - Pearson's r", "measured by the Euc"),
        ("dissimilarity", "n_components", None, "principal components", "features as they are"),
        ("dissimilarity", "splits.n_training_images", [], "30, 60", ""),
        ("dissimilarity", "inference.n_permutations", 4321, "299", "4,321 permutations"),
        ("emotions", "labels.lag", 0, "later", ""),
        ("emotions", "labels.lag", 3, "2 volumes (4 s)", "3 volumes (6 s)"),
        ("emotions", "labels.rule", "original", "in any character", "last row that covers it"),
        ("emotions", "labels.timing", "cumulative", "unsegmented", "ignores their overlap"),
        ("emotions", "labels.drop_overlap", 0, "inner side", ""),
        ("emotions", "splits.names", ["run"], "leaked", "splits that hold out runs"),
        ("emotions", "inference.n_refits", 20, "", "shifted 20 times"),
        ("emotions", "volumes.detrend", False, "detrended", "were standardised within runs"),
        ("emotions", "simulation.null_effect", True, "", "nothing to do with emotions (null)"),
        ("emotions", "volumes.confounds", None, "six parameters of motion", ""),
        ("emotions", "stimulus", "shown.csv", "", "measures of what is shown"),
        ("emotions", "rsa.rois", None, "all voxels, threat, pleasure and", "in all voxels."),
        ("emotions", "models.cnn.training.n_epochs", 77, "up to 5 epochs", "up to 77 epochs"),
        ("emotions", "models.cnn.training.noise", 0, "standard deviation of 2 added", ""),
        ("reconstruction", "shapes.network.training.n_epochs", 77, "", "up to 77 epochs"),
        ("reconstruction", "shapes.early.ridge.alphas", [5], "penalty 10 or 1000, chosen", "y 5)"),
        ("reconstruction", "semantics.linear.logistic.C", [3], "C 0.01 or 0.1, chosen", "C 3)"),
        ("reconstruction", "generator.n_epochs", 77, "", "for 77 epochs"),
        ("reconstruction", "generator.perceptual_weight", 2, "", "and perceptual (weight 2)"),
        ("reconstruction", "folds.validation_share", 0, "weights of the epoch of least loss", ""),
        ("reconstruction", "generators", {}, "U-Net", ""),
        ("reconstruction", "image.blur", 2.5, "deviation of 1 px", "deviation of 2.5 px"),
        (
            "reconstruction",
            "shapes.early.trials",
            True,
            "early (ridge regression, learned from means",
            "early (ridge regression, learned from single",
        ),
        ("reconstruction", "semantics", {}, "k-means", ""),
        ("reconstruction", "image.matte", False, "without ground", "with its ground"),
        ("reconstruction", "evaluation.n_permutations", 4321, " 50 perm", "4,321 permutations"),
        ("reconstruction", "simulation.streams", [], "responses tell", "the null"),
    ],
)
def test_text_follows_the_config(default, section, key, value, gone, come):
    entry = entry_of(default, section)
    before, after = told(section, entry), told(section, changed(entry, key, value))
    assert gone in before
    assert come in after
    assert not gone or gone not in after
    assert not come or come not in before


@pytest.mark.parametrize(
    ("model", "option", "value", "come"),
    [
        ("mlp", "n_epochs", 77, "77 epochs of 10 batches of 512 pairs"),
        ("siamese", "correlation_share", 0.25, "0.75 of the mean squared error less 0.25"),
        ("siamese", "n_steps", None, "3 epochs of batches of 256 pairs"),
        ("contrastive", "temperature", 0.7, "temperature 0.7"),
        ("contrastive", "patience", 4, "stopped after 4 epochs"),
    ],
)
def test_training_of_networks_of_pairs_is_told(default, model, option, value, come):
    entry = default["dissimilarity"]["scenes"]
    scores = pd.concat([SCORES, SCORES.assign(model=model)])
    before = told("dissimilarity", entry, scores=scores)
    assert f"{model} was trained by AdamW" in before
    assert come not in before
    after = changed(entry, f"models.{model}.options.{option}", value)
    assert come in told("dissimilarity", after, scores=scores)


@pytest.mark.parametrize("kind", ["contrastive", "pair_mlp", "siamese"])
def test_what_is_told_of_training_without_options_is_what_networks_do(kind):
    """The dataclass itself, with torch, against what is read of it without."""
    model = importlib.import_module(f"scripts.dissimilarity.models.{kind}").Model()
    options = ("n_epochs", "batch", "learning_rate", "weight_decay", "patience", "n_steps")
    for option in (*options, "dropout"):
        assert default_option(kind, option) == getattr(model, option)


def test_choices_of_penalties_are_told_of_the_models_that_have_them(default):
    names = ["ridge", "encode", "additive", "svr", "mahalanobis"]
    entry = copy.deepcopy(default["dissimilarity"]["scenes"])
    entry["models"] |= {name: {**entry["models"]["ridge"], "kind": name} for name in names}
    scores = pd.concat([SCORES.assign(model=name) for name in names])
    text = told("dissimilarity", entry, scores=scores)
    assert "penalty (ridge and mahalanobis) was that of least squared error on validation" in text
    assert "cost of errors (svr)" in text
    assert "penalty (encode) was that of least squared error on pairs of training images" in text
    assert "(additive)" not in text


def test_folds_are_told_of_where_training_images_were_scored(default):
    entry = entry_of(default, "reconstruction")
    assert "compared with images of its fold alone" in told("reconstruction", entry)
    tests_alone = told("reconstruction", entry, decoders=DECODERS[DECODERS["part"] != "training"])
    assert "of its fold alone" not in tests_alone


def test_methods_say_that_generators_are_trained_once(default):
    """Intervals over images hold no other training; without generators there is none."""
    entry = entry_of(default, "reconstruction")
    assert "Every generator was trained once for each subject" in told("reconstruction", entry)
    decoders_alone = {"reconstruction": {"decoders": DECODERS}}
    said = merged_paragraphs(described({"reconstruction": entry}, decoders_alone))
    assert "trained once" not in str(said)


def test_models_that_could_not_be_fitted_are_not_told(default):
    """Without responses, images cannot be encoded."""
    scores = pd.concat([SCORES, SCORES.assign(model="encode", value=np.nan)])
    text = told("dissimilarity", default["dissimilarity"]["scenes"], scores=scores)
    assert "predicted by ridge (ridge regression" in text
    assert "encode" not in text


@pytest.mark.parametrize("name", ["config", "full"])
def test_every_entry_that_is_shipped_is_told(default, name):
    shipped = default
    if name != "config":
        files = [
            yaml.safe_load((ROOT / f"config/{file}.yaml").read_text()) for file in ("config", name)
        ]
        shipped = complete_config(laid_over(*files))
    for section in study_sections():
        for entry in shipped[section].values():
            assert len(told(section, entry)) > 300
    images = told("rsa", shipped["rsa"]["images92"])
    assert "Each subject has 2 sessions; their mean and each by itself were compared." in images
    assert "averaged over 16 members" in images


def test_corrections_of_p_are_told_where_there_are_tests(default):
    """Six subjects can be tested by sign flips, and maps of fewer have no p."""
    rois = pd.DataFrame({"n_subjects": [8], "p_max": [0.02]})
    digits = default["digits"]["digits"]
    assert "corrected over codes and layers" in told("digits", digits, rois=rois)
    assert "sign flips" not in told("digits", digits, rois=rois.assign(p_max=np.nan))
    movie = default["emotions"]["movie"]
    assert "4 subjects are too few for a test over them" in told("emotions", movie)
    many = changed(movie, "subjects", [f"{n:02}" for n in range(1, 8)])
    assert "every cube of 3 voxels corrected by the largest t" in told("emotions", many)
    assert "not corrected for the number of models, splits" in told("emotions", movie)
    scenes = default["dissimilarity"]["scenes"]
    assert "(correlation and cosine)" in told("dissimilarity", scenes, distances=DISTANCES)
    assert "444 permutations" in told("dissimilarity", scenes, distances=DISTANCES)
    assert "false discovery" not in told("dissimilarity", scenes)


@pytest.mark.parametrize(("n_images", "linearised"), [(1000, ()), (1001, ("spearman",))])
def test_intervals_of_raw_distances_are_told_as_they_are_computed(
    default, monkeypatch, n_images, linearised
):
    """Which comparators are resampled is asked of the code that resamples them."""
    found = []
    module = "scripts.dissimilarity.evaluation.compare_raw_distances"
    for name in ("bootstrap_similarities", "image_influence"):
        monkeypatch.setattr(f"{module}.{name}", lambda *_, name=name, **__: found.append(name))
    for name in ("one_factor_variance", "standard_error"):
        monkeypatch.setattr(f"{module}.{name}", lambda *_: 0.0)
    compared = importlib.import_module(module)
    counts = np.ones((300, n_images), np.int64)
    ways = {}
    for comparator in compared.COLUMNS:
        compared.image_variance(None, None, comparator, counts)
        ways[comparator] = found.pop()
    assert tuple(name for name, way in ways.items() if way == "image_influence") == linearised
    text = told(
        "dissimilarity",
        default["dissimilarity"]["scenes"],
        distances=DISTANCES.assign(n_images=n_images),
    )
    assert "are by resampling images (300 resamples)" in text
    of_ranks = "those of Spearman's rho beyond 1,000 images by the infinitesimal jackknife"
    assert (of_ranks in text) == bool(linearised)


def test_nulls_that_are_widened_for_folds_are_told(default):
    """The factor is that of the code, and without a test nothing is said of a null."""
    assert pytest.approx(2**0.5) == WIDENING
    scenes = told("dissimilarity", default["dissimilarity"]["scenes"])
    assert "that other folds test, the null was taken √2 times as wide" in scenes
    movie = default["emotions"]["movie"]
    assert "taken √2 times as wide, around the mean of shifts by any" in told("emotions", movie)
    untested = told("emotions", movie, decoding=DECODING.assign(n_shifts=0))
    assert "√2" not in untested


@pytest.mark.parametrize(
    ("section", "dataset", "key"),
    [
        ("emotions", "studyforrest", "hanke2016"),
        ("reconstruction", "deeprecon", "shen2019"),
    ],
)
def test_measured_data_is_cited_and_simulated_is_not(default, section, dataset, key):
    entry = changed(entry_of(default, section), "dataset", dataset)
    assert f"@{key}" in told(section, changed(entry, "source", "download"))
    assert f"@{key}" not in told(section, changed(entry, "source", "simulated"))


def test_networks_are_told_with_who_made_them(default):
    scenes = told("dissimilarity", default["dissimilarity"]["scenes"])
    assert "features.6 of squeezenet1_1 [@iandola2016]" in scenes
    assert cited_network("convnext_tiny") == "convnext_tiny"


def test_without_a_test_none_is_told(default):
    table = RSA.assign(n_permutations=0)
    text = told("rsa", default["rsa"]["bold5000"], rsa=table)
    assert "No cell was tested against zero." in text
    assert "Mantel" not in text
    shifts = DECODING.assign(n_shifts=0)
    assert "circular" not in told("emotions", default["emotions"]["movie"], decoding=shifts)


def intervals_told(entry, **comparators):
    """The sentence of intervals, of comparators whose se_bootstrap and n_bootstrap are given."""
    parts = [
        RSA.assign(comparator=name.replace("_a", "-a"), se_bootstrap=se, n_bootstrap=n)
        for name, (se, n) in comparators.items()
    ]
    text = told("rsa", entry, rsa=pd.concat(parts, ignore_index=True))
    return re.search(r"95 % intervals are over images, [^.]*\.", text)[0]


def test_intervals_are_told_with_how_those_of_each_comparator_were_found(default):
    entry = default["rsa"]["bold5000"]
    drawn, checked, none = ([0.1, 0.2], 400), ([0.11, 0.19], 100), (np.nan, 0)
    bootstrap = "by the bootstrap with 400 resamples (images drawn with replacement)"
    jackknife = "by the infinitesimal jackknife"
    start = "95 % intervals are over images,"
    assert intervals_told(entry, pearson=drawn, spearman=drawn) == f"{start} {bootstrap}."
    # Beyond 1,000 images nothing of ranks is drawn that intervals are from.
    assert intervals_told(entry, spearman=checked, rho_a=checked) == f"{start} {jackknife}."
    assert intervals_told(entry, pearson=drawn, spearman=checked, corr_cov=none) == (
        f"{start} {bootstrap} for Pearson's r and {jackknife} for Spearman's rho and the whitened "
        "Pearson correlation."
    )
    grouped = changed(entry, "inference.resample", "groups")
    assert f"{jackknife} over whole groups." in intervals_told(grouped, tau_a=none)


def test_subjects_are_tested_where_they_are_enough(default):
    group = pd.DataFrame({"n_subjects": [3], "p_subjects": [np.nan]})
    entry = default["rsa"]["bold5000"]
    assert "too few for a test over them" in told("rsa", entry, group=group)
    many = group.assign(n_subjects=8, p_subjects=0.01)
    text = told("rsa", entry, group=many)
    assert "sign flips" in text
    assert "too few" not in text
    assert "new stimuli" not in told("rsa", entry)


def test_areas_are_told_of_what_one_decoder_scored(default):
    assert "computed within runs and folds and" in told("emotions", default["emotions"]["movie"])


def test_orders_that_were_drawn_are_told_without_their_own(default):
    drawn = EMOTIONS.assign(n_orders=1001, complete=False)
    text = told("emotions", default["emotions"]["movie"], rsa=drawn)
    assert "tested one-sided by 1,000 permutations of the emotion labels;" in text


def test_maps_are_told_with_the_tests_that_were_run(default):
    entry = default["rsa"]["digits"]
    maps = pd.DataFrame({"n_pairs": [120], "n_permutations": 256})
    flips = pd.DataFrame({"n_flips": [64], "complete": True, "n_subjects": 6})
    text = told("rsa", entry, searchlight=maps, searchlight_group=flips)
    assert "256 permutations of the categories" in text
    assert "64 sign flips of subjects, all there are" in text
    untested = told("rsa", entry, searchlight=maps.assign(n_permutations=0))
    assert "sphere" in untested
    assert "permutations of the conditions" not in untested


# The whole.


def test_simulated_data_is_called_simulated_and_lists_hold_what_is_cited():
    known = read_bibliography(BIBLIOGRAPHY)
    said = {"Data": ["Ceilings [@nili2014]."], "Software": ["numpy [@harris2020]."]}
    data = ["BOLD5000: Chang et al."]
    text = methods_text("A study", said, known, simulated=True, data=data)
    assert text.startswith("# Methods: A study\n\nSimulated data. No person took part")
    assert text.count("https://doi.org/") == 2
    assert text.index("Harris, C. R.") < text.index("Nili, H.")
    assert text.rstrip().endswith("- BOLD5000: Chang et al.")
    assert "imulated" not in methods_text("A study", said, known, simulated=False)
    shown = page(text, "Methods: A study")
    assert '<a href="https://doi.org/10.1371/journal.pcbi.1003553">' in shown
    assert "<b>Data.</b> Ceilings (Nili et al., 2014)." in shown
    assert shown.count("<li>") == 3


def test_papers_on_data_sets_are_listed_with_all_others():
    known = read_bibliography(BIBLIOGRAPHY)
    registry = load_datasets(ROOT / "config/datasets.yaml")
    data = [f"Responses. [@{registry['bold5000'].reference}]"]
    text = methods_text("A study", {}, known, simulated=False, data=data)
    assert text.rstrip().endswith("- Responses. (Chang et al., 2019)")
    assert "- Chang, N." in text


def test_versions_are_those_installed_or_those_pinned():
    pins = "no-such-package==4.5.6\nnumpy==0.0.1\n"
    versions = package_versions(["numpy", "no-such-package"], pins)
    assert versions == {"numpy": np.__version__, "no-such-package": "4.5.6"}
    cited = "title: A workflow\nversion: 1.2.3\n"
    _, first, second = software_sentences("3.11.7", versions, 20260, citation=cited)
    assert f"numpy {np.__version__} [@harris2020] and no-such-package 4.5.6" in first
    assert "the seed 20260" in second


def test_software_names_the_workflow_as_it_asks_to_be_cited():
    """By the lines of the file that a reader of YAML finds there, and those of package data."""
    text = (ROOT / "CITATION.cff").read_text()
    citation = yaml.safe_load(text)
    first, *_ = software_sentences("3.11.7", {"numpy": "1"}, 1, citation=text)
    assert f'"{citation["title"]}", version {citation["version"]}' in first
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["version"] == project["version"]
    another = "title: Another\nversion: 7.8.9\nreferences:\n  - title: A paper\n"
    other, *_ = software_sentences("3.11.7", {"numpy": "1"}, 1, citation=another)
    assert '"Another", version 7.8.9' in other


def test_sections_share_paragraphs_and_tables_go_to_their_own(tmp_path):
    file = tmp_path / "rsa.csv"
    RSA.to_csv(file, index=False)
    tables = read_tables({"rsa__rsa": str(file), "bibliography": "x.bib"})
    assert list(tables) == ["rsa"]
    assert only(tables["rsa"]["rsa"]["n_images"]) == 239
    with pytest.raises(ValueError, match="expected one value"):
        only([1, 2])


def test_words():
    assert enumerated(["a"]) == "a"
    assert enumerated(["a", "b", "c"]) == "a, b and c"
    assert counted(1, "subject") == "1 subject"
    assert counted(1200, "category", "categories") == "1,200 categories"
