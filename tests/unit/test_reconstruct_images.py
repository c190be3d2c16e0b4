"""What is drawn or answered for test images: only from decoded inputs, never from the images."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from scripts.reconstruction.data.image_table import ImageTable
from scripts.reconstruction.generator.generator_inputs import (
    Decoded,
    Deviations,
    InputScaling,
    decoded_of,
    read_decoded,
)
from scripts.reconstruction.generator.reconstruct_baselines import (
    BASELINES,
    mean_image,
    nearest_image,
    nearest_rows,
)
from scripts.reconstruction.generator.reconstruct_images import reconstruct_images
from scripts.reconstruction.generator.trained_generator import TrainedGenerator
from scripts.reconstruction.generator.unet import build_unet
from workflow.lib.errors import InputError
from workflow.lib.sources import TRAINING
from workflow.lib.splits.held_out import (
    ALL_TRAINING,
    HeldOut,
    fitted_to_all,
    read_held_out,
    write_held_out,
)

SIDE, N_TRAINING, N_TEST, N_VECTOR = 16, 12, 5, 3
RNG = np.random.default_rng(0)


def table():
    n = N_TRAINING + 2 * N_TEST
    return ImageTable(
        names=[f"image{i}" for i in range(n)],
        parts=[TRAINING] * N_TRAINING + ["natural"] * N_TEST + ["letters"] * N_TEST,
        images=np.random.default_rng(1).integers(0, 256, (n, SIDE, SIDE, 3), dtype=np.uint8),
        shapes=np.zeros((n, SIDE, SIDE), np.float32),
        groups=np.arange(n),
    )


@pytest.fixture
def files(tmp_path):
    """Files of decoded shapes and vectors, their images in an order of their own."""
    images, rng = table(), np.random.default_rng(2)
    paths = {}
    for stream, shape in {"shapes": (SIDE, SIDE), "semantics": (N_VECTOR,)}.items():
        parts = {}
        for part in dict.fromkeys(images.parts):
            names = images.of(part).names[::-1]
            predicted = rng.standard_normal((len(names), *shape))
            held_out = fitted_to_all(names, predicted)
            if part == TRAINING:
                held_out = replace(held_out, fold=np.arange(len(names)) % 3)
            parts[part] = held_out
        paths[stream] = tmp_path / f"{stream}.h5"
        write_held_out(paths[stream], parts, {})
    return paths


def generator():
    network = build_unet(SIDE, [4, 6, 8], N_VECTOR, dropout=0.5, seed=0).eval()
    return TrainedGenerator(
        network, InputScaling(*(Deviations(np.zeros(n), 1.0) for n in ((SIDE, SIDE), N_VECTOR)))
    )


def test_every_test_image_is_drawn_under_its_name(files, tmp_path):
    images = table()
    found = reconstruct_images(images, files, generator())
    write_held_out(tmp_path / "drawn.h5", found, {"generator": "full", "subject": "01"})
    for part in ("natural", "letters"):
        drawn = read_held_out(tmp_path / "drawn.h5", part)
        assert drawn.names == images.of(part).names
        assert drawn.predicted.shape == (N_TEST, SIDE, SIDE, 3)
        assert drawn.predicted.dtype == np.uint8
        assert set(drawn.fold) == {ALL_TRAINING}
        decoded = read_decoded(files, part, drawn.names[2:3], size=SIDE)
        np.testing.assert_allclose(drawn.predicted[2], generator().draw(decoded)[0], atol=1)


def test_what_is_drawn_does_not_depend_on_the_test_images(files):
    """Inverted test images change no answer."""
    images = table()
    is_test = np.array(images.parts) != TRAINING
    inverted = images.images.copy()
    inverted[is_test] = 255 - inverted[is_test]
    answers = [partial(reconstruct_images, files=files, trained=generator())]
    answers += [partial(baseline, files=files) for baseline in BASELINES.values()]
    for answer in answers:
        before, after = answer(images), answer(replace(images, images=inverted))
        for part in ("natural", "letters"):
            np.testing.assert_array_equal(before[part].predicted, after[part].predicted)


def test_mean_image_has_the_least_squared_error():
    images = table()
    seen = images.of(TRAINING).images.astype(float)
    answer = mean_image(images, {})["natural"].predicted
    assert len(np.unique(answer, axis=0)) == 1

    def error(image):
        return ((seen - image) ** 2).sum()

    best = answer[0].astype(float)
    for _ in range(20):
        change = RNG.integers(-1, 2, best.shape)
        assert error(best + change) >= error(best) - 1e-6


def test_nearest_image_by_brute_force(files):
    """Squared distances of shapes and vectors, each in units of its mean square from the mean."""
    images = table()
    known, new = (
        read_decoded(files, part, images.of(part).names, size=SIDE)
        for part in (TRAINING, "letters")
    )
    found = nearest_image(images, files)["letters"]
    for i in range(N_TEST):
        distances = []
        for j in range(N_TRAINING):
            total = 0.0
            for a, b in ((new.shapes, known.shapes), (new.vectors, known.vectors)):
                unit = np.mean([((y - b.mean(axis=0)) ** 2).sum() for y in b])
                total += ((a[i] - b[j]) ** 2).sum() / unit
            distances.append(total)
        nearest = int(np.argmin(distances))
        assert found.extra["nearest"][i] == nearest
        np.testing.assert_array_equal(found.predicted[i], images.images[nearest])


def test_a_training_image_is_nearest_to_itself_whatever_the_units():
    known = Decoded(list("abcd"), RNG.standard_normal((4, 3, 3)), RNG.standard_normal((4, 2)))
    scaled = replace(known, vectors=1e6 * known.vectors)
    for decoded in (known, scaled, replace(known, shapes=None), replace(known, vectors=None)):
        assert nearest_rows(decoded, decoded).tolist() == [0, 1, 2, 3]
    with pytest.raises(InputError, match="found neither decoded shapes nor vectors"):
        nearest_rows(Decoded(["a"]), Decoded(["b"]))


def test_inputs_have_mean_zero_and_mean_square_one_over_training_images():
    known = Decoded(list("abcdef"), 3 + RNG.random((6, 8, 8)), 5 + 7 * RNG.random((6, 4)))
    inputs = InputScaling.of(known)(known, 8)
    for values in (inputs.shapes, inputs.vectors):
        assert values.mean(dim=0).abs().max().item() == pytest.approx(0, abs=1e-5)
        assert (values**2).mean().item() == pytest.approx(1, rel=1e-5)
    silent = InputScaling.of(replace(known, shapes=None))(replace(known, shapes=None), 8)
    assert silent.shapes.shape == (6, 1, 8, 8)
    assert not silent.shapes.any()


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6])
def test_a_stream_that_is_constant_but_for_rounding_is_shown_as_zero(value):
    vectors = np.full((5, 4), value) * (1 + 1e-8 * RNG.standard_normal((5, 4)))
    known = Decoded(list("abcde"), None, vectors.astype(np.float32))
    assert InputScaling.of(known)(known, 8).vectors.abs().max() <= 1e-6 * max(1, abs(value))


def held_out(names, predicted, fold):
    return HeldOut(names, predicted, np.array(fold))


def test_decoded_inputs_that_do_not_belong_together():
    shapes = held_out(["a", "b"], np.zeros((2, 4, 4)), [0, 1])
    vectors = held_out(["b", "a"], np.zeros((2, 3)), [1, 0])
    decoded = decoded_of(["a", "b"], shapes, vectors, size=4)
    assert decoded.vectors.shape == (2, 3)
    with pytest.raises(InputError, match="from different folds"):
        decoded_of(["a", "b"], shapes, held_out(["a", "b"], np.zeros((2, 3)), [1, 0]), size=4)
    with pytest.raises(InputError, match=r"found \(4, 4\) pixels, expected the images' \(8, 8\)"):
        decoded_of(["a", "b"], shapes, vectors, size=8)
    with pytest.raises(InputError, match="found none of the image 'c'"):
        decoded_of(["a", "c"], shapes, vectors, size=4)
