# Functions of section `digits`: its entries, their settings, and where their images lie.

from workflow.lib.config.digits import all_categories

DIGIT_STUDIES = one_of(config["digits"])
# Images of these are read; those of the others are drawn.
REAL_DIGITS = one_of(
    name for name, entry in config["digits"].items() if entry["source"] != "simulated"
)
DIGITS = [study for study in STUDIES if study in config["digits"]]


def digits_setting(*keys):
    """Return a params function that gives a key of the wildcards' entry of `digits`."""
    return lambda wildcards: setting_of(config["digits"][wildcards.study], *keys)


def digits_categories(wildcards):
    """Return the categories of an entry, of all kinds, in order."""
    return all_categories(config["digits"][wildcards.study])


def numbers_of_images(entry):
    """Return how many images of each category every part of an entry gets."""
    return {part: entry["images"][part] for part in ("train", "validation", "stimuli")}


def compared_part(wildcards):
    """Return the images whose RDMs are compared: what participants saw, if it is to be had."""
    shown = config["digits"][wildcards.study]["images"]["stimuli"] > 0
    return "stimuli" if shown else "validation"


def images_of(part):
    """Return an input function for the images of a part; those that are drawn are read in place."""

    def file(wildcards):
        entry = config["digits"][wildcards.study]
        if entry["source"] == "simulated":
            return f"<simulated>/{entry['simulation']['folder']}/images/{part}.npz"
        return f"<results>/{wildcards.study}/images/{part}.npz"

    return file


def compared_images(wildcards):
    return images_of(compared_part(wildcards))(wildcards)
