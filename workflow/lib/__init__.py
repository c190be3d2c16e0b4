"""Shared, tested code. Import as `from workflow.lib.<module> import <name>`."""
