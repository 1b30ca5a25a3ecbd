"""Which lanes are ours, how they come and go, and what is read for them."""
