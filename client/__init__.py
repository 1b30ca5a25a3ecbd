"""The command line `hospital-bulk`: checks files, uploads them, watches their jobs, and ends with an exit status.

It uses the public HTTP API and nothing else: it imports no service, no topic and no database.

    __main__ ─> app ─> commands ─> command_context ─> api ─> the installation's address
                          │             │              └─ retry, responses, errors, schemas
                          ├─ files      └─> output: a terminal, plain lines, few lines, or one JSON document
                          └─ watch, throughput
"""
