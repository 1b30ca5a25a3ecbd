"""What a browser gets: the page's files, a session, whose request it is."""
