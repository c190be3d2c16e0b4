"""Where the raw files of a data set lie, by layout; standard library only."""
