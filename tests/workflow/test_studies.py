"""A study is deleted, or added, by its own files alone: nothing else notices."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.checkout import REPOSITORY, Checkout
from workflow.lib.config.sections import sections, study_sections

# Modules of workflow/lib that only one study needs, beside those of the name of its section.
OF_STUDY = {
    "dissimilarity": [
        "config/pair_kinds.py",
        "config/pair_options.py",
        "layouts/algonauts2023.py",
    ],
    "digits": ["layouts/digits.py"],
    "emotions": ["layouts/movie.py"],
    "reconstruction": ["layouts/pictures.py"],
}
CONFIGS = ("config", "tiny", "full", "real", "own_data")
# The files of a study without any of another's, as CONTRIBUTING.md lists them.
NEW_STUDY = {
    "workflow/schemas/studies/counting.schema.yaml": """
type: object
default: {}
propertyNames: {$ref: "#/$defs/study_name"}
additionalProperties:
  type: object
  additionalProperties: false
  required: [title, path]
  properties:
    extends: {type: string}
    title: {type: string}
    source: {type: string, default: path}
    path: {type: string}
    n_images: {type: integer, default: 3}
""",
    "workflow/lib/config/counting.py": """
from workflow.lib.config.sections import Section
from workflow.lib.errors import InputError


def check(config):
    for name, entry in config["counting"].items():
        if entry["n_images"] > 5:
            raise InputError(f"config, counting.{name}.n_images: found too many, expected 5")


def raw_paths(entry, datasets, run):
    return [f"{entry['path']}/{i}.png" for i in range(entry["n_images"])]


SECTION = Section("counting", check=check, raw_paths=raw_paths)
""",
    "workflow/rules/studies/counting.smk": """
rule count_images:
    input:
        lambda wildcards: raw_paths(wildcards.study),
    output:
        "<results>/{study}/tables/counts.csv",
    wildcard_constraints:
        study=one_of(config["counting"]),
    resources:
        runtime=minutes(5),
    params:
        n=setting("n_images"),
    script:
        "../../../scripts/counting/count_images.py"


COUNTED = [study for study in STUDIES if study in config["counting"]]
STUDY_TARGETS.append(lambda: [f"<results>/{study}/tables/counts.csv" for study in COUNTED])
TOLD_TABLES["counting"] = lambda study: {"counts": f"<results>/{study}/tables/counts.csv"}
""",
    "scripts/counting/methods.py": """
from workflow.lib.methods import Methods


def describe(entry, tables):
    return Methods({"Counting": [f"We counted {tables['counts']['n'].item()} images [@nili2014]."]})
""",
    "config/counting/claims.csv": """\
claim,statement,published,source,dataset,entry,rule,table,where,how,value,low,high,against
number,There are three pictures,3,a note,,,number,counts,,,n,,,
""",
    "scripts/counting/__init__.py": "",
    "scripts/counting/check_entry.py": """
def check_entry(name, config, datasets):
    print("  counts images")
    return [f"found no {path}" for path in ["nothing.png"]]
""",
    "scripts/counting/count_images.py": """
import sys
from pathlib import Path

if snakemake.resources.runtime < 10:
    sys.exit("stopped by the limit of time")
assert snakemake.params.n == len(snakemake.input)
Path(snakemake.output[0]).write_text(f"n\\n{len(snakemake.input)}\\n")
""",
}


def delete(checkout: Checkout, section: str) -> None:
    """Delete the rules, scripts, schema, library and entries of a study from a copy."""
    rules = checkout.folder / "workflow/rules/studies"
    shutil.rmtree(checkout.folder / "scripts" / section)
    shutil.rmtree(checkout.folder / "config" / section, ignore_errors=True)
    shutil.rmtree(rules / section, ignore_errors=True)
    for file in (
        *rules.glob(f"{section}*.smk"),
        checkout.folder / f"workflow/schemas/studies/{section}.schema.yaml",
        *(checkout.folder / "workflow/lib" / module for module in modules_of(section)),
    ):
        file.unlink()
    # Not every study has a simulator.
    simulator = checkout.folder / f"workflow/schemas/simulators/{section}.yaml"
    simulator.unlink(missing_ok=True)
    for name in CONFIGS:
        file = checkout.folder / f"config/{name}.yaml"
        file.write_text(yaml.safe_dump(without(section, file), sort_keys=False))


def modules_of(section: str) -> list[str]:
    """Return the modules of workflow/lib that only a study needs."""
    library = REPOSITORY / "workflow/lib"
    own = [*library.glob(f"config/{section}.py"), *library.glob(f"config/{section}_*.py")]
    return [*(str(file.relative_to(library)) for file in own), *OF_STUDY.get(section, [])]


def without(section: str, file: Path) -> dict:
    """Return a config without the entries of a section, and what cannot be without them."""
    config = yaml.safe_load(file.read_text())
    default = yaml.safe_load((file.parent / "config.yaml").read_text())
    gone = {*config.pop(section, {}), *default.get(section, {})}
    known = {**default.get("rsa", {}), **config.get("rsa", {})}
    made = {
        name
        for name, entry in known.items()
        if name in gone and any("made" in model for model in entry.get("models", {}).values())
    }
    made |= {name for name in known if section == simulator_of(name, default.get("rsa", {}))}
    config["rsa"] = {
        name: entry for name, entry in config.get("rsa", {}).items() if name not in made
    }
    left = (gone | made) - (set(known) - made)
    config["studies"] = [study for study in config.get("studies", []) if study not in left]
    return config


def simulator_of(name: str, studies: dict) -> str | None:
    """Return what simulates a study of `rsa`, or the one that it extends."""
    entry = studies.get(name, {})
    own = entry.get("simulation", {}).get("simulator")
    return own or (simulator_of(entry["extends"], studies) if "extends" in entry else None)


def mentions(folder: Path, section: str) -> list[str]:
    """Return the rules, scripts and modules that import or include what a study is made of."""
    modules = [
        "workflow.lib." + module.removesuffix(".py").replace("/", ".")
        for module in modules_of(section)
    ]
    names = "|".join(map(re.escape, [*modules, f"scripts.{section}", f"scripts/{section}"]))
    wanted = re.compile(rf"(?:{names})\b|\b{section}(?:_functions)?\.smk")
    files = [folder / "Snakefile"]
    for top in ("workflow", "scripts"):
        files += [*(folder / top).rglob("*.py"), *(folder / top).rglob("*.smk")]
    return [str(file.relative_to(folder)) for file in files if wanted.search(file.read_text())]


@pytest.mark.parametrize("section", [name for name in sections() if name != "rsa"])
def test_deleted_study_leaves_the_others_as_they_are(fresh, section):
    delete(fresh, section)
    assert mentions(fresh.folder, section) == []
    # The default runs every study that is left, and none of the deleted one's jobs.
    jobs = fresh.planned_jobs()
    assert jobs["all"] == 1
    kept = yaml.safe_load((fresh.folder / "config/config.yaml").read_text())
    default = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    assert section not in kept
    known = {study for other in study_sections() for study in kept.get(other, {})}
    assert kept["studies"] == [study for study in default["studies"] if study in known]
    for other in set(study_sections()) - {"rsa", section}:
        # An entry of the section runs by default.
        if not set(kept.get(other, {})) & set(kept["studies"]):
            continue
        file = fresh.folder / f"workflow/rules/studies/{other}.smk"
        rules = set(re.findall(r"^rule (\w+):", rules_of(file), re.M))
        assert rules & set(jobs), f"no job of {other}"
    page = front_page(fresh, "results/demo/objects/rdms/images.csv")
    assert [study for study in kept["studies"] if f"<strong>{study}</strong>" not in page] == []


def front_page(checkout: Checkout, target: str, *arguments: str) -> str:
    """Return the report on a target, of which nothing need be built for the page that it opens."""
    checkout.snakemake(target, *arguments, "--report", "report.html")
    return (checkout.folder / "report.html").read_text()


def rules_of(file: Path) -> str:
    """Return the text of a study's rule files."""
    files = [file, *sorted((file.parent / file.stem).glob("*.smk"))]
    return "\n".join(file.read_text() for file in files)


def test_new_study_is_found_by_its_files(fresh):
    for path, text in NEW_STUDY.items():
        fresh.write(path, text)
    pictures = [fresh.write(f"pictures/{i}.png", "") for i in range(3)]
    entry = {"title": "Pictures", "path": str(pictures[0].parent)}
    config = {"run": "own", "studies": ["postcards"], "calibration": {"n_simulations": 0}}
    fresh.write("own.yaml", yaml.safe_dump(config | {"counting": {"postcards": entry}}))
    # Its targets are among those of a run, its checks among those of a config.
    jobs = fresh.planned_jobs("--configfile", "own.yaml")
    assert jobs["count_images"] == jobs["score_claims"] == 1
    # The job is given twice the time when it is tried again.
    table = "results/own/postcards/tables/counts.csv"
    fresh.snakemake(table, "--configfile", "own.yaml", "--retries", "1")
    assert (fresh.folder / table).read_text() == "n\n3\n"
    # It tells what it did, and stands in the scorecard.
    told = ("results/own/postcards/methods.md", "results/own/tables/scorecard.csv")
    fresh.snakemake(*told, "--configfile", "own.yaml")
    methods, card = ((fresh.folder / file).read_text() for file in told)
    assert "We counted 3 images (Nili et al., 2014)." in methods
    assert "Simulated data" not in methods
    (row,) = [line for line in card.splitlines() if line.startswith("counting,")]
    assert row.startswith("counting,postcards,the original's,number,There are three pictures,3,")
    assert "reproduced" in row
    # The report opens with it, and says nothing of it that only its own section could know.
    page = front_page(fresh, told[0], "--configfile", "own.yaml")
    assert "<strong>postcards</strong> (Pictures): real raw files, source: path.</li>" in page
    printed = fresh.run("scripts.check.check_config", "own.yaml", ok=False)
    assert "counting.postcards: Pictures (source: path)" in printed
    assert "postcards: found no nothing.png" in printed
    # A name of a study of another section is refused, and so is what its own check refuses.
    for name, changes, said in (
        ("movie", {}, "config, emotions.movie: found a study of that name in `counting`"),
        ("postcards", {"n_images": 6}, "config, counting.postcards.n_images: found too many"),
    ):
        fresh.write("own.yaml", yaml.safe_dump({"counting": {name: entry | changes}}))
        assert said in fresh.run("scripts.check.check_config", "own.yaml", ok=False)


def test_misspelt_key_in_a_rule_stops_it(fresh):
    for path, text in NEW_STUDY.items():
        fresh.write(path, text.replace('setting("n_images")', 'setting("n_imagse")'))
    pictures = [fresh.write(f"pictures/{i}.png", "") for i in range(3)]
    entry = {"title": "Pictures", "path": str(pictures[0].parent)}
    config = {"run": "own", "studies": ["postcards"], "counting": {"postcards": entry}}
    fresh.write("own.yaml", yaml.safe_dump(config))
    table = "results/own/postcards/tables/counts.csv"
    printed = fresh.snakemake(table, "--configfile", "own.yaml", "--dry-run", ok=False)
    assert "KeyError: 'n_imagse'" in printed
