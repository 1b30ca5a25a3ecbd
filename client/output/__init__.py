"""What a command shows: to a person at a terminal, in plain lines, or as JSON for a program."""
