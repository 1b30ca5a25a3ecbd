"""The origin: one address for the page and both HTTP APIs, with one OpenAPI document and one health check.

`python -m deploy.origin`. On one machine it also forwards requests; behind nginx it only answers for all services.
"""
