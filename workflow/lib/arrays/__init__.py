"""Arrays, and the names that go with them, from the file formats in which labs keep them."""
