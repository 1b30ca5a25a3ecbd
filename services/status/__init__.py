"""Results become answers: events are projected into tables, and people ask the tables."""
