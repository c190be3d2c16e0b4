"""How well images are reconstructed, and whether they can be told from others."""
