------------------------------- MODULE Upload -------------------------------
(***************************************************************************)
(* One idempotency key makes one job, whatever dies or freezes when.        *)
(*                                                                          *)
(* Several uploads come with the same key, to any replica. Upload u makes   *)
(* the job u. Another key's upload shares the partition of hospital.jobs.   *)
(* A frozen process does nothing for as long as it likes, so the lease of a *)
(* reservation may end at any moment.                                       *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
  Uploads,    \* with the same key; they are numbers
  Sweepers,   \* who settles: replicas, or requests that find the key abandoned
  Other       \* the job of another key, a number

CONSTANTS
  Rule_ReservedBefore,     \* the key is reserved before the first record is sent
  Rule_ProducerFirst,      \* the producer is started before the key is reserved
  Rule_AcksAwaited,        \* the commit is asked for when every record is acknowledged
  Rule_UnknownIsAbandoned, \* a commit without an answer leaves the reservation to recovery
  Rule_NeverExpires,       \* a reservation is settled, never dropped
  Rule_FenceFirst,         \* recovery fences the job's producer before it reads
  Rule_WholeEnd,           \* it reads to the end of everything written, not of what is committed
  Rule_StoredOffset,       \* it reads from the offset that was stored with the reservation
  Rule_ByJobId,            \* a reservation is changed by its job, not by its key
  Rule_OneTransaction,     \* rows and JobAccepted are one transaction
  Assume_Fencing           \* a new producer of the job ends what an older one has open, and Kafka refuses that one

VARIABLES
  key,     \* SQL: free, progress or answered; for which job; whether the lease still runs; the stored offset
  log,     \* hospital.jobs: JobAccepted records: job, and open, committed or aborted
  row,     \* the job's row record: none, failed, open, committed, aborted
  epoch,   \* the newest producer of each job: 0 none, 1 the upload's, 2 a recovery's
  asked,   \* a commit is asked for and has not reached the broker
  pc,      \* where each upload is
  answer,  \* the job that the client was told, 0 = none
  sweep    \* where each sweeper is, which job, and how far it has to read

vars == <<key, log, row, epoch, asked, pc, answer, sweep>>

Jobs == Uploads \cup {Other}
Free == [s |-> "free", job |-> 0, lease |-> FALSE, from |-> 0]
Idle == [s |-> "idle", job |-> 0, from |-> 0, end |-> 0]

Init ==
  /\ key = Free
  /\ log = <<>>
  /\ row = [j \in Jobs |-> "none"]
  /\ epoch = [j \in Jobs |-> 0]
  /\ asked = [j \in Jobs |-> FALSE]
  /\ pc = [u \in Uploads |-> "start"]
  /\ answer = [u \in Uploads |-> 0]
  /\ sweep = [s \in Sweepers |-> Idle]

Settle(j, how) == /\ log' = [i \in DOMAIN log |-> IF log[i].job = j /\ log[i].s = "open" THEN [log[i] EXCEPT !.s = how] ELSE log[i]]
                  /\ row' = [row EXCEPT ![j] = IF @ = "open" THEN how ELSE @]

Committed(j) == \E i \in DOMAIN log : log[i].job = j /\ log[i].s = "committed"
Reservation(j) == key.s = "progress" /\ (Rule_ByJobId => key.job = j)

----------------------------------------------------------------------------
\* An upload

Goes(u, to) == pc' = [pc EXCEPT ![u] = to]

LookUp(u) ==
  /\ pc[u] = "start"
  /\ IF key.s = "answered" THEN Goes(u, "end") /\ answer' = [answer EXCEPT ![u] = key.job]
     ELSE IF key.s = "progress" /\ (key.lease \/ Rule_NeverExpires) THEN Goes(u, "end") /\ UNCHANGED answer
     ELSE Goes(u, "found free") /\ UNCHANGED answer
  /\ UNCHANGED <<key, log, row, epoch, asked, sweep>>

StartProducer(u) ==
  /\ pc[u] = IF Rule_ProducerFirst THEN "found free" ELSE "reserved"
  /\ epoch' = [epoch EXCEPT ![u] = IF @ = 2 /\ Rule_ProducerFirst THEN 2 ELSE 1]
  /\ Settle(u, "aborted")
  /\ Goes(u, IF Rule_ProducerFirst THEN "producer" ELSE "writing")
  /\ UNCHANGED <<key, asked, answer, sweep>>

Reserve(u) ==
  /\ pc[u] = IF ~Rule_ReservedBefore THEN "confirmed" ELSE IF Rule_ProducerFirst THEN "producer" ELSE "found free"
  /\ IF key.s = "free" \/ (~Rule_NeverExpires /\ key.s = "progress" /\ ~key.lease)
     THEN /\ key' = [s |-> "progress", job |-> u, lease |-> TRUE, from |-> Len(log)]
          /\ Goes(u, IF ~Rule_ReservedBefore THEN "committed" ELSE IF Rule_ProducerFirst THEN "writing" ELSE "reserved")
     ELSE /\ Goes(u, "end")
          /\ UNCHANGED key
  /\ UNCHANGED <<log, row, epoch, asked, answer, sweep>>

MayWrite(u) == pc[u] = "writing" \/ (~Rule_ReservedBefore /\ pc[u] = "producer")

\* A record that fails for good does not abort the transaction by itself.
WriteRow(u, how) ==
  /\ MayWrite(u) /\ row[u] = "none" /\ epoch[u] = 1
  /\ row' = [row EXCEPT ![u] = IF how = "open" /\ ~Rule_OneTransaction THEN "committed" ELSE how]
  /\ UNCHANGED <<key, log, epoch, asked, pc, answer, sweep>>

WriteJobAccepted(u) ==
  /\ MayWrite(u) /\ epoch[u] = 1
  /\ IF Rule_AcksAwaited THEN row[u] \in {"open", "committed"} ELSE row[u] # "none"
  /\ log' = Append(log, [job |-> u, s |-> "open"])
  /\ Goes(u, "written")
  /\ UNCHANGED <<key, row, epoch, asked, answer, sweep>>

Commit(u) ==
  /\ pc[u] = "written"
  /\ asked' = [asked EXCEPT ![u] = TRUE]
  /\ Goes(u, "asked")
  /\ UNCHANGED <<key, log, row, epoch, answer, sweep>>

\* The broker gets the commit, however late.
CommitArrives(u) ==
  /\ asked[u]
  /\ asked' = [asked EXCEPT ![u] = FALSE]
  /\ IF epoch[u] = 1 THEN Settle(u, "committed") ELSE UNCHANGED <<log, row>>
  /\ UNCHANGED <<key, epoch, pc, answer, sweep>>

Confirmed(u) ==
  /\ pc[u] = "asked" /\ ~asked[u] /\ Committed(u)
  /\ Goes(u, IF Rule_ReservedBefore THEN "committed" ELSE "confirmed")
  /\ UNCHANGED <<key, log, row, epoch, asked, answer, sweep>>

Accept(u) ==
  /\ pc[u] = "committed"
  /\ key' = IF Reservation(u) THEN [key EXCEPT !.s = "answered", !.lease = FALSE] ELSE key
  /\ answer' = [answer EXCEPT ![u] = u]
  /\ Goes(u, "end")
  /\ UNCHANGED <<log, row, epoch, asked, sweep>>

\* No answer in time, or an error: NotPublished before the commit was asked for, else OutcomeUnknown.
Fails(u) ==
  /\ pc[u] \in {"writing", "written", "asked"} /\ Rule_ReservedBefore
  /\ key' = IF ~Reservation(u) THEN key
            ELSE IF pc[u] = "asked" /\ Rule_UnknownIsAbandoned THEN [key EXCEPT !.lease = FALSE]
            ELSE Free
  /\ Goes(u, "end")
  /\ UNCHANGED <<log, row, epoch, asked, answer, sweep>>

Dies(u) ==
  /\ pc[u] # "end"
  /\ Goes(u, "end")
  /\ UNCHANGED <<key, log, row, epoch, asked, answer, sweep>>

\* Nobody has renewed it: dead, frozen, or the database was away.
LeaseEnds ==
  /\ key.s = "progress" /\ key.lease
  /\ key' = [key EXCEPT !.lease = FALSE]
  /\ UNCHANGED <<log, row, epoch, asked, pc, answer, sweep>>

\* Kafka ends a transaction that stays open; no commit of its producer is taken after that.
TransactionTimesOut(j) ==
  /\ row[j] = "open" \/ \E i \in DOMAIN log : log[i].job = j /\ log[i].s = "open"
  /\ Settle(j, "aborted")
  /\ epoch' = [epoch EXCEPT ![j] = 2]
  /\ UNCHANGED <<key, asked, pc, answer, sweep>>

----------------------------------------------------------------------------
\* Another key's upload in the same partition: its open transaction hides what stands behind it.

OtherWrites ==
  /\ epoch[Other] = 0
  /\ epoch' = [epoch EXCEPT ![Other] = 1]
  /\ log' = Append(log, [job |-> Other, s |-> "open"])
  /\ row' = [row EXCEPT ![Other] = "open"]
  /\ UNCHANGED <<key, asked, pc, answer, sweep>>

OtherCommits ==
  /\ epoch[Other] = 1 /\ row[Other] = "open"
  /\ Settle(Other, "committed")
  /\ UNCHANGED <<key, epoch, asked, pc, answer, sweep>>

----------------------------------------------------------------------------
\* Recovery

Sweeps(s, to) == sweep' = [sweep EXCEPT ![s] = to]

Finds(s) ==
  /\ sweep[s].s = "idle" /\ key.s = "progress" /\ ~key.lease
  /\ Sweeps(s, [s |-> IF Rule_FenceFirst THEN "found" ELSE "fenced", job |-> key.job, from |-> key.from, end |-> 0])
  /\ UNCHANGED <<key, log, row, epoch, asked, pc, answer>>

Fences(s) ==
  /\ sweep[s].s = "found"
  /\ IF Assume_Fencing
     THEN epoch' = [epoch EXCEPT ![sweep[s].job] = 2] /\ Settle(sweep[s].job, "aborted")
     ELSE UNCHANGED <<epoch, log, row>>
  /\ Sweeps(s, [sweep[s] EXCEPT !.s = "fenced"])
  /\ UNCHANGED <<key, asked, pc, answer>>

\* What a read_committed reader gets to see: what stands before the first open transaction.
Stable == IF \E i \in DOMAIN log : log[i].s = "open"
          THEN (CHOOSE i \in DOMAIN log : log[i].s = "open" /\ \A k \in 1..(i - 1) : log[k].s # "open") - 1
          ELSE Len(log)

AsksEnd(s) ==
  /\ sweep[s].s = "fenced"
  /\ Sweeps(s, [sweep[s] EXCEPT !.s = "reads", !.end = IF Rule_WholeEnd THEN Len(log) ELSE Stable,
                                 !.from = IF Rule_StoredOffset THEN @ ELSE Len(log)])
  /\ UNCHANGED <<key, log, row, epoch, asked, pc, answer>>

Reads(s) ==
  LET t == sweep[s]
      there == \E i \in DOMAIN log : i > t.from /\ i <= Stable /\ log[i].job = t.job /\ log[i].s = "committed"
      mine == key.s = "progress" /\ (Rule_ByJobId => key.job = t.job)
  IN
  /\ t.s = "reads" /\ (there \/ Stable >= t.end)
  /\ key' = IF ~mine THEN key ELSE IF there THEN [key EXCEPT !.s = "answered"] ELSE Free
  /\ Sweeps(s, Idle)
  /\ UNCHANGED <<log, row, epoch, asked, pc, answer>>

SweeperDies(s) ==
  /\ sweep[s].s # "idle"
  /\ Sweeps(s, Idle)
  /\ UNCHANGED <<key, log, row, epoch, asked, pc, answer>>

Sweeping(s) == Finds(s) \/ Fences(s) \/ AsksEnd(s) \/ Reads(s)

Next ==
  \/ \E u \in Uploads :
       \/ LookUp(u) \/ StartProducer(u) \/ Reserve(u) \/ WriteRow(u, "open") \/ WriteRow(u, "failed")
       \/ WriteJobAccepted(u) \/ Commit(u) \/ CommitArrives(u) \/ Confirmed(u) \/ Accept(u) \/ Fails(u) \/ Dies(u)
  \/ \E s \in Sweepers : Sweeping(s) \/ SweeperDies(s)
  \/ \E j \in Jobs : TransactionTimesOut(j)
  \/ LeaseEnds \/ OtherWrites \/ OtherCommits

\* A sweeper may die, but not each time before it is done.
Fair ==
  /\ WF_vars(LeaseEnds)
  /\ \A j \in Jobs : WF_vars(TransactionTimesOut(j))
  /\ \A s \in Sweepers : WF_vars(Finds(s)) /\ SF_vars(Fences(s)) /\ SF_vars(AsksEnd(s)) /\ SF_vars(Reads(s))

Spec == Init /\ [][Next]_vars /\ Fair

----------------------------------------------------------------------------
\* The promises

OneJob == Cardinality({u \in Uploads : Committed(u)}) <= 1

AllOrNothing == \A u \in Uploads : Committed(u) <=> row[u] = "committed"

AnswersAreTrue == \A u \in Uploads : answer[u] # 0 => Committed(answer[u])

\* A key that is free again has left no job behind: the client may send the file once more.
FreeMeansNothing == key.s = "free" => \A u \in Uploads : ~Committed(u)

\* A key is not in progress for ever.
KeysAreSettled == key.s = "progress" ~> key.s # "progress"
=============================================================================
