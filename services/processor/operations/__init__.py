"""For whoever runs processors: reports, liveness, commands, dead letters."""
