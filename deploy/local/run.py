"""`make run`: everything on this machine, from the broker to the page, until Ctrl-C."""

import signal
import sys

from deploy.local.processes import managed_processes
from deploy.local.run_lock import hold_run_lock
from deploy.local.run_settings import RunSettings
from deploy.local.supervisor.not_started import NotStarted
from deploy.local.supervisor.supervisor import Supervisor, display_path, say
from shared.runtime.settings import load


def main() -> None:
    """Runs until Ctrl-C, SIGTERM or the end of the terminal, then stops all within 10 s.

    Exit status 0 after such a signal, 1 with the reason when something could not be started or kept running,
    2 for a wrong setting.
    """
    settings = load(RunSettings)
    _treat_as_interrupt(signal.SIGINT, signal.SIGTERM)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup means: go on when the terminal closes
        _treat_as_interrupt(signal.SIGHUP)
    try:
        with hold_run_lock(settings.local_dir):
            _run(settings.with_free_ports())
    except KeyboardInterrupt:
        say("Everything is stopped.")
    except NotStarted as reason:
        sys.exit(str(reason))


def _treat_as_interrupt(*numbers: signal.Signals) -> None:
    # SIGINT too: a shell starts its background jobs with SIGINT ignored, and then kill -INT would do nothing.
    for number in numbers:
        signal.signal(number, signal.default_int_handler)


def _run(settings: RunSettings) -> None:
    supervisor = Supervisor(managed_processes(settings))
    say(f"Starting; data and logs are kept in {display_path(settings.local_dir)}")
    try:
        supervisor.start()
        say(_ready_message(settings))
        supervisor.watch()
    finally:
        supervisor.stop()


def _ready_message(settings: RunSettings) -> str:
    page = f"http://localhost:{settings.origin_port}"
    directory = settings.hospital_api_base_url or f"http://127.0.0.1:{settings.sandbox_port}"
    return f"""
Everything is up. Ctrl-C stops it.

  Page        {page}
  API docs    {page}/docs
  Directory   {directory}{"   (the sandbox; make it fail at /admin)" if settings.own_directory else ""}
  Kafka       {settings.kafka_bootstrap_servers or f"localhost:{settings.kafka_port}"}
  Logs        {display_path(settings.local_dir / "logs")}

Upload a file:

  curl -F file=@examples/hospitals.csv -H "Idempotency-Key: $(date +%s)" {page}/api/v1/hospitals/bulk
"""
