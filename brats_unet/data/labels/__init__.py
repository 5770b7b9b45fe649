"""Label conventions: the meaning of the integers in a mask."""
