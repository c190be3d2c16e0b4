"""Raw files: the registry, fetching, and what is here already."""
