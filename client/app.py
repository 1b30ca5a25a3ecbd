"""The program `hospital-bulk`: its commands in the order of the help, and what the help says of all of them."""

from typing import Final

import typer

from client.commands import files, jobs, receipts, results
from client.options import command, shared_options

_HELP: Final = """Upload files of hospitals (CSV, workbooks), and see what becomes of every row.

The exit status tells how it ended: 0 as asked, and of a watched job: all created and activated; 1 some rows failed;
2 the command is wrong, or a file cannot be read or written; 3 no row was created; 4 the job was cancelled; 5 the
service cannot be reached; 6 the service refused; 7 not sent, since nobody confirmed a warning or a file that was
accepted before, or since the file was saved again meanwhile; 8 all created, but not activated; 9 a file is
not what its job finished with; 130 Ctrl-C. Of several
files: that of the first that ended otherwise than 0.

Questions are asked at a terminal only. Where nobody can be asked, what would need a yes is refused; --yes says it.

Tab completes commands and options after `hospital-bulk --install-completion` (bash, zsh, fish, PowerShell)."""

app = typer.Typer(
    name="hospital-bulk",
    help=_HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback(help=_HELP)(shared_options)

command(app, files.upload)
command(app, files.validate)
command(app, jobs.status)
command(app, jobs.list_)
command(app, jobs.history)
command(app, results.successful)
command(app, results.failed)
command(app, results.unprocessed)
command(app, results.all_)
command(app, receipts.receipt)
command(app, receipts.verify)
command(app, jobs.cancel)
command(app, jobs.retry)
command(app, jobs.resolve)
command(app, jobs.activate)
