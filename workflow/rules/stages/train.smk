# Stage train: what networks did while they were trained, and what they get right.
#
# In: <results>/<study>/models/<network>_history.csv, a row per epoch, part of the data and measure
# (see workflow.lib.training.history), and per fold where there is a network for each; for networks
# that classify <network>_predictions.csv, a row per image that was not trained on (see
# workflow.lib.training.accuracy). Rules of the studies train the networks and write both, with
# workflow.lib.training.
# Out: figures learning_curves_<network> and confusion_<network>;
# tables/accuracy_<network>.csv and .html.
#
# A study takes part that says in TRAININGS what is to be said of its networks.


include: "train_functions.smk"


rule tabulate_accuracy:
    """Tabulate how many images of each category a network tells right, with intervals."""
    input:
        "<results>/{study}/models/{network}_predictions.csv",
    output:
        table="<results>/{study}/tables/accuracy_{network}.csv",
        html=report(
            "<results>/{study}/tables/accuracy_{network}.html",
            caption="../../report/accuracy_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "accuracy of {network}"},
        ),
    log:
        "<logs>/{study}/tables/accuracy_{network}.log",
    benchmark:
        "<benchmarks>/{study}/tables/accuracy_{network}.tsv"
    wildcard_constraints:
        study=ANY_STUDY,
        network=NETWORK,
    conda:
        "../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(10),
    params:
        groups=said_of_training("groups"),
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("training/tabulate_accuracy.py"),
    script:
        "../../../scripts/training/tabulate_accuracy.py"


rule plot_training:
    """Draw the learning curves of a network, or of those of all folds."""
    input:
        "<results>/{study}/models/{network}_history.csv",
    output:
        **figure_files(
            "learning_curves_{network}", "Network", figure="learning curves", network="{network}"
        ),
    log:
        "<logs>/{study}/figures/learning_curves_{network}.log",
    benchmark:
        "<benchmarks>/{study}/figures/learning_curves_{network}.tsv"
    wildcard_constraints:
        study=ANY_STUDY,
        network=NETWORK,
    conda:
        "../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        title=setting("title"),
        simulated=is_simulated,
        groups=said_of_training("groups"),
        label=said_of_training("label"),
        note=said_of_training("note"),
        code=script_digest("figures/plot_training.py"),
    script:
        "../../../scripts/figures/plot_training.py"


rule plot_confusion:
    """Draw what a network takes for what, and its accuracy per category."""
    input:
        "<results>/{study}/models/{network}_predictions.csv",
    output:
        **figure_files("confusion_{network}", "Network", figure="confusion", network="{network}"),
    log:
        "<logs>/{study}/figures/confusion_{network}.log",
    benchmark:
        "<benchmarks>/{study}/figures/confusion_{network}.tsv"
    wildcard_constraints:
        study=ANY_STUDY,
        network=NETWORK,
    conda:
        "../../../envs/plot.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        caption=caption_of,
        title=setting("title"),
        simulated=is_simulated,
        groups=said_of_training("groups"),
        code=script_digest("figures/plot_confusion.py"),
    script:
        "../../../scripts/figures/plot_confusion.py"
