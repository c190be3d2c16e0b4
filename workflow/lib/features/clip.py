"""The image tower of CLIP, by open_clip, from weights on this machine.

Weights that open_clip publishes are called open_clip_model.safetensors or .bin. OpenAI's own file
is an archive of code with weights, which this refuses to run; save its weights once:

    weights = torch.jit.load("ViT-B-32.pt", "cpu").float().state_dict()
    for key in ("input_resolution", "context_length", "vocab_size"):
        weights.pop(key, None)
    torch.save(weights, "clip_openai.pt")
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import nn

from workflow.lib.errors import InputError
from workflow.lib.features import networks  # noqa: F401
from workflow.lib.features.initial import seeded_network
from workflow.lib.words import one_line

# isort: split
# After the networks of torchvision, which declare operators that it may lack: open_clip imports it.
import open_clip

UNTRAINED = "untrained"
# The config of a network that needs no other package, and downloads nothing.
PLAIN = {"embed_dim", "quick_gelu", "vision_cfg", "text_cfg"}
# In place of a text tower that no weights are loaded into: to draw it takes time.
NO_TEXT = {"context_length": 1, "vocab_size": 1, "width": 64, "heads": 1, "layers": 1}


class ImageTower(nn.Module):
    """CLIP's embedding of images.

    Parameters
    ----------
    visual : nn.Module
        Images (n, 3, side, side) in, embeddings (n, n_features) out.
    output : one of `OUTPUTS`
        embedding, of length one, as CLIP compares it with texts; visual, as the tower gives it,
        which is what thingsvision's module `visual` holds.
    """

    def __init__(self, visual: nn.Module, output: str) -> None:
        super().__init__()
        self.visual, self.output = visual, output

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return {output: float tensor (n, n_features)}."""
        return {self.output: OUTPUTS[self.output](self.visual(images))}


OUTPUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "embedding": lambda found: nn.functional.normalize(found, dim=-1),
    "visual": lambda found: found,
}


def load_clip(
    weights: str | Path, *, network: str | None = None, output: str = "embedding", seed: int = 0
) -> tuple[ImageTower, Callable[..., torch.Tensor]]:
    """Return the image tower of a CLIP in evaluation mode, on the CPU, and its preprocessing.

    Nothing is downloaded.

    Parameters
    ----------
    weights : "untrained", or path of a state dict (.safetensors, .bin, .pt, .pth)
    network : str, optional
        open_clip's name of it. It has to be given with weights: ViT-B-32-quickgelu for those of
        OpenAI and of others who trained with that activation, ViT-B-32 for those of LAION. The
        shapes are the same, and the file does not tell.
    output : one of `OUTPUTS`
    seed : int
        Of random weights. The global random state neither matters nor changes.

    Returns
    -------
    tower : ImageTower
    transforms : callable, PIL image -> float32 tensor (3, side, side)

    Raises
    ------
    InputError
        No such network or output; weights that are missing, damaged or of another network.

    References
    ----------
    Radford et al. 2021, Learning transferable visual models from natural language supervision,
    ICML; Ilharco et al. 2021, OpenCLIP, doi:10.5281/zenodo.5143773.
    """
    if output not in OUTPUTS:
        raise InputError(
            f"CLIP: found the output {output!r}, expected one of {', '.join(OUTPUTS)}; correct it"
        )
    if network is None and weights != UNTRAINED:
        raise InputError(
            f"{weights}: found weights of CLIP without `network`, expected ViT-B-32-quickgelu "
            "(OpenAI's weights) or ViT-B-32 (LAION's), since weights do not tell their activation; "
            "give it"
        )
    model = _built(network or "ViT-B-32", seed, with_text=weights != UNTRAINED)
    if weights != UNTRAINED:
        _load(model, Path(weights), network)
    transforms = open_clip.image_transform(model.visual.image_size, is_train=False)
    return ImageTower(model.visual, output).eval(), transforms


def _built(network: str, seed: int, *, with_text: bool) -> open_clip.CLIP:
    config = open_clip.get_model_config(network) or {}
    if (
        not config
        or set(config) - PLAIN
        or {"timm_model_name", "hf_model_name"}
        & {key for part in ("vision_cfg", "text_cfg") for key in config[part]}
    ):
        raise InputError(
            f"found the network {network!r} for CLIP, expected one of open_clip's own, such as "
            "ViT-B-32, ViT-B-32-quickgelu, ViT-B-16 or RN50; correct `network`"
        )
    towers = config if with_text else config | {"text_cfg": NO_TEXT}
    return seeded_network(partial(open_clip.CLIP, **towers), seed)


def _load(model: open_clip.CLIP, path: Path, network: str) -> None:
    if not path.is_file():
        raise InputError(
            f"{path}: found no such file, expected weights of CLIP; correct `weights`, or say "
            "untrained"
        )
    try:
        open_clip.load_checkpoint(model, str(path), weights_only=True)
    except Exception as error:  # almost anything, of files that hold something else
        raise _unfit(path, network, error) from error


def _unfit(path: Path, network: str, error: Exception) -> InputError:
    if "TorchScript" in str(error):
        return InputError(
            f"{path.name}: found an archive of code with weights (TorchScript), expected weights "
            "alone; save them once as the head of workflow/lib/features/clip.py says"
        )
    return InputError(
        f"{path.name}: found no weights that fit {network} ({one_line(error)[:300]}), expected a "
        "whole state dict of that network by open_clip; name the network that they belong to, or "
        "download them again"
    )
