"""What is committed together, and who may go on after a commit."""

from tests.simulation.put_back.fault import Change, Fault

_TRANSACTIONS = "shared/runtime/kafka/fenced_transactions.py"
_COMMITTER = "services/processor/lane/committer.py"
_TAKEOVER = "services/processor/lane/takeover.py"
_LANE = "services/processor/lane/lane.py"

_GOES_ON = (
    Change(_TRANSACTIONS, "            self._broken = str(error)\n            raise\n", "            raise\n"),
    Change(_TRANSACTIONS, '        self._broken = "it was cancelled"\n', ""),
    Change(
        _COMMITTER,
        "            except BaseException:\n                self.end(LaneEnd.INDEFINITE)\n                raise\n",
        "            except CommitIndefinite:\n                return\n",
    ),
)

FAULTS = (
    Fault(
        "commit_cut_off",
        "a lane goes on after a commit that was cut off: the results that it had taken are nowhere else",
        "Rule_UnknownEndsLane",
        "commits",
        _GOES_ON,
    ),
    Fault(
        "offsets_apart",
        "offsets are committed in a transaction of their own, after the results",
        "Rule_OneTransaction",
        "commits",
        (
            Change(
                _TRANSACTIONS,
                "        await self._producer.send_offsets_to_transaction(offsets, self._group)\n",
                "        await self._producer.commit_transaction()\n"
                "        await self._producer.begin_transaction()\n"
                "        await self._producer.send_offsets_to_transaction(offsets, self._group)\n",
            ),
        ),
    ),
    Fault(
        "read_before_fence",
        "a takeover goes on from what it read before it fenced",
        "Rule_ReadAfterFence",
        "hand-overs",
        (
            Change(
                _TAKEOVER,
                "            if not await offsets.read(group, wanted):\n",
                "            if not (early := await offsets.read(group, wanted)):\n",
            ),
            Change(
                _TAKEOVER,
                "for where, commit in (await offsets.read(group, wanted)).items()",
                "for where, commit in early.items()",
            ),
        ),
    ),
    Fault(
        "no_proof",
        "a takeover fences without having read, and without a proof of membership",
        "Rule_ProvesMembership",
        "half cut",
        (
            Change(
                _TAKEOVER,
                "            if not await offsets.read(group, wanted):\n"
                "                await _check_not_forgotten(settings, consumer, offsets)\n"
                "            await prove(consumer)\n"
                "            await transactions.open()\n",
                "            pass\n        await transactions.open()\n"
                "        async with group_offsets(settings) as offsets:\n"
                "            if not await offsets.read(group, wanted):\n"
                "                await _check_not_forgotten(settings, consumer, offsets)\n",
            ),
        ),
    ),
    Fault(
        "forgotten_is_beginning",
        "a group whose offsets were forgotten begins anew",
        "Rule_ForgottenStops",
        "forgotten",
        (
            Change(
                _TAKEOVER,
                "                await _check_not_forgotten(settings, consumer, offsets)\n",
                "                pass\n",
            ),
        ),
    ),
    Fault(
        "no_seek",
        "a lane that stays after a rebalance does not seek where it stands",
        "Rule_Seeks",
        "hand-overs",
        (Change(_LANE, "                self._consumer.seek(where, position)\n", "                pass\n"),),
    ),
)
