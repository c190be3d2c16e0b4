# Study reconstruction: which picture did somebody look at, drawn from the fMRI of visual cortex
# (Fang, Qi, Pan 2020), and what of it is shape, what category?
#
# The data is BData of Kamitani Lab, simulated in the published layout or real, or arrays with the
# images beside them.


include: "reconstruction_functions.smk"
include: "reconstruction/models_functions.smk"
include: "reconstruction/data.smk"
include: "reconstruction/decoders.smk"
include: "reconstruction/generator.smk"
include: "reconstruction/evaluation.smk"
include: "reconstruction/figures.smk"
