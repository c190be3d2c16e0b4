# Functions of the simulated subjects: what is planted in them, and where it is looked for.

from scripts.digits.codes.model_names import CODE_MODEL, NETWORK_MODEL
from scripts.digits.data.planted import REGIONS as PLANTED_REGIONS
from scripts.digits.data.planted import SUBJECTS as PLANTED_SUBJECTS

# Studies whose brains the simulator of this section makes.
SIMULATED_SUBJECTS = [
    name
    for name, entry in config["rsa"].items()
    if entry["source"] == "simulated" and entry["simulation"]["simulator"] == "digits"
]
WITH_PLANTED_REGIONS = one_of(
    name for name in SIMULATED_SUBJECTS if "searchlight" in config["rsa"][name]
)

LAYER_GROUPS.update(
    {(name, NETWORK_MODEL): entry["layer_groups"] for name, entry in config["digits"].items()}
)


def planted_models(wildcards):
    """Return the RDMs of layers and codes of the study whose subjects lie in a folder."""
    study = next(
        name
        for name in SIMULATED_SUBJECTS
        if config["rsa"][name]["simulation"]["folder"] == wildcards.folder
        and name in config["digits"]
    )
    return [
        f"<results>/{study}/features/rdms/model_{model}.h5" for model in (NETWORK_MODEL, CODE_MODEL)
    ]


def planted_file(name):
    """Return an input function for a file of the truth of a simulated study."""

    def file(wildcards):
        return f"<simulated>/{config['rsa'][wildcards.study]['simulation']['folder']}/{name}"

    return file


def planted_layer_groups(wildcards):
    """Return model -> the groups of its layers, of the only model that has groups."""
    return {NETWORK_MODEL: digits_setting("layer_groups")(wildcards)}


def recovery_targets():
    """Return the tables of planted and found regions of the selected studies."""
    return [
        f"<results>/{study}/tables/map_recovery.html"
        for study in STUDIES
        if study in SIMULATED_SUBJECTS and "searchlight" in config["rsa"][study]
    ]


STUDY_TARGETS.append(recovery_targets)
