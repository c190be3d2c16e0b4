# Functions of stage embed: the studies that take part, and their options.

# Study -> options. A study may have entries in several sections, of which one has the block.
EMBEDDINGS = {
    study: entry["embedding"]
    for study in study_names(config)
    for entry in entries_of(config, study).values()
    if "embedding" in entry
}
EMBEDDED_STUDIES = one_of(EMBEDDINGS)
# Those of workflow.lib.embedding, which is slow to import.
EMBEDDING_METHODS = one_of(["tsne"])


def embedding_options(wildcards):
    return EMBEDDINGS[wildcards.study]


def embedding_targets():
    """Return the maps of the selected studies."""
    return [
        f"<results>/{study}/figures/embedding_tsne.png" for study in STUDIES if study in EMBEDDINGS
    ]


STUDY_TARGETS.append(embedding_targets)
