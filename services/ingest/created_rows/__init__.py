"""What the tenants' jobs have created in the last 30 days: read from the results, kept as hashes, found in uploads."""
