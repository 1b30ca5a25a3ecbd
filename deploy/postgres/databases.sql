-- Each service has a database of its own. Runs once, when PostgreSQL's volume is new.
CREATE DATABASE ingest;
CREATE DATABASE status;
