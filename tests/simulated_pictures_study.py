"""The simulated pictures of config/full.yaml: simulated, decoded, drawn, without Snakemake."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from scripts.check.check_config import DEFAULT_CONFIG
from scripts.reconstruction.data.image_features import layer_features
from scripts.reconstruction.data.image_table import ImageTable
from scripts.reconstruction.data.prepare_pictures import (
    prepare_pictures,
    shown_names,
    stimuli_from_files,
)
from scripts.reconstruction.data.responses import read_responses
from scripts.reconstruction.data.simulate_pictures import simulate_pictures
from scripts.reconstruction.decoders.cluster_images import cluster_images
from scripts.reconstruction.decoders.clusters import Clusters
from scripts.reconstruction.decoders.decode_semantics import logistic_of_categories
from scripts.reconstruction.decoders.decode_shapes import ridge_of_shapes
from scripts.reconstruction.decoders.decoder_job import DecoderJob
from scripts.reconstruction.decoders.folds import decoder_folds
from scripts.reconstruction.decoders.held_out_fits import read_inputs
from scripts.reconstruction.decoders.ridge import RidgeSettings
from scripts.reconstruction.evaluation.image_scores import (
    Evaluation,
    Mean,
    Reconstructions,
    means,
)
from scripts.reconstruction.evaluation.measure_names import PIXELS
from scripts.reconstruction.generator.gan_training import GanOptions
from scripts.reconstruction.generator.generator_inputs import read_decoded
from scripts.reconstruction.generator.reconstruct_images import reconstruct_images
from scripts.reconstruction.generator.train_generator import train_generator, validation_images
from workflow.lib.config.complete import complete_config
from workflow.lib.config.merging import laid_over
from workflow.lib.layouts.pictures import (
    parts_of,
    response_files,
    response_patterns,
    stimulus_patterns,
)
from workflow.lib.scores.images import correlations
from workflow.lib.seeds import generator
from workflow.lib.sources import TRAINING

STUDY, SUBJECT, TEST = "pictures", "01", "natural"


def pictures_entry() -> dict[str, Any]:
    """Return the entry `pictures` of the config of real studies, complete."""
    files = (DEFAULT_CONFIG, DEFAULT_CONFIG.with_name("full.yaml"))
    config = laid_over(*(yaml.safe_load(file.read_text()) for file in files))
    return complete_config(config)["reconstruction"][STUDY]


def clusters_of(images: ImageTable, entry: Mapping, *, seed: int) -> Clusters:
    """Return the clusters of the images, in the number that the entry gives."""
    block = entry["clusters"]
    layer = layer_features(
        network=block["network"],
        layer=block["layer"],
        weights=block["weights"],
        pooling="mean",
        seed=seed,
        n_gpus=0,
    )
    table, _ = cluster_images(
        layer.of(images.names, images.images),
        images,
        n_clusters=block["n_clusters"],
        candidates=[],
        rng=generator(seed, "reconstruction", "clusters", STUDY),
    )
    return Clusters(table)


def simulate(folder: Path, entry: Mapping, *, seed: int, streams: Collection[str]) -> None:
    """Write the pictures and the subject's responses to them."""
    simulation = entry["simulation"]
    sizes = {part: "training" if part == TRAINING else "test" for part in parts_of(entry)}
    simulate_pictures(
        folder,
        files=response_patterns(entry),
        n_images={part: simulation[f"n_{size}"] for part, size in sizes.items()},
        n_repeats={part: simulation[f"{size}_repeats"] for part, size in sizes.items()},
        subjects=[SUBJECT],
        streams=streams,
        variant=simulation["variant"],
        seed=seed,
        name=STUDY,
    )


def recorded_files(folder: Path, entry: Mapping) -> dict[str, Path]:
    """Return part -> file of the subject's responses."""
    files = response_files(entry, SUBJECT)
    return {part: folder / file for part, file in zip(parts_of(entry), files, strict=True)}


def prepared_images(folder: Path, paths: Mapping[str, Path], entry: Mapping) -> ImageTable:
    """Return the images that responses are to."""
    image = entry["image"]
    of_subjects = {part: {SUBJECT: path} for part, path in paths.items()}
    names = shown_names(of_subjects, entry["responses"])
    pictures = stimuli_from_files(
        names, folder, stimulus_patterns(entry), side=image["size"], background=image["background"]
    )
    return prepare_pictures(names, pictures, matte=image["matte"], blur=image["blur"])


@dataclass(frozen=True)
class PictureStudy:
    """One subject who saw the pictures, with some streams planted in the responses.

    Studies of a seed show the same pictures, whatever is planted.
    """

    folder: Path
    entry: Mapping[str, Any]
    seed: int
    images: ImageTable

    @classmethod
    def simulated(
        cls,
        folder: Path,
        entry: Mapping,
        *,
        seed: int,
        streams: Collection[str],
        images: ImageTable | None = None,
    ) -> "PictureStudy":
        """Return the study, with its raw files in a folder.

        Parameters
        ----------
        folder : path
        entry : mapping, of `pictures_entry`
        seed : int
        streams : collection of str
            Those that are planted.
        images : ImageTable, optional
            Those of another study of the seed, which need not be prepared again.
        """
        simulate(folder, entry, seed=seed, streams=streams)
        images = images or prepared_images(folder, recorded_files(folder, entry), entry)
        return cls(folder, entry, seed, images)

    @cached_property
    def training(self) -> ImageTable:
        """The training images."""
        return self.images.of(TRAINING)

    @cached_property
    def folds(self):
        """The folds of the training images."""
        return decoder_folds(self.training, **self.entry["folds"], seed=self.seed, study=STUDY)

    def decode_shapes(self, name: str) -> Path:
        """Return the file of the shapes that a ridge decoder of the entry predicts."""
        job = self._job("shapes", name)
        settings = RidgeSettings(**job.decoder["ridge"])
        shapes, groups = self.training.shapes, self.training.groups
        fit = ridge_of_shapes(shapes, groups, settings, seed=self.seed, purpose=job.purpose)
        return self._written(job, "shapes", fit)

    def decode_semantics(self, name: str, clusters: Clusters) -> Path:
        """Return the file of the categories that a logistic decoder of the entry predicts."""
        job = self._job("semantics", name)
        fit = logistic_of_categories(
            clusters.codes(TRAINING, self.training.names),
            self.training.groups,
            clusters.n_clusters,
            penalties=job.decoder["logistic"]["C"],
            n_inner_folds=job.decoder["logistic"]["n_inner_folds"],
            seed=self.seed,
            purpose=job.purpose,
        )
        return self._written(job, "semantics", fit)

    def _job(self, kind: str, name: str) -> DecoderJob:
        decoder = self.entry[kind][name]
        options = self.entry["responses"]
        responses = read_responses(
            recorded_files(self.folder, self.entry),
            self.images,
            subject=SUBJECT,
            rois={roi: options["rois"][roi] for roi in decoder["rois"]},
            options=options,
        )
        inputs = read_inputs(
            self.images,
            responses,
            trials=decoder["trials"],
            shuffled=decoder["shuffled"],
            seed=self.seed,
            study=STUDY,
        )
        return DecoderJob(STUDY, SUBJECT, name, decoder, inputs, self.folds, self.seed)

    def _written(self, job: DecoderJob, kind: str, fit) -> Path:
        path = self.folder / f"{kind}_{job.name}.h5"
        job.write_predictions(path, fit)
        return path

    def draw(self, files: Mapping[str, Path], options: GanOptions) -> np.ndarray:
        """Return what a generator draws of the test images, uint8 (n, side, side, 3).

        Parameters
        ----------
        files : mapping
            Decoded shapes and semantics, either of which may be missing.
        options : GanOptions
        """
        own, size = self.training, self.entry["image"]["size"]
        checkpoint = self.folder / "generator.checkpoint"
        trained = train_generator(
            own.images,
            read_decoded(files, TRAINING, own.names, size=size),
            validation_images(own, **self.entry["folds"], seed=self.seed, study=STUDY),
            options=options,
            seed=self.seed,
            purpose=f"{STUDY}/{SUBJECT}",
            checkpoint=checkpoint,
        ).trained
        checkpoint.unlink(missing_ok=True)
        return reconstruct_images(self.images, files, trained)[TEST].predicted

    @cached_property
    def evaluation(self) -> Evaluation:
        """How the reconstructions of the test images are tested."""
        block = self.entry["evaluation"]
        return Evaluation.of(
            self.images.of(TEST).groups,
            n_bootstrap=block["n_bootstrap"],
            n_permutations=block["n_permutations"],
            n_way=[2],
            rng=generator(self.seed, "reconstruction", "evaluation", STUDY, TEST),
        )

    def identification(self, drawn: np.ndarray) -> Mean:
        """Return the share that is identified of what was drawn of the test images, by pixels."""
        alike = correlations(drawn, self.images.of(TEST).images)
        (found,) = means(Reconstructions(pd.DataFrame(), {PIXELS: alike}), self.evaluation)
        return found
