# Decoders of the reconstruction studies: shapes and categories from responses, fold by fold.
#
# In: features/images.npz, files of responses.
# Out: <results>/<study>/models/shapes_<decoder>_<subject>.h5, semantics_<decoder>_<subject>.h5 (of
# networks also _history.csv and .safetensors); tables/image_clusters.csv, cluster_choice.csv and
# leak_audit.csv.


rule cluster_images:
    """Cluster the training images by what a network sees, and assign test images to clusters."""
    input:
        images="<results>/{study}/features/images.npz",
        weights=weights_of_clusters,
    output:
        clusters="<results>/{study}/tables/image_clusters.csv",
        choice="<results>/{study}/tables/cluster_choice.csv",
    log:
        "<logs>/{study}/tables/image_clusters.log",
    benchmark:
        "<benchmarks>/{study}/tables/image_clusters.tsv"
    wildcard_constraints:
        study=CLUSTERED_STUDIES,
    conda:
        "../../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(4, at_least=3000),
        runtime=minutes(60),
        gpu=1,
    params:
        clusters=setting("clusters"),
        seed=config["seed"],
        code=script_digest("reconstruction/decoders/cluster_images.py"),
    script:
        "../../../../scripts/reconstruction/decoders/cluster_images.py"


rule decode_shapes:
    """Decode shapes by ridge regression, training images out of fold."""
    input:
        images="<results>/{study}/features/images.npz",
        responses=recorded_files_of_subject,
    output:
        "<results>/{study}/models/shapes_{decoder}_{subject}.h5",
    log:
        "<logs>/{study}/models/shapes_{decoder}_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/models/shapes_{decoder}_{subject}.tsv"
    wildcard_constraints:
        study=studies_decoding("shapes", "ridge"),
        subject=RECONSTRUCTION_SUBJECTS,
        decoder=DECODERS,
    conda:
        "../../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=linear_decoder_mb(12),
        runtime=minutes(120),
    params:
        decoder=decoder_block("shapes"),
        rois=rois_of_decoder("shapes"),
        parts=of_picture_entry(parts_of),
        options=of_picture_entry(reading_options),
        n_folds=setting("folds", "n_folds"),
        validation_share=setting("folds", "validation_share"),
        seed=config["seed"],
        code=script_digest("reconstruction/decoders/decode_shapes.py"),
    script:
        "../../../../scripts/reconstruction/decoders/decode_shapes.py"


rule train_shape_decoder:
    """Train the published network of shapes, training images out of fold."""
    input:
        images="<results>/{study}/features/images.npz",
        responses=recorded_files_of_subject,
    output:
        predictions="<results>/{study}/models/shapes_{decoder}_{subject}.h5",
        history="<results>/{study}/models/shapes_{decoder}_{subject}_history.csv",
        network="<results>/{study}/models/shapes_{decoder}_{subject}.safetensors",
    log:
        "<logs>/{study}/models/shapes_{decoder}_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/models/shapes_{decoder}_{subject}.tsv"
    wildcard_constraints:
        study=studies_decoding("shapes", "network"),
        subject=RECONSTRUCTION_SUBJECTS,
        decoder=DECODERS,
    conda:
        "../../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=decoder_mb,
        runtime=minutes(12 * 60),
        gpu=1,
    params:
        decoder=decoder_block("shapes"),
        rois=rois_of_decoder("shapes"),
        parts=of_picture_entry(parts_of),
        options=of_picture_entry(reading_options),
        n_folds=setting("folds", "n_folds"),
        validation_share=setting("folds", "validation_share"),
        seed=config["seed"],
        code=training_digest("reconstruction/decoders/train_shape_decoder.py"),
    script:
        "../../../../scripts/reconstruction/decoders/train_shape_decoder.py"


rule decode_semantics:
    """Decode categories by logistic regression, training images out of fold."""
    input:
        images="<results>/{study}/features/images.npz",
        responses=recorded_files_of_subject,
        clusters="<results>/{study}/tables/image_clusters.csv",
    output:
        "<results>/{study}/models/semantics_{decoder}_{subject}.h5",
    log:
        "<logs>/{study}/models/semantics_{decoder}_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/models/semantics_{decoder}_{subject}.tsv"
    wildcard_constraints:
        study=studies_decoding("semantics", "logistic"),
        subject=RECONSTRUCTION_SUBJECTS,
        decoder=DECODERS,
    conda:
        "../../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=linear_decoder_mb(8),
        runtime=minutes(240),
    params:
        decoder=decoder_block("semantics"),
        rois=rois_of_decoder("semantics"),
        parts=of_picture_entry(parts_of),
        options=of_picture_entry(reading_options),
        n_folds=setting("folds", "n_folds"),
        validation_share=setting("folds", "validation_share"),
        seed=config["seed"],
        code=script_digest("reconstruction/decoders/decode_semantics.py"),
    script:
        "../../../../scripts/reconstruction/decoders/decode_semantics.py"


rule train_semantic_decoder:
    """Train the published network of categories, training images out of fold."""
    input:
        images="<results>/{study}/features/images.npz",
        responses=recorded_files_of_subject,
        clusters="<results>/{study}/tables/image_clusters.csv",
    output:
        predictions="<results>/{study}/models/semantics_{decoder}_{subject}.h5",
        history="<results>/{study}/models/semantics_{decoder}_{subject}_history.csv",
        network="<results>/{study}/models/semantics_{decoder}_{subject}.safetensors",
    log:
        "<logs>/{study}/models/semantics_{decoder}_{subject}.log",
    benchmark:
        "<benchmarks>/{study}/models/semantics_{decoder}_{subject}.tsv"
    wildcard_constraints:
        study=studies_decoding("semantics", "network"),
        subject=RECONSTRUCTION_SUBJECTS,
        decoder=DECODERS,
    conda:
        "../../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=decoder_mb,
        runtime=minutes(12 * 60),
        gpu=1,
    params:
        decoder=decoder_block("semantics"),
        rois=rois_of_decoder("semantics"),
        parts=of_picture_entry(parts_of),
        options=of_picture_entry(reading_options),
        n_folds=setting("folds", "n_folds"),
        validation_share=setting("folds", "validation_share"),
        seed=config["seed"],
        code=training_digest("reconstruction/decoders/train_semantic_decoder.py"),
    script:
        "../../../../scripts/reconstruction/decoders/train_semantic_decoder.py"


rule audit_reconstruction:
    """Count what predicted images share with those that their decoders learned from."""
    input:
        images="<results>/{study}/features/images.npz",
        predictions=all_decoded,
    output:
        report(
            "<results>/{study}/tables/leak_audit.csv",
            caption="../../../report/reconstruction_audit_table.rst",
            category="{study}",
            subcategory="Tables",
            labels={"item": "leak audit"},
        ),
    log:
        "<logs>/{study}/tables/leak_audit.log",
    benchmark:
        "<benchmarks>/{study}/tables/leak_audit.tsv"
    wildcard_constraints:
        study=RECONSTRUCTION_STUDIES,
    conda:
        "../../../../envs/rsa.yaml"
    threads: 1
    resources:
        mem_mb=size_mb(4, at_least=2000),
        runtime=minutes(60),
    params:
        n_folds=setting("folds", "n_folds"),
        validation_share=setting("folds", "validation_share"),
        simulated=is_simulated,
        seed=config["seed"],
        code=script_digest("reconstruction/decoders/audit_reconstruction.py"),
    script:
        "../../../../scripts/reconstruction/decoders/audit_reconstruction.py"
