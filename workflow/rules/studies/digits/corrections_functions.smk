# Functions of the table "original against ours": which parts of it a study has.


def coloured_categories(wildcards):
    """Return the categories whose images change their colours in training: objects, or all."""
    kinds = config["digits"][wildcards.study]["categories"]
    return kinds.get("object", digits_categories(wildcards))


def validation_rdms(wildcards):
    """Return the layer RDMs of validation images, which are compared where there are no stimuli."""
    part = "model" if compared_part(wildcards) == "validation" else "validation"
    return f"<results>/{wildcards.study}/features/rdms/{part}_{NETWORK_MODEL}.h5"


def of_code_rois(path):
    """Return an input function for a file of a study with regions of codes, else nothing."""

    def file(wildcards):
        has_regions = wildcards.study in CODE_ROI_BRAINS
        return f"<results>/{wildcards.study}/{path}" if has_regions else []

    return file


def assignment_table(wildcards):
    """Return how surely voxels are assigned a layer, of the group or of the only subject."""
    several = len(study_subjects(wildcards.study, joint=False)) > 1
    subject = GROUP if several else study_subjects(wildcards.study)[0]
    return f"<results>/{wildcards.study}/tables/assignment_{subject}_{NETWORK_MODEL}.csv"


def correction_targets():
    return [f"<results>/{study}/tables/corrections.html" for study in DIGITS]


STUDY_TARGETS.append(correction_targets)
