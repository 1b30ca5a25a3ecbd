"""Arguments and options that several commands take."""

from typing import Annotated

import typer

JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, from the answer to the upload.")]
Watch = Annotated[bool, typer.Option("--watch", help="Stay until the job has ended; the exit status tells how.")]
