------------------------------- MODULE Rounds -------------------------------
(***************************************************************************)
(* One job: its rounds, retries, cancels, resolutions, JobFinished.         *)
(*                                                                          *)
(* The lane is one that never fails (Lane.tla is about that): a row's       *)
(* result and the record that asks for it are one step. What may be late    *)
(* here is reading: each reader of hospital.jobs and of the results is as   *)
(* far as it likes. Commands come at any moment, for any round that their   *)
(* sender may have seen.                                                    *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
  N,          \* rows
  Rounds,     \* bound: the last round
  Retries, Cancels, Resolves,   \* bounds: how many commands
  Finishes,   \* bound: how many JobFinished
  Restarts,   \* bound: how often the processor starts again
  Rebuilds,   \* bound: how often the tables are made again
  Attempts    \* RETRY_MAX_ATTEMPTS

CONSTANTS
  Rule_FirstRequestCounts,  \* the first request for a round is run, every other one ignored
  Rule_RetryAfterFinish,    \* a retry is of the round after the last finished one
  Rule_ResultsKnown,        \* ... and waits until a result of each row is projected
  Rule_RetryPassed,         \* ... and until the projection has passed the request
  Rule_OneTransaction,      \* rows of a round and the progress of its request are one transaction
  Rule_MayExist,            \* rows that may exist are looked up in the next round
  Rule_DoubtFirst,          \* rows in doubt are looked up before they become unprocessed
  Rule_CancelOfRound,       \* a cancel is of a round and of earlier ones, not of later ones
  Rule_ReadBeforeSending,   \* a processor reads hospital.jobs before its first call
  Rule_HigherRoundWins,     \* the projection keeps the result of the higher round
  Rule_ResolvedInTime,      \* a resolution behind the request for the next round does not count
  Rule_FoundStays,          \* a hospital that was found is not taken back
  Rule_FinishWhenAll,       \* JobFinished when each row has a result of the round, or is created
  Rule_CaughtUp,            \* ... by who has read hospital.jobs to its end
  Rule_FinishedByHand,      \* ... and once more when the last failure is resolved
  Rule_AttemptLimit,        \* a row fails after so many attempts
  Assume_HeardInTime,       \* a processor hears of a cancel within lease + time-out + settle time
  Assume_PeopleLook         \* who says that a hospital is there has seen it

VARIABLES
  jobs,     \* hospital.jobs
  asked,    \* the topic of rows: which rows were asked for in which round, how often, and may_exist
  dir,      \* hospitals in the directory, by row
  row,      \* the lane: state of each row in each round
  tries,    \* the lane: attempts
  heard,    \* the processor: how far it has read hospital.jobs
  until,    \* ... and how far it has to have read before it sends
  result,   \* results, by row and round
  count,    \* how many were written
  read,     \* the projection: which results it has read
  at,       \* the projection: how far it is in hospital.jobs
  f,        \* ... and what follows: requested round and its offset, cancelled, finished, all created
  said,     \* resolutions that count
  owner,    \* who carries retries out: the next event, and the last row written
  ready,    \* a JobFinished that is about to be sent
  settled,  \* the last round that is shown as cancelled
  broken,   \* a row was sent after that
  used      \* how many commands, restarts and finishes

vars == <<jobs, asked, dir, row, tries, heard, until, result, count, read, at, f, said, owner, ready, settled, broken, used>>
lane == <<row, tries, result, count, dir, broken>>
known == <<read, at, f, said>>

R == 1..N
K == 1..Rounds
NoEvent == [t |-> "none", n |-> 0, r |-> 0, yes |-> FALSE]
Event(t, n, r, yes) == [t |-> t, n |-> n, r |-> r, yes |-> yes]

Init ==
  /\ jobs = <<>>
  /\ asked = [r \in R |-> [n \in K |-> [times |-> IF n = 1 THEN 1 ELSE 0, may |-> FALSE]]]
  /\ dir = [r \in R |-> 0]
  /\ row = [r \in R |-> [n \in K |-> "none"]]
  /\ tries = [r \in R |-> 0]
  /\ heard = 0 /\ until = 0
  /\ result = [r \in R |-> [n \in K |-> "none"]]
  /\ count = [r \in R |-> [n \in K |-> 0]]
  /\ read = {} /\ at = 0
  /\ f = [req |-> 1, off |-> 0, can |-> 0, fin |-> 0, all |-> FALSE]
  /\ said = {}
  /\ owner = [next |-> 1, row |-> 0]
  /\ ready = NoEvent
  /\ settled = 0 /\ broken = FALSE
  /\ used = [retry |-> 0, cancel |-> 0, resolve |-> 0, finish |-> 0, restart |-> 0, rebuild |-> 0, again |-> 0]

----------------------------------------------------------------------------
\* The lane

CancelKnown(n) == \E i \in 1..heard : jobs[i].t = "cancel" /\ (jobs[i].n >= n \/ ~Rule_CancelOfRound)
MaySend == heard >= until \/ ~Rule_ReadBeforeSending

Gives(r, n, what) ==
  /\ result' = [result EXCEPT ![r][n] = what]
  /\ count' = [count EXCEPT ![r][n] = @ + 1]
  /\ row' = [row EXCEPT ![r][n] = "done"]

Begins(r, n) ==
  /\ asked[r][n].times > count[r][n] /\ row[r][n] \in {"none", "done"}
  /\ \A m \in K : m < n => row[r][m] \in {"none", "done"}
  /\ IF n > 1 /\ asked[r][n].may /\ Rule_MayExist
     THEN row' = [row EXCEPT ![r][n] = "doubt"] /\ UNCHANGED <<result, count>>
     ELSE IF CancelKnown(n) THEN Gives(r, n, "unprocessed")
     ELSE row' = [row EXCEPT ![r][n] = "ready"] /\ UNCHANGED <<result, count>>
  /\ tries' = [tries EXCEPT ![r] = 0]
  /\ UNCHANGED <<jobs, asked, dir, heard, until, known, owner, ready, settled, broken, used>>

Cancelled(r, n) ==
  /\ row[r][n] = "ready" \/ (~Rule_DoubtFirst /\ row[r][n] = "doubt")
  /\ CancelKnown(n)
  /\ Gives(r, n, "unprocessed")
  /\ UNCHANGED <<jobs, asked, dir, tries, heard, until, known, owner, ready, settled, broken, used>>

Sends(r, n, how) ==
  /\ row[r][n] = "ready" /\ ~CancelKnown(n) /\ MaySend
  /\ broken' = (broken \/ n <= settled)
  /\ CASE how = "created" -> dir' = [dir EXCEPT ![r] = IF @ < 2 THEN @ + 1 ELSE 2] /\ Gives(r, n, "created")
       [] how = "rejected" -> dir[r] = 0 /\ UNCHANGED dir /\ Gives(r, n, "rejected")
       [] how = "silent" -> /\ dir' = [dir EXCEPT ![r] = IF @ < 2 THEN @ + 1 ELSE 2]
                            /\ row' = [row EXCEPT ![r][n] = "doubt"] /\ UNCHANGED <<result, count>>
       [] how = "lost" -> UNCHANGED dir /\ row' = [row EXCEPT ![r][n] = "doubt"] /\ UNCHANGED <<result, count>>
  /\ tries' = [tries EXCEPT ![r] = IF @ < Attempts THEN @ + 1 ELSE @]
  /\ UNCHANGED <<jobs, asked, heard, until, known, owner, ready, settled, used>>

LooksUp(r, n) ==
  /\ row[r][n] = "doubt"
  /\ IF dir[r] > 0 THEN Gives(r, n, "created")
     ELSE IF tries[r] >= Attempts /\ Rule_AttemptLimit THEN Gives(r, n, "exhausted")
     ELSE IF CancelKnown(n) THEN Gives(r, n, "unprocessed")
     ELSE row' = [row EXCEPT ![r][n] = "ready"] /\ UNCHANGED <<result, count>>
  /\ UNCHANGED <<jobs, asked, dir, tries, heard, until, known, owner, ready, settled, broken, used>>

\* A directory that rewrites, or lists only a part: the look-up proves nothing.
CannotTell(r, n) ==
  /\ row[r][n] = "doubt" /\ tries[r] > 0
  /\ Gives(r, n, "unknown")
  /\ UNCHANGED <<jobs, asked, dir, tries, heard, until, known, owner, ready, settled, broken, used>>

Hears ==
  /\ Cancels > 0  \* else it need not be followed
  /\ heard < Len(jobs)
  /\ heard' = heard + 1
  /\ UNCHANGED <<jobs, asked, lane, until, known, owner, ready, settled, used>>

Restart ==
  /\ used.restart < Restarts /\ heard > 0
  /\ heard' = 0 /\ until' = Len(jobs)
  /\ row' = [r \in R |-> [n \in K |-> IF row[r][n] = "ready" THEN "none" ELSE row[r][n]]]
  /\ used' = [used EXCEPT !.restart = @ + 1]
  /\ UNCHANGED <<jobs, asked, tries, result, count, dir, broken, known, owner, ready, settled>>

----------------------------------------------------------------------------
\* The projection

Top(r) == LET ns == {n \in K : <<r, n>> \in read} IN
          IF ns = {} THEN 0
          ELSE IF Rule_HigherRoundWins THEN CHOOSE n \in ns : \A m \in ns : m <= n
          ELSE CHOOSE n \in ns : \A m \in ns : m >= n

Status(r) ==
  IF Top(r) = 0 THEN "none"
  ELSE LET what == result[r][Top(r)] IN
       IF what # "unknown" THEN what
       ELSE IF <<r, Top(r), TRUE>> \in said /\ (Rule_FoundStays \/ <<r, Top(r), FALSE>> \notin said) THEN "created"
       ELSE "unknown"

MaxOf(S) == CHOOSE x \in S : \A y \in S : y <= x
Round == MaxOf({f.req, f.fin} \cup {Top(r) : r \in R})
Created == Cardinality({r \in R : Status(r) = "created"})
Complete == \A r \in R : Status(r) = "created" \/ (Top(r) = Round /\ Top(r) > 0)
ByHand == Complete /\ f.fin = Round /\ Created = N /\ ~f.all
Due == IF ~Complete /\ Rule_FinishWhenAll THEN 0
       ELSE IF ByHand THEN (IF Rule_FinishedByHand THEN Round + 1 ELSE 0) ELSE IF f.fin # Round THEN Round ELSE 0

ReadsResult(r, n) ==
  /\ result[r][n] # "none" /\ <<r, n>> \notin read
  /\ read' = read \cup {<<r, n>>}
  /\ UNCHANGED <<jobs, asked, lane, heard, until, at, f, said, owner, ready, settled, used>>

ReadsJobs ==
  /\ at < Len(jobs)
  /\ at' = at + 1
  /\ LET e == jobs[at + 1] IN
     CASE e.t = "retry" ->
            /\ f' = IF (Rule_RetryAfterFinish /\ e.n # f.fin + 1) \/ e.n <= f.req THEN f ELSE [f EXCEPT !.req = e.n, !.off = at + 1]
            /\ UNCHANGED said
       [] e.t = "cancel" -> f' = [f EXCEPT !.can = IF e.n > @ THEN e.n ELSE @] /\ UNCHANGED said
       [] e.t = "finished" ->
            /\ f' = IF e.n > f.fin THEN [f EXCEPT !.fin = e.n, !.all = e.yes] ELSE f
            /\ UNCHANGED said
       [] e.t = "resolve" ->
            /\ said' = IF e.n >= f.req \/ ~Rule_ResolvedInTime
                       THEN (IF Rule_FoundStays \/ e.yes THEN said ELSE said \ {<<e.r, e.n, TRUE>>}) \cup {<<e.r, e.n, e.yes>>}
                       ELSE said
            /\ UNCHANGED f
  /\ UNCHANGED <<jobs, asked, lane, heard, until, read, owner, ready, settled, used>>

\* The tables are thrown away and made again from the topics. The owner of retries keeps its offset in Kafka.
Rebuild ==
  /\ used.rebuild < Rebuilds /\ at > 0
  /\ used' = [used EXCEPT !.rebuild = @ + 1]
  /\ read' = {} /\ at' = 0 /\ said' = {}
  /\ f' = [req |-> 1, off |-> 0, can |-> 0, fin |-> 0, all |-> FALSE]
  /\ UNCHANGED <<jobs, asked, lane, heard, until, owner, ready, settled>>

\* An owner may have asked its tables long before Kafka gets the event. It may be sent twice.
Prepares ==
  /\ ready = NoEvent /\ Due # 0 /\ Due <= Rounds /\ used.finish < Finishes
  /\ Rule_CaughtUp => at = Len(jobs)
  /\ ready' = Event("finished", Due, 0, Created = N)
  /\ used' = [used EXCEPT !.finish = @ + 1, !.again = @ + Cardinality({i \in DOMAIN jobs : jobs[i].t = "finished" /\ jobs[i].n = Due})]
  /\ UNCHANGED <<jobs, asked, lane, heard, until, known, owner, settled>>

Finishes_ ==
  /\ ready # NoEvent
  /\ jobs' = Append(jobs, ready)
  /\ ready' = NoEvent
  /\ UNCHANGED <<asked, lane, heard, until, known, owner, settled, used>>

\* What a reader is told at settles_at: nothing of this round is sent any more.
Settles ==
  /\ f.can > settled /\ f.can >= Round
  /\ Assume_HeardInTime => /\ CancelKnown(f.can)
  /\ settled' = f.can
  /\ UNCHANGED <<jobs, asked, lane, heard, until, known, owner, ready, used>>

----------------------------------------------------------------------------
\* Commands over HTTP: each appends its event

Asks(e, kind) ==
  /\ jobs' = Append(jobs, e)
  /\ used' = [used EXCEPT ![kind] = @ + 1]
  /\ UNCHANGED <<asked, lane, heard, until, known, owner, ready, settled>>

AsksRetry(n) == used.retry < Retries /\ n > 1 /\ n <= Round + 1 /\ Asks(Event("retry", n, 0, FALSE), "retry")
AsksCancel(n) == used.cancel < Cancels /\ n <= Round /\ Asks(Event("cancel", n, 0, FALSE), "cancel")
AsksResolve(r, n, yes) ==
  /\ used.resolve < Resolves
  /\ <<r, n>> \in read /\ result[r][n] = "unknown"
  /\ Assume_PeopleLook /\ yes => dir[r] > 0
  /\ Asks(Event("resolve", n, r, yes), "resolve")

----------------------------------------------------------------------------
\* The owner of the partition carries retries out, a row a transaction.

Ignores(e) ==
  \/ Rule_FirstRequestCounts /\ (f.req # e.n \/ f.off # owner.next)
  \/ Rule_RetryAfterFinish /\ f.fin # e.n - 1

Waits(e) ==
  \/ Rule_RetryPassed /\ at < owner.next
  \/ Rule_ResultsKnown /\ \E r \in R : Status(r) # "created" /\ Top(r) < e.n - 1

MayExistNow(r, n) == IF Top(r) # n - 1 THEN TRUE ELSE Status(r) \notin {"rejected", "unprocessed"}

CarriesOut ==
  /\ owner.next <= Len(jobs)
  /\ LET e == jobs[owner.next]
         r == owner.row + 1
         past == [next |-> owner.next + 1, row |-> 0]
     IN IF e.t # "retry" THEN owner' = past /\ UNCHANGED asked
        ELSE /\ ~Waits(e)
             /\ IF Ignores(e) \/ r > N THEN owner' = past /\ UNCHANGED asked
                ELSE /\ IF Status(r) # "created" /\ Top(r) < e.n /\ Top(r) > 0
                        THEN asked' = [asked EXCEPT ![r][e.n] = [times |-> IF @.times < 2 THEN @.times + 1 ELSE 2,
                                                                 may |-> MayExistNow(r, e.n)]]
                        ELSE UNCHANGED asked
                     /\ owner' = IF r = N THEN past ELSE [owner EXCEPT !.row = r]
  /\ UNCHANGED <<jobs, lane, heard, until, known, ready, settled, used>>

\* Without the rule: the rows are there, and their progress is not.
OwnerDies ==
  /\ ~Rule_OneTransaction /\ owner.row > 0
  /\ owner' = [owner EXCEPT !.row = 0]
  /\ UNCHANGED <<jobs, asked, lane, heard, until, known, ready, settled, used>>

Next ==
  \/ Hears \/ Restart \/ Rebuild \/ ReadsJobs \/ Prepares \/ Finishes_ \/ Settles \/ CarriesOut \/ OwnerDies
  \/ \E n \in K : AsksRetry(n) \/ AsksCancel(n)
  \/ \E r \in R, n \in K :
       \/ Begins(r, n) \/ Cancelled(r, n) \/ LooksUp(r, n) \/ CannotTell(r, n) \/ ReadsResult(r, n)
       \/ \E how \in {"created", "rejected", "silent", "lost"} : Sends(r, n, how)
       \/ \E yes \in BOOLEAN : AsksResolve(r, n, yes)

Fair ==
  /\ WF_vars(Hears) /\ WF_vars(ReadsJobs) /\ WF_vars(Prepares) /\ WF_vars(Finishes_) /\ WF_vars(CarriesOut)
  /\ \A r \in R, n \in K :
       /\ WF_vars(Begins(r, n)) /\ WF_vars(Cancelled(r, n)) /\ WF_vars(LooksUp(r, n)) /\ WF_vars(ReadsResult(r, n))
       /\ WF_vars(\E how \in {"created", "rejected", "silent", "lost"} : Sends(r, n, how))

Spec == Init /\ [][Next]_vars /\ Fair

----------------------------------------------------------------------------
\* The promises

NoHospitalTwice == \A r \in R : dir[r] <= 1

OneResult == \A r \in R, n \in K : count[r][n] <= 1

\* What the tables say of a row that does not run again is true.
NoWrongAnswer ==
  \A r \in R : (\A n \in K : n > Top(r) => asked[r][n].times = 0) =>
    /\ Status(r) = "created" => dir[r] = 1
    /\ Status(r) \in {"rejected", "unprocessed", "exhausted"} => dir[r] = 0

\* JobFinished is a manifest: of each row of its round there is a result, and every other row was created before.
FinishedIsTrue ==
  \A i \in DOMAIN jobs : jobs[i].t = "finished" =>
    \A r \in R :
      \/ result[r][jobs[i].n] # "none"
      \/ /\ asked[r][jobs[i].n].times = 0
         /\ \E n \in 1..jobs[i].n : \/ result[r][n] = "created"
                                   \/ \E k \in DOMAIN jobs : jobs[k] = Event("resolve", n, r, TRUE)

\* Tables that are made again send no JobFinished that is on the topic: nothing is activated again.
NotFinishedAgain == used.again = 0

\* A round begins after the end of the one before: every round has its JobFinished.
RoundsInOrder ==
  \A r \in R, n \in K : n > 1 /\ asked[r][n].times > 0 => \E i \in DOMAIN jobs : jobs[i].t = "finished" /\ jobs[i].n = n - 1

\* A row is unprocessed only because its round, or a later one, was cancelled.
OnlyCancelled ==
  \A r \in R, n \in K : result[r][n] = "unprocessed" => \E i \in DOMAIN jobs : jobs[i].t = "cancel" /\ jobs[i].n >= n

\* What is shown as cancelled is not sent any more.
CancelHolds == ~broken

\* With no more commands the job ends: its last round is finished and read, and no request is left.
Ended == Complete /\ f.fin = Round /\ at = Len(jobs) /\ owner.next = Len(jobs) + 1 /\ ready = NoEvent /\ ~ByHand
JobEnds == <>[](Ended \/ used.finish = Finishes \/ Due > Rounds)
=============================================================================
