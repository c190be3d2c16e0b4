# Evaluation of the reconstruction studies: decoders, and reconstructions against the images.
#
# In: decoded shapes and categories, reconstructions. Out: <results>/<study>/tables/
# decoder_means.csv, semantic_confusion.csv, reconstruction_means.csv, ablations.csv, comparison.csv;
# shape_scores.csv and reconstruction_scores.csv (a row per image); features/compared_<features>.h5.


rule evaluate_decoders:
    """Score decoded shapes and categories, of training images out of fold and of test images."""
    input:
        unpack(decoded_by_stream),
        images="<results>/{study}/features/images.npz",
        # Nothing is scored where something leaks.
        audit="<results>/{study}/tables/leak_audit.csv",
    output:
        means=report(
            "<results>/{study}/tables/decoder_means.csv",
            caption="../../../report/decoder_means_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "scores of decoders"},
        ),
        confusion="<results>/{study}/tables/semantic_confusion.csv",
        shapes="<results>/{study}/tables/shape_scores.csv",
    log:
        "<logs>/{study}/tables/decoder_means.log",
    benchmark:
        "<benchmarks>/{study}/tables/decoder_means.tsv"
    wildcard_constraints:
        study=RECONSTRUCTION_STUDIES,
    conda:
        "../../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(4, at_least=2000),
        runtime=minutes(60),
    params:
        n_way=setting("evaluation", "n_way"),
        top=setting("evaluation", "top"),
        n_bootstrap=setting("evaluation", "n_bootstrap"),
        n_permutations=setting("evaluation", "n_permutations"),
        simulated=is_simulated,
        seed=config["seed"],
        code=script_digest("reconstruction/evaluation/evaluate_decoders.py"),
    script:
        "../../../../scripts/reconstruction/evaluation/evaluate_decoders.py"


rule compare_features:
    """Compare reconstructions with images by what a layer of a network sees in them."""
    input:
        images="<results>/{study}/features/images.npz",
        reconstructions=all_reconstructions,
        weights=weights_of_comparison,
    output:
        "<results>/{study}/features/compared_{features}.h5",
    log:
        "<logs>/{study}/features/compared_{features}.log",
    benchmark:
        "<benchmarks>/{study}/features/compared_{features}.tsv"
    wildcard_constraints:
        study=GENERATED_STUDIES,
        features=COMPARED_FEATURES,
    conda:
        "../../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(4, at_least=4000),
        runtime=minutes(60),
        gpu=1,
    params:
        network=compared_network,
        seed=config["seed"],
        code=script_digest("reconstruction/evaluation/compare_features.py"),
    script:
        "../../../../scripts/reconstruction/evaluation/compare_features.py"


rule evaluate_reconstruction:
    """Score reconstructions by image, on average with intervals, and against ablations."""
    input:
        images="<results>/{study}/features/images.npz",
        # Nothing is scored where something leaks.
        audit="<results>/{study}/tables/leak_audit.csv",
        reconstructions=all_reconstructions,
        compared=all_compared,
    output:
        images="<results>/{study}/tables/reconstruction_scores.csv",
        means=report(
            "<results>/{study}/tables/reconstruction_means.csv",
            caption="../../../report/reconstruction_means_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "scores of reconstructions"},
        ),
        differences=report(
            "<results>/{study}/tables/ablations.csv",
            caption="../../../report/ablations_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "ablations"},
        ),
    log:
        "<logs>/{study}/tables/reconstruction_means.log",
    benchmark:
        "<benchmarks>/{study}/tables/reconstruction_means.tsv"
    wildcard_constraints:
        study=GENERATED_STUDIES,
    conda:
        "../../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(4, at_least=2000),
        runtime=minutes(120),
    params:
        networks=networks_compared,
        n_way=setting("evaluation", "n_way"),
        n_bootstrap=setting("evaluation", "n_bootstrap"),
        n_permutations=setting("evaluation", "n_permutations"),
        reference=setting("evaluation", "reference"),
        pairs=setting("evaluation", "pairs"),
        simulated=is_simulated,
        seed=config["seed"],
        code=script_digest("reconstruction/evaluation/evaluate_reconstruction.py"),
    script:
        "../../../../scripts/reconstruction/evaluation/evaluate_reconstruction.py"


rule tabulate_comparison:
    """Set scores of reconstructions beside published ones, each with its source."""
    input:
        means="<results>/{study}/tables/reconstruction_means.csv",
        published=published_scores,
    output:
        table="<results>/{study}/tables/comparison.csv",
        html=report(
            "<results>/{study}/tables/comparison.html",
            caption="../../../report/comparison_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "beside published scores"},
        ),
    log:
        "<logs>/{study}/tables/comparison.log",
    benchmark:
        "<benchmarks>/{study}/tables/comparison.tsv"
    wildcard_constraints:
        study=COMPARED_STUDIES,
    conda:
        "../../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        reference=setting("evaluation", "reference"),
        title=setting("title"),
        simulated=is_simulated,
        code=script_digest("reconstruction/evaluation/tabulate_comparison.py"),
    script:
        "../../../../scripts/reconstruction/evaluation/tabulate_comparison.py"
