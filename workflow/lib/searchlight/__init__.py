"""Searchlights over the brain, and tests of the maps."""
