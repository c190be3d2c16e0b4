# What a run is asked for: targets, the outputs of figures, and what is said before and after.

import time

from workflow.lib.captions import CaptionFile

STARTED = time.time()

# Rule files of studies; a study of several has a folder of them, which its own file includes.
STUDY_FILES = sorted(
    str(file)
    for file in (REPOSITORY / "workflow/rules/studies").glob("*.smk")
    if not file.stem.endswith("_functions")
)

# Section -> function of the name of a study that returns name -> table. Of these tables methods and
# the scorecard tell; studies add their own.
TOLD_TABLES = {}

# From so many subjects on, figures of single ones are drawn only if they are asked for by name.
MANY_SUBJECTS = 6


def targets(wildcards):
    of_stages = figure_targets() + summary_targets()
    return of_stages + [file for study_targets in STUDY_TARGETS for file in study_targets()]


def download_notice():
    """Return what will be copied or downloaded, with its size, before a run starts."""
    wanted = {
        tuple(Path(path).relative_to(RESOURCES).parts)
        for study in STUDIES
        for path in raw_paths(study)
        if path.startswith(f"{RESOURCES}/")
        and Path(path).relative_to(RESOURCES).parts[0] in DATASETS
    }
    files = [find_file(DATASETS, dataset, "/".join(name)) for dataset, *name in sorted(wanted)]
    plan = [str(download_plan(files, RESOURCES, config["mirror"]))] if files else []
    return "\n".join(plan + weights_notice())


def weights_notice():
    """Return what PyTorch downloads by itself, in one line or none.

    How large the files are, and whether they are here, only torchvision knows, which the process
    that plans a run need not have.
    """
    networks = {
        network
        for study in STUDIES
        for section, entry in entries_of(config, study).items()
        for network in study_sections()[section].torchvision_networks(entry)
    }
    listed = ", ".join(sorted(networks))
    return [
        f"torchvision's weights of {listed}: downloaded unless PyTorch has kept them; `make check` "
        "says from where and how much"
    ] * bool(networks)


def failure_notice():
    """Return what the failed jobs said, so that it is the last thing on the screen."""
    sentences = {}
    for file in sorted(Path(f"results/{config['run']}/logs").rglob("*.log")):
        if file.stat().st_mtime >= STARTED:
            # What a program writes into a log need not be UTF-8.
            text = file.read_text(encoding="utf-8", errors="replace")
            found = re.findall(r"^\S+ \S+ ERROR (.+)$", text, flags=re.M)
            sentences.update(dict.fromkeys(found))
    if not sentences:
        return ""
    return "\n".join(["", "What stopped the run:", *(f"  {text}" for text in sentences)])


def closing_notice():
    """Return where to look after a run."""
    left_out = [study for study in config["studies"] if study not in STUDIES]
    lines = [f"Figures and tables: results/{config['run']}/"]
    lines += [f"  results/{config['run']}/{study}/figures/" for study in STUDIES]
    if left_out:
        lines.append(f"Left out, raw files not here: {', '.join(left_out)}")
    return "\n".join(lines)


def figure_files(name, subcategory, **labels):
    """Return the outputs of a figure; its PNG goes into the report with the caption beside it."""
    path = f"<results>/{{study}}/figures/{name}"
    return {
        "png": report(
            f"{path}.png",
            caption=str(REPOSITORY / "workflow/report/figure.rst"),
            category="{study}",
            subcategory=subcategory,
            labels=labels,
        ),
        "svg": f"{path}.svg",
        "text": f"{path}.rst",
    }


def caption_of(wildcards, output):
    return CaptionFile(output.text)


def is_simulated(wildcards):
    return entry_of(wildcards.study)["source"] == "simulated"


def first_comparator(wildcards):
    return config["rsa"][wildcards.study]["comparators"][0]


def first_partial_comparator(wildcards):
    comparators = config["rsa"][wildcards.study]["comparators"]
    return next(name for name in comparators if name in PARTIAL_COMPARATORS)


def subject_files(path, joint=True):
    """Return an input function for a file of every subject, with or without the joint RDM."""

    def files(wildcards):
        return [
            f"<results>/{wildcards.study}/{path.format(subject=subject)}"
            for subject in study_subjects(wildcards.study, joint)
        ]

    return files


def rsa_tables(joint):
    return subject_files("tables/rsa_{subject}.csv", joint)


def of_several_subjects(path):
    """Return an input function for a file of a study, or nothing where it has one subject."""

    def file(wildcards):
        several = len(study_subjects(wildcards.study, joint=False)) > 1
        return f"<results>/{wildcards.study}/{path}" if several else []

    return file


def partitioned_rdms(wildcards):
    """Return the RDM files of the models among which variance is shared out, each once."""
    entries = config["rsa"][wildcards.study]["partition"]
    models = dict.fromkeys(entry.partition("/")[0] for entry in entries)
    return [f"<results>/{wildcards.study}/rdms/model_{model}.h5" for model in models]


def studies_that_set(key):
    """Return a regular expression for the studies of which a key is not empty."""
    return one_of(name for name, entry in config["rsa"].items() if entry[key])


def ordered_models(study):
    """Return the models whose layers follow one another, of those with several."""
    models = config["rsa"][study]["models"]
    return [
        name
        for name, model in models.items()
        if model["ordered"] and len(model["layers"]["names"]) > 1
    ]


def summary_subject(study):
    """Return the subject that stands for a study: the joint RDM, or the only subject."""
    return study_subjects(study)[-1]


def summary_brain_rdms(wildcards):
    return f"<results>/{wildcards.study}/rdms/brain_{summary_subject(wildcards.study)}.h5"


def summary_table(wildcards):
    return f"<results>/{wildcards.study}/tables/rsa_{summary_subject(wildcards.study)}.csv"


def has_encoding(study):
    """Return whether a study has responses and features, so that encoding can be fitted."""
    return bool(encoded_models(config["rsa"][study]))


def encoding_tables(wildcards):
    return [
        f"<results>/{wildcards.study}/tables/encoding_{subject}.csv"
        for subject in study_subjects(wildcards.study, joint=False)
    ]


def drawn_subjects(study, together):
    """Return whose figures are drawn unasked: all subjects' where they are few, and all together.

    Parameters
    ----------
    study : str
    together : what stands for all subjects in names of figures
    """
    subjects = study_subjects(study, joint=False)
    several = [together] if len(subjects) > 1 else []
    return (subjects if len(subjects) < MANY_SUBJECTS else []) + several


def may_be_composed(study):
    """Return whether images of a study have groups, or may be left out; else it has one bar."""
    images = config["rsa"][study]["images"]
    return bool(images["groups"] or images.get("group_table") or images["unmatched"] == "drop")


def figure_targets():
    """Return the figures that the selected studies ask for, as PNG."""
    wanted = []
    for study in RSA_STUDIES:
        figures = list(config["rsa"][study]["figures"])
        if len(study_subjects(study, joint=False)) < 2:
            figures = [figure for figure in figures if figure != "noise_ceiling"]
        if not config["rsa"][study]["roi_groups"]:
            figures = [figure for figure in figures if figure != "roi_groups"]
        if not config["rsa"][study]["partition"]:
            figures = [figure for figure in figures if figure != "variance_partition"]
        if not ordered_models(study):
            figures = [figure for figure in figures if figure != "layer_preference"]
        if not may_be_composed(study):
            figures = [figure for figure in figures if figure != "composition"]
        names = [figure for figure in figures if figure != "heatmap"]
        if "heatmap" in figures:
            names += [f"heatmap_{subject}" for subject in drawn_subjects(study, JOINT_SUBJECT)]
        names += ["encoding"] if has_encoding(study) else []
        wanted += [f"<results>/{study}/figures/{name}.png" for name in names]
    return wanted


def summary_targets():
    """Return what every study has beside its figures."""
    wanted = []
    for study in RSA_STUDIES:
        folder = f"<results>/{study}"
        subjects = study_subjects(study, joint=False)
        wanted += [f"{folder}/tables/summary.html", f"{folder}/explorer.html"]
        if len(subjects) > 1:
            wanted.append(f"{folder}/tables/rsa_group.csv")
        if config["rsa"][study]["controls"]:
            wanted += [
                f"{folder}/tables/partial_{subject}.csv" for subject in study_subjects(study)
            ]
        if config["rsa"][study]["partition"]:
            wanted.append(f"{folder}/tables/variance_partition.csv")
        if config["rsa"][study]["inference"]["cross_validation"]:
            wanted.append(f"{folder}/tables/held_out.html")
            wanted += [f"{folder}/tables/held_out_group.csv"] * (len(subjects) > 1)
        if "layer_preference" in config["rsa"][study]["figures"] and ordered_models(study):
            wanted.append(f"{folder}/tables/layers.html")
    return wanted


def all_raw_files(wildcards):
    return [path for study in STUDIES for path in raw_paths(study)]
