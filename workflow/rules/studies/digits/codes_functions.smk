# Functions of layer RDMs and codes: what they add to a run.


def code_targets():
    """Return the RDMs of layers and codes of the selected studies."""
    return [
        f"<results>/{study}/features/rdms/model_{model}.h5"
        for study in DIGITS
        for model in ("vgg", "codes")
    ]


STUDY_TARGETS.append(code_targets)
