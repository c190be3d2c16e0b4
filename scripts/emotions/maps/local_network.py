"""What a network gives when a cube of its input is covered, computed only where something changes.

A covered cube changes the output of a layer near the cube alone. Layer by layer the changed window
is computed from a patch; what is around the window is that of the whole volume, which is computed
once. At the published size this takes about a hundredth of the operations of a new pass per cube.
"""

from dataclasses import dataclass

import torch
from torch import nn

from scripts.emotions.network.emotion_cnn import LOGITS, EmotionCNN


@dataclass(frozen=True, eq=False)
class Window:
    """What has changed in the output of a layer.

    Attributes
    ----------
    values : tensor (n, w, w, w, n_channels)
        Beyond the border they mean nothing.
    start : int tensor (n, 3)
        Lowest corner.
    """

    values: torch.Tensor
    start: torch.Tensor


class LocalNetwork:
    """A network in evaluation mode, prepared for one volume.

    Parameters
    ----------
    network : EmotionCNN
    volume : tensor (x, y, z)
        On the network's device.

    Attributes
    ----------
    logits : tensor (n_classes,)
        Of the whole volume.
    """

    def __init__(self, network: EmotionCNN, volume: torch.Tensor):
        self.network = network
        x = volume[None, None]
        # What filters in space are given, (x, y, z, n_channels): the volume, then wide channels.
        self.given = [_channels_last(x)[0]]
        x = network.stem(x)
        for block in network.blocks:
            wide = block.expand(x)
            self.given.append(_channels_last(wide)[0])
            x = block.project(block.filter(wide))
        self.last = _channels_last(x)[0]
        self.logits = network.layer_outputs(volume[None])[LOGITS][0]

    @property
    def widest(self) -> int:
        """Most channels that a filter is given."""
        return max(given.shape[-1] for given in self.given)

    def covered_logits(self, corners: torch.Tensor, edge: int) -> torch.Tensor:
        """Return logits (n, n_classes) with one cube each set to zero.

        Parameters
        ----------
        corners : int tensor (n, 3)
            Of the cubes.
        edge : int
        """
        zeros = self.given[0].new_zeros(len(corners), edge, edge, edge, 1)
        window = _filtered(self.given[0], Window(zeros, corners), self.network.stem, stride=1)
        for given, block in zip(self.given[1:], self.network.blocks, strict=True):
            wide = Window(_applied(block.expand, window.values), window.start)
            window = _filtered(given, wide, block.filter, stride=2)
            window = Window(_applied(block.project, window.values), window.start)
        return self.logits + self._added(window)

    def _added(self, window: Window) -> torch.Tensor:
        """Return by how much logits change with the output of the last block."""
        size = window.values.shape[1]
        before, inside = _gathered(self.last, window.start, size)
        change = (window.values - before) * inside
        weight = self.network.head.weight
        if self.network.averages:
            n_places = self.last.shape[:3].numel()
            return change.sum(dim=(1, 2, 3)) @ weight.T / n_places
        of_place = weight.reshape(len(weight), self.last.shape[-1], *self.last.shape[:3])
        of_window, _ = _gathered(of_place.permute(2, 3, 4, 1, 0).flatten(3), window.start, size)
        of_window = of_window.unflatten(-1, (-1, len(weight)))
        return torch.einsum("nxyzc,nxyzck->nk", change, of_window)


def _channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 2, 3, 4, 1).contiguous()


def _applied(module: nn.Module, values: torch.Tensor) -> torch.Tensor:
    """Return what a module that mixes channels gives, channels last."""
    return module(values.permute(0, 4, 1, 2, 3)).permute(0, 2, 3, 4, 1)


def _filtered(given: torch.Tensor, changed: Window, module: nn.Sequential, stride: int) -> Window:
    """Return the window of the output of a 3 x 3 x 3 filter that a changed window reaches.

    Output o sees the inputs from stride * o - 1 to stride * o + 1, zero beyond the border.
    """
    width = changed.values.shape[1]
    if stride == 1:
        start, size = changed.start - 1, width + 2
    else:
        # From an odd place on, a window reaches one output more.
        start, size = changed.start.div(2, rounding_mode="floor"), (width + 1) // 2 + 1
    patch = _patch(given, changed, stride * start - 1, stride * (size - 1) + 3)
    convolution = module.convolution
    values = nn.functional.conv3d(
        patch.permute(0, 4, 1, 2, 3),
        convolution.weight,
        stride=stride,
        groups=convolution.groups,
    )
    return Window(module.active(module.norm(values)).permute(0, 2, 3, 4, 1), start)


def _patch(given: torch.Tensor, changed: Window, start: torch.Tensor, size: int) -> torch.Tensor:
    """Return a patch (n, size, size, size, n_channels) with the changed window in it."""
    around, inside = _gathered(given, start, size)
    offsets = _places(start - changed.start, size)
    n, width = changed.values.shape[:2]
    x, y, z = _spread(offsets.clamp(0, width - 1))
    own = changed.values[torch.arange(n, device=x.device).reshape(-1, 1, 1, 1), x, y, z]
    within = _all_axes((offsets >= 0) & (offsets < width))
    return torch.where(within, own, around) * inside


def _gathered(
    grid: torch.Tensor, start: torch.Tensor, size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return patches (n, size, size, size, n_channels) of a grid, and whether a place is in it."""
    places = _places(start, size)
    sides = torch.tensor(grid.shape[:3], device=grid.device)[:, None]
    inside = _all_axes((places >= 0) & (places < sides))
    x, y, z = _spread(torch.minimum(places.clamp(min=0), sides - 1))
    return grid[x, y, z], inside


def _places(start: torch.Tensor, size: int) -> torch.Tensor:
    """Return the places (n, 3, size) of patches along each axis."""
    return start[:, :, None] + torch.arange(size, device=start.device)


def _spread(places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return places (n, 3, size) along x, y and z so that they index a patch of three axes."""
    x, y, z = places.unbind(1)
    return x[:, :, None, None], y[:, None, :, None], z[:, None, None, :]


def _all_axes(along: torch.Tensor) -> torch.Tensor:
    """Return where all of (n, 3, size) hold, (n, size, size, size, 1)."""
    x, y, z = _spread(along)
    return (x & y & z)[..., None]
