"""A lane: one partition index of its three topics, with its window, permit, commits and takeover."""
