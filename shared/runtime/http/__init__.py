"""HTTP, as all services answer it: serving, health, errors, whose request it is, how long it may wait."""
