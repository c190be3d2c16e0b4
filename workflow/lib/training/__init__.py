"""Training of networks: images, augmentation, architectures, a loop that can be interrupted."""
