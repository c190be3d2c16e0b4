"""Measurements of time, memory and exactness; see README.md in this folder."""
