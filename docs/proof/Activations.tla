----------------------------- MODULE Activations -----------------------------
(***************************************************************************)
(* The activations that one partition of hospital.jobs asks for: each is    *)
(* answered, and none keeps another waiting. An activation may be repeated, *)
(* so nothing is in doubt. They need the lane's permit, as Lane.tla has it. *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets

CONSTANTS
  Requests,    \* in the order of the topic: numbers from 1
  Sick,        \* those whose batch the directory cannot activate: always 500
  Dead,        \* those for which it never answers, nor for their look-ups
  Attempts,    \* RETRY_MAX_ATTEMPTS
  Takeovers,   \* bound
  Outages      \* bound: how often a call has no clear answer

CONSTANTS
  Rule_LaneOwns,          \* the lane's owner sends them, not whoever reads the topic in a group of its own
  Rule_EachWaitsAlone,    \* one that failed does not stand before the others
  Rule_LeastFailedFirst,  \* what failed least goes first
  Rule_AttemptLimit,      \* after so many attempts it is answered as failed
  Rule_OutageIsNoAttempt, \* a call without a clear answer counts only when a look-up is answered
  Rule_AnswerWithOffset   \* the answer and the offset of its request are one transaction

VARIABLES
  owner,     \* the lane's present owner: a number that grows
  lanes,     \* whether it has lanes: a processor without partitions reads nothing
  queue,     \* the present owner: requests not answered, with how often each failed
  first,     \* ... whether the next call looks the batch up
  tries,     \* ... attempts
  told,      \* ... requests that it has answered
  answers,   \* on the topic: how often each was answered, and how
  offset,    \* requests that count as done
  outages,   \* how often a call had no clear answer
  calls      \* odd or even: a call is a step, also when it changes nothing else

vars == <<owner, lanes, queue, first, tries, told, answers, offset, outages, calls>>

None == [n |-> 0, how |-> "-"]

Init ==
  /\ owner = 1 /\ lanes = TRUE /\ told = {}
  /\ queue = [r \in Requests |-> 0]
  /\ first = [r \in Requests |-> FALSE]
  /\ tries = [r \in Requests |-> 0]
  /\ answers = [r \in Requests |-> None]
  /\ offset = {}
  /\ outages = 0 /\ calls = 0

Waiting == Requests \ (offset \cup told)
Least(S) == {r \in S : \A q \in S : queue[r] <= queue[q]}
Oldest(S) == {r \in S : \A q \in S : r <= q}
Chosen == IF ~Rule_EachWaitsAlone THEN Oldest(Waiting)
          ELSE IF Rule_LeastFailedFirst THEN Oldest(Least(Waiting)) ELSE Waiting

Answers(r, how) ==
  /\ calls' = 1 - calls
  /\ answers' = [answers EXCEPT ![r] = [n |-> IF @.n < 2 THEN @.n + 1 ELSE 2, how |-> how]]
  /\ told' = told \cup {r}
  /\ offset' = IF Rule_AnswerWithOffset THEN offset \cup {r} ELSE offset

Again(r, counts, look) ==
  /\ tries' = [tries EXCEPT ![r] = IF counts /\ @ < Attempts THEN @ + 1 ELSE @]
  /\ IF tries'[r] >= Attempts /\ Rule_AttemptLimit
     THEN Answers(r, "failed") /\ UNCHANGED <<queue, first>>
     ELSE /\ calls' = 1 - calls
          /\ queue' = [queue EXCEPT ![r] = IF @ < Attempts + 2 * Outages + 1 THEN @ + 1 ELSE @]  \* no other comes so far
          /\ first' = [first EXCEPT ![r] = look]
          /\ UNCHANGED <<answers, offset, told>>

Active == lanes \/ Rule_LaneOwns

\* The directory activates it.
Activated(r) ==
  /\ Active /\ r \in Chosen /\ ~first[r] /\ r \notin Sick \cup Dead
  /\ Answers(r, "activated")
  /\ UNCHANGED <<owner, lanes, queue, first, tries, outages>>

\* 500: an attempt
Refused(r) ==
  /\ Active /\ r \in Chosen /\ ~first[r] /\ r \in Sick
  /\ Again(r, TRUE, FALSE)
  /\ UNCHANGED <<owner, lanes, outages>>

\* No clear answer: an outage
Unanswered(r) ==
  /\ Active /\ r \in Chosen /\ outages < Outages
  /\ outages' = outages + 1
  /\ Again(r, ~Rule_OutageIsNoAttempt, TRUE)
  /\ UNCHANGED <<owner, lanes>>

NeverAnswered(r) ==
  /\ Active /\ r \in Chosen /\ r \in Dead
  /\ Again(r, FALSE, TRUE)
  /\ UNCHANGED <<owner, lanes, outages>>

\* The look-up is answered: the call before it was an attempt.
LookedUp(r) ==
  /\ Active /\ r \in Chosen /\ first[r] /\ r \notin Dead
  /\ Again(r, r \in Sick, FALSE)
  /\ UNCHANGED <<owner, lanes, outages>>

\* Another processor takes the lane over, and reads again what was not done.
TakesOver ==
  /\ owner <= Takeovers
  /\ owner' = owner + 1
  /\ lanes' \in (IF Rule_LaneOwns THEN {TRUE} ELSE BOOLEAN)
  /\ queue' = [r \in Requests |-> 0]
  /\ first' = [r \in Requests |-> FALSE]
  /\ tries' = [r \in Requests |-> 0]
  /\ told' = {}
  /\ UNCHANGED <<answers, offset, outages, calls>>

\* Without the rule the offset follows later.
OffsetFollows(r) ==
  /\ r \in told \ offset
  /\ offset' = offset \cup {r}
  /\ UNCHANGED <<owner, lanes, queue, first, tries, told, answers, outages, calls>>

Work(r) == Activated(r) \/ Refused(r) \/ LookedUp(r) \/ NeverAnswered(r)

Next ==
  \/ TakesOver
  \/ \E r \in Requests : Work(r) \/ Unanswered(r) \/ OffsetFollows(r)

\* The owner calls again and again; without an order that is fair to each request nothing more is promised.
Fair == WF_vars(\E r \in Requests : Work(r))

Spec == Init /\ [][Next]_vars /\ Fair

----------------------------------------------------------------------------
OneAnswer == \A r \in Requests : answers[r].n <= 1

\* What the directory can activate is activated, also after outages.
HealthyAreActivated == \A r \in Requests : answers[r].n > 0 => (answers[r].how = "activated" <=> r \notin Sick)

EachIsAnswered == \A r \in Requests \ Dead : <>(answers[r].n > 0)
=============================================================================
