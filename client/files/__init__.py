"""The files: which ones are meant, how they are to be read, what the check says, and what is written here."""
