# Functions of units and layers of the trained network: what they add to a run.


def unit_targets():
    """Return the figures of maximised units of the selected studies."""
    return [
        f"<results>/{study}/figures/maximised_{units}.png"
        for study in DIGITS
        for units in ("classes", "filters")
        if units == "classes" or config["digits"][study]["maximisation"]["n_filters"]
    ]


STUDY_TARGETS.append(unit_targets)
