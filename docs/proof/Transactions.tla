---------------------------- MODULE Transactions ----------------------------
(***************************************************************************)
(* The requests of a lane's transactions, sent again and delivered late.    *)
(*                                                                          *)
(* Kafka's protocol v0, which is all that aiokafka speaks: a request names  *)
(* its producer's epoch, but not its transaction. So a late one may hit     *)
(* the next transaction of the same epoch. Row r has the offset r; its      *)
(* transaction writes its result and the offset r + 1.                      *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets

CONSTANTS
  N,          \* rows
  Epochs,     \* bound: how often the lane is taken over
  Resends     \* bound: how often a request is sent again

CONSTANTS
  Rule_ResentIsUnknown,   \* a commit of which a request was sent again is followed by a takeover
  Rule_SlowIsUnknown,     \* ... also one that took more than 5 s
  Rule_ErrorIsUnknown,    \* ... also one that failed, was given up or was cancelled
  Rule_AcksAwaited,       \* every record is acknowledged before the offsets are committed
  Rule_OneTransaction,    \* results and offsets are in one transaction
  Rule_TakeoverFences,    \* a takeover gets a new epoch
  Rule_TakeoverReads,     \* ... and goes on where Kafka says, not where the memory says
  Rule_ReadCommitted,     \* readers read read_committed
  Assume_ResendsAreSeen,  \* the client knows of each request that was sent again
  Assume_EpochChecked     \* Kafka refuses requests of an older epoch

VARIABLES
  net,      \* requests under way, with how many copies
  epoch,    \* Kafka: the newest epoch
  open,     \* Kafka: results in the open transaction
  pending,  \* Kafka: the offset in the open transaction, 0 = none
  written,  \* Kafka: what this epoch has written, by which a repeated record is known
  offset,   \* Kafka: the committed offset
  shown,    \* how often a reader sees each row's result
  mine,     \* the owner: its epoch
  at,       \* the owner: the row it works on
  step,     \* the owner: result, offset, end, next
  again,    \* the owner knows that a request of this transaction was sent again
  slow,     \* this transaction took more than 5 s
  resent    \* how often a request was sent again in all

vars == <<net, epoch, open, pending, written, offset, shown, mine, at, step, again, slow, resent>>
kafka == <<epoch, open, pending, written, offset, shown>>

Kinds == {"result", "offset", "end"}
Requests == [kind : Kinds, epoch : 1..Epochs, row : 1..N]

Init ==
  /\ net = [m \in Requests |-> 0]
  /\ epoch = 1 /\ open = {} /\ pending = 0 /\ written = {} /\ offset = 1
  /\ shown = [r \in 1..N |-> 0]
  /\ mine = 1 /\ at = 1 /\ step = "send result" /\ again = FALSE /\ slow = FALSE /\ resent = 0

Now(kind) == [kind |-> kind, epoch |-> mine, row |-> at]
Sent(m) == net' = [net EXCEPT ![m] = @ + 1]
Show(s, rows) == [r \in 1..N |-> IF r \in rows /\ s[r] < 2 THEN s[r] + 1 ELSE s[r]]

----------------------------------------------------------------------------
\* The broker gets a request, in whatever order.

Handle(m) ==
  IF Assume_EpochChecked /\ m.epoch # epoch THEN UNCHANGED kafka
  ELSE CASE m.kind = "result" ->
              IF m.row \in written THEN UNCHANGED kafka
              ELSE /\ written' = written \cup {m.row}
                   /\ IF Rule_OneTransaction
                      THEN /\ open' = open \cup {m.row}
                           /\ shown' = IF Rule_ReadCommitted THEN shown ELSE Show(shown, {m.row})
                      ELSE /\ shown' = Show(shown, {m.row})
                           /\ UNCHANGED open
                   /\ UNCHANGED <<epoch, pending, offset>>
         [] m.kind = "offset" -> pending' = m.row + 1 /\ UNCHANGED <<epoch, open, written, offset, shown>>
         [] m.kind = "end" ->
              /\ shown' = IF Rule_ReadCommitted THEN Show(shown, open) ELSE shown
              /\ open' = {}
              /\ offset' = IF pending = 0 THEN offset ELSE pending
              /\ pending' = 0
              /\ UNCHANGED <<epoch, written>>

Arrives(m) ==
  /\ net[m] > 0
  /\ net' = [net EXCEPT ![m] = @ - 1]
  /\ Handle(m)
  /\ UNCHANGED <<mine, at, step, again, slow, resent>>

----------------------------------------------------------------------------
\* The owner

Before(kind) == CASE kind = "result" -> "send result" [] kind = "offset" -> "send offset" [] kind = "end" -> "send end"

Sends(kind) ==
  /\ step = Before(kind)
  /\ Sent(Now(kind))
  /\ step' = kind
  /\ UNCHANGED <<kafka, mine, at, again, slow, resent>>

After(kind) == CASE kind = "result" -> "send offset" [] kind = "offset" -> "send end" [] kind = "end" -> "next"

\* One copy has arrived, and its answer is read.
Answered(kind) ==
  /\ step = kind /\ net[Now(kind)] > 0
  /\ net' = [net EXCEPT ![Now(kind)] = @ - 1]
  /\ Handle(Now(kind))
  /\ step' = IF epoch = mine THEN After(kind) ELSE "fenced"
  /\ UNCHANGED <<mine, at, again, slow, resent>>

\* The connection broke, or no answer came: aiokafka sends it again.
Resend(kind, long) ==
  /\ step = kind /\ resent < Resends /\ mine < Epochs
  /\ Sent(Now(kind))
  /\ resent' = resent + 1
  /\ again' = (again \/ ~long \/ Assume_ResendsAreSeen)
  /\ slow' = (slow \/ long)
  /\ UNCHANGED <<kafka, mine, at, step>>

\* A record that fails for good: nothing of it arrives, and the transaction goes on.
RecordFails ==
  /\ step = "result" /\ net[Now("result")] = 1 /\ mine < Epochs
  /\ net' = [net EXCEPT ![Now("result")] = 0]
  /\ step' = IF Rule_AcksAwaited THEN "unknown" ELSE "send offset"
  /\ UNCHANGED <<kafka, mine, at, again, slow, resent>>

\* An error, the end of the patience, or a cancellation
GivesUp(kind) ==
  /\ step = kind /\ mine < Epochs
  /\ step' = IF Rule_ErrorIsUnknown THEN "unknown" ELSE After(kind)
  /\ UNCHANGED <<net, kafka, mine, at, again, slow, resent>>

NextRow ==
  /\ step = "next" /\ at <= N
  /\ IF (again /\ Rule_ResentIsUnknown) \/ (slow /\ Rule_SlowIsUnknown)
     THEN step' = "unknown" /\ UNCHANGED <<at, again, slow>>
     ELSE /\ IF at < N THEN at' = at + 1 /\ step' = "send result" ELSE at' = at /\ step' = "done"
          /\ again' = FALSE /\ slow' = FALSE
  /\ UNCHANGED <<net, kafka, mine, resent>>

\* Another process, or the same again. Opening the producer ends what is open.
TakeOver ==
  /\ step \in {"unknown", "fenced"} /\ mine < Epochs
  /\ IF Rule_TakeoverFences
     THEN /\ epoch' = epoch + 1 /\ mine' = epoch + 1
          /\ open' = {} /\ pending' = 0 /\ written' = {}
     ELSE written' = {} /\ UNCHANGED <<epoch, mine, open, pending>>
  /\ LET from == IF Rule_TakeoverReads THEN offset ELSE at + 1
     IN IF from > N THEN at' = N /\ step' = "done" ELSE at' = from /\ step' = "send result"
  /\ again' = FALSE /\ slow' = FALSE
  /\ UNCHANGED <<net, offset, shown, resent>>

Owner == \/ NextRow \/ TakeOver
         \/ \E kind \in Kinds : Sends(kind) \/ Answered(kind)

Next ==
  \/ Owner
  \/ \E m \in Requests : Arrives(m)
  \/ RecordFails
  \/ \E kind \in Kinds : GivesUp(kind) \/ \E long \in BOOLEAN : Resend(kind, long)

\* Where all copies have arrived unheard, the owner gives up.
Fair == WF_vars(Owner) /\ \A kind \in Kinds : WF_vars(GivesUp(kind) /\ net[Now(kind)] = 0)

Spec == Init /\ [][Next]_vars /\ Fair

----------------------------------------------------------------------------
\* The promises

OneResult == \A r \in 1..N : shown[r] <= 1

\* What counts as done has its result, and nothing else has.
DoneHasResult == \A r \in 1..N : (r < offset) <=> (shown[r] > 0)

RowsEnd == <>(step = "done" \/ mine = Epochs)
=============================================================================
