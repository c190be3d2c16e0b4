# Study dissimilarity: how different will the fMRI responses to two images be
# (Hexter, Puente Quera, Bar-Ilan 2025), and how much of a prediction is leakage?
#
# The data is a folder of the Algonauts 2023 challenge, simulated in the same layout or the user's
# own, or the RDMs and stimuli of a study of `rsa`. Here stands what only this study has: its
# reader, embeddings of images, models of pairs, splits of pairs with and without leakage.


include: "dissimilarity_functions.smk"
include: "dissimilarity/resources_functions.smk"
include: "dissimilarity/data.smk"
include: "dissimilarity/embeddings.smk"
include: "dissimilarity/models.smk"
include: "dissimilarity/figures.smk"
