# Study digits: a network trained to tell digits from objects, and what it shares with the brain
# (Lee, Jung, Lustig, Lee 2023).
#
# The comparison with the brain is the generic study of `rsa` of the same name; here stands what
# only this study has: its images, the training, what units look for, how layers arrange
# categories, perception codes, simulated subjects and regions of codes.


include: "digits_functions.smk"
include: "digits/images.smk"
include: "digits/train.smk"
include: "digits/units.smk"
include: "digits/codes.smk"
include: "digits/subjects.smk"
include: "digits/code_rois.smk"
include: "digits/corrections.smk"
