"""The one origin: one address for the page and both HTTP APIs, one document for them, one answer about their health.

`python -m deploy.origin`. On one machine it also forwards the calls; behind nginx it only answers for all services.
"""
