"""From NIfTI betas to maps, tables and figures: a planted region, nulls, and what cannot be."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import jinja2
import nibabel
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from snakemake.iocontainers import Wildcards

from scripts.figures.plot_searchlight import Settings, plot_searchlight
from scripts.figures.view_searchlight import view_searchlight
from scripts.searchlight.assign_layers_group import flips_of_subjects
from scripts.searchlight.compute_searchlight import compute_searchlight
from scripts.searchlight.infer_searchlight_group import (
    clusters_of,
    group_table,
    infer_searchlight_group,
)
from tests.simulated_volumes import (
    AFFINE,
    ALONE,
    BEYOND_MASK,
    CONDITIONS,
    GRID,
    HOLE,
    REACH,
    distance_from_region,
    study_block,
    write_study,
)
from workflow.lib.check.contents import searchlight_spheres
from workflow.lib.config.complete import complete_config
from workflow.lib.errors import InputError
from workflow.lib.layout import study_raw_files
from workflow.lib.nifti.files import read_header, read_mask
from workflow.lib.nifti.maps import read_maps, write_maps
from workflow.lib.patterns.rdms import extract_patterns
from workflow.lib.patterns.store import PatternStore, write_patterns
from workflow.lib.rdms.store import RDMStore, write_rdms
from workflow.lib.searchlight.slices import outline, shown_slices
from workflow.lib.searchlight.subject import subject_searchlight
from workflow.lib.sources import searchlight_source

REPORT = Path(__file__).parents[2] / "workflow" / "report"
SUBJECTS = [f"s{i}" for i in range(1, 7)]


def completed(folder, subjects=SUBJECTS, changes=None, **searchlight):
    block = study_block(folder, subjects, **searchlight)
    for key, value in (changes or {}).items():
        block[key] = {**block[key], **value} if isinstance(value, dict) else value
    return complete_config({"run": "test", "studies": ["s"], "rsa": {"s": block}})["rsa"]["s"]


def model_stores(folder):
    stores = []
    for name in ("planted", "other"):
        square = pd.read_csv(folder / f"{name}.csv").to_numpy()
        write_rdms(
            folder / f"{name}.h5",
            [({"layer": name}, square[np.triu_indices(len(square), 1)])],
            names=CONDITIONS,
            groups=["all"] * len(CONDITIONS),
            measure="correlation",
            descriptors={"study": "s", "model": name},
        )
        stores.append(RDMStore(folder / f"{name}.h5"))
    return stores


def searchlight_of(folder, study, subject):
    """Do for one subject what the rules extract_searchlight_patterns and compute_searchlight do."""
    brain, settings = study["brain"], study["searchlight"]
    patterns = extract_patterns(
        searchlight_source(study),
        folder,
        subject,
        match="exact",
        **{key: brain[key] for key in ("detrend", "standardise", "remove_mean_pattern")},
    )
    write_patterns(folder / f"{subject}.h5", patterns)
    volume = read_header(folder / f"{subject}_betas.nii.gz")
    return subject_searchlight(
        PatternStore(folder / f"{subject}.h5"),
        CONDITIONS,
        grid=volume.grid,
        affine=volume.affine,
        mask=read_mask(folder / settings["mask"]) if settings["mask"] else None,
        match="exact",
        noise_normalisation=brain["noise_normalisation"],
        metric=brain["metric"],
        **{key: settings[key] for key in ("radius", "unit", "min_voxels")},
    )


def maps_of(folder, study, subject, *, n_permutations=99, tfce=True, seed=0):
    light = searchlight_of(folder, study, subject)
    maps, table = compute_searchlight(
        light,
        model_stores(folder),
        comparator=study["searchlight"]["comparator"],
        controls=study["searchlight"]["controls"],
        n_permutations=n_permutations,
        permuted="images",
        connectivity=6 if tfce else None,
        across_models=False,
        alpha=0.05,
        rng=np.random.default_rng(seed),
        progress=False,
    )
    return light, maps, table.assign(subject=subject)


def in_volume(values, mask):
    volume = np.full(mask.shape, np.nan)
    volume[mask] = values
    return volume


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    write_study(folder, SUBJECTS, seed=1)
    study = completed(folder)
    return folder, study, {subject: maps_of(folder, study, subject) for subject in SUBJECTS}


# One subject.


def test_the_planted_region_is_found_in_each_subject_and_nothing_far_from_it(planted):
    _, _, found = planted
    distance = distance_from_region()
    far = n_far = 0
    for light, maps, _ in found.values():
        p = in_volume(maps["p_tfce"][0], light.spheres.mask)
        assert p[distance <= 1].max() <= 0.05
        far += int((p[distance > REACH] <= 0.05).sum())
        n_far += int(np.isfinite(p[distance > REACH]).sum())
    assert n_far > 500
    assert far / n_far < 0.01


def test_the_other_model_is_found_nowhere_more_often_than_by_chance(planted):
    """Of six maps at 0.05, three or more with any voxel have a probability of 0.002."""
    _, _, found = planted
    assert sum(bool((maps["p_max"][1] <= 0.05).any()) for _, maps, _ in found.values()) < 3


def test_brains_without_the_geometry_are_found_at_the_nominal_rate(tmp_path):
    """40 null subjects x 2 models at 0.05 corrected: central 99.9 % of the binomial of 80."""
    subjects = [f"n{i}" for i in range(40)]
    write_study(tmp_path, subjects, seed=3, effect=0)
    study = completed(tmp_path, subjects)
    any_found = 0
    for number, subject in enumerate(subjects):
        _, maps, _ = maps_of(tmp_path, study, subject, n_permutations=39, tfce=False, seed=number)
        any_found += (np.nanmin(maps["p_max"], axis=1) <= 0.05).sum()
    low, high = scipy.stats.binom.interval(0.999, 80, 0.05)
    assert low <= any_found <= high


def test_voxels_without_data_and_small_spheres_are_nan_and_counted(planted):
    """The hole has 2 x 3 x 3 voxels, one of which is usable and has no neighbour but itself."""
    light, maps, table = planted[2]["s1"]
    similarity = in_volume(maps["similarity"][0], light.spheres.mask)
    assert light.spheres.mask.sum() == (~BEYOND_MASK).sum() == table["n_centres"].iloc[0]
    assert np.isnan(similarity[BEYOND_MASK]).all()
    assert np.isnan(similarity[HOLE]).all()
    assert table["n_without_voxel"].iloc[0] == 17
    usable = ~BEYOND_MASK
    usable[HOLE] = False
    usable[ALONE] = True
    voxels = np.argwhere(usable)
    sizes = (np.linalg.norm(voxels[:, None] - voxels, axis=2) * 3 <= 6 + 1e-9).sum(axis=1)
    too_few = (sizes < 10).sum()
    assert too_few >= 1
    assert table["n_too_few_voxels"].iloc[0] == too_few
    assert table["n_computed"].iloc[0] == len(voxels) - too_few == np.isfinite(similarity).sum()


def test_spheres_end_at_the_border_of_the_mask(planted):
    """The sphere of a corner of the mask holds no voxel beyond it, although there is data."""
    light = planted[2]["s1"][0]
    corner = np.flatnonzero((light.spheres.centres == (1, 1, 1)).all(axis=1))[0]
    members = light.spheres.members(corner)
    # An eighth of a sphere: the centre, 3 at one voxel, 3 at two, 3 on planes, and (1, 1, 1).
    assert len(members) == light.spheres.sizes[corner] == 1 + 3 + 3 + 3 + 1


def test_without_a_mask_the_voxels_that_vary_are_the_centres(tmp_path):
    write_study(tmp_path, ["s1"], seed=5)
    image = nibabel.load(tmp_path / "s1_betas.nii.gz")
    betas = image.get_fdata()
    betas[BEYOND_MASK] = 0
    nibabel.save(nibabel.Nifti1Image(betas.astype(np.float32), AFFINE), image.get_filename())
    light = searchlight_of(tmp_path, completed(tmp_path, ["s1"], mask=None), "s1")
    expected = ~BEYOND_MASK
    expected[HOLE] = False
    expected[ALONE] = True
    np.testing.assert_array_equal(light.spheres.mask, expected)


@pytest.mark.parametrize("metric", ["correlation", "crossnobis"])
def test_partial_maps_of_a_model_without_the_planted_one_are_lower_there(planted, metric):
    """A copy of the planted model with noise explains nothing once that is partialled out."""
    folder, study, _ = planted
    study = {**study, "brain": {**study["brain"], "metric": metric}}
    light = searchlight_of(folder, study, "s1")
    planted_store, _ = model_stores(folder)
    vector = planted_store.vector(0)
    noisy = vector + 0.3 * np.random.default_rng(0).standard_normal(vector.size)
    write_rdms(
        folder / "noisy.h5",
        [({"layer": "noisy"}, noisy)],
        names=CONDITIONS,
        groups=["all"] * len(CONDITIONS),
        measure="correlation",
        descriptors={"study": "s", "model": "noisy"},
    )
    options = {
        **{"comparator": "spearman", "n_permutations": 0, "permuted": "images", "alpha": 0.05},
        **{"connectivity": None, "across_models": False, "progress": False},
        "rng": np.random.default_rng(0),
    }
    stores = [planted_store, RDMStore(folder / "noisy.h5")]
    raw, _ = compute_searchlight(light, stores, controls=[], **options)
    partial, table = compute_searchlight(light, stores, controls=["planted"], **options)
    assert table["model"].tolist() == ["noisy"]
    centre = distance_from_region()[light.spheres.mask] <= 1
    assert raw["similarity"][1][centre].mean() > 0.3
    assert abs(partial["similarity"][0][centre].mean()) < 0.15


# The group.


@pytest.fixture(scope="module")
def group(planted):
    folder, _, found = planted
    files = []
    for subject, (light, maps, _) in found.items():
        files.append(folder / f"similarity_{subject}.nii.gz")
        write_maps(files[-1], maps["similarity"], light.spheres.mask, AFFINE)
    layers = found["s1"][2][["model", "layer", "volume", "comparator", "n_images", "n_pairs"]]
    return [read_maps(file) for file in files], layers


def inferred(subjects, n_flips=1000):
    return infer_searchlight_group(
        subjects,
        n_flips=n_flips,
        connectivity=6,
        across_models=False,
        rng=np.random.default_rng(0),
        progress=False,
    )


def test_the_planted_region_is_the_only_cluster_of_the_group(group):
    subjects, layers = group
    found, maps, mask = inferred(subjects)
    table = group_table(layers, found, maps, 0.05)
    assert set(table["status"]) == {"inferential"}
    assert table["n_flips"].tolist() == [64, 64]
    clusters = clusters_of(layers, maps, mask, subjects[0].affine, alpha=0.05, tfce=True)
    first = clusters[clusters["model"] == "planted"].iloc[0]
    assert np.linalg.norm(first[["i", "j", "k"]].to_numpy(float) - (5, 3, 3)) <= 2
    place = AFFINE[:3, :3] @ first[["i", "j", "k"]].to_numpy(float) + AFFINE[:3, 3]
    np.testing.assert_allclose(first[["x_mm", "y_mm", "z_mm"]].to_numpy(float), place)
    p = in_volume(maps["p_tfce"][0], mask)
    assert (p[distance_from_region() > REACH] <= 0.05).mean() < 0.02


def test_flips_that_are_counted_are_those_that_were_drawn(group):
    """Signs as they are stand beside flips that are drawn, and among all there are."""
    subjects, layers = group
    found, maps, _ = inferred(subjects, n_flips=20)
    assert found.test.n_draws == 21
    table = group_table(layers, found, maps, 0.05)
    assert set(table["n_flips"]) == {20}
    for n_subjects, expected in ((6, 64), (10, 1000)):
        signs, n_flips = flips_of_subjects(n_subjects, 1000, np.random.default_rng(0))
        assert (signs[0] == 1).all()
        assert n_flips == expected


@pytest.mark.parametrize(("n", "status"), [(1, "single case"), (2, "descriptive")])
def test_fewer_than_six_subjects_get_a_mean_and_no_p(group, n, status):
    subjects, layers = group
    found, maps, mask = inferred(subjects[:n])
    table = group_table(layers, found, maps, 0.05)
    assert set(table["status"]) == {status}
    assert (table["n_p_tfce"] == 0).all()
    assert (table["n_flips"] == 0).all()
    for name in ("p", "p_max", "p_tfce"):
        assert np.isnan(maps[name]).all()
    expected = np.arctanh([one.values[:, mask] for one in subjects[:n]]).mean(axis=0)
    np.testing.assert_allclose(maps["mean_z"], expected, atol=1e-6)
    assert clusters_of(layers, maps, mask, AFFINE, alpha=0.05, tfce=True).empty


def test_no_flips_no_test(group):
    found, maps, _ = inferred(group[0], n_flips=0)
    assert found.status == "descriptive"
    assert np.isnan(maps["p_max"]).all()


# Figures.

SETTINGS = Settings(
    radius=6,
    unit="mm",
    controls=(),
    tfce=True,
    across_models=False,
    permuted="images",
    called="scenes",
)


@pytest.mark.parametrize("standard_space", [False, True])
def test_a_subject_is_called_a_single_case_in_title_and_caption(planted, standard_space):
    folder, _, found = planted
    light, maps, table = found["s1"]
    for name in ("similarity", "p_tfce"):
        write_maps(folder / f"{name}.nii.gz", maps[name], light.spheres.mask, AFFINE)
    figure, caption = plot_searchlight(
        read_maps(folder / "similarity.nii.gz"),
        read_maps(folder / "p_tfce.nii.gz"),
        table[table["model"] == "planted"],
        SETTINGS,
        title="Study",
        simulated=True,
        standard_space=standard_space,
    )
    assert "single case" in figure.get_suptitle()
    assert "single case" in caption
    assert "n = 16 scenes (120 pairs)" in caption
    assert "99 permutations of the scenes" in caption
    assert f"voxels found: planted: {table['n_p_tfce'].iloc[0]}." in caption
    assert ("Glass brain" in caption) == standard_space


@pytest.mark.parametrize("standard_space", [False, True])
def test_a_page_shows_every_layer_with_and_without_what_is_not_significant(planted, standard_space):
    folder, _, found = planted
    light, maps, table = found["s1"]
    for name in ("similarity", "p_tfce"):
        write_maps(folder / f"{name}.nii.gz", maps[name], light.spheres.mask, AFFINE)
    page = view_searchlight(
        read_maps(folder / "similarity.nii.gz"),
        read_maps(folder / "p_tfce.nii.gz"),
        table.assign(model="net", layer=["first", "<second>"]),
        title="Study",
        simulated=True,
        standard_space=standard_space,
        permuted="images",
        called="scenes",
    )
    held = re.search(r'<script type="application/json" id="pages">(.*?)</script>', page, re.S)[1]
    pages = json.loads(held)
    assert list(pages) == ["all voxels above zero", "significant voxels"]
    assert all(list(views) == ["first", "<second>"] for views in pages.values())
    # Of the second model little or nothing is significant.
    assert pages["all voxels above zero"]["<second>"] != pages["significant voxels"]["<second>"]
    assert "<option>&lt;second&gt;</option>" in page
    measured = "similarities (spearman), n = 16 scenes (120 pairs)"
    heading = "Study (simulated data): searchlight of net, subject s1, a single case"
    assert f"<title>{heading}, {measured}</title>" in page
    assert f"<h1>{heading}</h1>" in page
    assert f"<h2>{measured}</h2>" in page
    assert "one-sided, 99 permutations of the scenes. One subject: nothing is claimed" in page
    # Nothing is fetched: the page can be read without a network.
    assert not re.search(
        r'(src|href)="https?:', page + "".join(pages["significant voxels"].values())
    )


def test_a_page_of_a_group_says_how_many_and_what_was_tested(group, tmp_path):
    subjects, layers = group
    found, maps, mask = inferred(subjects)
    for name in ("mean_z", "p_tfce"):
        write_maps(tmp_path / f"{name}.nii.gz", maps[name], mask, AFFINE)
    table = group_table(layers, found, maps, 0.05)
    page = view_searchlight(
        read_maps(tmp_path / "mean_z.nii.gz"),
        read_maps(tmp_path / "p_tfce.nii.gz"),
        table,
        title="Study",
        simulated=False,
        standard_space=False,
        permuted="images",
        called="scenes",
    )
    text = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert f"{len(subjects)} subjects</h1>" in text
    assert "<h2>mean Fisher z of similarities (spearman), n = 16 scenes (120 pairs)</h2>" in text
    assert f"one-sided, {2 ** len(subjects)} sign flips of the subjects" in text
    assert "One subject" not in text
    assert "simulated" not in text


def test_caption_of_the_table_explains_every_column(planted, group):
    caption = (REPORT / "searchlight_table.rst").read_text()
    _, _, of_subjects = planted
    subjects, layers = group
    found, maps, _ = inferred(subjects)
    columns = {*of_subjects["s1"][2], *group_table(layers, found, maps, 0.05)}
    # Who and which, and the y between x and z.
    plain = {"study", "subject", "model", "layer", "peak_y_mm"}
    assert [column for column in columns - plain if f"*{column}*" not in caption] == []


@pytest.mark.parametrize(
    ("wildcards", "expected"),
    [
        ({"subject": "s1"}, "net (spearman of RDMs over scenes), subject s1, a single case, one"),
        ({}, "net (spearman of RDMs over scenes), mean Fisher z over n = 6 subjects, one"),
    ],
)
def test_caption_of_a_page_says_whose_maps_of_what(wildcards, expected):
    template = (REPORT / "searchlight_view.rst").read_text()
    study = {
        "searchlight": {"comparator": "spearman"},
        "images": {"called": "scenes"},
        "brain": {"subjects": {"names": SUBJECTS}},
    }
    text = jinja2.Template(template, undefined=jinja2.StrictUndefined).render(
        snakemake=SimpleNamespace(
            params=SimpleNamespace(simulated=False),
            wildcards=Wildcards(fromdict={"study": "lab", "model": "net", **wildcards}),
            config={"rsa": {"lab": study}},
        )
    )
    assert expected in text


@pytest.mark.parametrize("direction", [1, -1])
def test_the_left_of_the_brain_is_called_left(direction, tmp_path):
    """One half of a brain is similar, that of negative x in mm, however voxels run."""
    mask = np.ones((6, 4, 3), bool)
    affine = np.diag([3.0 * direction, 3, 3, 1])
    affine[0, 3] = -7.5 * direction
    left = nibabel.affines.apply_affine(affine, np.argwhere(mask))[:, 0] < 0
    write_maps(tmp_path / "z.nii.gz", np.where(left, 0.5, -0.5)[np.newaxis], mask, affine)
    write_maps(tmp_path / "p.nii.gz", np.ones((1, mask.sum())), mask, affine)
    numbers = {"volume": 0, "n_images": 9, "n_pairs": 36, "n_computed": 72, "n_centres": 72}
    words = {"model": "net", "layer": "a", "comparator": "spearman", "subject": "s1"}
    tests = {"status": "single case", "alpha": 0.05, "n_permutations": 0}
    figure, caption = plot_searchlight(
        read_maps(tmp_path / "z.nii.gz"),
        read_maps(tmp_path / "p.nii.gz"),
        pd.DataFrame([{**words, **numbers, **tests}]),
        SETTINGS,
        title="Study",
        simulated=False,
        standard_space=False,
    )
    panel = figure.axes[0]
    places = {text.get_text(): text.get_position()[0] for text in panel.texts}
    shown = panel.images[1].get_array()
    columns = np.flatnonzero(~np.ma.getmaskarray(np.ma.masked_invalid(shown)).all(axis=0))
    middle = (columns.mean() + 1) / (mask.shape[0] + 1)
    assert abs(middle - places["L"]) < abs(middle - places["R"])
    assert "L, R: left and right of the brain" in caption


def test_a_group_without_a_test_says_so(group, tmp_path):
    subjects, layers = group
    found, maps, mask = inferred(subjects[:3])
    for name in ("mean_z", "p_tfce"):
        write_maps(tmp_path / f"{name}.nii.gz", maps[name], mask, AFFINE)
    figure, caption = plot_searchlight(
        read_maps(tmp_path / "mean_z.nii.gz"),
        read_maps(tmp_path / "p_tfce.nii.gz"),
        group_table(layers, found, maps, 0.05).iloc[:1],
        SETTINGS,
        title="Study",
        simulated=False,
        standard_space=False,
    )
    assert "3 subjects (descriptive)" in figure.get_suptitle()
    assert "Not tested" in caption


def test_outline_of_voxels_by_hand():
    """Two voxels side by side have six edges; the one between them is not drawn."""
    voxels = np.zeros((3, 2), bool)
    voxels[1], voxels[1, 1] = True, True
    edges = {frozenset(map(tuple, edge)) for edge in outline(voxels).tolist()}
    expected = [
        [(0.5, -0.5), (1.5, -0.5)],
        [(0.5, 1.5), (1.5, 1.5)],
        [(0.5, -0.5), (0.5, 0.5)],
        [(0.5, 0.5), (0.5, 1.5)],
        [(1.5, -0.5), (1.5, 0.5)],
        [(1.5, 0.5), (1.5, 1.5)],
    ]
    assert edges == {frozenset(edge) for edge in expected}


def test_slices_are_those_with_something_significant():
    inside = np.ones((2, 2, 20), bool)
    significant = np.zeros_like(inside)
    assert shown_slices(inside, significant, 6) == [0, 4, 8, 11, 15, 19]
    significant[0, 0, [3, 5]] = True
    assert shown_slices(inside, significant, 6) == [3, 5]
    assert shown_slices(inside[:, :, :1], significant[:, :, :1], 6) == [0]


# The config.


def test_a_radius_is_enough(tmp_path):
    block = study_block(tmp_path, SUBJECTS)
    block["searchlight"] = {"radius": 8}
    study = complete_config({"run": "r", "studies": ["s"], "rsa": {"s": block}})["rsa"]["s"]
    assert study["searchlight"]["unit"] == "mm"
    assert study["searchlight"]["tfce"] is True


def test_the_mask_is_among_the_raw_files(tmp_path):
    files = study_raw_files(completed(tmp_path, mask="{subject}_mask.nii"), {}, "test")
    assert {"s1_mask.nii", "s6_mask.nii", "s1_betas.tsv", "planted.csv"} <= set(files)


@pytest.mark.parametrize(
    ("changes", "searchlight", "message"),
    [
        ({}, {"radius": 0}, "searchlight.radius: found 0, expected more than 0"),
        ({}, {"radios": 8}, "unknown key 'radios', .* did you mean 'radius'"),
        ({}, {"unit": "cm"}, "searchlight.unit: found 'cm', expected one of mm, voxel"),
        ({}, {"models": ["plantd"]}, "searchlight.models: found 'plantd', .*mean 'planted'"),
        ({}, {"controls": ["x"]}, "searchlight.controls: found 'x', expected one of the models"),
        ({}, {"controls": ["planted", "other"]}, "expected one that is no control"),
        ({}, {"controls": ["other"], "comparator": "rho-a"}, "expected pearson or spearman"),
        ({}, {"mask": "{roi}.nii"}, r"searchlight.mask: found \{roi\} .* expected no placeholder"),
        ({"brain": {"noise_normalisation": "shrinkage"}}, {}, "expected none or diagonal"),
        ({"brain": {"data": "rdms"}}, {}, "found brain RDMs, expected response patterns"),
        ({"brain": {"files": "{subject}.npz"}}, {}, "expected NIfTI images"),
        (
            {
                "brain": {
                    "files": "{subject}_{roi}.nii",
                    "rois": {"names": ["V1"], "from": "file_name"},
                }
            },
            {},
            "found a file per ROI",
        ),
    ],
)
def test_mistakes_get_one_clear_sentence(tmp_path, changes, searchlight, message):
    with pytest.raises(InputError, match=message) as error:
        completed(tmp_path, changes=changes, **searchlight)
    assert len(re.findall(r"\n", str(error.value))) == 0


def test_a_mask_on_another_grid_is_refused_with_what_to_do(tmp_path):
    write_study(tmp_path, ["s1"], seed=1)
    nibabel.save(nibabel.Nifti1Image(np.ones(GRID, np.uint8), np.eye(4)), tmp_path / "mask.nii")
    message = r"mask.nii: found the affine .* as in s1_betas.nii.gz"
    study = completed(tmp_path, ["s1"])
    with pytest.raises(InputError, match=message):
        searchlight_of(tmp_path, study, "s1")
    with pytest.raises(InputError, match=message):
        searchlight_spheres(study, tmp_path, CONDITIONS)


def test_make_check_counts_the_voxels_with_data(tmp_path, capsys):
    write_study(tmp_path, ["s1"], seed=1)
    searchlight_spheres(completed(tmp_path, ["s1"]), tmp_path, CONDITIONS)
    assert f"s1: {(~BEYOND_MASK).sum() - 17} voxels with data" in capsys.readouterr().out


def test_make_check_finds_that_no_sphere_is_large_enough(tmp_path):
    """A radius of 6 mm reaches two voxels of 3 mm: 33 in a sphere."""
    write_study(tmp_path, ["s1"], seed=1)
    message = "patterns of s1: found no centre with 34 usable voxels within 6 mm"
    study = completed(tmp_path, ["s1"], unit="mm", min_voxels=34)
    with pytest.raises(InputError, match=message):
        searchlight_spheres(study, tmp_path, CONDITIONS)
    study = completed(tmp_path, ["s1"], unit="mm", min_voxels=33)
    assert searchlight_spheres(study, tmp_path, CONDITIONS)["s1"][1] == 33
