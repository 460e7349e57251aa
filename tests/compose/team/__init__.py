"""A package, so that the stack of its tests ends with the last of them."""
