"""What a config would do, said before anything is run: `make check`."""
