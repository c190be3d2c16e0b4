"""Representational dissimilarity matrices: reading, computing, aligning, storing."""
