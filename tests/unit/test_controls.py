"""Control models against values worked out by hand and against plain convolution."""

import inspect
import itertools

import numpy as np
import pytest
import scipy.ndimage
from PIL import Image
from skimage.color import rgb2lab
from skimage.filters import gabor_kernel

from tests.unit.raw_files import completed_config
from workflow.lib.config.rsa_kinds import CONTROL_OPTIONS
from workflow.lib.config.schema import load_schema
from workflow.lib.errors import InputError
from workflow.lib.features.controls import CONTROLS, control_features, zero_mean_gabor
from workflow.lib.features.stimuli import Stimuli
from workflow.lib.image_groups import group_rdm

SIDE = 32


def stimuli_of(*arrays):
    """Return stimuli from arrays (height, width[, 3]) of 0 to 255."""
    images = [Image.fromarray(np.uint8(array)).convert("RGB") for array in arrays]
    names = [f"image {i}" for i in range(len(images))]
    return Stimuli(names, images.__getitem__, list(range(len(images))))


def grating(cycles_per_pixel, degrees, contrast=100.0, side=SIDE):
    """Return a grating that varies along a direction, 0 degrees for vertical stripes."""
    y, x = np.mgrid[:side, :side]
    along = x * np.cos(np.radians(degrees)) + y * np.sin(np.radians(degrees))
    return 127.5 + contrast * np.sin(2 * np.pi * cycles_per_pixel * along)


def noise(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3))


@pytest.mark.parametrize("name", CONTROLS)
def test_features_are_float32_rows(name):
    found = control_features(name, stimuli_of(noise(0), noise(1), noise(0)))
    assert found.dtype == np.float32
    assert found.ndim == 2
    assert len(found) == 3
    np.testing.assert_array_equal(found[0], found[2])
    assert not np.array_equal(found[0], found[1])


def test_pixels():
    image = noise()
    colour = control_features("pixel", stimuli_of(image), side=SIDE, colour=True)
    np.testing.assert_allclose(colour[0], image.ravel() / 255, rtol=1e-6)
    grey = control_features("pixel", stimuli_of(image), side=SIDE)
    # ITU-R 601 luma, rounded to 8 bits
    np.testing.assert_allclose(255 * grey[0], (image @ [0.299, 0.587, 0.114]).ravel(), atol=1)
    assert control_features("pixel", stimuli_of(image), side=7).shape == (1, 49)


def test_gabor_energy_is_that_of_a_plain_convolution():
    image = noise()[:, :, 0]
    found = control_features(
        "gabor", stimuli_of(image), side=SIDE, frequencies=(0.25, 0.1), orientations=3, grid=4
    ).reshape(2, 3, 4, 4)
    for f, frequency in enumerate((0.25, 0.1)):
        for o in range(3):
            kernel = zero_mean_gabor(frequency, np.pi * o / 3)
            even, odd = (
                scipy.ndimage.convolve(image / 255, part, mode="reflect")
                for part in (kernel.real, kernel.imag)
            )
            energy = np.hypot(even, odd)
            cells = [[energy[8 * r : 8 * r + 8, 8 * c : 8 * c + 8].mean() for c in range(4)]
                     for r in range(4)]  # fmt: skip
            np.testing.assert_allclose(found[f, o], cells, atol=1e-5)


@pytest.mark.parametrize("orientation", range(4))
@pytest.mark.parametrize("frequency", [0.25, 0.125])
def test_gabor_finds_the_grating(frequency, orientation):
    image = grating(frequency, 45 * orientation)
    found = control_features(
        "gabor", stimuli_of(image), side=SIDE, frequencies=(0.25, 0.125), orientations=4, grid=1
    ).reshape(2, 4)
    best = np.unravel_index(found.argmax(), found.shape)
    assert best == ((0.25, 0.125).index(frequency), orientation)


def test_gabor_knows_contrast_but_neither_luminance_nor_phase():
    side = 3 * SIDE
    weak = grating(0.125, 0, 40, side)
    images = {
        "flat": np.full((side, side), 200),
        "weak": weak,
        "strong": grating(0.125, 0, 80, side),
        "bright": weak + 60,
        "shifted": np.roll(weak, 2, axis=1),  # by 90 degrees of its phase
    }
    found = control_features(
        "gabor", stimuli_of(*images.values()), side=side, frequencies=(0.25, 0.125), grid=3
    )
    # Of the middle cell, which the edges do not reach.
    middle = dict(zip(images, found.reshape(len(images), 2, 8, 9)[..., 4], strict=True))
    assert np.abs(middle["flat"]).max() < 1e-5
    # Within what 8 bits leave of a grating.
    np.testing.assert_allclose(middle["strong"], 2 * middle["weak"], atol=2e-3)
    np.testing.assert_allclose(middle["bright"], middle["weak"], atol=2e-3)
    np.testing.assert_allclose(middle["shifted"], middle["weak"], atol=2e-3)
    assert middle["weak"].max() > 0.05


def test_gabor_filter_sums_to_zero_and_is_else_that_of_scikit_image():
    kernel, plain = zero_mean_gabor(0.1, 0.3), gabor_kernel(0.1, theta=0.3, bandwidth=1)
    assert abs(kernel.sum()) < 1e-12
    assert abs(plain.sum()) > 1e-3
    assert np.corrcoef(kernel.real.ravel(), plain.real.ravel())[0, 1] > 0.99


def test_gabor_grid_divides_the_side():
    with pytest.raises(InputError, match=r"grid of 7 cells over 32 pixels, expected a divisor"):
        control_features("gabor", stimuli_of(noise()), side=SIDE, grid=7)


def test_colour_histogram_of_two_colours():
    image = np.zeros((SIDE, SIDE, 3))
    image[: SIDE // 4] = [255, 0, 0]
    red = rgb2lab([[[1.0, 0, 0]]])[0, 0]
    np.testing.assert_allclose(red, [53.2, 80.1, 67.2], atol=0.1)  # published CIELAB of red
    lows, widths = np.array([0, -87, -108]), np.array([100, 186, 203]) / 4
    bins = {"red": ((red - lows) // widths).astype(int), "black": (-lows // widths).astype(int)}

    found = control_features("colour_histogram", stimuli_of(image), bins=4, side=SIDE)
    expected = np.zeros((3, 4))
    for channel in range(3):
        expected[channel, bins["red"][channel]] += 0.25
        expected[channel, bins["black"][channel]] += 0.75
    np.testing.assert_allclose(found[0], expected.ravel(), atol=1e-6)

    joint = control_features("colour_histogram", stimuli_of(image), bins=4, joint=True, side=SIDE)
    assert joint.shape == (1, 64)
    assert joint.reshape(4, 4, 4)[tuple(bins["red"])] == pytest.approx(0.25)
    assert joint.reshape(4, 4, 4)[tuple(bins["black"])] == pytest.approx(0.75)


@pytest.mark.parametrize("joint", [False, True])
def test_colour_histogram_counts_every_pixel_wherever_it_is(joint):
    image = noise()
    # The extremes of sRGB, where a range too narrow would lose pixels.
    image.reshape(-1, 3)[:8] = np.array(np.meshgrid([0, 255], [0, 255], [0, 255])).T.reshape(8, 3)
    mixed = np.random.default_rng(1).permutation(image.reshape(-1, 3)).reshape(image.shape)
    first, second = control_features(
        "colour_histogram", stimuli_of(image, mixed), joint=joint, side=SIDE
    )
    assert first.sum() == pytest.approx(1 if joint else 3)
    np.testing.assert_array_equal(first, second)


def test_unknown_controls_and_options():
    with pytest.raises(InputError, match=r"'gabour', expected one of pixel, gabor, colour_hist"):
        control_features("gabour", stimuli_of(noise()))
    with pytest.raises(InputError, match=r"pixel: found the option 'size', .* of side, colour"):
        control_features("pixel", stimuli_of(noise()), size=3)


@pytest.mark.parametrize("n_groups", range(2, 9))
def test_groups_are_zero_within_and_one_between(n_groups):
    """Ties must be exact: ranks of images in any order are then those of scipy."""
    rng = np.random.default_rng(n_groups)
    labels = rng.permutation(np.repeat([f"group {i}" for i in range(n_groups)], 7))
    found = group_rdm(labels)
    expected = [a != b for a, b in itertools.combinations(labels, 2)]
    np.testing.assert_array_equal(found, expected)


def test_one_group_is_no_model():
    with pytest.raises(InputError, match="all images in the group 'face'"):
        group_rdm(["face"] * 5)


# Options in the config.


def test_config_has_the_options_of_every_control():
    properties = load_schema()["$defs"]["model"]["properties"]["options"]["properties"]
    assert set(itertools.chain(*CONTROL_OPTIONS.values())) == set(properties)
    for name, options in CONTROL_OPTIONS.items():
        function = CONTROLS.get(name)
        known = list(inspect.signature(function).parameters)[1:] if function else []
        assert sorted(options) == sorted(known)


def test_config_page_says_what_the_options_are_by_themselves():
    properties = load_schema()["$defs"]["model"]["properties"]["options"]["properties"]
    for name, function in CONTROLS.items():
        for option, parameter in list(inspect.signature(function).parameters.items())[1:]:
            default = parameter.default
            told = str(default).lower() if isinstance(default, bool) else str(default).strip("()")
            described = " ".join(properties[option]["description"].split())
            assert name in described
            assert f"({told})" in described


BAD_OPTIONS = {
    "another control's": (
        {"control": "pixel", "options": {"bins": 4}},
        "found 'bins' for the control pixel, expected one of side, colour; correct it",
    ),
    "misspelt": (
        {"control": "pixel", "options": {"color": True}},
        "found the unknown key 'color', expected one of side, colour, frequencies, orientations, "
        "grid, bins, joint; did you mean 'colour'?",
    ),
    "none": (
        {"control": "groups", "options": {"side": 4}},
        "found 'side' for the control groups, expected none; correct it",
    ),
    "no control": (
        {"files": "a.npy", "options": {"side": 4}},
        "found 'side' for a model that is no control, expected none; leave it out",
    ),
}


@pytest.mark.parametrize(("model", "sentence"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_options_that_a_model_does_not_have(model, sentence):
    with pytest.raises(InputError) as stopped:
        completed_config(models={"own": model}, stimuli={"files": "*.png"})
    assert str(stopped.value) == f"config, rsa.lab.models.own.options: {sentence}"


@pytest.mark.parametrize(
    ("control", "option", "value", "expected"),
    [
        ("pixel", "side", 0, "at least 1"),
        ("pixel", "side", "big", "a whole number"),
        ("pixel", "colour", 1, "true or false"),
        ("gabor", "frequencies", [], "at least 1 of them"),
        ("gabor", "frequencies", 0.25, "a list"),
        ("gabor", "orientations", 2.5, "a whole number"),
        ("colour_histogram", "bins", 1, "at least 2"),
    ],
)
def test_values_that_an_option_cannot_have(control, option, value, expected):
    model = {"control": control, "options": {option: value}}
    with pytest.raises(InputError) as stopped:
        completed_config(models={"own": model}, stimuli={"files": "*.png"})
    assert str(stopped.value).startswith(
        f"config, rsa.lab.models.own.options.{option}: found {value!r}, expected {expected}"
    )


@pytest.mark.parametrize("frequency", [0, 0.6])
def test_frequencies_lie_up_to_that_of_nyquist(frequency):
    model = {"control": "gabor", "options": {"frequencies": [0.1, frequency]}}
    with pytest.raises(InputError, match=r"options\.frequencies\.1: found"):
        completed_config(models={"own": model}, stimuli={"files": "*.png"})
