"""A file becomes events: an upload is checked, reserved under its key, and published whole or not at all."""
