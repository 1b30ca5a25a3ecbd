"""Which rows are in doubt, when they are looked up, and what that proves."""

from tests.simulation.put_back.fault import Change, Fault

_WINDOW = "services/processor/offsets/window.py"
_WATERMARK = "services/processor/offsets/watermark.py"
_TRANSITIONS = "services/processor/lane/transitions.py"
_LANE = "services/processor/lane/lane.py"
_SENDER = "services/processor/sending/sender.py"
_LOOKUPS = "services/processor/sending/lookups.py"
_RESPONSES = "services/processor/directory/responses.py"
_CLIENT = "services/processor/directory/client.py"
_ROWS = "services/processor/lane/lane_rows.py"

FAULTS = (
    Fault(
        "late_delivery",
        "what was written to the directory may be delivered long after the time-out",
        "Assume_UserTimeout",
        "slow ways",
        (
            Change(_CLIENT, "expiring_sockets(self._settings.hospital_api_timeout)", "expiring_sockets(3600)"),
            Change(_CLIENT, "            call.give_up()\n", ""),
        ),
    ),
    Fault(
        "inherited_not_doubted",
        "rows below the inherited horizon are not in doubt",
        "Rule_LookUpInherited",
        "late",
        (Change(_WINDOW, "        return place.offset < self._restored_horizon", "        return False"),),
    ),
    Fault(
        "inherited_at_once",
        "inherited rows are looked up at once after a takeover",
        "Rule_LookUpAfterLease",
        "late",
        (Change(_LANE, "now if takeover.unowned else now + lease + settings.settled_seconds", "now"),),
    ),
    Fault(
        "looked_up_at_once",
        "a call without a clear answer is looked up without waiting for the settle time",
        "Rule_SettleOwnCalls",
        "late",
        (
            Change(
                _TRANSITIONS,
                "        case Unanswered(message, status):\n"
                "            return _in_doubt(before, LastError(message, status), counts=True), "
                "LookUp(sent + rules.settled_seconds)",
                "        case Unanswered(message, status):\n"
                "            return _in_doubt(before, LastError(message, status), counts=True), LookUp(sent)",
            ),
        ),
    ),
    Fault(
        "old_look_up_answers",
        "a look-up also answers for rows whose time had not come when it began",
        "Rule_LookUpBegan",
        "late",
        (
            Change(
                _LOOKUPS,
                "for row, doubt in [(row, doubt) for row, doubt in batch.rows.items() if doubt.at <= began]:",
                "for row, doubt in list(batch.rows.items()):",
            ),
        ),
    ),
    Fault(
        "error_500_is_absence",
        "a 500 means that nothing was created",
        "Rule_ErrorIsNotAbsence",
        "late",
        (
            Change(
                _TRANSITIONS,
                "            return _in_doubt(before, LastError(message, status), counts=True), LookUp(sent)\n",
                "            after = replace(before, count=before.count + 1, backoff_count=before.backoff_count + 1)\n"
                "            if after.count < rules.max_attempts:\n"
                "                return after, Retry(rules.backoff(after.backoff_count))\n"
                "            failed = row.failed(RowErrorCode.ATTEMPTS_EXHAUSTED, message, after.count, status)\n"
                "            return after, Finished(failed)\n",
            ),
        ),
    ),
    Fault(
        "page_is_absence",
        "a look-up that gets a web page with 404 proves absence",
        "Rule_ErrorIsNotAbsence",
        "late",
        (
            Change(
                _RESPONSES,
                "        return LookupFailed(response.foreign_message()) "
                "if response.declared_json() is None else Listed(())\n",
                "        return Listed(())\n",
            ),
        ),
    ),
    Fault(
        "part_is_whole",
        "one page of a list counts as the whole list",
        "Rule_ErrorIsNotAbsence",
        "late",
        (Change(_LOOKUPS, "        if not listed.whole:\n", "        if False:\n"),),
    ),
    Fault(
        "bitmap_not_read",
        "what is done behind the watermark is handed out again",
        "Rule_BitmapSkips",
        "hand-overs",
        (
            Change(
                _WATERMARK,
                "    return Watermark(offset, int(found[2]), int(found[3]), done, released",
                "    return Watermark(offset, int(found[2]), 0 * done, released",
            ),
        ),
    ),
    Fault(
        "refused_may_exist",
        "rows that the directory refused, or that were not sent, are looked up when they are retried",
        "",
        "rewrites",
        (Change(_ROWS, "row.event.round > 1 and row.event.may_exist", "row.event.round > 1"),),
    ),
)
