"""What `rsa` calls the models that an entry of `digits` makes. Standard library only.

Paths in rule files spell these names out, so that they can be searched for.
"""

# The layers of the trained network, and the perception codes.
NETWORK_MODEL, CODE_MODEL = "vgg", "codes"
