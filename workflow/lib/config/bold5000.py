"""What the schema cannot say of section `bold5000`."""

from collections.abc import Mapping

from workflow.lib.config.schema import check_name
from workflow.lib.config.sections import Section
from workflow.lib.errors import InputError
from workflow.lib.words import listed, near


def check_bold5000(config: Mapping) -> None:
    """Check that the studies and the ROIs of the tiers are there."""
    for study in config["bold5000"]["studies"]:
        check_name("config, bold5000.studies", study, config["rsa"])
        groups = config["rsa"][study]["roi_groups"]
        for tier, members in config["bold5000"]["tiers"].items():
            for member in members:
                if member not in groups:
                    raise InputError(
                        f"config, bold5000.tiers.{tier}: found {member!r}, expected one of "
                        f"rsa.{study}.roi_groups: {listed(groups)}{near(member, groups)}"
                    )


SECTION = Section("bold5000", check=check_bold5000)
