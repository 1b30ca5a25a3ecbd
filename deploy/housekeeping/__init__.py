"""Deletes from the topics what nobody needs any more: `python -m deploy.housekeeping [--dry-run]`."""
