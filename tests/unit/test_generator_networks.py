"""Networks that draw and judge images: sizes, what each part sees, what a loss is lowest at."""

import numpy as np
import pytest
import torch
from torch import nn

from scripts.reconstruction.generator import patch_gan, unet
from scripts.reconstruction.generator.gan_training import Examples, GanOptions, GanTask
from scripts.reconstruction.generator.generator_inputs import Inputs
from scripts.reconstruction.generator.losses import (
    PerceptualLoss,
    adversarial_loss,
    discriminator_loss,
    pixel_loss,
)
from scripts.reconstruction.generator.patch_gan import PatchGAN, build_patch_gan, receptive_field
from scripts.reconstruction.generator.unet import UNet, build_unet, n_halvings
from workflow.lib.errors import InputError


def n_parameters(network):
    return sum(p.numel() for p in network.parameters())


def small_unet(n_vector=5, seed=0, size=32, widths=(4, 6, 8), dropout=0.5):
    return build_unet(size, widths, n_vector, dropout=dropout, seed=seed)


def test_published_networks_have_as_many_parameters_as_counted_by_hand():
    """Kernels of 4 x 4, no bias but in the last layer (U-Net); biases everywhere (PatchGAN)."""
    down = 1 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 4 * 512 * 512
    up = (512 + 1024) * 512 + 3 * 1024 * 512 + 1024 * 256 + 512 * 128 + 256 * 64
    with torch.device("meta"):
        network = UNet(256, unet.published_widths(256), unet.PUBLISHED_VECTOR)
        judge = PatchGAN(patch_gan.published_widths(256))
    assert n_parameters(network) == 16 * (down + up + 128 * 3) + 3 == 62_790_659
    kernels = 4 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512 * 1
    assert n_parameters(judge) == 16 * kernels + 64 + 128 + 256 + 512 + 1


@pytest.mark.slow
def test_published_size_takes_a_step():
    """256 x 256 pixels and a vector of 1,024 numbers."""
    rng = np.random.default_rng(0)
    inputs = Inputs(torch.randn(1, 1, 256, 256), torch.randn(1, 1024))
    examples = Examples(rng.integers(0, 256, (1, 256, 256, 3), dtype=np.uint8), inputs)
    network = build_unet(256, unet.published_widths(256), 1024, dropout=0.5, seed=0)
    judge = build_patch_gan(256, patch_gan.published_widths(256), seed=0)
    task = GanTask(
        network,
        judge,
        training=examples,
        validation=examples[:0],
        options=GanOptions(batch=1),
        seed=0,
        purpose="test",
    )
    before = [p.detach().clone() for p in (network.join.vector.weight, judge.layers[0].weight)]
    measures = task.step(0, 0, rng)
    after = network.join.vector.weight, judge.layers[0].weight
    assert all(np.isfinite(value) for value in measures.values())
    assert not any(torch.equal(old, new) for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("size", [4, 8, 16, 32, 48, 64, 100])
def test_depth_follows_from_the_size(size):
    """Halved until no even number of pixels is left, and no norm there if it is a single one."""
    halvings = 0
    side = size
    while side % 2 == 0:
        side, halvings = side // 2, halvings + 1
    assert n_halvings(size) == halvings
    widths = [min(4 * 2**i, 16) for i in range(halvings)]
    network = build_unet(size, widths, 3, dropout=0.0, seed=0)
    drawn = network(torch.randn(2, 1, size, size), torch.randn(2, 3))
    assert drawn.shape == (2, 3, size, size)
    assert drawn.abs().max() <= 1
    innermost = network.down[-1]
    assert any(isinstance(m, nn.InstanceNorm2d) for m in innermost) == (side > 1)
    assert not any(isinstance(m, nn.InstanceNorm2d) for m in network.down[0])


@pytest.mark.parametrize(("size", "n"), [(32, 1), (32, 6), (100, 3)])
def test_a_depth_that_the_size_does_not_have(size, n):
    with pytest.raises(InputError, match=rf"found {n} halvings of images of {size} pixels"):
        build_unet(size, [4] * n, 3, dropout=0.0, seed=0)


@pytest.mark.parametrize("size", [9, 10, 30, 31])
def test_a_size_that_cannot_be_halved_twice(size):
    with pytest.raises(InputError, match=f"image.size: found {size} pixels, .* that 4 divides"):
        build_unet(size, unet.published_widths(size), 3, dropout=0.0, seed=0)


def test_values_drop_out_where_the_published_network_has_them_drop_out():
    """down4 to down8 and up1 to up4, of eight halvings and as many doublings."""
    with torch.device("meta"):
        network = UNet(256, unet.published_widths(256), unet.PUBLISHED_VECTOR)
    down, up = (
        [any(isinstance(m, nn.Dropout) and m.p == 0.5 for m in block) for block in blocks]
        for blocks in (network.down, network.up)
    )
    assert down == [False] * 3 + [True] * 5
    assert [network.join.dropout == 0.5, *up] == [True] * 4 + [False] * 3


def test_joined_values_drop_out_in_training_alone():
    join = unet.Join(6, 3, 400, dropout=0.5)
    x, vectors = torch.randn(2, 6, 4, 4), torch.randn(2, 3)
    with torch.no_grad():
        drawn, kept = join.train()(x, vectors), join.eval()(x, vectors)
    silent = (drawn == 0)[kept > 0].float().mean().item()
    assert silent == pytest.approx(0.5, abs=0.02)
    torch.testing.assert_close(drawn[drawn > 0], 2 * kept[drawn > 0])


def test_an_untrained_network_has_one_answer():
    """Whatever is drawn beside it, dropout or not, and whatever the global random state."""
    shapes, vectors = torch.randn(6, 1, 32, 32), torch.randn(6, 5)
    torch.manual_seed(1)
    network = small_unet(widths=(4, 6, 8, 8, 8)).eval()
    torch.manual_seed(2)
    again = small_unet(widths=(4, 6, 8, 8, 8)).eval()
    with torch.no_grad():
        drawn = network(shapes, vectors)
        assert torch.equal(drawn, network(shapes, vectors))
        assert torch.equal(drawn, again(shapes, vectors))
        alone = torch.cat([network(shapes[[i]], vectors[[i]]) for i in range(6)])
        torch.testing.assert_close(drawn, alone, atol=1e-5, rtol=1e-4)
        network.train()
        assert not torch.equal(network(shapes, vectors), network(shapes, vectors))


def test_a_network_without_a_vector_is_the_one_whose_vector_is_zero():
    shapes = torch.randn(2, 1, 32, 32)
    without, told = small_unet(n_vector=0).eval(), small_unet(n_vector=7).eval()
    with torch.no_grad():
        assert torch.equal(without(shapes), told(shapes, torch.zeros(2, 7)))
        assert not torch.allclose(without(shapes), told(shapes, torch.randn(2, 7)))


@pytest.mark.parametrize("n_vector", [0, 5])
def test_every_weight_is_drawn(n_vector, monkeypatch):
    """What no initialisation has written to may hold anything: here it holds NaN."""

    def unwritten(kind, *sizes, **options):
        layer = kind(*sizes, **options)
        for weight in layer.parameters():
            nn.init.constant_(weight, torch.nan)
        return layer

    monkeypatch.setattr(unet, "skip_init", unwritten)
    assert unet.Join(6, 3, 4).map.weight.isnan().all()
    for name, values in small_unet(n_vector).state_dict().items():
        assert torch.isfinite(values).all(), name


def test_join_is_the_convolution_of_the_map_with_the_vector_as_more_channels():
    join = unet.Join(6, 3, 4).double()
    for weight in join.parameters():
        nn.init.normal_(weight)
    x, vectors = torch.randn(2, 6, 4, 4).double(), torch.randn(2, 3).double()
    whole = nn.ConvTranspose2d(9, 4, 4, stride=2, padding=1, bias=False).double()
    whole.weight.data = torch.cat([join.map.weight, join.vector.weight])
    joined = torch.cat([x, vectors[:, :, None, None].repeat(1, 1, 4, 4)], dim=1)
    torch.testing.assert_close(join(x, vectors), torch.relu(whole(joined)))


def without_norm(network):
    """Return a discriminator whose places are not coupled by their common mean and spread."""
    layers = [nn.Identity() if isinstance(m, nn.InstanceNorm2d) else m for m in network.layers]
    network.layers = nn.Sequential(*layers)
    return network


@pytest.mark.parametrize(("size", "side"), [(256, 70), (128, 70), (64, 34), (32, 16), (16, 16)])
def test_a_place_of_the_discriminator_sees_a_patch(size, side):
    """Which pixels the answer of a place in the middle depends on, by its gradient."""
    widths = [4 for _ in patch_gan.published_widths(size)]
    network = without_norm(build_patch_gan(size, widths, seed=0))
    images = torch.randn(1, 3, size, size, requires_grad=True)
    shapes = torch.randn(1, 1, size, size, requires_grad=True)
    told = network(images, shapes)
    middle = told.shape[-1] // 2
    told[0, 0, middle, middle].backward()
    for given in (images, shapes):
        seen = given.grad[0].abs().sum(0) > 0
        rows, columns = (torch.nonzero(seen.any(dim)).flatten() for dim in (1, 0))
        whole = [len(rows), len(columns)]
        # The patch of a small image reaches beyond its border.
        assert whole == [side, side] or (size == side and all(n <= side for n in whole))
        assert seen.sum() == len(rows) * len(columns)
    assert receptive_field(len(widths)) == side


def test_discriminator_has_no_norm_in_its_first_layer():
    kinds = [type(layer) for layer in PatchGAN((4, 4, 4, 4)).layers]
    block = [nn.Conv2d, nn.InstanceNorm2d, nn.LeakyReLU]
    assert kinds == [nn.Conv2d, nn.LeakyReLU, *block, *block, *block, nn.Conv2d]


def test_patches_larger_than_the_image_are_refused():
    with pytest.raises(InputError, match="found 4 layers, whose patches have 70 pixels a side"):
        build_patch_gan(64, (4, 4, 4, 4), seed=0)


def test_discriminator_at_its_best():
    """Images of few kinds: the best answer is p / (p + q), the loss then sum p q / (p + q) / 2.

    A quarter where made images are as real ones, 0 where they share no kind.
    """
    counts = {
        "some": ([6, 3, 1, 0], [1, 2, 3, 4]),
        "same": ([4, 3, 2, 1], [4, 3, 2, 1]),
        "apart": ([5, 5, 0, 0], [0, 0, 5, 5]),
    }
    expected = {"some": (6 / 7 + 6 / 5 + 3 / 4) / 20, "same": 0.25, "apart": 0.0}
    for name, (p, q) in counts.items():
        p, q = torch.tensor(p).double(), torch.tensor(q).double()

        def loss(answers, p=p, q=q):
            real, made = (answers.repeat_interleave(n.long()) for n in (p, q))
            return discriminator_loss(real, made).item()

        best = p / (p + q)
        assert loss(best) == pytest.approx(expected[name], abs=1e-6)
        for kind in range(4):
            for change in (-0.05, 0.05):
                assert loss(best + change * torch.eye(4)[kind]) > loss(best)


def test_generator_deceives_best_where_it_is_taken_for_real():
    told = torch.ones(2, 1, 3, 3)
    assert adversarial_loss(told) == 0
    assert adversarial_loss(told * 0) == 1
    assert pixel_loss(torch.full((1, 3, 2, 2), -1.0), torch.ones(1, 3, 2, 2)) == 2


def test_perceptual_loss_is_that_of_features():
    loss = PerceptualLoss("squeezenet1_1", ["features.2", "features.5"], "untrained")
    true, made = torch.rand(2, 3, 32, 32) * 2 - 1, torch.rand(2, 3, 32, 32, requires_grad=True)
    assert loss(true, true) == 0
    value = loss(made, true)
    value.backward()
    assert made.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in loss.parameters())
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    network = loss.extractor
    features = [network(((x + 1) / 2 - mean) / std) for x in (made.detach(), true)]
    expected = np.mean(
        [((a - b) ** 2).mean() for a, b in zip(*map(dict.values, features), strict=True)]
    )
    assert value.item() == pytest.approx(expected, rel=1e-5)
