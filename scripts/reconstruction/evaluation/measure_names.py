"""How tables of reconstruction name what is measured; read by figures, which compute nothing."""

PIXELS = "pixels"
IDENTIFICATION = "identification"
