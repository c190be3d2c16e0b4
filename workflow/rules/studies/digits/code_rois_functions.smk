# Functions of the regions of codes: whose spheres are taken, and on which grid.

from snakemake.iocontainers import Wildcards

from scripts.digits.codes.model_names import CODE_MODEL, NETWORK_MODEL

# Studies whose brains are compared, sphere by sphere, with the layers and the codes made here.
CODE_ROI_BRAINS = [
    study
    for study in config["digits"]
    if "searchlight" in config["rsa"].get(study, {})
    and {NETWORK_MODEL, CODE_MODEL} <= set(config["rsa"][study]["models"])
]
CODE_ROI_STUDIES = one_of(CODE_ROI_BRAINS)


def each_subject(function):
    """Return an input function that gives the first of what another gives for every subject."""

    def files(wildcards):
        found = [
            function(Wildcards(fromdict={"study": wildcards.study, "subject": subject}))
            for subject in study_subjects(wildcards.study, joint=False)
        ]
        return [file if isinstance(file, str) else file[0] for file in found if file]

    return files


def code_roi_targets():
    return [
        f"<results>/{study}/figures/code_rois.png" for study in DIGITS if study in CODE_ROI_BRAINS
    ]


def told_of_digits(study):
    """Return name -> table of an entry that its methods and the scorecard tell of."""
    names = {"accuracy": "accuracy_vgg", "corrections": "corrections"}
    if config["digits"][study]["codes"]:
        names |= {"cosines": "code_cosines", "fit": "code_fit_layers"}
    if study in CODE_ROI_BRAINS:
        names["rois"] = "code_rois_group"
    return {name: f"<results>/{study}/tables/{file}.csv" for name, file in names.items()}


TOLD_TABLES["digits"] = told_of_digits
STUDY_TARGETS.append(code_roi_targets)
