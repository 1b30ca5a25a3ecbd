"""How long the processor waits for a single event to be written. Results go through the lanes' transactions."""

from typing import Final

SEND_SECONDS: Final = 5.0
