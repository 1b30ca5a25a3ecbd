"""`python -m services.status`: see services.status.program."""

from shared.quick_import import run_main

if __name__ == "__main__":
    run_main("services.status.program")
