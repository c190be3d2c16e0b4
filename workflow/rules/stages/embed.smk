# Stage embed: products between items in every layer -> maps of the layers in a plane.
#
# In: <results>/<study>/embedding/grams.h5, a Gram matrix per layer over items less their mean (see
# workflow.lib.rdms.gram_store), and items.csv, a row (name, group) for each; the study writes them.
# Out: <results>/<study>/embedding/<method>.csv, a row per layer and item;
# tables/embedding_<method>.csv, a row per layer; a figure.
#
# A study takes part whose config has a block `embedding`: n_components, and the options of the
# method.


include: "embed_functions.smk"


rule embed_layers:
    """Map the items of every layer in a plane, so that those that are alike there lie together."""
    input:
        grams="<results>/{study}/embedding/grams.h5",
        groups="<results>/{study}/embedding/items.csv",
    output:
        places="<results>/{study}/embedding/{method}.csv",
        quality=report(
            "<results>/{study}/tables/embedding_{method}.csv",
            caption="../../report/embedding_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "embedding, {method}"},
        ),
    log:
        "<logs>/{study}/embedding/{method}.log",
    benchmark:
        "<benchmarks>/{study}/embedding/{method}.tsv"
    wildcard_constraints:
        study=EMBEDDED_STUDIES,
        method=EMBEDDING_METHODS,
    conda:
        "../../../envs/neuro.yaml"
    threads: 2
    resources:
        mem_mb=size_mb(2),
        runtime=minutes(60),
    params:
        options=embedding_options,
        seed=config["seed"],
        code=script_digest("embed/embed_layers.py"),
    script:
        "../../../scripts/embed/embed_layers.py"


rule plot_embedding:
    """Draw the map of every layer, a mark per item, a colour per group."""
    input:
        places="<results>/{study}/embedding/{method}.csv",
        quality="<results>/{study}/tables/embedding_{method}.csv",
    output:
        **figure_files("embedding_{method}", "Network", figure="{method}"),
    log:
        "<logs>/{study}/figures/embedding_{method}.log",
    benchmark:
        "<benchmarks>/{study}/figures/embedding_{method}.tsv"
    wildcard_constraints:
        study=EMBEDDED_STUDIES,
        method=EMBEDDING_METHODS,
    conda:
        "../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        options=embedding_options,
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("figures/plot_embedding.py"),
    script:
        "../../../scripts/figures/plot_embedding.py"
