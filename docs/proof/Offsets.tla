------------------------------- MODULE Offsets -------------------------------
(***************************************************************************)
(* Where a lane begins: Kafka may forget a group's offsets, and may delete  *)
(* records that were not processed. Both stop lanes loudly, until an        *)
(* operator says where they go on. A row that is processed once more gets   *)
(* one more result; if a clerk has corrected it meanwhile, it exists twice. *)
(* Bound: one of the two faults, once.                                      *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets

CONSTANTS
  Lanes,
  N           \* rows of each lane

CONSTANTS
  Rule_ForgottenStops,   \* a group without offsets beside results is no beginning
  Rule_WholeGroup,       \* ... judged by all of its lanes, not by one
  Rule_EndsFirst,        \* ... the results' end is asked for before the offsets
  Rule_NoSilentReset,    \* an offset that is not in the topic any more stops the lane
  Rule_SetAllFirst,      \* where the group has no offsets at all, those of all lanes are set together
  Rule_CommitFirst,      \* a lane commits before its first result
  Assume_NoneDeletedBefore, \* no record was deleted before the group's first commit
  Assume_OperatorKnows   \* the operator sets the offsets to where the lane stood

VARIABLES
  offset,    \* the group's offset of each lane, 0 = none
  first,     \* where each lane's topic begins
  results,   \* how many results each row has
  st,        \* off, asked, run, stopped
  saw,       \* what a starting lane has seen: whether there are results
  at,        \* the next row of a running lane
  forgotten, \* whether Kafka has forgotten the group once
  deleted,   \* whether records were deleted before they were processed
  moved      \* lanes whose offset an operator has set

vars == <<offset, first, results, st, saw, at, forgotten, deleted, moved>>
R == 1..N

Init ==
  /\ offset = [l \in Lanes |-> 0] /\ first = [l \in Lanes |-> 1]
  /\ results = [l \in Lanes |-> [r \in R |-> 0]]
  /\ st = [l \in Lanes |-> "off"] /\ saw = [l \in Lanes |-> FALSE] /\ at = [l \in Lanes |-> 1]
  /\ forgotten = FALSE /\ deleted = FALSE /\ moved = {}

AnyResult == \E l \in Lanes, r \in R : results[l][r] > 0
AnyOffset == \E l \in Lanes : offset[l] > 0

----------------------------------------------------------------------------
Begin(l, from) ==
  IF from < first[l]
  THEN IF Rule_NoSilentReset
       THEN st' = [st EXCEPT ![l] = "stopped"] /\ UNCHANGED at
       ELSE st' = [st EXCEPT ![l] = "run"] /\ at' = [at EXCEPT ![l] = first[l]]
  ELSE st' = [st EXCEPT ![l] = "run"] /\ at' = [at EXCEPT ![l] = from]

\* The first of two questions: to the topic of results, or, without the rule, to the group.
Asks(l) ==
  /\ st[l] = "off"
  /\ IF offset[l] > 0
     THEN Begin(l, offset[l]) /\ UNCHANGED saw
     ELSE /\ st' = [st EXCEPT ![l] = "asked"]
          /\ saw' = [saw EXCEPT ![l] = IF Rule_EndsFirst THEN AnyResult ELSE AnyOffset]
          /\ UNCHANGED at
  /\ UNCHANGED <<offset, first, results, forgotten, deleted, moved>>

Starts(l) ==
  /\ st[l] = "asked"
  /\ LET there == IF Rule_EndsFirst THEN saw[l] ELSE AnyResult
         known == IF ~Rule_WholeGroup THEN offset[l] > 0 ELSE IF Rule_EndsFirst THEN AnyOffset ELSE saw[l]
     IN IF there /\ ~known /\ Rule_ForgottenStops
        THEN st' = [st EXCEPT ![l] = "stopped"] /\ UNCHANGED at
        ELSE Begin(l, IF offset[l] > 0 THEN offset[l] ELSE first[l])
  /\ UNCHANGED <<offset, first, results, saw, forgotten, deleted, moved>>

\* A permit comes before the first call, so an offset comes before the first result.
FirstCommit(l) ==
  /\ st[l] = "run" /\ offset[l] = 0 /\ Rule_CommitFirst
  /\ offset' = [offset EXCEPT ![l] = at[l]]
  /\ UNCHANGED <<first, results, st, saw, at, forgotten, deleted, moved>>

Processes(l) ==
  /\ st[l] = "run" /\ at[l] <= N /\ at[l] >= first[l] /\ (Rule_CommitFirst => offset[l] > 0)
  /\ results' = [results EXCEPT ![l][at[l]] = IF @ < 2 THEN @ + 1 ELSE 2]
  /\ at' = [at EXCEPT ![l] = @ + 1]
  /\ offset' = [offset EXCEPT ![l] = IF Rule_CommitFirst \/ offset[l] > 0 THEN at[l] + 1 ELSE 0]
  /\ UNCHANGED <<first, st, saw, forgotten, deleted, moved>>

\* The fetch says so while the lane runs.
OutOfRange(l) ==
  /\ st[l] = "run" /\ at[l] < first[l]
  /\ IF Rule_NoSilentReset
     THEN st' = [st EXCEPT ![l] = "stopped"] /\ UNCHANGED at
     ELSE at' = [at EXCEPT ![l] = first[l]] /\ UNCHANGED st
  /\ UNCHANGED <<offset, first, results, saw, forgotten, deleted, moved>>

\* Processors stop and start; the records that they have read are read again.
Stops(l) ==
  /\ st[l] \in {"run", "asked"}
  /\ st' = [st EXCEPT ![l] = "off"]
  /\ saw' = [saw EXCEPT ![l] = FALSE]
  /\ at' = [at EXCEPT ![l] = 1]
  /\ UNCHANGED <<offset, first, results, forgotten, deleted, moved>>

\* Seven days without a member
Forgets ==
  /\ ~forgotten /\ ~deleted /\ AnyOffset /\ \A l \in Lanes : st[l] = "off"
  /\ offset' = [l \in Lanes |-> 0]
  /\ forgotten' = TRUE
  /\ UNCHANGED <<first, results, st, saw, at, deleted, moved>>

\* The topic's retention, set too short
Deletes(l) ==
  /\ ~forgotten /\ ~deleted /\ first[l] <= N /\ (Assume_NoneDeletedBefore => offset[l] > 0)
  /\ first' = [first EXCEPT ![l] = @ + 1]
  /\ deleted' = TRUE
  /\ UNCHANGED <<offset, results, st, saw, at, forgotten, moved>>

\* `offsets set`: refused while a processor runs
Stood(l) ==
  LET left == {r \in R : r >= first[l] /\ results[l][r] = 0}
  IN IF ~Assume_OperatorKnows THEN first[l]
     ELSE IF left = {} THEN N + 1 ELSE CHOOSE r \in left : \A q \in left : r <= q

OperatorSets(l) ==
  /\ st[l] = "stopped" /\ \A k \in Lanes : st[k] \in {"off", "stopped"}
  /\ LET these == IF AnyOffset \/ ~Rule_SetAllFirst THEN {l} ELSE Lanes IN
     /\ offset' = [k \in Lanes |-> IF k \in these THEN Stood(k) ELSE offset[k]]
     /\ st' = [k \in Lanes |-> IF k \in these THEN "off" ELSE st[k]]
     /\ moved' = moved \cup these
  /\ UNCHANGED <<first, results, saw, at, forgotten, deleted>>

Next ==
  \/ Forgets
  \/ \E l \in Lanes : \/ Asks(l) \/ Starts(l) \/ FirstCommit(l) \/ Processes(l) \/ OutOfRange(l) \/ Stops(l) \/ Deletes(l) \/ OperatorSets(l)

Fair ==
  \A l \in Lanes :
    /\ WF_vars(Asks(l)) /\ SF_vars(Starts(l)) /\ SF_vars(FirstCommit(l)) /\ SF_vars(Processes(l)) /\ WF_vars(OutOfRange(l))
    \* all processors are stopped for it
    /\ WF_vars(Stops(l) /\ \E k \in Lanes : st[k] = "stopped")
    /\ SF_vars(OperatorSets(l))

Spec == Init /\ [][Next]_vars /\ Fair

----------------------------------------------------------------------------
OneResult == \A l \in Lanes, r \in R : results[l][r] <= 1

\* Only an operator lets a lane pass a row without a result.
NoSilentLoss == \A l \in Lanes, r \in R : st[l] = "run" /\ r < at[l] /\ l \notin moved => results[l][r] > 0

\* Only what really happened stops a lane.
NoFalseStop == (~forgotten /\ ~deleted) => \A l \in Lanes : st[l] # "stopped"

AllEnd == \A l \in Lanes, r \in R : <>(results[l][r] > 0 \/ r < first[l])
=============================================================================
