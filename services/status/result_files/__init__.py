"""Results as CSV files, in the input's order and with its columns."""
