"""Response patterns of the brain, from raw files to prepared observations."""
