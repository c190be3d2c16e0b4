# Functions of stage searchlight: whose maps are made, of what, and where the voxels lie.

from workflow.lib.sources import filled, searchlight_source

# What stands for all subjects together in names of maps and figures.
GROUP = "group"
# (study, model) -> group -> its layers; studies whose layers have groups enter them here.
LAYER_GROUPS = {}

SEARCHLIGHT_STUDIES = one_of(
    name for name, entry in config["rsa"].items() if "searchlight" in entry
)


def searchlight_brain(wildcards):
    """Return the brain block with all voxels of the searchlight as its only ROI."""
    source = searchlight_source(config["rsa"][wildcards.study])
    return source_of_subject(source, wildcards.get("subject"))


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


def layer_groups_of(wildcards):
    """Return the groups of a model's layers in which an assignment is summed up, {} without any."""
    return LAYER_GROUPS.get((wildcards.study, wildcards.model), {})


def assigned_models(study):
    """Return the mapped models whose layers follow one another: a voxel resembles one the most."""
    return [model for model in mapped_models(study) if model in ordered_models(study)]


def searchlight_spheres(wildcards):
    """Return what makes a subject's spheres, as `workflow.lib.searchlight.subject` takes it."""
    entry = config["rsa"][wildcards.study]
    return {
        "match": entry["images"]["match"],
        **{key: entry["brain"][key] for key in ("metric", "noise_normalisation")},
        **{key: entry["searchlight"][key] for key in ("radius", "unit", "min_voxels")},
    }


def searchlight_threads(wildcards):
    """Return the threads of one subject's searchlight: subjects side by side waste less of them."""
    return 1 if len(study_subjects(wildcards.study, joint=False)) > 1 else 2


def searchlight_targets():
    """Return the figures, pages and tables of the searchlights of the selected studies."""
    wanted = []
    for study in RSA_STUDIES:
        if "searchlight" not in config["rsa"][study]:
            continue
        folder = f"<results>/{study}"
        wanted += [
            f"{folder}/figures/searchlight_{subject}_{model}.{kind}"
            for subject in drawn_subjects(study, GROUP)
            for model in mapped_models(study)
            for kind in ("png", "html")
        ]
        wanted += [
            f"{folder}/figures/assignment_{drawn_subjects(study, GROUP)[-1]}_{model}.png"
            for model in assigned_models(study)
        ]
        if len(study_subjects(study, joint=False)) > 1:
            wanted.append(f"{folder}/tables/searchlight_clusters.csv")
    return wanted


STUDY_TARGETS.append(searchlight_targets)
