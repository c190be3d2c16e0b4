# Functions of stage train: what its figures and tables say of the networks of a study.

ANY_STUDY = one_of(study_names(config))
# Without the folder, which a wildcard may hold otherwise.
NETWORK = "[^/]+"
# Study -> function of the name of a network, which returns `note`, what the caption of learning
# curves says of data and measures; `label`, what their title calls the network, if not by its name;
# and for networks that classify images of several groups `groups`, group -> its categories.
TRAININGS = {}


def said_of_training(name):
    """Return a function of the wildcards for what a study says of a network; None if nothing."""

    def value(wildcards):
        if wildcards.study not in TRAININGS:
            raise InputError(
                f"study {wildcards.study}: found nothing said of its networks, expected an entry "
                "of TRAININGS, without which there are no figures of their training; add it"
            )
        return TRAININGS[wildcards.study](wildcards.network).get(name)

    return value
