"""Shared, tested code, a package per stage. `from workflow.lib.<package>.<module> import <name>`."""
