-------------------------------- MODULE Lane --------------------------------
(***************************************************************************)
(* Who may send the rows of one lane, and what a new owner has to believe.  *)
(*                                                                          *)
(* Any processor may take the lane over at any time, be killed, or be       *)
(* frozen: one that is frozen simply does nothing while `Tick` goes on.     *)
(* What is left out: the group (Membership.tla), the requests of a          *)
(* transaction (Transactions.tla), rounds (Rounds.tla).                     *)
(*                                                                          *)
(* Time: `Tick` is one unit. Timers count down; 0 = over.                   *)
(* Every Rule_ and Assume_ is TRUE in Lane.cfg. FALSE leaves it out.        *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
  Processors,
  N,          \* rows of the lane, in one batch; row r has the offset r
  Lease,      \* LEASE_SECONDS
  Timeout,    \* HOSPITAL_API_TIMEOUT, and TCP_USER_TIMEOUT
  Settle,     \* HOSPITAL_API_SETTLE_SECONDS
  Slow,       \* how long after the delivery the directory does create
  Drift       \* how far clocks come apart in all

CONSTANTS
  Rule_Lease,               \* a permit ends a lease after its commit
  Rule_LeaseFromBegin,      \* ... counted from when that commit began
  Rule_LowerHorizon,        \* while a commit is under way the lower horizon counts
  Rule_OnlyBelowHorizon,    \* only rows below the committed horizon are sent
  Rule_AskedLast,           \* the permit is asked at the first byte, not only at the choice
  Rule_HorizonOnlyGrows,    \* while rows are unfinished the horizon never moves back
  Rule_HorizonKeepsDoubt,   \* every row that may exist lies below the next horizon
  Rule_HorizonKeepsUnread,  \* ... also one that a former owner left and that was not delivered yet
  Rule_NewOwnerWaits,       \* a new owner sends nothing for a lease
  Rule_LookUpAfterLease,    \* ... and looks up a lease and a settled call later
  Rule_LookUpInherited,     \* rows below the inherited horizon are looked up first
  Rule_UnreadableIsDoubt,   \* metadata that cannot be read: every row behind the offset is in doubt
  Rule_SettleOwnCalls,      \* a row without a clear answer is looked up a settle time after the deadline
  Rule_FromFirstByte,       \* ... counted from the first byte of its call
  Rule_LookUpBegan,         \* a look-up answers for rows whose time had come when it began
  Rule_ErrorIsNotAbsence,   \* a look-up that errs does not mean absent
  Rule_Fencing,             \* a takeover fences the former owner
  Rule_ReadAfterFence,      \* ... and reads the watermark after that
  Rule_FencedIsDiscarded,   \* a fenced lane never makes itself a new producer
  Rule_UnknownEndsLane,     \* a commit that does not return ends the lane
  Rule_CallsEndFirst,       \* a hand-over waits for the calls in flight
  Rule_ReleasedAfterLease,  \* `released` only if no former owner may still send
  Rule_HoldingIsFinal,      \* a lane that has stopped sending to be handed over never sends again
  Rule_ReleasedWithdraws,   \* a commit that says `released` ends the permit
  Rule_BitmapSkips,         \* what is done behind the watermark is not handed out again
  Assume_UserTimeout,       \* nothing is delivered later than Timeout after the first byte
  Assume_Settled,           \* the directory creates within Slow after the delivery
  Assume_ClocksTogether,    \* clocks come no further apart than Drift while a lease and a call last
  Assume_NotAfter500        \* the directory does not create after it answered 500

ASSUME Slow + Drift <= Settle

VARIABLES
  made,     \* hospitals in the directory, by row
  calls,    \* requests that may still create: by row and place, how long yet, and who waits for the answer
  kept,     \* Kafka: the last commit: done, hor, rel, known
  results,  \* Kafka: results a read_committed reader sees, by row: how many, and the last one's kind
  holder,   \* Kafka: who has the newest epoch of the lane's transactional id
  txn,      \* Kafka: the holder's commit that is not applied yet: what it writes
  slipped,  \* how far clocks have come apart
  st,       \* by processor: none, read, own, hold
  seen,     \* what it read before it fenced (only without Rule_ReadAfterFence)
  inh,      \* the inherited horizon, until the rows below it are delivered; else 0
  row,      \* state of each row
  due,      \* how long until a row may be looked up
  pos,      \* the next row to be delivered
  hor,      \* the horizon it would commit
  from,     \* how long until inherited rows may be looked up
  wait,     \* how long until it may send: the former owner's lease
  permit,   \* the committed horizon and its lease; the same of the commit under way
  com,      \* its commit: no, sent, or applied and not answered yet
  look      \* the look-up under way: for which rows, and what it has seen

kafka == <<kept, results, holder, txn>>
world == <<made, calls>>
lanes == <<st, seen, inh, row, due, pos, hor, from, wait, permit, com, look>>
vars == <<made, calls, kept, results, holder, txn, slipped, st, seen, inh, row, due, pos, hor, from, wait, permit, com, look>>

R == 1..N
None == "none"
Max(a, b) == IF a > b THEN a ELSE b
Min(a, b) == IF a < b THEN a ELSE b
Top(S) == IF S = {} THEN 0 ELSE CHOOSE x \in S : \A y \in S : y <= x
Offset(done) == CHOOSE o \in 1..(N + 1) : o \notin done /\ \A r \in R : r < o => r \in done

Life == Timeout + Slow + (IF Assume_Settled THEN 0 ELSE 2)   \* how long a call may create
Settled == Timeout + Settle                                  \* how long the code waits
Apart == Drift + (IF Assume_ClocksTogether THEN 0 ELSE 2)
NoCall == [left |-> 0, who |-> None]
NoLook == [on |-> FALSE, rows |-> {}, saw |-> {}]
NoPermit == [hor |-> 0, left |-> 0, next |-> 0, nextleft |-> 0]
NoTxn == [s |-> FALSE, done |-> {}, hor |-> 1, rel |-> FALSE, c |-> {}, f |-> {}]
Nothing == [done |-> {}, hor |-> 1, rel |-> FALSE, known |-> FALSE]

Init ==
  /\ made = [r \in R |-> 0]
  /\ calls = [r \in R |-> [i \in 1..2 |-> NoCall]]
  /\ kept = Nothing
  /\ results = [r \in R |-> [n |-> 0, kind |-> "-"]]
  /\ holder = None /\ txn = NoTxn /\ slipped = 0
  /\ st = [p \in Processors |-> "none"]
  /\ seen = [p \in Processors |-> Nothing]
  /\ inh = [p \in Processors |-> 0]
  /\ row = [p \in Processors |-> [r \in R |-> "new"]]
  /\ due = [p \in Processors |-> [r \in R |-> 0]]
  /\ pos = [p \in Processors |-> 1]
  /\ hor = [p \in Processors |-> 1]
  /\ from = [p \in Processors |-> 0]
  /\ wait = [p \in Processors |-> 0]
  /\ permit = [p \in Processors |-> NoPermit]
  /\ com = [p \in Processors |-> "no"]
  /\ look = [p \in Processors |-> NoLook]

----------------------------------------------------------------------------
\* What a processor may do

Sends(p) ==
  /\ st[p] = "own"
  /\ wait[p] = 0
  /\ permit[p].left > 0

Below(p, r) ==
  \/ ~Rule_OnlyBelowHorizon
  \/ /\ r < permit[p].hor
     /\ Rule_LowerHorizon /\ com[p] # "no" => r < permit[p].next

DoneStates == {"created", "failed", "taken", "done"}
Done(p) == {r \in R : row[p][r] \in DoneStates}
InFlight(p) == {r \in R : row[p][r] \in {"chosen", "flight"}}
Uncertain(p) == {r \in R : row[p][r] \in {"flight", "chosen", "doubt"}}

\* All that the lane knew is gone. Its calls go on, and nobody waits for them.
Forget(p) ==
  /\ st' = [st EXCEPT ![p] = "none"]
  /\ seen' = [seen EXCEPT ![p] = Nothing]
  /\ inh' = [inh EXCEPT ![p] = 0]
  /\ row' = [row EXCEPT ![p] = [r \in R |-> "new"]]
  /\ due' = [due EXCEPT ![p] = [r \in R |-> 0]]
  /\ pos' = [pos EXCEPT ![p] = 1]
  /\ hor' = [hor EXCEPT ![p] = 1]
  /\ from' = [from EXCEPT ![p] = 0]
  /\ wait' = [wait EXCEPT ![p] = 0]
  /\ permit' = [permit EXCEPT ![p] = NoPermit]
  /\ com' = [com EXCEPT ![p] = "no"]
  /\ look' = [look EXCEPT ![p] = NoLook]
  /\ calls' = [r \in R |-> [i \in 1..2 |->
                 IF calls[r][i].who = p THEN [calls[r][i] EXCEPT !.who = None] ELSE calls[r][i]]]

----------------------------------------------------------------------------
\* Takeover: read, (membership), fence, read again

FirstRead(p) ==
  /\ ~Rule_ReadAfterFence
  /\ st[p] = "none"
  /\ st' = [st EXCEPT ![p] = "read"]
  /\ seen' = [seen EXCEPT ![p] = kept]
  /\ UNCHANGED <<world, kafka, slipped, inh, row, due, pos, hor, from, wait, permit, com, look>>

\* The fence and the read behind it are one step: what another one did between them would only have fenced us.
Takeover(p) ==
  LET k == IF Rule_ReadAfterFence THEN kept ELSE seen[p]
      clean == k.rel \/ ~k.known
      top == IF ~k.known THEN N + 1 ELSE k.hor
      offset == Offset(k.done)
  IN
  /\ st[p] = IF Rule_ReadAfterFence THEN "none" ELSE "read"
  /\ IF Rule_Fencing
     THEN holder' = p /\ txn' = NoTxn
     ELSE UNCHANGED <<holder, txn>>
  /\ st' = [st EXCEPT ![p] = "own"]
  /\ seen' = [seen EXCEPT ![p] = Nothing]
  /\ row' = [row EXCEPT ![p] = [r \in R |-> IF r < offset \/ (r \in k.done /\ Rule_BitmapSkips) THEN "done" ELSE "new"]]
  /\ pos' = [pos EXCEPT ![p] = offset]
  /\ hor' = [hor EXCEPT ![p] = Max(top, offset)]
  /\ inh' = [inh EXCEPT ![p] = IF top > offset THEN top ELSE 0]
  /\ wait' = [wait EXCEPT ![p] = IF clean \/ ~Rule_NewOwnerWaits THEN 0 ELSE Lease]
  /\ from' = [from EXCEPT ![p] = IF ~k.known \/ top <= offset THEN 0
                                 ELSE (IF clean \/ ~Rule_LookUpAfterLease THEN 0 ELSE Lease) + Settled]
  /\ UNCHANGED <<world, kept, results, slipped, due, permit, com, look>>

Deliver(p) ==
  LET r == pos[p] IN
  /\ st[p] = "own" /\ r <= N
  /\ pos' = [pos EXCEPT ![p] = r + 1]
  /\ IF row[p][r] = "done"
     THEN UNCHANGED <<row, due>>
     ELSE IF r < inh[p] /\ Rule_LookUpInherited
     THEN /\ row' = [row EXCEPT ![p][r] = "doubt"]
          /\ due' = [due EXCEPT ![p][r] = from[p]]
     ELSE /\ row' = [row EXCEPT ![p][r] = "ready"]
          /\ UNCHANGED due
  /\ inh' = [inh EXCEPT ![p] = IF r + 1 < @ THEN @ ELSE 0]
  /\ from' = [from EXCEPT ![p] = IF r + 1 < inh[p] THEN @ ELSE 0]
  /\ UNCHANGED <<world, kafka, slipped, st, seen, hor, wait, permit, com, look>>

----------------------------------------------------------------------------
\* A row's call

Choose(p, r) ==
  /\ Sends(p) /\ row[p][r] = "ready" /\ Below(p, r)
  /\ row' = [row EXCEPT ![p][r] = "chosen"]
  /\ due' = [due EXCEPT ![p][r] = IF Rule_FromFirstByte THEN 0 ELSE Settled]
  /\ UNCHANGED <<world, kafka, slipped, st, seen, inh, pos, hor, from, wait, permit, com, look>>

\* The connection is there: the guard is asked, and the first byte follows.
Write(p, r) ==
  /\ row[p][r] = "chosen"
  /\ Rule_AskedLast => Sends(p) /\ Below(p, r)
  /\ \E i \in 1..2 :
       /\ calls[r][i].left = 0 /\ (i = 2 => calls[r][1].left > 0)
       /\ calls' = [calls EXCEPT ![r][i] = [left |-> Life, who |-> p]]
  /\ row' = [row EXCEPT ![p][r] = "flight"]
  /\ due' = [due EXCEPT ![p][r] = IF Rule_FromFirstByte THEN Settled ELSE @]
  /\ UNCHANGED <<made, kafka, slipped, st, seen, inh, pos, hor, from, wait, permit, com, look>>

NotSent(p, r) ==
  /\ row[p][r] = "chosen"
  /\ row' = [row EXCEPT ![p][r] = "ready"]
  /\ due' = [due EXCEPT ![p][r] = 0]
  /\ UNCHANGED <<world, kafka, slipped, st, seen, inh, pos, hor, from, wait, permit, com, look>>

\* 2xx with an id, or a clear no
Answered(p, r, i, kind) ==
  /\ calls[r][i].left > 0 /\ calls[r][i].who = p
  /\ made' = [made EXCEPT ![r] = IF kind = "created" THEN Min(@ + 1, 2) ELSE @]
  /\ calls' = [calls EXCEPT ![r][i] = NoCall]
  /\ row' = [row EXCEPT ![p][r] = kind]
  /\ due' = [due EXCEPT ![p][r] = 0]
  /\ UNCHANGED <<kafka, slipped, st, seen, inh, pos, hor, from, wait, permit, com, look>>

\* 500: created or not; looked up at once
ServerError(p, r, i, did) ==
  /\ calls[r][i].left > 0 /\ calls[r][i].who = p
  /\ made' = [made EXCEPT ![r] = IF did THEN Min(@ + 1, 2) ELSE @]
  /\ calls' = [calls EXCEPT ![r][i] = IF Assume_NotAfter500 \/ did THEN NoCall ELSE [@ EXCEPT !.who = None]]
  /\ row' = [row EXCEPT ![p][r] = "doubt"]
  /\ due' = [due EXCEPT ![p][r] = 0]
  /\ UNCHANGED <<kafka, slipped, st, seen, inh, pos, hor, from, wait, permit, com, look>>

\* Timed out or dropped: the request may still be under way
Unanswered(p, r) ==
  /\ row[p][r] = "flight"
  /\ row' = [row EXCEPT ![p][r] = "doubt"]
  /\ due' = [due EXCEPT ![p][r] = IF Rule_SettleOwnCalls THEN @ ELSE 0]
  /\ calls' = [calls EXCEPT ![r] = [i \in 1..2 |-> IF @[i].who = p THEN [@[i] EXCEPT !.who = None] ELSE @[i]]]
  /\ UNCHANGED <<made, kafka, slipped, st, seen, inh, pos, hor, from, wait, permit, com, look>>

\* The directory creates without an answer that anybody hears.
Creates(r, i) ==
  /\ calls[r][i].left > 0
  /\ made' = [made EXCEPT ![r] = Min(@ + 1, 2)]
  /\ calls' = [calls EXCEPT ![r][i] = NoCall]
  /\ UNCHANGED <<kafka, lanes, slipped>>

----------------------------------------------------------------------------
\* Look-ups: of the whole batch

Doubtful(p) == {r \in R : row[p][r] = "doubt"}

LookUp(p) ==
  /\ Sends(p) /\ ~look[p].on
  /\ LET ripe == {r \in Doubtful(p) : due[p][r] = 0} IN
     /\ ripe # {}
     /\ look' = [look EXCEPT ![p] = [on |-> TRUE, rows |-> ripe, saw |-> {r \in R : made[r] > 0}]]
  /\ UNCHANGED <<world, kafka, slipped, st, seen, inh, row, due, pos, hor, from, wait, permit, com>>

LookUpAnswered(p) ==
  /\ look[p].on
  /\ LET rows == IF Rule_LookUpBegan THEN look[p].rows ELSE R IN
     row' = [row EXCEPT ![p] = [r \in R |->
               IF r \in rows /\ @[r] = "doubt" THEN (IF r \in look[p].saw THEN "created" ELSE "ready") ELSE @[r]]]
  /\ look' = [look EXCEPT ![p] = NoLook]
  /\ due' = [due EXCEPT ![p] = [r \in R |-> IF row'[p][r] = "doubt" THEN @[r] ELSE IF row[p][r] = "doubt" THEN 0 ELSE @[r]]]
  /\ UNCHANGED <<world, kafka, slipped, st, seen, inh, pos, hor, from, wait, permit, com>>

\* An error, a page of it, an HTML page
LookUpFailed(p) ==
  /\ look[p].on
  /\ look' = [look EXCEPT ![p] = NoLook]
  /\ IF Rule_ErrorIsNotAbsence
     THEN UNCHANGED row
     ELSE row' = [row EXCEPT ![p] = [r \in R |-> IF r \in look[p].rows /\ @[r] = "doubt" THEN "ready" ELSE @[r]]]
  /\ UNCHANGED <<world, kafka, slipped, st, seen, inh, due, pos, hor, from, wait, permit, com>>

----------------------------------------------------------------------------
\* Commits

Commit(p, rel) ==
  /\ com[p] = "no"
  /\ LET done == Done(p)
         offset == Offset(done)
         unread == IF Rule_HorizonKeepsUnread THEN inh[p] ELSE 0
         doubt == IF Rule_HorizonKeepsDoubt THEN Top(Uncertain(p)) + 1 ELSE 0
         low == Max(offset, Max(unread, doubt))
         idle == \A r \in 1..(pos[p] - 1) : row[p][r] \in DoneStates
         least == IF Rule_HorizonOnlyGrows /\ Rule_HorizonKeepsUnread /\ Rule_HorizonKeepsDoubt THEN hor[p] ELSE low
     IN \E h \in IF rel \/ idle THEN {low} ELSE {Max(least, offset), Max(least, pos[p])} :
          /\ hor' = [hor EXCEPT ![p] = h]
          /\ permit' = [permit EXCEPT ![p] =
               IF rel THEN (IF Rule_ReleasedWithdraws THEN NoPermit ELSE @)
               ELSE [@ EXCEPT !.next = h, !.nextleft = Lease]]
          /\ IF holder = p \/ ~Rule_Fencing
             THEN /\ txn' = [s |-> TRUE, done |-> done, hor |-> h, rel |-> rel,
                             c |-> {r \in R : row[p][r] = "created"}, f |-> {r \in R : row[p][r] = "failed"}]
                  /\ holder' = p
             ELSE UNCHANGED <<txn, holder>>
  /\ com' = [com EXCEPT ![p] = "sent"]
  /\ row' = [row EXCEPT ![p] = [r \in R |-> IF @[r] \in {"created", "failed"} THEN "taken" ELSE @[r]]]
  /\ UNCHANGED <<world, kept, results, slipped, st, seen, inh, due, pos, from, wait, look>>

\* The lane's loop; no need to commit the same again.
CommitBegins(p) ==
  /\ st[p] = "own"
  /\ Commit(p, FALSE)

\* Kafka applies it: results, offset and metadata at once.
CommitApplied ==
  /\ txn.s
  /\ kept' = [done |-> txn.done, hor |-> txn.hor, rel |-> txn.rel, known |-> TRUE]
  /\ results' = [r \in R |->
       IF r \in txn.c THEN [n |-> Min(results[r].n + 1, 2), kind |-> "created"]
       ELSE IF r \in txn.f THEN [n |-> Min(results[r].n + 1, 2), kind |-> "failed"] ELSE results[r]]
  /\ txn' = NoTxn
  /\ com' = [com EXCEPT ![holder] = IF @ = "sent" THEN "applied" ELSE @]
  /\ UNCHANGED <<world, slipped, holder, st, seen, inh, row, due, pos, hor, from, wait, permit, look>>

\* The metadata is damaged, or an operator has set the offset: horizon, bitmap and `released` are not known any more.
Damaged ==
  /\ kept.known /\ kept.done = 1..(Offset(kept.done) - 1)
  /\ kept' = [kept EXCEPT !.hor = IF Rule_UnreadableIsDoubt THEN N + 1 ELSE Offset(kept.done), !.rel = FALSE]
  /\ UNCHANGED <<world, lanes, slipped, results, holder, txn>>

\* The answer may be read long after: also when somebody has fenced us meanwhile.
CommitReturned(p) ==
  /\ com[p] = "applied"
  /\ com' = [com EXCEPT ![p] = "no"]
  /\ row' = [row EXCEPT ![p] = [r \in R |-> IF @[r] = "taken" THEN "done" ELSE @[r]]]
  /\ permit' = [permit EXCEPT ![p] =
       IF @.next = 0 THEN @
       ELSE [hor |-> @.next, left |-> IF Rule_LeaseFromBegin THEN @.nextleft ELSE Lease, next |-> 0, nextleft |-> 0]]
  /\ UNCHANGED <<world, kafka, slipped, st, seen, inh, due, pos, hor, from, wait, look>>

\* Time-out, error, cancellation, sent again or slow: nobody knows. Kafka may still apply it, until somebody fences.
CommitUnknown(p) ==
  /\ com[p] # "no"
  /\ IF Rule_UnknownEndsLane
     THEN Forget(p)
     ELSE /\ com' = [com EXCEPT ![p] = "no"]
          /\ row' = [row EXCEPT ![p] = [r \in R |-> IF @[r] = "taken" THEN "done" ELSE @[r]]]
          /\ UNCHANGED <<calls, st, seen, inh, due, pos, hor, from, wait, permit, look>>
  /\ UNCHANGED <<made, kept, results, holder, txn, slipped>>

CommitFenced(p) ==
  /\ com[p] = "sent" /\ Rule_Fencing /\ holder # p
  /\ IF Rule_FencedIsDiscarded
     THEN Forget(p) /\ UNCHANGED <<holder, txn>>
     ELSE /\ holder' = p /\ txn' = NoTxn
          /\ com' = [com EXCEPT ![p] = "no"]
          /\ row' = [row EXCEPT ![p] = [r \in R |-> IF @[r] = "taken" THEN "created" ELSE @[r]]]
          /\ UNCHANGED <<calls, st, seen, inh, due, pos, hor, from, wait, permit, look>>
  /\ UNCHANGED <<made, kept, results, slipped>>

----------------------------------------------------------------------------
\* A hand-over, and the end

Hold(p) ==
  /\ st[p] = "own"
  /\ st' = [st EXCEPT ![p] = "hold"]
  /\ UNCHANGED <<world, kafka, slipped, seen, inh, row, due, pos, hor, from, wait, permit, com, look>>

HandOver(p) ==
  /\ st[p] = "hold" /\ (Rule_CallsEndFirst => InFlight(p) = {})
  /\ Commit(p, wait[p] = 0 \/ ~Rule_ReleasedAfterLease)

\* Only without the rule: the lane goes on.
Resume(p) ==
  /\ ~Rule_HoldingIsFinal
  /\ st[p] = "hold" /\ com[p] = "no"
  /\ st' = [st EXCEPT ![p] = "own"]
  /\ UNCHANGED <<world, kafka, slipped, seen, inh, row, due, pos, hor, from, wait, permit, com, look>>

\* Killed, closed, or given away
Ends(p) ==
  /\ st[p] # "none"
  /\ Forget(p)
  /\ UNCHANGED <<made, kafka, slipped>>

----------------------------------------------------------------------------
\* Time

Less(n) == IF n > 0 THEN n - 1 ELSE 0

Age(c) == IF c.left = 0 \/ ~Assume_UserTimeout THEN c ELSE IF c.left = 1 THEN NoCall ELSE [c EXCEPT !.left = @ - 1]

\* The clocks of these processors go on by one.
Clocks(ps) ==
  /\ due' = [p \in Processors |-> IF p \in ps THEN [r \in R |-> Less(due[p][r])] ELSE due[p]]
  /\ from' = [p \in Processors |-> IF p \in ps THEN Less(from[p]) ELSE from[p]]
  /\ wait' = [p \in Processors |-> IF p \in ps THEN Less(wait[p]) ELSE wait[p]]
  /\ permit' = [p \in Processors |-> IF p \in ps
       THEN [permit[p] EXCEPT !.left = IF Rule_Lease THEN Less(@) ELSE @, !.nextleft = IF Rule_Lease THEN Less(@) ELSE @]
       ELSE permit[p]]

Tick ==
  /\ calls' = [r \in R |-> [i \in 1..2 |-> Age(calls[r][i])]]
  /\ \/ Clocks(Processors) /\ UNCHANGED slipped
     \/ \E p \in Processors : slipped < Apart /\ slipped' = slipped + 1 /\ Clocks(Processors \ {p})  \* a slow clock
  /\ UNCHANGED <<made, kafka, st, seen, inh, row, pos, hor, com, look>>

Slip(p) ==  \* a fast clock
  /\ slipped < Apart /\ slipped' = slipped + 1
  /\ Clocks({p})
  /\ UNCHANGED <<world, kafka, st, seen, inh, row, pos, hor, com, look>>

Step(p) ==
  \/ FirstRead(p) \/ Takeover(p) \/ Deliver(p)
  \/ LookUp(p) \/ LookUpAnswered(p) \/ LookUpFailed(p)
  \/ CommitBegins(p) \/ CommitReturned(p) \/ CommitUnknown(p) \/ CommitFenced(p)
  \/ Hold(p) \/ HandOver(p) \/ Resume(p) \/ Ends(p) \/ Slip(p)
  \/ \E r \in R :
       \/ Choose(p, r) \/ Write(p, r) \/ NotSent(p, r) \/ Unanswered(p, r)
       \/ \E i \in 1..2 :
            \/ Answered(p, r, i, "created") \/ Answered(p, r, i, "failed")
            \/ \E did \in BOOLEAN : ServerError(p, r, i, did)

Next ==
  \/ \E p \in Processors : Step(p)
  \/ \E r \in R, i \in 1..2 : Creates(r, i)
  \/ CommitApplied \/ Damaged
  \/ Tick

Spec == Init /\ [][Next]_vars

\* What is possible again and again is done at some time; commits and calls are sometimes as fast as the clock allows.
Fair(p) ==
  /\ WF_vars(Takeover(p)) /\ WF_vars(Deliver(p)) /\ SF_vars(LookUp(p)) /\ WF_vars(LookUpAnswered(p))
  /\ SF_vars(CommitBegins(p) /\ hor'[p] >= pos[p]) /\ WF_vars(CommitReturned(p)) /\ WF_vars(CommitFenced(p))
  /\ SF_vars(CommitApplied /\ permit[p].nextleft = Lease) /\ SF_vars(CommitReturned(p) /\ permit[p].nextleft = Lease)
  /\ SF_vars(Ends(p) /\ st[p] = "hold" /\ com[p] = "no")
  /\ \A r \in R :
       /\ SF_vars(Choose(p, r)) /\ SF_vars(Write(p, r)) /\ WF_vars(NotSent(p, r) /\ ~Sends(p))
       /\ SF_vars(\E i \in 1..2 : Answered(p, r, i, "created") \/ Answered(p, r, i, "failed"))
       /\ WF_vars(Unanswered(p, r) /\ \A i \in 1..2 : calls[r][i].who # p)

LiveSpec == Spec /\ WF_vars(Tick) /\ WF_vars(CommitApplied) /\ \A p \in Processors : Fair(p)

Fault ==
  \/ Damaged
  \/ \E p \in Processors :
       \/ CommitUnknown(p) \/ LookUpFailed(p) \/ Hold(p) \/ (st[p] = "own" /\ Ends(p))
       \/ \E r \in R : \/ Unanswered(p, r) /\ \E i \in 1..2 : calls[r][i].who = p
                       \/ NotSent(p, r) /\ Sends(p)
                       \/ \E i \in 1..2, did \in BOOLEAN : ServerError(p, r, i, did)

Symmetric == Permutations(Processors)

----------------------------------------------------------------------------
\* The promises

NoHospitalTwice == \A r \in R : made[r] <= 1

OneResult == \A r \in R : results[r].n <= 1

\* What counts as done has its result, and nothing else has.
DoneHasResult == \A r \in R : (r \in kept.done) <=> (results[r].n > 0)

NoWrongAnswer == \A r \in R : results[r].n > 0 => made[r] = (IF results[r].kind = "created" THEN 1 ELSE 0)

\* The rate slots of a lane belong to one at a time. Clocks apart can break it for a moment: only without Drift.
OneSender == Apart = 0 => \A p, q \in Processors : Sends(p) /\ Sends(q) => p = q

\* When there are no more faults, every row gets its result.
RowsEnd == (<>[][~Fault]_vars) => <>(kept.done = R)

\* Whatever may be in the directory without a result lies below the committed horizon.
NothingWithoutPermit ==
  \A r \in R : (made[r] > 0 \/ \E i \in 1..2 : calls[r][i].left > 0) => r \in kept.done \/ (kept.known /\ r < kept.hor)
=============================================================================
