"""Who may send, and when."""

from tests.simulation.put_back.fault import Change, Fault

_PERMIT = "services/processor/lane/send_permit.py"
_COMMITTER = "services/processor/lane/committer.py"
_OFFSETS = "services/processor/offsets/lane_offsets.py"
_WINDOW = "services/processor/offsets/window.py"
_WATERMARK = "services/processor/offsets/watermark.py"
_GUARD = "services/processor/directory/send_guard.py"
_CLIENT = "services/processor/directory/client.py"

FAULTS = (
    Fault(
        "lease_ignored",
        "a permit never ends: a processor that was frozen goes on sending",
        "Rule_Lease",
        "freezes",
        (Change(_PERMIT, "        return now - self._began < self.lease_seconds", "        return True"),),
    ),
    Fault(
        "asked_early",
        "the permit is asked before the connection is there, not at the first byte",
        "Rule_AskedLast",
        "freezes",
        (
            Change(
                _CLIENT,
                "                response = await session.request(",
                "                call.check()\n                response = await session.request(",
            ),
            Change(
                _GUARD, "        self._call.check()\n        self._call.written_to", "        self._call.written_to"
            ),
        ),
    ),
    Fault(
        "above_horizon",
        "rows above the committed horizon are sent",
        "Rule_OnlyBelowHorizon",
        "hand-overs",
        (Change(_COMMITTER, "        return offset < self._permit.horizon(topic)", "        return True"),),
    ),
    Fault(
        "horizon_at_offset",
        "the horizon that is committed lies at the offset",
        "Rule_HorizonKeepsDoubt",
        "hand-overs",
        (Change(_WATERMARK, "{self.horizon}:{self.delivered}", "{self.offset}:{self.delivered}"),),
    ),
    Fault(
        "horizon_forgets_doubt",
        "rows in flight or in doubt do not keep the horizon of an idle or released lane up",
        "Rule_HorizonKeepsDoubt",
        "hand-overs",
        (
            Change(
                _OFFSETS,
                "self._windows[topic].shrink_horizon(row.place for row in self._uncertain if row.topic == topic)",
                "self._windows[topic].shrink_horizon(iter(()))",
            ),
        ),
    ),
    Fault(
        "horizon_forgets_undelivered",
        "inherited rows that were not delivered yet do not keep the horizon up",
        "Rule_HorizonKeepsUnread",
        "hand-overs",
        (
            Change(
                _WINDOW,
                "        if self._position < self._restored_horizon:\n"
                "            least = max(least, self._restored_horizon)\n",
                "",
            ),
        ),
    ),
    Fault(
        "always_released",
        "every commit says that nothing is under way",
        "Rule_ReleasedAfterLease",
        "isolated",
        (Change(_OFFSETS, "window.watermark(released=released)", "window.watermark(released=True)"),),
    ),
)
