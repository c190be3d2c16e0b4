"""Comparing RDMs, and what goes with a comparison: ceilings, partial correlation, encoding."""
