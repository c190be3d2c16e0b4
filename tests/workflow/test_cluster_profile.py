"""The profile for clusters: what it says agrees with the rules, the executor and the default."""

import dataclasses
import re
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from snakemake_executor_plugin_slurm import ExecutorSettings

ROOT = Path(__file__).parents[2]
RULE = re.compile(r" *(?:rule|use rule (\w+) as) (\w+)")


def profile(name: str) -> dict:
    return yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text())


def rules(folder: str = "") -> dict[str, tuple[str | None, str]]:
    """Return rule -> (rule that it inherits from, text) of the rule files of a folder."""
    found = {}
    for file in (ROOT / "workflow/rules" / folder).rglob("*.smk"):
        for text in re.split(r"^(?= *(?:use )?rule \w+)", file.read_text(), flags=re.M):
            if rule := RULE.match(text):
                found[rule[2]] = (rule[1], text)
    return found


def asking_for_gpu(folder: str = "") -> set[str]:
    """Return the rules that ask for a GPU whatever their wildcards are."""
    asking = {name for name, (_, text) in rules(folder).items() if "gpu=1," in text}
    return asking | {name for name, (parent, _) in rules(folder).items() if parent in asking}


def test_rules_were_found():
    assert {"compare_rdms", "extract_network_with_grams", "plot_heatmap"} <= rules().keys()
    assert asking_for_gpu("stages") == {"extract_network", "extract_network_with_grams"}


def test_keys_of_the_default_profile_hold_on_clusters_too():
    local = profile("default")
    del local["cores"]
    assert local.items() <= profile("slurm").items()


def test_executor_knows_its_keys():
    known = {field.name for field in dataclasses.fields(ExecutorSettings)}
    given = {key.removeprefix("slurm-") for key in profile("slurm") if key.startswith("slurm-")}
    assert given
    assert {key.replace("-", "_") for key in given} <= known


def test_keys_whose_absence_only_a_bad_day_shows():
    given = profile("slurm")
    assert "slurm_account" in given["default-resources"]
    switches = {"executor": "slurm", "slurm-requeue": True, "slurm-efficiency-report": True}
    assert switches.items() <= given.items()
    assert given["slurm-efficiency-report-path"].startswith("results/")
    assert (ROOT / given["slurm-partition-config"]).is_file()
    # README.md: figures go ten to a job.
    assert given["group-components"] == ["figures=10"]
    for limit in ("jobs", "cores", "local-cores", "slurm-init-seconds-before-status-checks"):
        assert given[limit] > 0
    # Its comment promises four times the first request, of memory and time that double.
    assert 2 ** given["retries"] >= 4
    # A controller that is away for ten minutes, at ten seconds a query; a minute of NFS.
    assert 10 * given["slurm-status-attempts"] >= 600
    assert given["latency-wait"] >= 60


def test_every_key_of_the_profile_has_its_reason_above_it():
    """But those that share the reason of their block, and those of the default profile."""
    lines = (ROOT / "profiles/slurm/config.yaml").read_text().splitlines()
    keys = re.compile(r"(?:  (?=slurm_account))?([a-z_-]+):")
    bare = {
        key[1]
        for above, line in pairwise(lines)
        if (key := keys.match(line)) and not re.match(r" *# \w", above)
    }
    sharing = {"executor", "default-resources", "group-components", "slurm-efficiency-report-path"}
    assert bare - sharing == profile("default").keys() - {"cores"}


def test_figures_of_shared_stages_go_in_groups():
    grouped = dict(entry.split("=") for entry in profile("slurm")["groups"])
    assert set(grouped.values()) == {"figures"}
    figures = {name: text for name, (_, text) in rules("stages").items() if "plot_" in name}
    assert {name for name, text in figures.items() if "localrule" not in text} <= grouped.keys()


def test_nothing_but_figures_goes_in_groups():
    """Of the rules that there are: a study may be deleted, and its names stay behind."""
    here = rules()
    grouped = [entry.partition("=")[0] for entry in profile("slurm")["groups"]]
    assert all(name.startswith("plot_") for name in grouped)
    assert not [name for name in grouped if name in here and "localrule" in here[name][1]]


def test_model_of_gpu_is_set_of_rules_that_ask_for_one():
    """A model without a number asks for one GPU, of whatever rule it is set."""
    named = profile("slurm")["set-resources"].keys()
    assert asking_for_gpu("stages") <= named
    assert named & rules().keys() <= asking_for_gpu()


@pytest.mark.parametrize("resource", ["mem_mb", "runtime"])
def test_requests_are_functions_of_the_attempt(resource):
    constant = [name for name, (_, text) in rules().items() if re.search(rf"{resource}=\d+,", text)]
    assert constant == []


# What the call does once its start is done: jobs would only take time.
TELL_LIMIT = """    start_jobs_at_once()
    raise WorkflowError(f"limited: {workflow.scheduler.job_rate_limiter is not None}")
"""
SLURM = ("--workflow-profile=profiles/slurm", "--slurm-status-command=squeue")


@pytest.mark.parametrize(
    ("executor", "limited"), [((), False), (SLURM, True)], ids=["here", "slurm"]
)
def test_jobs_a_second_are_limited_only_for_a_scheduler(fresh, executor, limited):
    snakefile = fresh.folder / "Snakefile"
    start = "    start_jobs_at_once()\n"
    assert snakefile.read_text().count(start) == 1
    snakefile.write_text(snakefile.read_text().replace(start, TELL_LIMIT))
    printed = fresh.snakemake("--configfile", "config/tiny.yaml", *executor, ok=False)
    assert f"limited: {limited}" in printed


def test_whole_default_run_can_be_planned_for_a_cluster(fresh):
    """Snakemake refuses a group that waits for a job that waits for the group."""
    jobs = fresh.planned_jobs("--workflow-profile", "profiles/slurm")
    assert jobs == fresh.planned_jobs()
    assert jobs["plot_heatmap"] > 1
