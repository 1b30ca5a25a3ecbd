"""A lane: one partition index over both topics of rows, with its window, permit, commits and takeover."""
