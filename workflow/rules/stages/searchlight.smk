# Stage searchlight: patterns on a grid, model RDMs -> maps of similarity, their tests, figures.
#
# In: the images of the brain, and <results>/<study>/rdms/ of the models.
# Out: <results>/<study>/patterns/searchlight_<subject>.h5, the responses of all voxels;
# <results>/<study>/maps/ with similarity_<subject>.nii.gz and its p-values, a volume per layer
# (p, of each voxel by itself; p_max and p_tfce, corrected by the largest similarity and by TFCE),
# and mean_z_group.nii.gz with t and the same p-values; <results>/<study>/tables/ with
# searchlight_<subject>.csv and searchlight_group.csv (a row per layer) and
# searchlight_clusters.csv (of the group); a figure and an interactive page per subject and model;
# for models of several layers, maps/assignment_<subject or group>_<model>.nii.gz with the layer
# that each voxel resembles most, its margin and reliability, a table of how many voxels of each
# region prefer each layer, and a figure of both.


include: "searchlight_functions.smk"


use rule extract_patterns as extract_searchlight_patterns with:
    input:
        searchlight_raw_files,
    output:
        "<results>/{study}/patterns/searchlight_{subject}.h5",
    log:
        "<logs>/{study}/patterns/searchlight_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/patterns/searchlight_{subject}.tsv"
    wildcard_constraints:
        study=SEARCHLIGHT_STUDIES,
        subject=one_of(SUBJECTS),
    params:
        source=searchlight_brain,


rule compute_searchlight:
    """Compare the RDM of a sphere around every voxel of a subject with every layer, and test it."""
    input:
        patterns="<results>/{study}/patterns/searchlight_{subject}.h5",
        models=searchlight_models,
        # Any image of the subject gives the grid.
        images=lambda wildcards: searchlight_raw_files(wildcards)[0],
        mask=searchlight_mask,
    output:
        similarity="<results>/{study}/maps/similarity_{subject}.nii.gz",
        p="<results>/{study}/maps/p_{subject}.nii.gz",
        p_max="<results>/{study}/maps/p_max_{subject}.nii.gz",
        p_tfce="<results>/{study}/maps/p_tfce_{subject}.nii.gz",
        table=report(
            "<results>/{study}/tables/searchlight_{subject}.csv",
            caption="../../report/searchlight_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "searchlight of {subject}"},
        ),
    log:
        "<logs>/{study}/maps/searchlight_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/maps/searchlight_{subject}.tsv"
    wildcard_constraints:
        study=SEARCHLIGHT_STUDIES,
        subject=one_of(SUBJECTS),
    conda:
        "../../../envs/neuro.yaml"
    threads: searchlight_threads
    resources:
        mem_mb=size_mb(8, at_least=2000),
        runtime=minutes(120),
    params:
        spheres=searchlight_spheres,
        comparator=setting("searchlight", "comparator"),
        controls=setting("searchlight", "controls"),
        n_permutations=setting("searchlight", "n_permutations"),
        tfce=setting("searchlight", "tfce"),
        across_models=setting("searchlight", "across_models"),
        alpha=setting("searchlight", "alpha"),
        permuted=permuted,
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
        mean_z="<results>/{study}/maps/mean_z_group.nii.gz",
        t="<results>/{study}/maps/t_group.nii.gz",
        p="<results>/{study}/maps/p_group.nii.gz",
        p_max="<results>/{study}/maps/p_max_group.nii.gz",
        p_tfce="<results>/{study}/maps/p_tfce_group.nii.gz",
        table=report(
            "<results>/{study}/tables/searchlight_group.csv",
            caption="../../report/searchlight_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "searchlight of the group"},
        ),
        clusters=report(
            "<results>/{study}/tables/searchlight_clusters.csv",
            caption="../../report/searchlight_clusters.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "searchlight, clusters of the group"},
        ),
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
        runtime=minutes(120),
    params:
        n_flips=setting("searchlight", "n_permutations"),
        tfce=setting("searchlight", "tfce"),
        across_models=setting("searchlight", "across_models"),
        alpha=setting("searchlight", "alpha"),
        seed=config["seed"],
        code=script_digest("searchlight/infer_searchlight_group.py"),
    script:
        "../../../scripts/searchlight/infer_searchlight_group.py"


rule plot_searchlight:
    """Draw a subject's searchlight maps of every layer of a model, significant parts outlined."""
    input:
        maps="<results>/{study}/maps/similarity_{subject}.nii.gz",
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
    benchmark:
        "<benchmarks>/{study}/figures/searchlight_{subject}_{model}.tsv"
    wildcard_constraints:
        study=SEARCHLIGHT_STUDIES,
        subject=one_of(SUBJECTS),
    conda:
        "../../../envs/neuro.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        title=setting("title"),
        simulated=is_simulated,
        called=setting("images", "called"),
        radius=setting("searchlight", "radius"),
        unit=setting("searchlight", "unit"),
        controls=setting("searchlight", "controls"),
        tfce=setting("searchlight", "tfce"),
        across_models=setting("searchlight", "across_models"),
        permuted=permuted,
        standard_space=setting("searchlight", "standard_space"),
        code=script_digest("figures/plot_searchlight.py"),
    script:
        "../../../scripts/figures/plot_searchlight.py"


use rule plot_searchlight as plot_searchlight_group with:
    input:
        maps=f"<results>/{{study}}/maps/mean_z_{GROUP}.nii.gz",
        p=searchlight_p,
        table=f"<results>/{{study}}/tables/searchlight_{GROUP}.csv",
    output:
        **figure_files(
            f"searchlight_{GROUP}_{{model}}",
            "Searchlight",
            figure="searchlight",
            subject=GROUP,
            model="{model}",
        ),
    log:
        f"<logs>/{{study}}/figures/searchlight_{GROUP}_{{model}}.log",
    benchmark:
        f"<benchmarks>/{{study}}/figures/searchlight_{GROUP}_{{model}}.tsv"
    wildcard_constraints:
        study=SEARCHLIGHT_STUDIES,


rule view_searchlight:
    """Write a page in which a subject's searchlight maps of a model can be looked through."""
    input:
        maps="<results>/{study}/maps/similarity_{subject}.nii.gz",
        p=searchlight_p,
        table="<results>/{study}/tables/searchlight_{subject}.csv",
    output:
        html=report(
            "<results>/{study}/figures/searchlight_{subject}_{model}.html",
            caption="../../report/searchlight_view.rst",
            category="{study}",
            subcategory="Searchlight",
            labels={"figure": "interactive maps", "subject": "{subject}", "model": "{model}"},
        ),
    log:
        "<logs>/{study}/figures/searchlight_{subject}_{model}_html.log",
    benchmark:
        "<benchmarks>/{study}/figures/searchlight_{subject}_{model}_html.tsv"
    wildcard_constraints:
        study=SEARCHLIGHT_STUDIES,
        subject=one_of(SUBJECTS),
    conda:
        "../../../envs/neuro.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        title=setting("title"),
        simulated=is_simulated,
        called=setting("images", "called"),
        permuted=permuted,
        standard_space=setting("searchlight", "standard_space"),
        code=script_digest("figures/view_searchlight.py"),
    script:
        "../../../scripts/figures/view_searchlight.py"


use rule view_searchlight as view_searchlight_group with:
    input:
        maps=f"<results>/{{study}}/maps/mean_z_{GROUP}.nii.gz",
        p=searchlight_p,
        table=f"<results>/{{study}}/tables/searchlight_{GROUP}.csv",
    output:
        html=report(
            f"<results>/{{study}}/figures/searchlight_{GROUP}_{{model}}.html",
            caption="../../report/searchlight_view.rst",
            category="{study}",
            subcategory="Searchlight",
            labels={"figure": "interactive maps", "subject": GROUP, "model": "{model}"},
        ),
    log:
        f"<logs>/{{study}}/figures/searchlight_{GROUP}_{{model}}_html.log",
    benchmark:
        f"<benchmarks>/{{study}}/figures/searchlight_{GROUP}_{{model}}_html.tsv"
    wildcard_constraints:
        study=SEARCHLIGHT_STUDIES,


rule assign_layers:
    """Find the layer of a model that every voxel of one subject resembles most, and how surely."""
    input:
        patterns="<results>/{study}/patterns/searchlight_{subject}.h5",
        regions="<results>/{study}/patterns/brain_{subject}.h5",
        models=searchlight_models,
        images=lambda wildcards: searchlight_raw_files(wildcards)[0],
        mask=searchlight_mask,
        similarity="<results>/{study}/maps/similarity_{subject}.nii.gz",
        p=searchlight_p,
        table="<results>/{study}/tables/searchlight_{subject}.csv",
    output:
        maps="<results>/{study}/maps/assignment_{subject}_{model}.nii.gz",
        table=report(
            "<results>/{study}/tables/assignment_{subject}_{model}.csv",
            caption="../../report/assignment_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "layers of voxels, {subject}, {model}"},
        ),
    log:
        "<logs>/{study}/maps/assignment_{subject}_{model}.log",
    benchmark:
        "<benchmarks>/{study}/maps/assignment_{subject}_{model}.tsv"
    wildcard_constraints:
        study=SEARCHLIGHT_STUDIES,
        subject=one_of(SUBJECTS),
    conda:
        "../../../envs/neuro.yaml"
    threads: 2
    resources:
        mem_mb=size_mb(8, at_least=2000),
        runtime=minutes(60),
    params:
        spheres=searchlight_spheres,
        comparator=setting("searchlight", "comparator"),
        controls=setting("searchlight", "controls"),
        layer_groups=layer_groups_of,
        n_resamples=setting("inference", "n_bootstrap"),
        seed=config["seed"],
        code=script_digest("searchlight/assign_layers.py"),
    script:
        "../../../scripts/searchlight/assign_layers.py"


rule assign_layers_group:
    """Find the layer of a model that every voxel resembles most in the mean over subjects."""
    input:
        maps=subject_files("maps/similarity_{subject}.nii.gz", joint=False),
        regions=subject_files("patterns/brain_{subject}.h5", joint=False),
        mean_z=f"<results>/{{study}}/maps/mean_z_{GROUP}.nii.gz",
        p=searchlight_p,
        table=f"<results>/{{study}}/tables/searchlight_{GROUP}.csv",
    output:
        maps=f"<results>/{{study}}/maps/assignment_{GROUP}_{{model}}.nii.gz",
        table=report(
            f"<results>/{{study}}/tables/assignment_{GROUP}_{{model}}.csv",
            caption="../../report/assignment_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": f"layers of voxels, {GROUP}, {{model}}"},
        ),
    log:
        f"<logs>/{{study}}/maps/assignment_{GROUP}_{{model}}.log",
    benchmark:
        f"<benchmarks>/{{study}}/maps/assignment_{GROUP}_{{model}}.tsv"
    wildcard_constraints:
        study=SEARCHLIGHT_STUDIES,
    conda:
        "../../../envs/neuro.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(30, at_least=2000),
        runtime=minutes(60),
    params:
        layer_groups=layer_groups_of,
        n_resamples=setting("inference", "n_bootstrap"),
        seed=config["seed"],
        code=script_digest("searchlight/assign_layers_group.py"),
    script:
        "../../../scripts/searchlight/assign_layers_group.py"


rule plot_assignment:
    """Draw which layer of a model each voxel resembles most, and how many of each region do."""
    input:
        maps="<results>/{study}/maps/assignment_{subject}_{model}.nii.gz",
        table="<results>/{study}/tables/assignment_{subject}_{model}.csv",
    output:
        **figure_files(
            "assignment_{subject}_{model}",
            "Searchlight",
            figure="layer of each voxel",
            subject="{subject}",
            model="{model}",
        ),
    log:
        "<logs>/{study}/figures/assignment_{subject}_{model}.log",
    benchmark:
        "<benchmarks>/{study}/figures/assignment_{subject}_{model}.tsv"
    wildcard_constraints:
        study=SEARCHLIGHT_STUDIES,
        subject=one_of([*SUBJECTS, GROUP]),
    conda:
        "../../../envs/neuro.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        title=setting("title"),
        simulated=is_simulated,
        called=setting("images", "called"),
        code=script_digest("figures/plot_assignment.py"),
    script:
        "../../../scripts/figures/plot_assignment.py"
