"""`python -m services.processor`: see services.processor.program."""

from shared.runtime.startup import run_main

if __name__ == "__main__":
    run_main("services.processor.program")
