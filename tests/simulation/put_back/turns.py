"""Who gets a turn: activations, look-ups, rows and lanes, and how much they may hold."""

from tests.simulation.put_back.fault import Change, Fault

_SHARING = "services/processor/assignment/sharing.py"
_ACTIVATIONS = "services/processor/activation/activations.py"
_CHOICE = "services/processor/sending/choice.py"
_BREAKERS = "services/processor/limits/circuit_breakers.py"
_QUEUE = "services/processor/lane/row_queue.py"
_LANE = "services/processor/lane/lane.py"

FAULTS = (
    Fault(
        "activations_apart",
        "hospital.jobs is shared out apart from the rows: who gets it may have no lane",
        "Rule_LaneOwns",
        "hand-overs",
        (
            Change(
                _SHARING,
                "            member: _assignment(subscription, shares.get(member, []), "
                "_held_by_others(holds, member))\n"
                "            for member in members\n",
                "            member: _apart(\n"
                "                _assignment(subscription, shares.get(member, []), _held_by_others(holds, member)),\n"
                "                shares[sorted(shares)[-1]] if member == sorted(shares)[0] else\n"
                "                shares[sorted(shares)[0]] if member == sorted(shares)[-1] "
                "else shares.get(member, []),\n"
                "            )\n"
                "            for member in members\n",
            ),
            Change(
                _SHARING,
                "def _held_by_others(",
                "def _apart(assignment: ConsumerProtocolMemberAssignment, jobs: list[int]) "
                "-> ConsumerProtocolMemberAssignment:\n"
                "    topics = [(topic, jobs if topic.endswith('jobs') else lanes) "
                "for topic, lanes in assignment.assignment]\n"
                "    return ConsumerProtocolMemberAssignment(VERSION, topics, assignment.user_data)\n\n\n"
                "def _held_by_others(",
            ),
        ),
    ),
    Fault(
        "sick_batch_first",
        "an activation waits for those before it",
        "Rule_EachWaitsAlone",
        "sick",
        (
            Change(
                _ACTIVATIONS,
                "        if self.queue:\n            first = self.queue[0][2]\n            yield first\n",
                "        if self.queue:\n"
                "            first = min(self.queue, key=lambda each: each[2].asking.place.number)[2]\n"
                "            if min(self._waiting, default=1 << 40) < first.asking.place.number:\n"
                "                return\n"
                "            yield first\n            return\n",
            ),
            Change(
                _ACTIVATIONS,
                "        self.in_flight = 0\n        self._window",
                "        self.in_flight = 0\n        self._waiting: list[int] = []\n        self._window",
            ),
            Change(
                _ACTIVATIONS,
                "        activation.progress = progress\n",
                "        activation.progress = progress\n"
                "        self._waiting.append(activation.asking.place.number)\n",
            ),
            Change(
                _ACTIVATIONS,
                '        """It may be sent, or sent again."""\n',
                '        """It may be sent, or sent again."""\n'
                "        if activation.asking.place.number in self._waiting:\n"
                "            self._waiting.remove(activation.asking.place.number)\n",
            ),
        ),
    ),
    Fault(
        "failing_look_ups_first",
        "look-ups that fail are asked again before all rows, and break the circuit for them",
        "Rule_RepeatsGoLast",
        "sick",
        (
            Change(
                _CHOICE,
                "        return look_up if look_up is not None and not look_up.failures else None",
                "        return look_up",
            ),
            Change(
                _BREAKERS,
                "            kind: CircuitBreaker(threshold, recovery, clock, self._changed, kind.value) "
                "for kind in CallKind\n",
                "            kind: breaker\n"
                '            for breaker in [CircuitBreaker(threshold, recovery, clock, self._changed, "all")]\n'
                "            for kind in CallKind\n",
            ),
        ),
    ),
    Fault(
        "oldest_is_probe",
        "the probe of an open circuit breaker is the oldest row, not what failed least",
        "Rule_LeastFailedProbe",
        "sick",
        (
            Change(
                _QUEUE,
                "        if (fresh := self._fresh[topic].head()) is not None:\n            return [fresh]\n"
                "        ready = (row for row in self._retries[topic] if row.state is State.READY)\n"
                "        return sorted(ready, key=lambda row: row.attempts.backoff_count)\n",
                "        fresh = self._fresh[topic].head()\n"
                "        ready = [row for row in self._retries[topic] if row.state is State.READY]\n"
                "        return sorted([*ready, *([fresh] if fresh else [])], key=lambda row: row.place.offset)[:1]\n",
            ),
            Change(
                _CHOICE,
                "            return min(probes, key=lambda call: call.failures, default=None)\n"
                "        for lane in lanes:",
                "            return next(probes, None)\n        for lane in lanes:",
            ),
        ),
    ),
    Fault(
        "rows_not_bytes",
        "a window is bounded by its rows, not by their bytes",
        "",
        "wide",
        (
            Change(_LANE, "return has_room and self._memory.has_room(express=express)", "return has_room"),
            Change(
                _LANE,
                "        return self._memory.fitting(charges, express=topic == self._topics[0])",
                "        return len(list(charges))",
            ),
        ),
    ),
)
