"""Webhooks: the status of each job that has finished, posted to its tenant's addresses as Standard Webhooks says.

    group hospital-webhooks · topic hospital.jobs · read_committed · offsets committed with what is delivered after them

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""
