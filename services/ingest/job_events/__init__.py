"""A valid file as events: one row event per hospital, one JobAccepted, encoded before anything is sent."""
