"""A package, unlike its neighbours: what its tests share, the browser first of all, ends with the last of them."""
