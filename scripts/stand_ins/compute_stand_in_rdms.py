"""Show a network other pictures of the categories that a participant saw, and compare categories.

Where the stimuli of a study of categories are not public, what a network makes of them cannot be
known; what it makes of the categories can, from several other pictures of each. Activations are
averaged over the pictures of a category, and categories compared.
"""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from workflow.lib.acquire.archives import zip_errors
from workflow.lib.errors import InputError
from workflow.lib.features.devices import choose_device
from workflow.lib.features.extraction import shown_in_parts
from workflow.lib.features.image_files import decoded, decoded_member
from workflow.lib.features.networks import layer_extractor, load_network
from workflow.lib.jobs import script_job
from workflow.lib.rdms.distances import pattern_distances
from workflow.lib.rdms.store import write_rdms
from workflow.lib.seeds import generator

METRIC = "correlation"
ARCHIVE = ".zip/"
# Side in pixels of scrambled pictures.
SIDE = 224


def open_picture(path: str, root: Path) -> Image.Image:
    """Return a picture as RGB.

    Parameters
    ----------
    path : below `root`; of a member of an archive, <archive>.zip/<member>
    root : Path

    Raises
    ------
    InputError
        A damaged archive, no such member, or no image.
    """
    if ARCHIVE not in path:
        return decoded(root / path, path)
    archive, _, member = path.partition(ARCHIVE)
    with zip_errors(f"{archive}.zip"):
        file = zipfile.ZipFile(root / f"{archive}.zip")
    with file:
        if member not in file.namelist():
            raise InputError(
                f"{archive}.zip: found no member {member!r}, expected the picture that "
                "`stand_ins` names; correct its name"
            )
        return decoded_member(file, file.getinfo(member), path)


def scrambled(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return a picture with the spectrum of another and random phases, alike in all colours.

    References
    ----------
    Dakin et al. 2002, What causes non-monotonic tuning of fMRI response to noisy images?, Curr
    Biol 12:R476.
    """
    values = np.asarray(picture.resize((SIDE, SIDE)), dtype=np.float64)
    # The phases of a real picture, so that what comes out is real.
    phases = np.angle(np.fft.fft2(rng.standard_normal((SIDE, SIDE))))[..., np.newaxis]
    spectrum = np.fft.fft2(values, axes=(0, 1))
    mixed = np.fft.ifft2(np.abs(spectrum) * np.exp(1j * (np.angle(spectrum) + phases)), axes=(0, 1))
    mean = values.mean(axis=(0, 1))
    changed = mixed.real - mixed.real.mean(axis=(0, 1)) + mean
    return Image.fromarray(np.uint8(np.clip(changed.round(), 0, 255)))


def stand_ins(
    pictures: Mapping[str, Sequence[str]],
    scrambled_name: str | None,
    root: Path,
    rng: np.random.Generator,
) -> dict[str, list[Image.Image]]:
    """Return the pictures of every category.

    Parameters
    ----------
    pictures : mapping, category -> paths below `root`, see `open_picture`
    scrambled_name : category of scrambled pictures, one of each of the others; None for none
    root : folder of the data sets
    rng : numpy Generator
    """
    opened = {
        category: [open_picture(path, root) for path in paths]
        for category, paths in pictures.items()
    }
    if scrambled_name is not None:
        of_all = [scrambled(one, rng) for several in opened.values() for one in several]
        opened[scrambled_name] = of_all
    return opened


def category_rdms(
    network: str,
    weights: str,
    layers: Mapping[str, str],
    pictures: Mapping[str, Sequence[Image.Image]],
    device: torch.device,
) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """Yield the labels and the RDM over categories of every layer.

    Parameters
    ----------
    network, weights : see `workflow.lib.features.networks.load_network`
    layers : mapping, name -> node of the network
    pictures : mapping, category -> its pictures
    device : torch device

    Yields
    ------
    labels : dict
    rdm : float64 array (n_pairs,), 1 - Pearson between mean activations
    """
    loaded, transforms = load_network(network, weights)
    extractor = layer_extractor(loaded, layers).to(device).eval()
    means: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
    for category, of_category in pictures.items():
        batch = torch.stack([transforms(picture) for picture in of_category]).to(device)
        parts = shown_in_parts(extractor, batch, [category] * len(batch), "none")
        for layer in layers:
            activations = np.concatenate([rows[layer] for rows in parts])
            means[layer].append(activations.mean(axis=0, dtype=np.float64))
    for layer, patterns in means.items():
        yield {"layer": layer}, pattern_distances(np.stack(patterns), METRIC)


if __name__ == "__main__":
    with script_job(snakemake):
        params, study = snakemake.params, snakemake.wildcards.study
        pictures = stand_ins(
            params.pictures,
            params.scrambled,
            Path(params.root),
            generator(params.seed, "stand_ins", study),
        )
        write_rdms(
            snakemake.output.rdms,
            category_rdms(
                params.network,
                params.weights,
                params.layers,
                pictures,
                choose_device(snakemake.resources.get("gpu", 0)),
            ),
            names=list(pictures),
            measure=METRIC,
            descriptors={"study": study, "model": snakemake.wildcards.model},
        )
