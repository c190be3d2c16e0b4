"""Networks that take two images, or their features, to a dissimilarity.

    python -m scripts.dissimilarity.learning.pair_networks  layers and parameters at published sizes

Each of them encodes every image by itself and then compares two codes; `forward` is both at once.
A hundred images are thousands of pairs, so that whoever has many pairs encodes each image once.

As published, two codes are concatenated, and f(a, b) is not f(b, a). With a linear head on top of
separate branches it is even f(a) + g(b): no head of this kind can see whether two images are alike.
The symmetric form compares |a - b| and a * b, which do not depend on the order to the last bit.

References
----------
Hexter, Puente Quera & Bar-Ilan 2025, "Predicting fMRI Response Dissimilarity to Natural Scenes".
"""

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from workflow.lib.errors import InputError

# As published, pairs in one order alone; the same network that sees both orders; and shared
# branches with a comparison that has no order.
PUBLISHED, BOTH_ORDERS, SYMMETRIC = "published", "both_orders", "symmetric"
SIDE = 128
CLIP_FEATURES = 512


class Concatenation(nn.Module):
    """One code after the other."""

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return (n, 2 d) of two codes (n, d)."""
        return torch.cat([first, second], dim=1)  # (n, 2 d)


class Comparison(nn.Module):
    """Absolute differences and products: the same in both orders."""

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return (n, 2 d) of two codes (n, d)."""
        return torch.cat([(first - second).abs(), first * second], dim=1)  # (n, 2 d)


class CosineDistance(nn.Module):
    """1 - cosine of unit vectors."""

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return (n,) of unit vectors (n, d)."""
        return 1 - (first * second).sum(dim=1)  # (n,)


FORMS: dict[str, type[nn.Module]] = {
    PUBLISHED: Concatenation,
    BOTH_ORDERS: Concatenation,
    SYMMETRIC: Comparison,
}


class TwiceSigmoid(nn.Module):
    """2 / (1 + exp(-x)): from 0 to 2, as 1 - Pearson is."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return values of the same shape."""
        return 2 * torch.sigmoid(values)  # (n, 1)


HEADS: dict[str, Callable[[], nn.Module]] = {"linear": nn.Identity, "sigmoid2": TwiceSigmoid}


class Pixels(nn.Module):
    """Pixels from 0 to 255 to what the branches see: less an offset, over a spread."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.register_buffer("offset", torch.zeros(n_channels, 1, 1))
        self.register_buffer("spread", torch.full((n_channels, 1, 1), 255.0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return float images of the same shape, (n, channels, side, side)."""
        return (images.to(self.offset.dtype) - self.offset) / self.spread  # (n, c, side, side)


class Branch(nn.Module):
    """Convolution, pooling, convolution, pooling; and a dense layer if there are codes.

    Parameters
    ----------
    side : int
        Of the images, in pixels.
    n_channels : int
    widths : two ints
        Channels of the convolutions.
    n_codes : int or None
        None for the flattened maps themselves, as published.
    grid : int or None
        Maps are averaged over the cells of such a grid before the dense layer: what is where within
        a cell then does not matter, and much fewer weights have to be learned.
    dropout : float
        Probability with which what comes to the dense layer is silent in training.

    Attributes
    ----------
    n_out : int
        Length of what comes out.
    """

    def __init__(
        self,
        side: int,
        n_channels: int,
        widths: Sequence[int],
        n_codes: int | None,
        *,
        grid: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.convolution1 = nn.Conv2d(n_channels, widths[0], 3)
        self.convolution2 = nn.Conv2d(widths[0], widths[1], 3)
        self.pool = nn.MaxPool2d(2)
        left = ((side - 2) // 2 - 2) // 2
        if left < 1:
            raise InputError(
                f"siamese: found images of {side} pixels, expected 10 or more, of which two "
                "convolutions and poolings leave something; raise `side`"
            )
        self.average = nn.AdaptiveAvgPool2d(grid) if grid else nn.Identity()
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.n_out = widths[1] * (grid or left) ** 2
        self.dense = nn.Identity()
        if n_codes is not None:
            self.dense, self.n_out = nn.Linear(self.n_out, n_codes), n_codes

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return codes (n, n_out) of images (n, n_channels, side, side); s is the side."""
        maps = self.convolution1(images).relu()  # (n, 32, s-2, s-2)
        maps = self.pool(maps)  # (n, 32, (s-2)/2, (s-2)/2)
        maps = self.convolution2(maps).relu()  # (n, 64, (s-2)/2-2, (s-2)/2-2)
        maps = self.pool(maps)  # (n, 64, ((s-2)/2-2)/2, the same)
        flat = self.average(maps).flatten(1)  # (n, 64 cells), as many cells as pixels if no grid
        return self.dense(self.dropout(flat))  # (n, n_out)


class Siamese(nn.Module):
    """Two convolutional branches and a linear head.

    Parameters
    ----------
    side : int
        Of the images, in pixels.
    n_channels : int
        1 for grey, 3 for colour.
    widths : two ints
        Channels of the convolutions.
    n_codes, grid, dropout : as `Branch`
        Of the symmetric form; the published one compares the maps as they are.
    form : "published", "both_orders" or "symmetric"
        The first two have a branch for each place in the pair, without common weights.
    head : "linear" or "sigmoid2"

    Notes
    -----
    A linear head on a concatenation is a sum of two products, one for each image. So that codes
    stay small (the published maps have 57,600 values per image), `encode` takes the product.
    Weights are initialised as Keras does, in which it was published (Glorot & Bengio 2010).
    """

    def __init__(
        self,
        side: int = SIDE,
        *,
        n_channels: int = 1,
        widths: Sequence[int] = (32, 64),
        n_codes: int = 64,
        grid: int | None = None,
        dropout: float = 0.0,
        form: str = PUBLISHED,
        head: str = "linear",
    ) -> None:
        super().__init__()
        _known("form", form, FORMS)
        _known("head", head, HEADS)
        self.shared = form == SYMMETRIC
        self.pixels = Pixels(n_channels)
        if self.shared:
            branches = [Branch(side, n_channels, widths, n_codes, grid=grid, dropout=dropout)]
        else:
            branches = [Branch(side, n_channels, widths, None) for _ in range(2)]
        self.branches = nn.ModuleList(branches)
        self.join = FORMS[form]()
        self.dense = nn.Linear(2 * self.branches[0].n_out, 1)
        self.head = HEADS[head]()
        self.apply(_as_keras)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return (n,) of two images each, (n, n_channels, side, side), from 0 to 255."""
        first = self.branches[0](self.pixels(first))  # (n, d)
        second = self.branches[-1](self.pixels(second))  # (n, d)
        joined = self.join(first, second)  # (n, 2 d)
        return self.head(self.dense(joined)).squeeze(1)  # (n,)

    def encode(self, images: torch.Tensor, place: int) -> torch.Tensor:
        """Return what images (n, n_channels, side, side) in a place of the pair (0, 1) are to it.

        Codes (n, n_codes) in the symmetric form, otherwise the image's term of the sum, (n, 1).
        """
        codes = self.branches[place if not self.shared else 0](self.pixels(images))  # (n, d)
        if self.shared:
            return codes  # (n, d)
        weight = self.dense.weight.chunk(2, dim=1)[place]  # (1, d)
        return functional.linear(codes, weight)  # (n, 1)

    def compare(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return (n,) of two results of `encode`."""
        if self.shared:
            value = self.dense(self.join(first, second))  # (n, 1)
        else:
            value = first + second + self.dense.bias  # (n, 1)
        return self.head(value).squeeze(1)  # (n,)


class PairMLP(nn.Module):
    """A perceptron over the features of two images: 1,024 to 512, halved `n_hidden` times, to 1.

    Parameters
    ----------
    n_features : int
        Of an image.
    n_hidden : int
        Layers after the first, each of half the width of the one before; published 0 to 3.
    width : int or None
        Of the first layer; None for `n_features`, half of what comes in, as published.
    form : "published", "both_orders" or "symmetric"
    dropout : float
        Probability with which a rectified unit is silent in training.
    """

    shared = True

    def __init__(
        self,
        n_features: int = CLIP_FEATURES,
        *,
        n_hidden: int = 0,
        width: int | None = None,
        form: str = PUBLISHED,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _known("form", form, FORMS)
        self.join = FORMS[form]()
        layers: list[nn.Module] = []
        n_in, n_out = 2 * n_features, width or n_features
        for _ in range(1 + n_hidden):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
            layers += [nn.Dropout(dropout)] if dropout else []
            n_in, n_out = n_out, max(1, n_out // 2)
        self.layers = nn.Sequential(*layers, nn.Linear(n_in, 1))

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return (n,) of the features of two images each, (n, n_features)."""
        joined = self.join(first, second)  # (n, 2 n_features)
        return self.layers(joined).squeeze(1)  # (n,)

    def encode(self, features: torch.Tensor, place: int) -> torch.Tensor:
        """Return features as they are: nothing is done to an image by itself."""
        return features  # (n, n_features)

    def compare(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return (n,) of two results of `encode`."""
        return self(first, second)  # (n,)


class Encoder(nn.Module):
    """Features to a unit vector; the dissimilarity of two images is 1 - cosine.

    Parameters
    ----------
    n_features : int
        Of an image.
    n_codes : int
        Length of the vector.
    width : int
        Of a rectified layer in between; 0 for a linear map.
    dropout : float
        Probability with which a feature is silent in training.

    Notes
    -----
    Layers begin as orthogonal maps (Saxe, McClelland & Ganguli 2014, arXiv:1312.6120): without
    width, and with as many codes as features, 1 - cosine is then that of the features themselves.
    """

    shared = True

    def __init__(
        self,
        n_features: int = CLIP_FEATURES,
        *,
        n_codes: int = 128,
        width: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        hidden = [nn.Linear(n_features, width), nn.ReLU()] if width else []
        self.layers = nn.Sequential(
            nn.Dropout(dropout), *hidden, nn.Linear(width or n_features, n_codes)
        )
        self.distance = CosineDistance()
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.orthogonal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return (n,) of the features of two images each, (n, n_features)."""
        return self.compare(self.encode(first, 0), self.encode(second, 1))  # (n,)

    def encode(self, features: torch.Tensor, place: int) -> torch.Tensor:
        """Return unit vectors (n, n_codes) of features (n, n_features), whatever the place."""
        return functional.normalize(self.layers(features), dim=1)  # (n, n_codes)

    def compare(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return 1 - cosine, (n,), of two results of `encode`."""
        return self.distance(first, second)  # (n,)


PairNetwork = Siamese | PairMLP | Encoder


def example_networks() -> dict[str, tuple[nn.Module, tuple[torch.Tensor, torch.Tensor]]]:
    """Return every network at its published size, with two inputs of a pair each.

    Those that were not published stand beside them at the size that fits: 512 features of CLIP.
    """
    images = torch.zeros(2, 2, 1, SIDE, SIDE).unbind()
    features = torch.zeros(2, 2, CLIP_FEATURES).unbind()
    siamese = {
        "siamese, linear": Siamese(),
        "siamese, 2 sigmoid": Siamese(head="sigmoid2"),
        "siamese, symmetric": Siamese(form=SYMMETRIC),
    }
    others: dict[str, nn.Module] = {
        f"MLP, {n} hidden layer{'s' if n != 1 else ''}": PairMLP(n_hidden=n) for n in range(4)
    }
    others["MLP, symmetric"] = PairMLP(n_hidden=1, form=SYMMETRIC)
    others["contrastive"] = Encoder()
    return {
        **{name: (network, images) for name, network in siamese.items()},
        **{name: (network, features) for name, network in others.items()},
    }


def n_parameters(network: nn.Module) -> int:
    """Return how many numbers are learned."""
    return sum(parameter.numel() for parameter in network.parameters())


def _as_keras(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


def _known(option: str, value: str, table: dict) -> None:
    if value not in table:
        raise InputError(
            f"found the {option} {value!r}, expected one of {', '.join(table)}; correct it"
        )


if __name__ == "__main__":
    for name, (network, _) in example_networks().items():
        print(f"{name}: {n_parameters(network):,} parameters\n{network}\n")
