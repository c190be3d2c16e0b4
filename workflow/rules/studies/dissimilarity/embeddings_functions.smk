# Functions of embeddings: their files, the images that they are of, and the code behind them.

PAIR_EMBEDDINGS = one_of(
    name for entry in config["dissimilarity"].values() for name in entry["embeddings"]
)


def single_embeddings(study):
    """Return the embeddings of an entry that are not joined from others."""
    blocks = config["dissimilarity"][study]["embeddings"]
    return [name for name, block in blocks.items() if block["kind"] != JOINED]


def embedding_block(wildcards):
    return pair_setting("embeddings", wildcards.embedding)(wildcards)


def embedder_digest(wildcards):
    """Return the digest of the embedding script and of the module of its kind, imported by name."""
    embedder = EMBEDDERS[embedding_block(wildcards)["kind"]].module
    return script_digest("dissimilarity/embeddings/embed_images.py"), *module_digest(
        f"dissimilarity/embedders/{embedder}.py"
    )


def embedding_files(wildcards):
    """Return the weights or arrays that an embedding is made of, if they are files."""
    block = embedding_block(wildcards)
    weights = block.get("weights")
    files = [weights] if weights and is_weight_file(weights) else []
    given = [block[key] for key in FILE_KEYS if block.get(key)]
    return files + [file_of_subject(file, wildcards.subject) for file in given]


def sees_originals(wildcards):
    """Return whether an embedding is of the images as published, not of the prepared ones."""
    return EMBEDDERS[embedding_block(wildcards)["kind"]].originals


def original_images(wildcards):
    """Return what an embedding of the published images reads: a folder, or the stimuli of `rsa`."""
    entry = config["dissimilarity"][wildcards.study]
    if not sees_originals(wildcards):
        return []
    if entry["source"] == "rsa":
        return stimulus_raw_files(wildcards)
    return challenge_files(wildcards)
