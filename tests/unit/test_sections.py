"""Sections of the config: a record each, raw files of all of them, and names that they share."""

import copy
import importlib
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from workflow.lib.acquire.datasets import load_datasets
from workflow.lib.config.complete import complete_config, entries_of, made_conditions
from workflow.lib.config.sections import Section, sections, study_sections
from workflow.lib.errors import InputError

ROOT = Path(__file__).parents[2]
DEFAULT = yaml.safe_load((ROOT / "config/config.yaml").read_text())
REGISTRY = load_datasets(ROOT / "config/datasets.yaml")


@pytest.fixture(scope="module")
def config():
    return complete_config(copy.deepcopy(DEFAULT))


def test_every_schema_has_a_record_of_its_name():
    schemas = (ROOT / "workflow/schemas/studies").glob("*.schema.yaml")
    names = {file.name.removesuffix(".schema.yaml") for file in schemas}
    assert set(sections()) == {"rsa", *names}
    assert all(section.name == name for name, section in sections().items())
    # Calibration and bold5000 are there once; stand-ins add to a study of `rsa`.
    assert {"rsa", "digits", "dissimilarity", "emotions"} <= set(study_sections())
    assert not {"calibration", "bold5000", "stand_ins"} & set(study_sections())
    assert next(iter(study_sections())) == "rsa"


@pytest.mark.parametrize("section", study_sections().values(), ids=list(study_sections()))
def test_every_section_of_studies_checks_its_entries_and_names_their_files(section, config):
    checker = section.checker or f"scripts.{section.name}.check_entry"
    assert importlib.util.find_spec(checker), f"make check finds no {checker}"
    for entry in config[section.name].values():
        for path in section.raw_paths(entry, REGISTRY, "run"):
            assert isinstance(path, str)
            assert "{" not in path
            # What a run simulates lies in the run's own folder.
            if path.startswith("resources/simulated/"):
                assert path.startswith("resources/simulated/run/")
        for block in section.dataset_blocks(entry):
            assert {"source", "dataset"} <= set(block)


def test_files_of_a_simulated_movie_are_those_of_its_subjects_runs_and_observers(config):
    entry = config["emotions"]["movie"]
    paths = study_sections()["emotions"].raw_paths(entry, REGISTRY, "run")
    n_subjects, n_runs = len(entry["subjects"]), len(entry["runs"])
    runs = [path for path in paths if "_bold" in path]
    assert len(runs) == n_subjects * n_runs
    assert len(set(paths)) == len(paths)


def test_networks_whose_weights_are_fetched_are_named(config):
    entry = copy.deepcopy(config["digits"]["digits"])
    networks = study_sections()["digits"].torchvision_networks
    entry["network"].update(size="vgg16", weights="torchvision")
    assert networks(entry) == ["vgg16"]
    entry["network"]["weights"] = "untrained"
    assert networks(entry) == []


def test_made_models_know_the_conditions_of_the_section_that_makes_them(config):
    categories = [
        name for names in DEFAULT["digits"]["digits"]["categories"].values() for name in names
    ]
    assert made_conditions(config, "digits") == {"digits.digits.categories": categories}
    pictures = DEFAULT["stand_ins"]["haxby_stand_ins"]
    expected = [*pictures["pictures"], *filter(None, [pictures.get("scrambled")])]
    assert made_conditions(config, "haxby_stand_ins") == {
        "stand_ins.haxby_stand_ins.pictures": expected
    }
    assert made_conditions(config, "bold5000") == {}


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("digits", "digits", "dissimilarity"),
        ("digits", "rsa", "emotions"),
        ("scenes", "dissimilarity", "emotions"),
    ],
)
def test_a_name_stands_in_two_sections_only_where_they_share_it(name, first, second):
    config = copy.deepcopy(DEFAULT)
    entry = next(iter(config[second].values()))
    config[second][name] = entry
    with pytest.raises(InputError, match=rf"{second}\.{name}: .* in `{first}`.* name of its own"):
        complete_config(config)


@pytest.mark.parametrize("section", study_sections())
@pytest.mark.parametrize("name", ["logs", "benchmarks", "calibration", "no folder"])
def test_no_study_has_the_name_of_a_folder_of_the_run(section, name):
    config = copy.deepcopy(DEFAULT)
    config[section][name] = next(iter(config[section].values()))
    with pytest.raises(InputError, match=rf"config, {section}: found '{name}', expected"):
        complete_config(config)


def test_simulators_are_those_of_the_rules_of_studies():
    """Each has a file that says what it writes, and rules of its name that take its folders."""
    files = (ROOT / "workflow/schemas/simulators").glob("*.yaml")
    names = {file.stem for file in files}
    rules = (ROOT / "workflow/rules/studies").rglob("*.smk")
    texts = "".join(file.read_text() for file in rules)
    assert names == set(re.findall(r'simulations\("(\w+)"\)', texts))
    config = copy.deepcopy(DEFAULT)
    config["rsa"]["objects"]["simulation"]["simulator"] = "object"
    with pytest.raises(InputError, match=r"simulator: found 'object'.*did you mean 'objects'"):
        complete_config(config)


def test_no_two_rule_files_bind_one_name():
    """They share one namespace, in which a rule may get what a later file calls so."""
    files = [ROOT / "Snakefile", *(ROOT / "workflow/rules").rglob("*.smk")]
    bound = Counter(
        name
        for file in files
        for names in re.findall(r"^(?:def|class) (\w+)|^(\w+)(?:: .*)? = ", file.read_text(), re.M)
        for name in filter(None, names)
    )
    assert {"STUDIES", "is_given_gpu"} <= set(bound), "names are not found"
    assert [name for name, count in bound.items() if count > 1] == []


def test_networks_and_models_of_pairs_share_names_with_studies_of_rsa(config):
    assert set(entries_of(config, "digits")) == {"rsa", "digits"}
    assert set(entries_of(config, "images92")) == {"rsa", "dissimilarity"}
    rsa, digits, emotions = (study_sections()[name] for name in ("rsa", "digits", "emotions"))
    assert rsa.may_share_names(digits)
    assert digits.may_share_names(rsa)
    assert not rsa.may_share_names(emotions)


def test_a_schema_without_a_module_asks_for_nothing():
    plain = Section("plain")
    assert plain.raw_paths({}, REGISTRY, "run") == []
    assert plain.dataset_blocks({}) == plain.torchvision_networks({}) == []
    assert not plain.may_share_names(Section("other"))
