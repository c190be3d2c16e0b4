# Functions of stage report: the jobs that a run is made of, and the tables that are told of.

from workflow.lib.files import sha256_of


def own_file(path):
    """Return a file of the repository as inputs name it: as seen from the working folder.

    A copy of a finished run would have everything to do again that is named by its whole path.
    """
    file, here = REPOSITORY / path, Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


def jobs_before(wildcards, output):
    """Return (rule, study, benchmark file, log file) of every job that a job waits for.

    What a run costs is told of these: of files below the folder of benchmarks, some may be of jobs
    that a changed config no longer asks for. Files are not declared as inputs, so that nothing runs
    again to measure what is there already.
    """
    dag = workflow.dag
    own = next(job for job in dag.jobs if output[0] in job.output)
    jobs = {job for job in dag.bfs(dag.dependencies, own) if job.benchmark}
    return sorted(
        (
            job.rule.name,
            job.wildcards_dict.get("study", ""),
            str(job.benchmark),
            str(job.log[0]) if job.log else "",
        )
        for job in jobs - {own}
    )


def told_of_rsa(study):
    """Return name -> table of a layer x ROI study, see scripts/rsa/methods.py."""
    entry, tables = config["rsa"][study], f"<results>/{study}/tables"
    subjects = study_subjects(study, joint=False)
    found = {"rsa": f"{tables}/rsa_{summary_subject(study)}.csv"}
    if len(subjects) > 1:
        found |= {name: f"{tables}/{file}.csv" for name, file in OF_SEVERAL_SUBJECTS.items()}
    if has_encoding(study):
        found["encoding"] = f"{tables}/encoding_{subjects[0]}.csv"
    if "searchlight" in entry:
        found["searchlight"] = f"{tables}/searchlight_{subjects[0]}.csv"
        if len(subjects) > 1:
            found["searchlight_group"] = f"{tables}/searchlight_group.csv"
    return found


OF_SEVERAL_SUBJECTS = {"group": "rsa_group", "noise_ceiling": "noise_ceiling"}
TOLD_TABLES["rsa"] = told_of_rsa


def methods_of(section):
    """Return the module in which a section tells what its studies do; it need not have one."""
    return REPOSITORY / "scripts" / section / "methods.py"


def told_sections(study):
    """Return section -> what the config says of a study, of the sections that tell what they do."""
    found = entries_of(config, study)
    return {section: entry for section, entry in found.items() if methods_of(section).is_file()}


def methods_tables(wildcards):
    """Return <section>__<name> -> table that the methods of a study tell of."""
    return {
        f"{section}__{name}": table
        for section in told_sections(wildcards.study)
        for name, table in TOLD_TABLES[section](wildcards.study).items()
    }


def told_entries(wildcards):
    """Return what methods tell of; which figures are drawn is none of it."""
    found = told_sections(wildcards.study)
    return {
        section: {key: value for key, value in entry.items() if key != "figures"}
        for section, entry in found.items()
    }


def data_citations(wildcards):
    """Return how the registry says that the data sets and weights of a study are to be cited.

    With the key of the bibliography where it has one.
    """
    folders = dict.fromkeys(
        Path(path).relative_to(RESOURCES).parts[0]
        for path in raw_paths(wildcards.study)
        if path.startswith(f"{RESOURCES}/")
    )
    cited = [DATASETS[name] for name in folders if name in DATASETS]
    return [
        f"{dataset.title}: {dataset.citation}"
        + (f" [@{dataset.reference}]" if dataset.reference else "")
        for dataset in cited
    ]


def methods_digest(wildcards):
    """Return the digests of the modules in which the sections of a study tell what they do."""
    return [
        (sha256_of(methods_of(section))[:16], script_digest(f"{section}/methods.py"))
        for section in told_sections(wildcards.study)
    ]


def methods_targets():
    return [f"<results>/{study}/methods.html" for study in STUDIES if told_sections(study)]


STUDY_TARGETS.append(methods_targets)


def all_simulated(wildcards):
    """Return whether all studies of the run have simulated data."""
    return all(entry_of(study)["source"] == "simulated" for study in STUDIES)


def claims_file(section):
    """Return the table with the claims of the original of a section, which need not have one."""
    return REPOSITORY / "config" / section / "claims.csv"


def claimed_sections():
    """Return the sections of whose original there are claims."""
    return [section for section in sections() if claims_file(section).is_file()]


def claimed_studies(section):
    """Return the selected studies that a section is told of."""
    if section in study_sections():
        return [study for study in STUDIES if study in config[section]]
    return [study for study in STUDIES if TOLD_TABLES[section](study)]


def claims_of_run(wildcards):
    """Return section, name, source and data set of every study that may answer a claim."""
    found = []
    for section in claimed_sections():
        for study in claimed_studies(section):
            entry = config[section][study] if section in study_sections() else entry_of(study)
            # A section without data sets reads no other data than the original's.
            own = "its own" if entry["source"] == "path" else None
            dataset = entry["dataset"] if "dataset" in entry else own
            found.append(
                {"section": section, "study": study, "source": entry["source"], "dataset": dataset}
            )
    return found


def claimed_tables(wildcards):
    """Return <section>__<study>__<name> -> table of everything that claims may be held to."""
    return {
        f"{section}__{study}__{name}": table
        for section in claimed_sections()
        for study in claimed_studies(section)
        for name, table in TOLD_TABLES[section](study).items()
    }


def scorecard_targets():
    """Return the scorecard, if any study of the run can answer a claim of an original."""
    files = ["<results>/tables/scorecard.html", "<results>/figures/scorecard.png"]
    return files if any(map(claimed_studies, claimed_sections())) else []


STUDY_TARGETS.append(scorecard_targets)
