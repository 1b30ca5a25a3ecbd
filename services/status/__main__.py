"""`python -m services.status`: see services.status.program."""

from shared.runtime.startup import run_main

if __name__ == "__main__":
    run_main("services.status.program")
