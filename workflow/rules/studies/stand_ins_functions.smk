# Functions of section `stand_ins`: its settings, and the files behind pictures and weights.

from workflow.lib.config.stand_ins import picture_files


def studies_with_stand_ins():
    """Return a regular expression for studies, where the network that sees stand-ins follows."""
    return "|".join(
        rf"{re.escape(study)}(?=/\S+/model_{re.escape(entry['network'])}\.h5$)"
        for study, entry in config["stand_ins"].items()
    ) or one_of([])


def stand_in_setting(key):
    """Return a params function that gives a key of the wildcards' entry of `stand_ins`."""
    return lambda wildcards: config["stand_ins"][wildcards.study][key]


def stand_in_weights(wildcards):
    """Return the file with the network's weights, if they come from a file."""
    weights = config["stand_ins"][wildcards.study]["weights"]
    return weights if is_weight_file(weights) else []


def stand_in_files(wildcards):
    """Return the files that hold the pictures: pictures, and archives of some."""
    return picture_files(config["stand_ins"][wildcards.study])
