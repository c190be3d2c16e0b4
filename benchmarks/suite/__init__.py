"""The harness of `make bench`: rows, inputs, one process per measurement, and the report."""
