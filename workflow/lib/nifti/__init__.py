"""Brain images in NIfTI files: read whole or in blocks, held to one grid, and written."""
