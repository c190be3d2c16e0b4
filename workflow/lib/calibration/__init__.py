"""Simulated data sets on which tests and intervals are tried out."""
