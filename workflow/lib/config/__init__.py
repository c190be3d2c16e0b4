"""The configuration: its schema, how configs are laid over one another, and what they must obey."""
