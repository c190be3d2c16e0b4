"""Fitting the same kind of network in every fold, with what is kept of it."""

import copy
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from scripts.reconstruction.decoders.alignment import Alignment
from scripts.reconstruction.decoders.decoder_job import DecoderJob
from scripts.reconstruction.decoders.decoder_networks import DecoderTask, Examples
from scripts.reconstruction.decoders.held_out_fits import Predictor
from scripts.reconstruction.decoders.samples import ImageSamples
from workflow.lib.features.initial import seeded_network, weights_seed
from workflow.lib.tables import write_table
from workflow.lib.training.history import COLUMNS
from workflow.lib.training.options import TrainingOptions
from workflow.lib.training.task import train
from workflow.lib.training.weights import write_weights

HISTORY_COLUMNS = ["fold", *COLUMNS]
# Samples that a network predicts at a time.
BATCH = 256


@dataclass
class NetworkFits:
    """Fits networks, one after another, to samples of training images.

    All of them start with the same weights. Outputs that have no meaning of their own, such as
    hidden units, are brought from the axes of each trained network to those of the network that all
    of them started as: a generator learns from vectors by the networks of the folds, and is tested
    on vectors by the network of all training images. Nothing leaks by this. The initial network has
    seen no image, and the map of a fold follows from the images that its network learned from or
    stopped by, never from those that it predicts. Vectors by the network of all training images
    would serve as well as a target, but have learned the categories of every fold's held-out
    images, and would bring something of them into the fold.

    Attributes
    ----------
    build : callable, number of voxels -> network
    task : subclass of DecoderTask
    outputs : callable, (network, responses (n, n_voxels)) -> tensors (n, ...) by name
        What is kept of the predictions; "predicted" is among them.
    targets : array (n_images, ...)
        What is decoded, of the training images.
    options : TrainingOptions
    seed : int
    purpose : str
        Of the study, subject and decoder.
    device : torch.device
    checkpoints : path of a folder
        A job that is cut short goes on from them; the caller removes it once results are safe.
    code : str
        Digest of the code that trains, see `workflow.lib.training.task.train`.
    described : mapping
        The network's block of the config: not all of it shows in the shapes of its weights.
    aligned : sequence of str
        Outputs (n, d) that are brought to the axes of the initial network.
    histories : list of DataFrame
        Filled, one per fit.
    network : nn.Module
        The last one that was fitted.
    alignments : dict, output -> Alignment
        Of that one.
    """

    build: Callable[[int], nn.Module]
    task: type[DecoderTask]
    outputs: Callable[[nn.Module, torch.Tensor], Mapping[str, torch.Tensor]]
    targets: np.ndarray
    options: TrainingOptions
    seed: int
    purpose: str
    device: torch.device
    checkpoints: Path
    code: str = ""
    described: Mapping[str, Any] = field(default_factory=dict)
    aligned: Sequence[str] = ()
    histories: list[pd.DataFrame] = field(default_factory=list)
    network: nn.Module | None = None
    alignments: dict[str, Alignment] = field(default_factory=dict)

    def __call__(self, training: ImageSamples, validation: ImageSamples, name: str) -> Predictor:
        """Fit a network, and return what predicts by it."""
        purpose = f"{self.purpose}/{name}"
        self.network = seeded_network(
            lambda: self.build(training.responses.shape[1]), weights_seed(self.seed, self.purpose)
        ).to(self.device)
        initial = copy.deepcopy(self.network) if self.aligned else None
        task = self.task(
            self.network,
            self._examples(training),
            self._examples(validation),
            self.options,
            seed=self.seed,
            purpose=purpose,
        )
        checkpoint = self.checkpoints / f"{name.replace(' ', '_')}.checkpoint"
        history = train(
            task,
            seed=self.seed,
            purpose=purpose,
            checkpoint=checkpoint,
            code=self.code,
            settings=self.described,
        )
        self.histories.append(history.assign(fold=name.removeprefix("fold ")))
        network = self.network
        alignments = self._alignments(initial, network, training, validation)
        self.alignments = alignments

        def predict(others: np.ndarray) -> dict[str, np.ndarray]:
            found = self._predicted(network, others)
            return found | {output: align(found[output]) for output, align in alignments.items()}

        return predict

    def _alignments(
        self,
        initial: nn.Module | None,
        trained: nn.Module,
        training: ImageSamples,
        validation: ImageSamples,
    ) -> dict[str, Alignment]:
        """Return by output what brings it to the axes of the initial network."""
        if not self.aligned:
            return {}
        # As what is predicted, the mean response to each image.
        parts = [part.averaged().responses for part in (training, validation) if len(part)]
        targets, vectors = (self._predicted(n, np.concatenate(parts)) for n in (initial, trained))
        return {output: Alignment.of(vectors[output], targets[output]) for output in self.aligned}

    def _examples(self, samples: ImageSamples) -> Examples:
        return Examples.on(self.device, samples.responses, self.targets[samples.image])

    @torch.inference_mode()
    def _predicted(self, network: nn.Module, responses: np.ndarray) -> dict[str, np.ndarray]:
        network.eval()
        found: dict[str, list[np.ndarray]] = {}
        for start in range(0, len(responses), BATCH):
            batch = torch.from_numpy(responses[start : start + BATCH]).to(self.device)
            for name, values in self.outputs(network, batch).items():
                found.setdefault(name, []).append(values.cpu().numpy())
        return {name: np.concatenate(parts) for name, parts in found.items()}


def write_network_fits(
    job: DecoderJob,
    *,
    build: Callable[[int], nn.Module],
    task: type[DecoderTask],
    outputs: Callable[[nn.Module, torch.Tensor], Mapping[str, torch.Tensor]],
    targets: np.ndarray,
    aligned: Sequence[str] = (),
    device: torch.device,
    predictions_file: Path,
    history_file: Path,
    network_file: Path,
) -> None:
    """Train the networks of a decoder, and write what comes out of them.

    Parameters
    ----------
    job : DecoderJob
    build, task, outputs, targets, aligned, device : see `NetworkFits`
    predictions_file : path, see `HeldOut`
    history_file : path
        Of the learning curves; `fold` is "all" for the network of all training images.
    network_file : path
        Of that one, and under "<output> <part>" the parts of its alignments.
    """
    fits = NetworkFits(
        build=build,
        task=task,
        outputs=outputs,
        targets=targets,
        options=TrainingOptions(**job.decoder["training"]),
        seed=job.seed,
        purpose=job.purpose,
        device=device,
        # Snakemake deletes what a killed job has put out, but knows nothing of this folder.
        checkpoints=predictions_file.with_suffix(".checkpoints"),
        code=job.code,
        described=job.decoder["network"],
        aligned=aligned,
    )
    job.write_predictions(predictions_file, fits)
    write_table(pd.concat(fits.histories, ignore_index=True)[HISTORY_COLUMNS], history_file)
    description = {"decoder": job.name, "subject": job.subject, **job.decoder["network"]}
    alignments = {
        f"{output} {part}": torch.as_tensor(value)
        for output, alignment in fits.alignments.items()
        for part, value in vars(alignment).items()
    }
    write_weights(network_file, fits.network.state_dict() | alignments, description)
    shutil.rmtree(fits.checkpoints, ignore_errors=True)
