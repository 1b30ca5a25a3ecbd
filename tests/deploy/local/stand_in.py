"""A program that stands in for a service: `stand_in.py PORT HABIT...` answers every GET with 200.

Habits: `stubborn` ignores SIGTERM; `fragile` ends at once with a last word; `parent` has a child of its own that
ignores SIGTERM as well; `slow` answers after a second.
"""

import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer


class Yes(BaseHTTPRequestHandler):
    """Answers 200 and says no more."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Nothing: the log is for what the tests look for."""


def main(port: int, *habits: str) -> None:
    print(f"standing in on {port}", flush=True)
    if "fragile" in habits:
        sys.exit("no leg to stand on")
    if "stubborn" in habits:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "parent" in habits:
        subprocess.Popen([sys.executable, __file__, "0", "stubborn"])
    if "slow" in habits:
        time.sleep(1)
    HTTPServer(("127.0.0.1", port), Yes).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
