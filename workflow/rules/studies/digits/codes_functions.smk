# Functions of layer RDMs and codes: what they add to a run.

# Entries that have a study of the brain, whose regions are fitted too.
DIGIT_BRAINS = one_of(study for study in config["digits"] if study in config["rsa"])


def has_codes(study):
    return bool(config["digits"][study]["codes"])


def code_targets():
    """Return the figures of layers and codes of the selected studies."""
    wanted = []
    for study in DIGITS:
        names = ["layer_rdms_common", "layer_rdms_own"]
        if has_codes(study):
            names += ["codes", "code_cosines", "code_fit_layers"]
            names += ["code_fit_brains"] * (study in config["rsa"])
        wanted += [f"<results>/{study}/figures/{name}.png" for name in names]
    return wanted


STUDY_TARGETS.append(code_targets)
