"""Shared, tested code, a package per stage: `from workflow.lib.rsa.comparators import compare`."""
