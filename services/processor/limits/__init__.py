"""What holds calls back: the rate limit, the circuit breaker, the backoff."""
