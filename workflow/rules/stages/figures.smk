# Stage figures: tables -> figures, each as PNG, SVG and a caption (.rst) with its numbers.
#
# In: <results>/<study>/tables/ (and the RDMs themselves for the RDM panels).
# Out: <results>/<study>/figures/. Figures read tables only: a restyle recomputes nothing.


def figure_files(name, subcategory, **labels):
    """Return the outputs of a figure; its PNG goes into the report with the caption beside it."""
    path = f"<results>/{{study}}/figures/{name}"
    return {
        "png": report(
            f"{path}.png",
            caption="../../report/figure.rst",
            category="{study}",
            subcategory=subcategory,
            labels=labels,
        ),
        "svg": f"{path}.svg",
        "text": f"{path}.rst",
    }


def is_simulated(wildcards):
    return config["rsa"][wildcards.study]["source"] == "simulated"


def first_comparator(wildcards):
    return config["rsa"][wildcards.study]["comparators"][0]


def rsa_tables(joint):
    """Return an input function for the tables of all subjects, with or without the joint one."""

    def tables(wildcards):
        return [
            f"<results>/{wildcards.study}/tables/rsa_{subject}.csv"
            for subject in study_subjects(wildcards.study, joint)
        ]

    return tables


rule plot_heatmap:
    """Draw one subject's layer x ROI similarities: heatmap and grouped bars side by side."""
    input:
        "<results>/{study}/tables/rsa_{subject}.csv",
    output:
        **figure_files("heatmap_{subject}", "Layer x ROI", figure="heatmap", subject="{subject}"),
    log:
        "<logs>/{study}/figures/heatmap_{subject}.log",
    conda:
        "../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=10,
    params:
        comparator=first_comparator,
        title=setting("title"),
        simulated=is_simulated,
        alpha=setting("inference", "alpha"),
        roi_groups=setting("roi_groups"),
        code=script_digest("figures/plot_heatmap.py"),
    script:
        "../../../scripts/figures/plot_heatmap.py"
