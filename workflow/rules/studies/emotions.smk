# Study emotions: which emotion does a movie show, told from the fMRI of people who watch it
# (3D network, occlusion, UMAP and RSA on StudyForrest), and how much of that is leakage?
#
# The data is BIDS volumes or time series of parcels, with what observers of the movie wrote down,
# simulated in the published layout or real. Here stands what only this study has: its annotations,
# time series, splits, network, occlusion and RDMs of emotions.


include: "emotions_functions.smk"
include: "emotions/resources_functions.smk"
include: "emotions/data.smk"
include: "emotions/models.smk"
include: "emotions/evaluation.smk"
include: "emotions/maps.smk"
include: "emotions/rsa.smk"
include: "emotions/figures.smk"
