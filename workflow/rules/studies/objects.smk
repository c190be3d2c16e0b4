# Study objects: simulated images and response patterns, the example of a study with stimuli.
#
# Everything but the simulator is the generic layer x ROI study: RDMs from patterns, networks and
# controls on the images, RSA and ridge encoding. A config for your own images looks like it.


rule simulate_objects:
    """Draw images of objects, and simulate responses of an early and a late region to them."""
    output:
        expand(
            "<simulated>/{{folder}}/{file}",
            file=["images.npz", *(f"s{i}_responses.npz" for i in (1, 2, 3))],
        ),
        truth="<simulated>/{folder}/truth.csv",
    log:
        "<logs>/simulated/{folder}.log",
    benchmark:
        "<benchmarks>/simulated/{folder}.tsv"
    wildcard_constraints:
        folder=one_of(simulations("objects")),
    conda:
        "../../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
    params:
        n_images=lambda wildcards: simulations("objects")[wildcards.folder]["n_images"],
        null_effect=lambda wildcards: simulations("objects")[wildcards.folder]["null_effect"],
        seed=config["seed"],
        code=script_digest("objects/simulate_objects.py"),
    script:
        "../../../scripts/objects/simulate_objects.py"
