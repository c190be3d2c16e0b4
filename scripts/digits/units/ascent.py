"""Images that climb towards what is wanted of them, by steps along the gradient.

The ascent is that of the publication (Deepdraw): steps along the gradient, all of one mean size in
pixels, a slight blur after each, and colours that stay within their range. The sizes of blur and
step glide from round to round; the published code meant the same, but adds the first size of a
round where it should not (`start + end - start * i / n`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import torch

from scripts.digits.network.trained import Scaling


@dataclass(frozen=True)
class Round:
    """Some steps of the ascent.

    Attributes
    ----------
    iterations : int
    blur : float
        Standard deviation in pixels of the blur after the first step; it glides to that of the
        next round, in the last one to 0.
    step : float
        Size of the first step as a part of `Ascent.learning_rate`; it glides likewise.
    """

    iterations: int
    blur: float = 0.0
    step: float = 1.0


@dataclass(frozen=True)
class Ascent:
    """How activations are maximised.

    Attributes
    ----------
    rounds : sequence of Round
    learning_rate : float
        Mean change of a pixel (0 to 1) in a step.
    norm_penalty : float
        Of the mean square of the image as the network takes it, which is zero at the mean colour.
    variation_penalty : float
        Of the mean absolute difference between neighbouring pixels, likewise.
    jitter : int
        Largest shift of the image in a step, pixels, round its edges.
    starts : int
        Ascents from different noise, of which the one that went furthest counts: some units are
        silent at first, and stay so.
    """

    rounds: Sequence[Round]
    learning_rate: float
    norm_penalty: float = 0.0
    variation_penalty: float = 0.0
    jitter: int = 0
    starts: int = 1

    def steps(self) -> Iterator[tuple[float, float]]:
        """Yield the size of each step and the blur after it."""
        following = [*self.rounds[1:], Round(0, blur=0.0, step=0.0)]
        for now, then in zip(self.rounds, following, strict=True):
            for i in range(now.iterations):
                part = i / now.iterations
                yield (
                    self.learning_rate * (now.step + part * (then.step - now.step)),
                    now.blur + part * (then.blur - now.blur),
                )


def ascend(
    objective: Callable[[torch.Tensor], torch.Tensor],
    images: torch.Tensor,
    ascent: Ascent,
    *,
    scaling: Scaling,
    rng: np.random.Generator,
) -> torch.Tensor:
    """Return images that have been changed until each has much of what is wanted of it.

    Parameters
    ----------
    objective : callable
        Images (n, 3, side, side) as the network takes them -> what each should have, (n,), in
        comparable units, such as activations by their standard deviation over images.
    images : float32 tensor (n, 3, side, side)
        From 0 to 1.
    ascent : Ascent
    scaling : Scaling
    rng : Generator
        Of the shifts.

    Returns
    -------
    float32 tensor (n, 3, side, side)
        From 0 to 1.

    Notes
    -----
    An image x climbs a(z) - p |z|^2 - v |grad z|, where z is x as the network takes it, and the
    two penalties are means over pixels and colours.

    References
    ----------
    Deepdraw, https://github.com/auduno/deepdraw; Lee, Jung, Lustig, Lee 2023, Hum Brain Mapp,
    doi:10.1002/hbm.26189; shifts as in Mordvintsev, Olah, Tyka 2015, "Inceptionism"; total
    variation as in Mahendran & Vedaldi 2015, arXiv:1412.0035.
    """
    for step, blur in ascent.steps():
        shift = rng.integers(-ascent.jitter, ascent.jitter + 1, size=2).tolist()
        images = images.detach().requires_grad_()
        scaled = scaling(images)
        climbed = objective(scaled.roll(shift, dims=(2, 3)))
        climbed = climbed - ascent.norm_penalty * scaled.square().mean(dim=(1, 2, 3))
        climbed = climbed - ascent.variation_penalty * total_variation(scaled)
        (gradient,) = torch.autograd.grad(climbed.sum(), images)
        size = gradient.abs().mean(dim=(1, 2, 3), keepdim=True)
        size = size.clamp(min=torch.finfo(size.dtype).tiny)
        images = blurred((images.detach() + step * gradient / size).clamp(0, 1), blur)
    return images


def total_variation(images: torch.Tensor) -> torch.Tensor:
    """Return the mean absolute difference of neighbours down plus that across, (n,)."""
    return sum(images.diff(dim=axis).abs().mean(dim=(1, 2, 3)) for axis in (2, 3))


def blurred(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return images (n, 3, height, width) smoothed by a Gaussian, reflected at their edges.

    `sigma` is its standard deviation in pixels.
    """
    if not sigma:
        return images
    # A blur along an axis is a product with the blurred unit vectors.
    down, across = (
        images.new_tensor(scipy.ndimage.gaussian_filter1d(np.eye(size), sigma, axis=0))
        for size in images.shape[2:]
    )
    return down @ images @ across.T


def ascent_of(settings: Mapping, schedule: Sequence[Mapping], starts: int) -> Ascent:
    """Return the ascent of the config's block `maximisation`, with one of its schedules."""
    return Ascent(
        rounds=[Round(**block) for block in schedule],
        starts=starts,
        **{key: settings[key] for key in ("learning_rate", "norm_penalty", "variation_penalty")},
        jitter=settings["jitter"],
    )
