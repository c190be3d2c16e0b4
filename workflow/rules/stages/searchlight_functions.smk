# Functions of stage searchlight: whose maps are made, of what, and where the voxels lie.

from workflow.lib.sources import filled, searchlight_source

# What stands for all subjects together in names of maps and figures.
GROUP = "group"

SEARCHLIGHT_STUDIES = one_of(
    name for name, entry in config["rsa"].items() if "searchlight" in entry
)


def searchlight_brain(wildcards):
    """Return the brain block with all voxels of the searchlight as its only ROI."""
    return searchlight_source(config["rsa"][wildcards.study])


def searchlight_raw_files(wildcards):
    """Return the images of one subject, and what says which volume is what."""
    source = searchlight_brain(wildcards)
    return in_raw_folder(wildcards.study, source, {"subject": wildcards.subject})


def searchlight_mask(wildcards):
    """Return the image whose voxels are the centres, if one is given."""
    entry = config["rsa"][wildcards.study]
    mask = entry["searchlight"]["mask"]
    if mask is None:
        return []
    name = filled(mask, entry["brain"], {"subject": wildcards.subject})
    return f"{raw_folder_of(wildcards)}/{name}"


def mapped_models(study):
    """Return the models of which maps are made."""
    settings = config["rsa"][study]["searchlight"]
    models = settings["models"] or config["rsa"][study]["models"]
    return [model for model in models if model not in settings["controls"]]


def searchlight_models(wildcards):
    """Return the RDMs of the models to be mapped, and of those to be partialled out."""
    controls = config["rsa"][wildcards.study]["searchlight"]["controls"]
    return [
        f"<results>/{wildcards.study}/rdms/model_{model}.h5"
        for model in [*mapped_models(wildcards.study), *controls]
    ]


def searchlight_p(wildcards):
    """Return the corrected p-values that figures outline."""
    tfce = config["rsa"][wildcards.study]["searchlight"]["tfce"]
    subject = wildcards.get("subject", GROUP)
    return f"<results>/{wildcards.study}/maps/{'p_tfce' if tfce else 'p_max'}_{subject}.nii.gz"


def searchlight_targets():
    """Return the figures and tables of the searchlights of the selected studies."""
    wanted = []
    for study in RSA_STUDIES:
        if "searchlight" not in config["rsa"][study]:
            continue
        subjects = study_subjects(study, joint=False)
        folder = f"<results>/{study}"
        several = [GROUP] if len(subjects) > 1 else []
        wanted += [
            f"{folder}/figures/searchlight_{subject}_{model}.png"
            for subject in [*subjects, *several]
            for model in mapped_models(study)
        ]
        wanted += [f"{folder}/tables/searchlight_clusters.csv" for _ in several]
    return wanted


STUDY_TARGETS.append(searchlight_targets)
