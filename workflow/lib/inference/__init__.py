"""Tests, intervals and cross-validation of layer x ROI similarities."""
