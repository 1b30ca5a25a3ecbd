"""`python -m services.ingest`: see services.ingest.program."""

from shared.runtime.startup import run_main

if __name__ == "__main__":
    run_main("services.ingest.program")
