"""By what an image is known again in another subject, whatever its name is there."""

import re

NSD_ID = re.compile(r"nsd-(\d+)$")


def nsd_image(name: str) -> str:
    """Return the number that an image of the challenge has among all images of its source.

    >>> nsd_image("train-0001_nsd-00013")
    '00013'
    """
    found = NSD_ID.search(name)
    return found[1] if found else name


# By the source of the entry; names of RDMs are the same for all subjects.
IDENTITIES = {"simulated": nsd_image, "path": nsd_image, "rsa": str}
