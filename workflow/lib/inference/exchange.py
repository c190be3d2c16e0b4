"""What changes places in the permutation tests of a study: images, or whole groups of them."""

import logging
from collections import Counter
from collections.abc import Sequence

from workflow.lib.inference.permutation import count_orders

# What `workflow.lib.inference.permutation.image_orders` is told, given the groups of the images,
# for each value of `workflow.lib.config.inference.permuted_units`.
EXCHANGED = {
    "images": lambda groups: {},
    "within_groups": lambda groups: {"groups": groups},
    "groups": lambda groups: {"clusters": groups},
}
# With fewer orders no p is as small as 0.05.
FEWEST_ORDERS = 20

log = logging.getLogger("workflow")


def possible_permutations(
    n_permutations: int, permuted: str, groups: Sequence[str], where: str
) -> int:
    """Return the permutations of a test: those asked for, or 0 where nothing can change places.

    Parameters
    ----------
    n_permutations : int
        As asked for; 0 for no test.
    permuted : a key of `EXCHANGED`
    groups : sequence of n_images labels
    where : study and subject, for warnings

    Returns
    -------
    int
        `n_permutations`, or 0 and a warning where there is one order only. Where there are so few
        that no p can be as small as 0.05 a warning tells how small it can be.
    """
    n_orders = count_orders(len(groups), **EXCHANGED[permuted](groups))
    if not n_permutations or n_orders >= FEWEST_ORDERS:
        return n_permutations
    reason = _reason(permuted, groups)
    if n_orders == 1:
        log.warning("%s: nothing is tested by permutation, %s", where, reason)
        return 0
    log.warning(
        "%s: no p is below %.2g (1 of %d orders), %s", where, 1 / n_orders, n_orders, reason
    )
    return n_permutations


def _reason(permuted: str, groups: Sequence[str]) -> str:
    sizes = ", ".join(map(str, sorted(Counter(groups).values())))
    return {
        "images": f"for there are {len(groups)} images",
        "within_groups": f"for images change places within their groups, of {sizes} images "
        "(inference.within_groups)",
        "groups": f"for whole groups change places, those of one size among themselves, of {sizes} "
        "images (inference.resample: groups); join groups or leave images out, so that they are "
        "of one size, or permute within them (inference.within_groups: true), which is another "
        "question",
    }[permuted]
