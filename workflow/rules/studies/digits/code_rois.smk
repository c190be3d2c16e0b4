# Regions of codes of the digits studies: chosen in one part of the data, tested in another.
#
# In: <results>/<study>/patterns/searchlight_<subject>.h5, the responses of all voxels, and the RDMs
# of layers and codes below <results>/<study>/rdms/.
# Out: <results>/<study>/tables/code_rois.csv (a row per subject, code, way of choosing, pairs and
# layer), code_rois_group.csv (over subjects), and a figure of both; code_rois_clusters.csv, t over
# subjects in the original's regions, clusters of the group's maps.


include: "code_rois_functions.smk"


rule compute_code_rois:
    """Choose the region of every code in one part of the data, and compare layers in another."""
    input:
        patterns=subject_files("patterns/searchlight_{subject}.h5", joint=False),
        layers="<results>/{study}/rdms/model_vgg.h5",
        codes="<results>/{study}/rdms/model_codes.h5",
        # Any image of a subject gives the grid.
        images=each_subject(searchlight_raw_files),
        masks=each_subject(searchlight_mask),
    output:
        subjects="<results>/{study}/tables/code_rois.csv",
        group=report(
            "<results>/{study}/tables/code_rois_group.csv",
            caption="../../../report/code_rois_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "regions of codes"},
        ),
        clusters="<results>/{study}/tables/code_rois_clusters.csv",
    log:
        "<logs>/{study}/tables/code_rois.log",
    benchmark:
        "<benchmarks>/{study}/tables/code_rois.tsv"
    wildcard_constraints:
        study=CODE_ROI_STUDIES,
    conda:
        "../../../../envs/neuro.yaml"
    threads: 2
    resources:
        mem_mb=size_mb(8, at_least=2000),
        runtime=minutes(120),
    params:
        subjects=lambda wildcards: study_subjects(wildcards.study, joint=False),
        spheres=searchlight_spheres,
        comparator=setting("searchlight", "comparator"),
        share=digits_setting("code_rois", "share"),
        alpha=setting("searchlight", "alpha"),
        seed=config["seed"],
        code=script_digest("digits/regions/compute_code_rois.py"),
    script:
        "../../../../scripts/digits/regions/compute_code_rois.py"


rule plot_code_rois:
    """Draw how layers fare in the region of every code, beside the circular analysis."""
    input:
        group="<results>/{study}/tables/code_rois_group.csv",
        subjects="<results>/{study}/tables/code_rois.csv",
    output:
        **figure_files("code_rois", "Codes", figure="regions of codes"),
    log:
        "<logs>/{study}/figures/code_rois.log",
    benchmark:
        "<benchmarks>/{study}/figures/code_rois.tsv"
    wildcard_constraints:
        study=CODE_ROI_STUDIES,
    conda:
        "../../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        layers=NETWORK_MODEL,
        alpha=setting("searchlight", "alpha"),
        share=digits_setting("code_rois", "share"),
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("digits/figures/plot_code_rois.py"),
    script:
        "../../../../scripts/digits/figures/plot_code_rois.py"
