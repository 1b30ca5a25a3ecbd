-------------------------------- MODULE Turns --------------------------------
(***************************************************************************)
(* What is called next: every row gets its turn, whatever fails beside it.  *)
(*                                                                          *)
(* One processor with its permits. A call goes to a row (create) or to a    *)
(* batch (look up). Sick batches: their look-ups fail for ever. Sick rows:  *)
(* always 500. Stubborn rows: always 403, say, which is no attempt.         *)
(* Each kind of call has a circuit breaker: closed, open, half-open. Time   *)
(* stands in the fairness: what is open becomes half-open at some time.     *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets

CONSTANTS
  Express, Bulk,    \* rows of the two topics, numbers, in the order of the topic
  SickRows,         \* rows that always get 500
  StubbornRows,     \* rows that always get an answer that is no attempt
  Batches,          \* batches to look up
  SickBatches,      \* those whose look-ups fail for ever
  FlakyBatches,     \* those whose first look-up fails
  Threshold,        \* CIRCUIT_BREAKER_FAILURE_THRESHOLD
  Attempts,         \* RETRY_MAX_ATTEMPTS
  Arrivals          \* express rows that come again and again: TRUE or FALSE

CONSTANTS
  Rule_RepeatsGoLast,     \* look-ups that failed go behind rows, but for one turn in five
  Rule_RepeatsHaveATurn,  \* that one turn
  Rule_BulkHasATurn,      \* bulk is preferred in one turn in five
  Rule_BreakerByKind,     \* look-ups and creations have a breaker each
  Rule_LeastFailedProbe,  \* the probe is what failed least
  Rule_LeastFailedRepeat, \* the repeated look-up is the one that failed least
  Rule_SubjectOnce        \* further failed look-ups of one batch do not count for the breaker

VARIABLES
  row,      \* ready or done
  fails,    \* how often each row failed
  batch,    \* waits or done
  missed,   \* how often each batch's look-up failed
  brk,      \* the breakers of create and look up: failures in a row, or open, or half-open
  turn,
  same      \* what failed since the last look-up that was answered

vars == <<row, fails, batch, missed, brk, turn, same>>
Rows == Express \cup Bulk
Cap == Attempts + 1

Init ==
  /\ row = [r \in Rows |-> "ready"]
  /\ fails = [r \in Rows |-> 0]
  /\ batch = [b \in Batches |-> "waits"]
  /\ missed = [b \in Batches |-> 0]
  /\ brk = [k \in {"create", "look"} |-> [s |-> "closed", n |-> 0]]
  /\ turn = 0 /\ same = {}

Breaker(k) == IF Rule_BreakerByKind THEN k ELSE "create"
May(k) == brk[Breaker(k)].s # "open"
Half(k) == brk[Breaker(k)].s = "half"

Min(S) == CHOOSE x \in S : \A y \in S : x <= y
LeastOf(S, f) == {x \in S : \A y \in S : f[x] <= f[y]}

ReadyRows(S) == IF May("create") THEN {r \in S : row[r] = "ready"} ELSE {}
FreshLooks == IF May("look") THEN {b \in Batches : batch[b] = "waits" /\ missed[b] = 0} ELSE {}
Repeats == IF May("look") THEN {b \in Batches : batch[b] = "waits" /\ missed[b] > 0} ELSE {}

\* Fresh rows first, then those that failed; as a probe what failed least of both topics.
Row(S) ==
  LET all == IF Half("create") THEN ReadyRows(Rows) ELSE ReadyRows(S) IN
  IF all = {} THEN {} ELSE
  IF Half("create") /\ ~Rule_LeastFailedProbe THEN {Min(all)} ELSE {Min(LeastOf(all, fails))}

Fresh == IF FreshLooks = {} THEN {} ELSE {Min(FreshLooks)}
Repeat == IF Repeats = {} THEN {} ELSE IF Rule_LeastFailedRepeat THEN {Min(LeastOf(Repeats, missed))} ELSE {Min(Repeats)}

L(S) == {[k |-> "look", x |-> b] : b \in S}
C(S) == {[k |-> "create", x |-> r] : r \in S}

Firsts == IF Rule_RepeatsGoLast THEN L(Fresh) ELSE L(Fresh \cup (IF Fresh = {} THEN Repeat ELSE {}))
Or(a, b) == IF a # {} THEN a ELSE b

Choice ==
  LET express == C(Row(Express))
      bulk == C(Row(Bulk))
      repeat == IF Rule_RepeatsGoLast THEN L(Repeat) ELSE {}
      usual == Or(Firsts, Or(express, Or(bulk, repeat)))
  IN CASE turn = 0 /\ Rule_BulkHasATurn -> Or(Firsts, Or(bulk, Or(express, repeat)))
       [] turn = 2 /\ Rule_RepeatsHaveATurn -> Or(Firsts, Or(repeat, Or(express, bulk)))
       [] OTHER -> usual

----------------------------------------------------------------------------
Closes(k) == brk' = [brk EXCEPT ![Breaker(k)] = [s |-> "closed", n |-> 0]]
\* A probe that got 500 is followed by others, until as many as opened the breaker got one.
FailsFor(k, soft) ==
  LET b == brk[Breaker(k)]
      n == b.n + 1
      open == IF b.s = "half" /\ ~soft THEN TRUE ELSE n >= Threshold
  IN brk' = [brk EXCEPT ![Breaker(k)] = IF open THEN [s |-> "open", n |-> 0] ELSE [s |-> b.s, n |-> n]]

Creates(r) ==
  /\ [k |-> "create", x |-> r] \in Choice
  /\ turn' = (turn + 1) % 5
  /\ IF r \in SickRows \cup StubbornRows
     THEN /\ fails' = [fails EXCEPT ![r] = IF @ < Cap THEN @ + 1 ELSE @]
          /\ row' = [row EXCEPT ![r] = IF r \in SickRows /\ fails'[r] >= Attempts THEN "done" ELSE @]
          /\ FailsFor("create", r \in SickRows)
     ELSE /\ row' = [row EXCEPT ![r] = "done"]
          /\ Closes("create")
          /\ UNCHANGED fails
  /\ UNCHANGED <<batch, missed, same>>

LooksUp(b) ==
  /\ [k |-> "look", x |-> b] \in Choice
  /\ turn' = (turn + 1) % 5
  /\ IF b \in SickBatches \/ (b \in FlakyBatches /\ missed[b] = 0)
     THEN /\ missed' = [missed EXCEPT ![b] = IF @ < 2 THEN @ + 1 ELSE @]
          /\ IF b \in same /\ Rule_SubjectOnce /\ brk[Breaker("look")].s = "closed"
             THEN UNCHANGED <<brk, same>>
             ELSE same' = same \cup {b} /\ FailsFor("look", FALSE)
          /\ UNCHANGED batch
     ELSE /\ batch' = [batch EXCEPT ![b] = "done"]
          /\ Closes("look")
          /\ same' = {}
          /\ UNCHANGED missed
  /\ UNCHANGED <<row, fails>>

HalfOpens(k) ==
  /\ brk[k].s = "open"
  /\ brk' = [brk EXCEPT ![k] = [s |-> "half", n |-> 0]]
  /\ same' = IF k = "look" THEN {} ELSE same
  /\ UNCHANGED <<row, fails, batch, missed, turn>>

\* Small jobs come without end.
Arrives(r) ==
  /\ Arrivals /\ r \in Express \ SickRows /\ row[r] = "done"
  /\ row' = [row EXCEPT ![r] = "ready"]
  /\ fails' = [fails EXCEPT ![r] = 0]
  /\ UNCHANGED <<batch, missed, brk, turn, same>>

Call == (\E r \in Rows : Creates(r)) \/ (\E b \in Batches : LooksUp(b))

Next == Call \/ (\E k \in {"create", "look"} : HalfOpens(k)) \/ (\E r \in Express : Arrives(r))

Fair == WF_vars(Call) /\ (\A k \in {"create", "look"} : WF_vars(HalfOpens(k))) /\ (\A r \in Express : WF_vars(Arrives(r)))

Spec == Init /\ [][Next]_vars /\ Fair

----------------------------------------------------------------------------
RowsEnd == \A r \in Rows \ StubbornRows : <>(row[r] = "done")

LookUpsEnd == \A b \in Batches \ SickBatches : <>(batch[b] = "done")

\* A look-up that fails keeps its batch's rows in doubt; it is tried for as long as it takes.
RepeatsAreTried == []<><<\E b \in SickBatches : LooksUp(b)>>_vars

\* Look-ups that fail stop no row.
OnlyRowsStopRows == SickRows \cup StubbornRows = {} => brk["create"].s = "closed"

\* What fails alone opens no breaker for the others.
OneBatchOpensNothing == Cardinality(SickBatches \cup FlakyBatches) < Threshold => brk["look"].s = "closed"
=============================================================================
