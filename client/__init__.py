"""The command line `hospital-bulk`: a file goes in, its job is watched, and the exit status tells what became of it.

It talks HTTP to an installation and knows nothing else of it: no service, no topic, no database.

    commands ──> uploading ──> api ──> one origin
        │        watching  ──┘
        └──> screen: a terminal, plain lines, or one JSON document
"""
