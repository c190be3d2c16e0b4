# Functions of the study bold5000: its simulated files and its targets.

BOLD5000_RAW_FILES = [
    "ResNet50_CORR_RDMs.h5",
    *(f"CSI{i}_BOLD5000_CORR_RDMs.h5" for i in range(1, 5)),
]


def bold5000_studies():
    return [study for study in config["bold5000"]["studies"] if study in RSA_STUDIES]


def bold5000_targets():
    """Return what the study adds to the generic figures."""
    wanted = []
    for study in bold5000_studies():
        wanted += [f"<results>/{study}/figures/{name}.png" for name in ("tiers", "latency")]
        if config["rsa"][study]["source"] != "simulated":
            wanted.append(f"<results>/{study}/figures/published.png")
    for study in RSA_STUDIES:
        entry = config["rsa"][study]
        if entry["source"] == "simulated" and entry["simulation"]["simulator"] == "bold5000":
            wanted.append(f"<results>/{study}/tables/recovery.html")
    return wanted


def published_studies(study):
    """Return the study and the selected ones that compare the same models on other images of it."""
    return [
        other
        for other in RSA_STUDIES
        if other == study
        or (
            config["rsa"][other].get("extends") == study
            and config["rsa"][other]["images"] != config["rsa"][study]["images"]
            and config["rsa"][other]["source"] == config["rsa"][study]["source"]
            and "pearson" in config["rsa"][other]["comparators"]
        )
    ]


def told_of_bold5000(study):
    """Return name -> table of the studies that claims of the original are about, none of others."""
    own = {other for mine in bold5000_studies() for other in published_studies(mine)}
    if study not in own:
        return {}
    found = {"rsa": f"<results>/{study}/tables/rsa_{summary_subject(study)}.csv"}
    if "layer_preference" in config["rsa"][study]["figures"] and ordered_models(study):
        names = {"layers": "layers", "centres": "layer_centre"}
        found |= {
            name: f"<results>/{study}/tables/{file}_{summary_subject(study)}.csv"
            for name, file in names.items()
        }
    return found


TOLD_TABLES["bold5000"] = told_of_bold5000
STUDY_TARGETS.append(bold5000_targets)
