"""Ingest: a key makes one whole job, whatever breaks off."""

from tests.simulation.put_back.fault import Change, Fault

_RESERVATIONS = "services/ingest/keys/reservations.py"
_SUBMISSION = "services/ingest/submission.py"
_JOBS = "services/ingest/publication/jobs_topic.py"
_TRANSACTION = "services/ingest/publication/job_transaction.py"

FAULTS = (
    Fault(
        "reserved_twice",
        "a key that another upload has reserved meanwhile is published all the same",
        "Rule_ReservedBefore",
        "uploads",
        (
            Change(
                _RESERVATIONS,
                "            return written.rowcount == 1\n\n        return await",
                "            return True\n\n        return await",
            ),
        ),
    ),
    Fault(
        "unknown_is_freed",
        "a commit without an answer frees the key",
        "Rule_UnknownIsAbandoned",
        "uploads",
        (Change(_SUBMISSION, "            await lease.abandon()", "            await lease.free()"),),
    ),
    Fault(
        "reservation_expires",
        "a reservation whose lease has ended is free",
        "Rule_NeverExpires",
        "uploads",
        (
            Change(_RESERVATIONS, "            return Abandoned(_reservation(row))", "            return Free()"),
            Change(
                _RESERVATIONS,
                "                    reservations.c.expires_at <= self._now(),\n                )",
                "                    or_(\n"
                "                        reservations.c.expires_at <= self._now(),\n"
                "                        reservations.c.lease_until <= self._now(),\n"
                "                    ),\n                )",
            ),
        ),
    ),
    Fault(
        "recovery_reads_committed_end",
        "recovery reads to the committed end, which another upload's open transaction hides",
        "Rule_WholeEnd",
        "uploads",
        (
            Change(
                _JOBS,
                "        # The end of everything written. The committed end is where another upload's open transaction "
                'begins.\n        consumer = self._consumer("read_uncommitted")',
                '        consumer = self._consumer("read_committed")',
            ),
        ),
    ),
    Fault(
        "recovery_reads_from_end",
        "recovery reads from the present end, not from the stored offset",
        "Rule_StoredOffset",
        "uploads",
        (
            Change(
                _JOBS,
                "            consumer.seek(at, max(offset, begin))",
                "            consumer.seek(at, max(end, begin))",
            ),
        ),
    ),
    Fault(
        "rows_in_another_transaction",
        "JobAccepted is a transaction of its own, after that of the rows",
        "Rule_OneTransaction",
        "uploads",
        (
            Change(
                _TRANSACTION,
                "        await self._budget.run(self.write_job_accepted(job, jobs_partition))\n",
                "        await self._budget.run(self._producer.commit_transaction())\n"
                "        await self._budget.run(self._producer.begin_transaction())\n"
                "        await self._budget.run(self.write_job_accepted(job, jobs_partition))\n",
            ),
        ),
    ),
)
