"""How long a study takes and what it needs, from its size and rates measured once.

Rates were measured on two cores of a server (AMD EPYC) by the scripts in benchmarks/; predictions
hold within a factor of about two there, and say the order of magnitude elsewhere.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from workflow.lib.config.rsa_kinds import encoded_models
from workflow.lib.features.networks import layer_extractor, load_network
from workflow.lib.features.unit_blocks import BLOCK_UNITS
from workflow.lib.rdms.distances import MAHALANOBIS
from workflow.lib.rdms.vectors import working_dtype
from workflow.lib.searchlight.statistics import MAPS_BYTES, PRODUCT_COLUMNS, ROWS_BYTES
from workflow.lib.sources import axes_of, axis_of

SECONDS_PER_JOB = 2.0

# benchmarks/real_size.py
SECONDS_PER_PERMUTED_PAIR = 8e-9
SECONDS_PER_READ_PAIR = 5e-8
COPIES_OF_RDMS_IN_MEMORY = 4
BYTES_OF_LIBRARIES = 250e6

# Responses are stored as float32 and worked on as float64. Copies that exist at a time, over 400
# volumes of 75,000 voxels: of all ROIs, as read and as prepared; more of the ROI that is prepared;
# and of one ROI while its RDM is computed, or its share of variance that repeats explain.
COPIES_OF_RESPONSES_READ = 2
MORE_COPIES_OF_RESPONSES_PREPARED = 2
COPIES_OF_RESPONSES_COMPARED = 3.5
COPIES_OF_RESPONSES_ENCODED = 6
# Matrices of channels by channels where noise is normalised by its covariance.
COPIES_OF_NOISE_COVARIANCE = 4
# What a study writes whatever its size: the explorer with its program, figures and tables.
BYTES_OF_PAGES = 8e6

# benchmarks/feature_extraction.py: operations of the forward pass and of the products of patterns,
# on each of the two cores that a job gets; decoding and scaling an image; a unit written and read.
OPERATIONS_PER_SECOND = 7e10
EXTRACTION_CORES = 2
SECONDS_PER_IMAGE = 0.01
SECONDS_PER_ACTIVATION = 1.5e-8
BYTES_OF_TORCH = 500e6
# Intermediate results of a batch that exist at a time, and copies of the layers that are kept.
COPIES_OF_LAYERS_IN_MEMORY = 3
# A transform's input; it scales any size to its own.
ANY_IMAGE = Image.new("RGB", (256, 256))

# Training steps of a VGG, small or whole: a backward pass takes two forward ones; a parameter is
# updated by Adam; an image, and each of its values, is changed before it is shown.
PASSES_OF_A_STEP = 3
SECONDS_PER_UPDATED_PARAMETER = 3.5e-9
SECONDS_PER_CHANGED_IMAGE = 5e-5
SECONDS_PER_CHANGED_VALUE = 5e-9
# Parameters, their gradients, and Adam's two moments.
COPIES_OF_PARAMETERS_IN_MEMORY = 4

# Ridge regression over n images: decomposing a fold's kernel goes with n cubed; a permutation fits
# every fold anew, products of n by n with n by channels, of which an ROI has about this many.
SECONDS_PER_CUBED_IMAGE = 2e-10
SECONDS_PER_FIT = 2e-3
SECONDS_PER_REFITTED_PRODUCT = 1.2e-11
SECONDS_PER_PERMUTED_RESPONSE = 4e-8
CHANNELS = 200

# Searchlights, for one core: a product of two responses in the RDM of a sphere, or of two
# dissimilarities; a dissimilarity ranked; a voxel of a null map enhanced by its clusters.
SECONDS_PER_PRODUCT = 2e-10
SECONDS_PER_RANKED_PAIR = 1e-8
SECONDS_PER_ENHANCED_VOXEL = 1e-7
SEARCHLIGHT_CORES = 2


@dataclass(frozen=True)
class NetworkCost:
    """What showing images to a network takes.

    Attributes
    ----------
    operations : float
        Floating-point operations of one image's forward pass (a product and a sum are two).
    n_units : int
        Of all layers together, before pooling.
    n_parameters, n_images, n_seeds, batch_size : int
    """

    operations: float
    n_units: int
    n_parameters: int
    n_images: int
    n_seeds: int
    batch_size: int

    def seconds(self, cores: int) -> float:
        """Return the time of the job that serves all layers and seeds."""
        rate = OPERATIONS_PER_SECOND * min(cores, EXTRACTION_CORES)
        products = 2.0 * self.n_images * self.n_units
        per_image = (self.operations + products) / rate + SECONDS_PER_IMAGE
        per_image += SECONDS_PER_ACTIVATION * self.n_units
        return self.n_seeds * self.n_images * per_image

    def memory_bytes(self) -> float:
        """Return the peak memory: parameters, a batch, a block of units, matrices of images."""
        batch = COPIES_OF_LAYERS_IN_MEMORY * self.batch_size * self.n_units
        blocks = 2 * self.n_images * BLOCK_UNITS
        return (
            BYTES_OF_TORCH + 4.0 * (self.n_parameters + batch + blocks) + 3 * 8 * self.n_images**2
        )

    def temporary_bytes(self) -> float:
        """Return the size of the activations, which lie on disk while the job runs."""
        return 4.0 * self.n_images * self.n_units


def network_cost(model: Mapping, n_images: int) -> NetworkCost:
    """Return the cost of a network, from a forward pass that computes shapes alone.

    Parameters
    ----------
    model : the model's config block
    n_images : images that it is shown

    Raises
    ------
    InputError
        No such network, or no such layer.
    """
    network, transforms = load_network(model["network"], "untrained")
    n_parameters = sum(parameter.numel() for parameter in network.parameters())
    extractor = layer_extractor(network, model["layers"]["names"]).to("meta")
    image = transforms(ANY_IMAGE).unsqueeze(0).to("meta")
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        outputs = extractor(image)
    return NetworkCost(
        operations=float(counter.get_total_flops()),
        n_units=sum(output.numel() for output in outputs.values()),
        n_parameters=n_parameters,
        n_images=n_images,
        n_seeds=model["seeds"] if model["weights"] == "untrained" else 1,
        batch_size=model["batch_size"],
    )


@dataclass(frozen=True)
class TrainingCost:
    """What training a network takes.

    Attributes
    ----------
    operations : float
        Floating-point operations of one image's forward pass.
    n_units : int
        Results of all modules for one image: what the backward pass needs.
    n_values : int
        Of one image, over colours and pixels.
    n_parameters, n_steps, batch_size : int
    n_evaluated : int
        Images that are shown for an evaluation, over all of training.
    """

    operations: float
    n_units: int
    n_values: int
    n_parameters: int
    n_steps: int
    batch_size: int
    n_evaluated: int

    def seconds(self, cores: int) -> float:
        """Return the time of the job."""
        per_pass = self.operations / (OPERATIONS_PER_SECOND * min(cores, EXTRACTION_CORES))
        changing = SECONDS_PER_CHANGED_IMAGE + SECONDS_PER_CHANGED_VALUE * self.n_values
        per_step = self.batch_size * (PASSES_OF_A_STEP * per_pass + changing)
        per_step += SECONDS_PER_UPDATED_PARAMETER * self.n_parameters
        return SECONDS_PER_JOB + self.n_steps * per_step + self.n_evaluated * per_pass

    def memory_bytes(self) -> float:
        """Return the peak memory without the images."""
        batch = self.batch_size * (self.n_units + self.n_values)
        return BYTES_OF_TORCH + 4.0 * (COPIES_OF_PARAMETERS_IN_MEMORY * self.n_parameters + batch)


def training_cost(
    network: nn.Module,
    image: tuple[int, ...],
    *,
    batch_size: int,
    n_steps: int,
    n_evaluated: int,
) -> TrainingCost:
    """Return the cost of training a network, from a forward pass that computes shapes alone.

    Parameters
    ----------
    network : nn.Module
        Brought to the meta device, where it loses its weights.
    image : tuple of int
        Shape of an image as the network takes it: colours, height, width.
    batch_size, n_steps : int
    n_evaluated : int
        Images that are shown for an evaluation, over all of training.
    """
    n_units = 0

    def count(module: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal n_units
        n_units += output.numel()

    network = network.to("meta").eval()
    leaves = [module for module in network.modules() if not list(module.children())]
    handles = [module.register_forward_hook(count) for module in leaves]
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(torch.empty(1, *image, device="meta"))
    for handle in handles:
        handle.remove()
    return TrainingCost(
        operations=float(counter.get_total_flops()),
        n_units=n_units,
        n_values=math.prod(image),
        n_parameters=sum(parameter.numel() for parameter in network.parameters()),
        n_steps=n_steps,
        batch_size=batch_size,
        n_evaluated=n_evaluated,
    )


@dataclass(frozen=True)
class EncodingCost:
    """What ridge regression from every layer to every ROI takes.

    Attributes
    ----------
    n_fits : int
        Layers, seeds of untrained networks counted, times ROIs: for one subject.
    n_images, n_folds, n_permutations, n_subjects : int
    """

    n_fits: int
    n_images: int
    n_folds: int
    n_permutations: int
    n_subjects: int

    def seconds(self, cores: int) -> float:
        """Return the time of all subjects."""
        fitting = SECONDS_PER_FIT + SECONDS_PER_CUBED_IMAGE * self.n_images**3
        products = SECONDS_PER_REFITTED_PRODUCT * self.n_folds * self.n_images**2 * CHANNELS
        permuting = products + SECONDS_PER_PERMUTED_RESPONSE * self.n_images * CHANNELS
        fit = self.n_folds * fitting + self.n_permutations * permuting
        return self.n_subjects * self.n_fits * fit / min(cores, self.n_subjects)


def encoding_cost(study: Mapping, n_images: int) -> EncodingCost | None:
    """Return the cost of a study's encoding models, None where it has none."""
    models = [study["models"][name] for name in encoded_models(study)]
    if not models:
        return None
    names = {axis.placeholder: axis.names for axis in axes_of(study["brain"])}
    n_layers = sum(
        len(layers_of(model)) * (model["seeds"] if model.get("weights") == "untrained" else 1)
        for model in models
    )
    return EncodingCost(
        n_fits=n_layers * len(names["roi"]),
        n_images=n_images,
        n_folds=study["encoding"]["folds"],
        n_permutations=study["inference"]["n_permutations"],
        n_subjects=len(names["subject"]),
    )


@dataclass(frozen=True)
class SearchlightCost:
    """What the searchlight of one subject takes.

    Attributes
    ----------
    n_images, n_voxels, n_maps, n_permutations : int
    per_sphere : int
        Voxels of a whole sphere.
    tfce : bool
    """

    n_images: int
    n_voxels: int
    per_sphere: int
    n_maps: int
    n_permutations: int
    tfce: bool

    def seconds(self, cores: int) -> float:
        """Return the time of the job."""
        n_pairs = self.n_images * (self.n_images - 1) // 2
        rows = self.n_maps * self.n_permutations
        # RDMs of spheres are not kept: each block of permuted models meets them anew.
        held = ROWS_BYTES // (8 * max(n_pairs, PRODUCT_COLUMNS))
        held = min(held, MAPS_BYTES // (8 * self.n_voxels)) if self.tfce else held
        passes = 1 + math.ceil(rows / max(held, 1))
        per_rdm = SECONDS_PER_PRODUCT * self.n_images**2 / 2 * self.per_sphere
        per_rdm += SECONDS_PER_RANKED_PAIR * n_pairs
        per_map = SECONDS_PER_PRODUCT * n_pairs + (SECONDS_PER_ENHANCED_VOXEL if self.tfce else 0)
        total = self.n_voxels * (passes * per_rdm + rows * per_map)
        return SECONDS_PER_JOB + total / min(cores, SEARCHLIGHT_CORES)


def searchlight_cost(
    study: Mapping, n_images: int, n_voxels: int, per_sphere: int
) -> SearchlightCost:
    """Return the cost of the searchlight of one subject.

    Parameters
    ----------
    study : a study of the completed config, with a searchlight
    n_images : number of common images
    n_voxels : voxels that spheres are laid around
    per_sphere : voxels of a whole sphere
    """
    settings = study["searchlight"]
    mapped = settings["models"] or [m for m in study["models"] if m not in settings["controls"]]
    return SearchlightCost(
        n_images=n_images,
        n_voxels=n_voxels,
        per_sphere=per_sphere,
        n_maps=sum(len(layers_of(study["models"][name])) for name in mapped),
        n_permutations=settings["n_permutations"],
        tfce=settings["tfce"],
    )


@dataclass(frozen=True)
class ResponseSize:
    """How large the response patterns of one subject are.

    Attributes
    ----------
    n_observations : int
        As read, those of dropped conditions included.
    n_channels, n_largest : int
        Of all ROIs together, and of the largest.
    """

    n_observations: int
    n_channels: int
    n_largest: int

    def disk_bytes(self) -> float:
        """Return the size of the file of prepared patterns (float32), none of them dropped."""
        return 4.0 * self.n_observations * self.n_channels

    def reading_bytes(self, brain: Mapping) -> float:
        """Return the peak memory of the job that reads and prepares the patterns.

        Parameters
        ----------
        brain : the block of the study's config
        """
        prepares = (
            brain["detrend"] or brain["remove_mean_pattern"] or brain["standardise"] != "none"
        )
        copies = COPIES_OF_RESPONSES_READ * self.n_channels
        copies += MORE_COPIES_OF_RESPONSES_PREPARED * self.n_largest * prepares
        return BYTES_OF_LIBRARIES + 8.0 * self.n_observations * copies

    def memory_bytes(self, study: Mapping) -> float:
        """Return the peak memory of the jobs on the patterns of the ROIs.

        Parameters
        ----------
        study : a study of the completed config
        """
        brain = study["brain"]
        copies = COPIES_OF_RESPONSES_COMPARED
        if encoding_cost(study, 1) is not None:
            copies = COPIES_OF_RESPONSES_ENCODED
        by_noise = brain["metric"] == MAHALANOBIS and brain["noise_normalisation"] == "none"
        by_noise |= brain["noise_normalisation"] == "shrinkage"
        squares = COPIES_OF_NOISE_COVARIANCE * self.n_largest**2 * by_noise
        compared = 8.0 * (copies * self.n_observations * self.n_largest + squares)
        return max(self.reading_bytes(brain), BYTES_OF_LIBRARIES + compared)


@dataclass(frozen=True)
class Size:
    """How large the comparison of a study is."""

    n_images: int
    n_subjects: int
    n_rois: int
    n_sessions: int
    n_layers: int
    n_models: int
    n_tests: int
    n_draws: int

    @property
    def n_pairs(self) -> int:
        """Pairs of images."""
        return self.n_images * (self.n_images - 1) // 2

    @property
    def rdms_per_subject(self) -> int:
        """RDMs in a subject's file: the ROIs' means over sessions, and the sessions kept apart."""
        return self.n_rois * (self.n_sessions + 1 if self.n_sessions > 1 else 1)

    @property
    def n_tables(self) -> int:
        """Subjects, and their joint RDM."""
        return self.n_subjects + (self.n_subjects > 1)

    def disk_bytes(self) -> float:
        """Return the size of the aligned RDMs (float32), of the draws, figures and pages.

        Draws are kept as they are, and as exact resamples give them (float64).
        """
        rdms = 4.0 * self.n_pairs * (self.rdms_per_subject * self.n_tables + self.n_layers)
        cells = self.rdms_per_subject * self.n_tables * self.n_layers
        return rdms + 2 * 8.0 * self.n_draws * cells + BYTES_OF_PAGES

    def memory_bytes(self) -> float:
        """Return the peak memory of the comparison."""
        item = np.dtype(working_dtype(self.n_images)).itemsize
        rdms = self.rdms_per_subject + self.n_layers
        return BYTES_OF_LIBRARIES + COPIES_OF_RDMS_IN_MEMORY * item * self.n_pairs * rdms

    def seconds(self, cores: int) -> float:
        """Return the time of the study without networks and encoding."""
        smaller = min(self.rdms_per_subject, self.n_layers)
        permuting = SECONDS_PER_PERMUTED_PAIR * self.n_pairs * smaller * self.n_tests
        reading = SECONDS_PER_READ_PAIR * self.n_pairs * (self.rdms_per_subject + self.n_layers)
        jobs = SECONDS_PER_JOB * (3 * self.n_tables + 2 * self.n_models + 8)
        return ((permuting + reading) * self.n_tables + jobs) / min(cores, self.n_tables)


def study_size(study: Mapping, n_images: int) -> Size:
    """Return the size of a study over a number of images."""
    brain = {axis.placeholder: axis.names for axis in axes_of(study["brain"])}
    separate = study["brain"].get("sessions", {}).get("combine") == "separate"
    return Size(
        n_images=n_images,
        n_subjects=len(brain["subject"]),
        n_rois=len(brain["roi"]),
        n_sessions=len(brain.get("session", ())) if separate else 1,
        n_layers=sum(len(layers_of(model)) for model in study["models"].values()),
        n_models=len(study["models"]),
        n_tests=study["inference"]["n_permutations"] * len(study["comparators"]),
        n_draws=study["inference"]["n_bootstrap"] * len(study["comparators"]),
    )


def layers_of(model: Mapping) -> tuple[str, ...]:
    """Return the labels of a model's layers."""
    return axis_of(model, "layer").names
