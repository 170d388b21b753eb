"""A small program on the example's statements, by which the catalogue shows who runs each."""
