"""The command line `hospital-bulk`: uploads a CSV file, watches its job, and ends with an exit status for the outcome.

It uses the public HTTP API and nothing else: it imports no service, no topic and no database.

    __main__ ─> commands ─> command_context ─> api ─> the installation's address
                   │             │              └─ retry, responses, errors, schemas
                   ├─ watch      └─> output: a terminal, plain lines, or one JSON document
                   └─ upload_file, preflight, result_file
"""
