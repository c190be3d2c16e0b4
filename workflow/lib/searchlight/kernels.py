"""The compiled loops behind `workflow.lib.searchlight.spheres`: spheres one by one.

They give up the interpreter's lock, so that blocks of spheres may be computed in threads. A sphere
is computed from beginning to end by one of them, and from its own voxels alone: what comes out
depends neither on how many there are, nor on which spheres stand beside it.
"""

import math

import numpy as np
from numba import njit

# What varies by less than this part of its size varies by rounding only.
SMALLEST_SPREAD = 1e-10
# A difference of two terms no larger than this part of them is zero, as it is of equal patterns.
ROUNDING = 8 * np.finfo(np.float64).eps
# Bits sorted by in one pass: 2048 counters fit in the fastest cache.
DIGIT_BITS = 11


@njit(cache=True)
def sphere_sizes(channel_at, places, steps):
    """Return the number of channels in the sphere around each place, (n_places,).

    `channel_at` (n_places_of_the_grid,) holds the channel at each place of a padded grid, or -1.
    """
    sizes = np.zeros(places.size, np.int64)
    for c in range(places.size):
        for step in steps:
            sizes[c] += channel_at[places[c] + step] >= 0
    return sizes


@njit(cache=True, nogil=True)
def fill_block(
    values,
    weights,
    channel_at,
    places,
    steps,
    over_voxels,
    angular,
    root,
    per_voxel,
    scaled,
    ranks,
    centred,
    untied,
    rdms,
    valid,
):
    """Fill `rdms` (n_places, n_pairs) with the RDMs at some places, scaled if so asked.

    `valid` (n_places,) tells which of them can be compared; the others hold no numbers of any use.
    `values` (n_channels, n_layers, n_conditions) are weighted by `weights` (n_layers,).
    """
    for c in range(places.size):
        rdm = rdms[c]
        rows, n_voxels = _gather(values, channel_at, places[c], steps)
        squares = np.zeros(rows.shape[1])
        if angular:
            squares = _sums_of_squares(rows)
        if over_voxels:
            _centre_columns(rows)
        gram = _gram(rows, weights)
        divisor = per_voxel * n_voxels if per_voxel > 0 else 1.0
        valid[c] = _distances(gram, squares, angular, root, per_voxel > 0, divisor, rdm)
        if scaled and valid[c]:
            if ranks:
                _rank(rdm)
            valid[c] = _scale(rdm, ranks, centred, untied)


@njit(cache=True)
def _gather(values, channel_at, place, steps):
    """Return rows (n_voxels * n_layers, n_conditions) of a sphere, and its number of voxels."""
    n_layers, n_conditions = values.shape[1:]
    rows = np.empty((steps.size * n_layers, n_conditions))
    n_voxels = 0
    for step in steps:
        channel = channel_at[place + step]
        if channel >= 0:
            for layer in range(n_layers):
                # Layers one after the other: a row's weight follows from its number.
                row = n_voxels * n_layers + layer
                for i in range(n_conditions):
                    rows[row, i] = values[channel, layer, i]
            n_voxels += 1
    return rows[: n_voxels * n_layers], n_voxels


@njit(cache=True)
def _sums_of_squares(rows):
    total = np.zeros(rows.shape[1])
    for row in rows:
        for i in range(row.size):
            total[i] += row[i] * row[i]
    return total


@njit(cache=True)
def _centre_columns(rows):
    means = np.zeros(rows.shape[1])
    for row in rows:
        for i in range(row.size):
            means[i] += row[i]
    means /= rows.shape[0]
    for row in rows:
        for i in range(row.size):
            row[i] -= means[i]


@njit(cache=True)
def _gram(rows, weights):
    """Return the upper triangle of the weighted sum of row' row.

    Four rows at a time: the matrix is read and written a quarter as often.
    """
    n_rows, n = rows.shape
    n_layers = weights.size
    gram = np.zeros((n, n))
    whole = n_rows - n_rows % 4
    for r in range(0, whole, 4):
        u, v = weights[r % n_layers], weights[(r + 1) % n_layers]
        w, x = weights[(r + 2) % n_layers], weights[(r + 3) % n_layers]
        for i in range(n):
            a, b, c, d = u * rows[r, i], v * rows[r + 1, i], w * rows[r + 2, i], x * rows[r + 3, i]
            for j in range(i, n):
                gram[i, j] += (a * rows[r, j] + b * rows[r + 1, j]) + (
                    c * rows[r + 2, j] + d * rows[r + 3, j]
                )
    for r in range(whole, n_rows):
        weight = weights[r % n_layers]
        for i in range(n):
            a = weight * rows[r, i]
            for j in range(i, n):
                gram[i, j] += a * rows[r, j]
    return gram


@njit(cache=True)
def _distances(gram, squares, angular, root, signed, divisor, rdm):
    """Fill a condensed RDM from the Gram matrix; return whether every pattern varies."""
    n = gram.shape[0]
    lengths = np.empty(n)
    for i in range(n):
        if angular and not gram[i, i] > SMALLEST_SPREAD**2 * squares[i]:
            return False
        lengths[i] = math.sqrt(max(gram[i, i], 0.0))
    pair = 0
    for i in range(n):
        for j in range(i + 1, n):
            if angular:
                distance = 1 - gram[i, j] / (lengths[i] * lengths[j])
                rdm[pair] = distance if distance > ROUNDING else 0.0
            else:
                terms = gram[i, i] + gram[j, j]
                squared = terms - 2 * gram[i, j]
                if not signed and squared <= ROUNDING * terms:
                    squared = 0.0
                rdm[pair] = (math.sqrt(squared) if root else squared) / divisor
            pair += 1
    return True


@njit(cache=True)
def _rank(rdm):
    """Replace values by their ranks, ties sharing their mean rank."""
    order = value_order(rdm)
    n = rdm.size
    start = 0
    while start < n:
        stop = start + 1
        value = rdm[order[start]]
        while stop < n and rdm[order[stop]] == value:
            stop += 1
        midrank = (start + stop + 1) / 2
        for k in range(start, stop):
            rdm[order[k]] = midrank
        start = stop


@njit(cache=True)
def value_order(values):
    """Return the order (n,) that sorts values (n,), which are finite.

    Values are put into 2^22 (or fewer) steps between the lowest and the highest, sorted by counting
    in two passes; neighbours that share a step are then sorted by insertion.
    """
    n = values.size
    lowest, highest = values.min(), values.max()
    order = np.arange(n).astype(np.int32)
    if lowest == highest:
        return order
    bits = min(DIGIT_BITS, max(3, math.ceil(math.log2(n))))
    # A tiny range (subnormal numbers) has no finite inverse.
    scale = min(((1 << (2 * bits)) - 1) / (highest - lowest), 1e300)
    steps = np.empty(n, np.uint32)
    for k in range(n):
        steps[k] = np.uint32((values[k] - lowest) * scale)
    order = _sorted_by_digit(order, steps, np.uint32(0), bits)
    order = _sorted_by_digit(order, steps, np.uint32(bits), bits)
    for k in range(1, n):
        moved = order[k]
        value = values[moved]
        place = k
        while place > 0 and values[order[place - 1]] > value:
            order[place] = order[place - 1]
            place -= 1
        order[place] = moved
    return order


@njit(cache=True)
def _sorted_by_digit(order, steps, shift, bits):
    mask = np.uint32((1 << bits) - 1)
    places = np.zeros((1 << bits) + 1, np.int32)
    for step in steps:
        places[((step >> shift) & mask) + 1] += 1
    for digit in range(1 << bits):
        places[digit + 1] += places[digit]
    found = np.empty_like(order)
    for k in order:
        digit = (steps[k] >> shift) & mask
        found[places[digit]] = k
        places[digit] += 1
    return found


@njit(cache=True)
def _scale(rdm, ranks, centred, untied):
    """Centre an RDM and give it its length; return whether it varies at all."""
    n = rdm.size
    total, mean = 0.0, 0.0
    for value in rdm:
        total += value * value
    if centred:
        mean = (n + 1) / 2 if ranks else rdm.mean()
    square = 0.0
    for k in range(n):
        rdm[k] -= mean
        square += rdm[k] * rdm[k]
    if not square > SMALLEST_SPREAD**2 * total:
        return False
    if untied:
        square = (float(n) ** 3 - n) / 12
    length = math.sqrt(square)
    for k in range(n):
        rdm[k] /= length
    return True


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def fill_products(models, brains, products):
    """Fill `products` (n_models, n_brains) with models @ brains.T."""
    for c in range(brains.shape[0]):
        for m in range(models.shape[0]):
            total = 0.0
            for k in range(brains.shape[1]):
                total += models[m, k] * brains[c, k]
            products[m, c] = total
