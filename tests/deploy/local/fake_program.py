"""A program in place of a service: `fake_program.py PORT BEHAVIOUR...` answers every GET with 200.

Behaviours: `ignores-sigterm`; `fails` ends at once with an error line; `has-child` has a child that ignores SIGTERM;
`slow` answers after a second.
"""

import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer


class Answering(BaseHTTPRequestHandler):
    """Answers 200 to everything."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Logs nothing: the log is for the lines that the tests look for."""


def main(port: int, *behaviours: str) -> None:
    print(f"listening on {port}", flush=True)
    if "fails" in behaviours:
        sys.exit("a setting is wrong")
    if "ignores-sigterm" in behaviours:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "has-child" in behaviours:
        subprocess.Popen([sys.executable, __file__, "0", "ignores-sigterm"])
    if "slow" in behaviours:
        time.sleep(1)
    HTTPServer(("127.0.0.1", port), Answering).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
