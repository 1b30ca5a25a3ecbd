"""`python -m services.ingest`: see services.ingest.program."""

from shared.quick_import import run_main

if __name__ == "__main__":
    run_main("services.ingest.program")
