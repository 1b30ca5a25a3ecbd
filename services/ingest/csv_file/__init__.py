"""Reads a CSV file: encoding, records, header, rows, duplicates. No I/O beyond the file, nothing of Kafka or HTTP."""
