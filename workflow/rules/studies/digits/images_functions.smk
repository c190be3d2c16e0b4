# Functions of the images of the digits studies that are read, not drawn.

from workflow.lib.layouts.digits import image_collections, image_paths


def digit_image_paths(wildcards):
    return image_paths(config["digits"][wildcards.study], DATASETS, config["run"])


def digit_collections(wildcards):
    """Return how each collection of images of the wildcards' study is read, and from where."""
    return [
        {
            "layout": collection["layout"],
            "folder": raw_folder(collection, config["run"]),
            "files": collection["files"],
            "categories": collection["categories"],
        }
        for collection in image_collections(config["digits"][wildcards.study])
    ]


def images_mb(wildcards, input, attempt):
    """Return a memory request for arrays as published, and for those of the study."""
    entry = config["digits"][wildcards.study]
    n_images = sum(numbers_of_images(entry).values()) * len(digits_categories(wildcards))
    resized_mb = 3 * n_images * entry["images"]["side"] ** 2 / 1e6
    return size_mb(8, at_least=1500 + 3 * resized_mb)(wildcards, input, attempt)
