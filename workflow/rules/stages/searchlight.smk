# Stage searchlight: patterns on a grid, model RDMs -> maps of similarity, their tests, figures.
#
# In: <results>/<study>/patterns/ and rdms/, and the mask of the brain.
# Out: <results>/<study>/maps/ with similarity_<subject>.nii.gz and its p-values, a volume per layer
# (of each voxel, by the largest similarity, by TFCE), and the same of the group;
# <results>/<study>/tables/ with searchlight_<subject>.csv and searchlight_group.csv (a row per
# layer) and searchlight_clusters.csv (of the group); a figure per subject and model.

from workflow.lib.sources import filled


def searchlight_mask(wildcards):
    """Return the image whose voxels are the centres: that of the ROI, unless another is given."""
    entry = config["rsa"][wildcards.study]
    settings, rois = entry["searchlight"], entry["brain"]["rois"]
    mask = settings["mask"]
    if mask is None:
        if rois["from"] != "mask":
            raise WorkflowError(
                f"config, rsa.{wildcards.study}.searchlight.mask: found none and ROIs that are no "
                "masks, expected an image of the brain; give one"
            )
        mask = rois["names"][settings["roi"]]
    folder = raw_folder(entry, config["run"])
    return f"{folder}/{filled(mask, entry['brain'], {'subject': wildcards.subject})}"


def searchlight_models(wildcards):
    """Return the RDMs of the models to be mapped, and of those to be partialled out."""
    entry = config["rsa"][wildcards.study]
    settings = entry["searchlight"]
    chosen = [*(settings["models"] or entry["models"]), *settings["controls"]]
    return [f"<results>/{wildcards.study}/rdms/model_{model}.h5" for model in dict.fromkeys(chosen)]


def searchlight_p(wildcards):
    """Return the p-values that figures outline: by TFCE, if it is computed."""
    enhanced = config["rsa"][wildcards.study]["searchlight"]["connectivity"]
    kind = "p_tfce" if enhanced else "p_max"
    return f"<results>/{wildcards.study}/maps/{kind}_{wildcards.subject}.nii.gz"


SEARCHLIGHT_STUDIES = one_of(
    name
    for name, entry in config["rsa"].items()
    if "searchlight" in entry and entry["brain"]["data"] == "patterns"
)


rule compute_searchlight:
    """Compare the RDM of a sphere around every voxel of one subject with every layer, and test it."""
    input:
        patterns="<results>/{study}/patterns/brain_{subject}.h5",
        models=searchlight_models,
        mask=searchlight_mask,
    output:
        similarity="<results>/{study}/maps/similarity_{subject}.nii.gz",
        p="<results>/{study}/maps/p_{subject}.nii.gz",
        p_max="<results>/{study}/maps/p_max_{subject}.nii.gz",
        p_tfce="<results>/{study}/maps/p_tfce_{subject}.nii.gz",
        table="<results>/{study}/tables/searchlight_{subject}.csv",
    log:
        "<logs>/{study}/maps/searchlight_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/maps/searchlight_{subject}.tsv"
    wildcard_constraints:
        study=SEARCHLIGHT_STUDIES,
    conda:
        "../../../envs/neuro.yaml"
    threads: 2
    resources:
        mem_mb=size_mb(8, at_least=2000),
        runtime=120,
    params:
        roi=setting("searchlight", "roi"),
        radius=setting("searchlight", "radius"),
        unit=setting("searchlight", "unit"),
        min_voxels=setting("searchlight", "min_voxels"),
        comparator=setting("searchlight", "comparator"),
        controls=setting("searchlight", "controls"),
        n_permutations=setting("searchlight", "n_permutations"),
        connectivity=setting("searchlight", "connectivity"),
        across_models=setting("searchlight", "across_models"),
        alpha=setting("searchlight", "alpha"),
        within_groups=setting("inference", "within_groups"),
        metric=setting("brain", "metric"),
        noise_normalisation=setting("brain", "noise_normalisation"),
        match=setting("images", "match"),
        seed=config["seed"],
        code=script_digest("searchlight/compute_searchlight.py"),
    script:
        "../../../scripts/searchlight/compute_searchlight.py"


rule infer_searchlight_group:
    """Test the searchlight maps of all subjects together by sign flips, and list the clusters."""
    input:
        maps=subject_files("maps/similarity_{subject}.nii.gz", joint=False),
        tables=subject_files("tables/searchlight_{subject}.csv", joint=False),
    output:
        mean_z="<results>/{study}/maps/group_mean_z.nii.gz",
        t="<results>/{study}/maps/group_t.nii.gz",
        p="<results>/{study}/maps/group_p.nii.gz",
        p_max="<results>/{study}/maps/group_p_max.nii.gz",
        p_tfce="<results>/{study}/maps/group_p_tfce.nii.gz",
        table="<results>/{study}/tables/searchlight_group.csv",
        clusters="<results>/{study}/tables/searchlight_clusters.csv",
    log:
        "<logs>/{study}/maps/searchlight_group.log",
    benchmark:
        "<benchmarks>/{study}/maps/searchlight_group.tsv"
    wildcard_constraints:
        study=SEARCHLIGHT_STUDIES,
    conda:
        "../../../envs/neuro.yaml"
    threads: 2
    resources:
        mem_mb=size_mb(30, at_least=2000),
        runtime=120,
    params:
        n_flips=setting("searchlight", "n_flips"),
        connectivity=setting("searchlight", "connectivity"),
        across_models=setting("searchlight", "across_models"),
        alpha=setting("searchlight", "alpha"),
        min_cluster=setting("searchlight", "min_cluster"),
        seed=config["seed"],
        code=script_digest("searchlight/infer_searchlight_group.py"),
    script:
        "../../../scripts/searchlight/infer_searchlight_group.py"


rule plot_searchlight:
    """Draw searchlight maps: slices and glass brain of every layer, the significant part outlined."""
    input:
        similarity="<results>/{study}/maps/similarity_{subject}.nii.gz",
        p=searchlight_p,
        table="<results>/{study}/tables/searchlight_{subject}.csv",
    output:
        **figure_files(
            "searchlight_{subject}_{model}",
            "Searchlight",
            figure="searchlight",
            subject="{subject}",
            model="{model}",
        ),
    log:
        "<logs>/{study}/figures/searchlight_{subject}_{model}.log",
    wildcard_constraints:
        study=SEARCHLIGHT_STUDIES,
    conda:
        "../../../envs/neuro.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=10,
    params:
        caption=caption_of,
        title=setting("title"),
        simulated=is_simulated,
        radius=setting("searchlight", "radius"),
        unit=setting("searchlight", "unit"),
        correction=lambda wildcards, input: Path(input.p).name.removesuffix(
            f"_{wildcards.subject}.nii.gz"
        ),
        within_groups=setting("inference", "within_groups"),
        standard_space=setting("searchlight", "standard_space"),
        code=script_digest("figures/plot_searchlight.py"),
    script:
        "../../../scripts/figures/plot_searchlight.py"
