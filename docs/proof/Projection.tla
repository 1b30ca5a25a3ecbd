------------------------------ MODULE Projection ------------------------------
(***************************************************************************)
(* The tables of status: made from the topics by several replicas, each      *)
(* event once, and true to what was read. One partition of hospital.results  *)
(* holds a row's results of several rounds.                                  *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
  Replicas,
  Rebalances \* bound

CONSTANTS
  Rule_OneTransaction,  \* rows and the offset they came from are written together
  Rule_CompareAndSet,   \* the offset is stored only if it is still what the writer read
  Rule_StoredOffset,    \* a replica begins at the stored offset, not at Kafka's
  Rule_Difference,      \* a row that is replaced is taken out of the counts
  Rule_HigherRoundWins  \* a result of a lower round changes nothing

\* The results in the partition: the round of each, all of one row
Log == <<1, 3, 2>>

VARIABLES
  stored,   \* the offset in the database
  round,    \* the row's stored round, 0 = none
  counted,  \* how many rows the counts say there are
  group,    \* the offset in the Kafka group
  at,       \* where each replica reads on; 0 = it has to ask
  batch,    \* what it is about to write: how many records
  moves     \* rebalances so far

vars == <<stored, round, counted, group, at, batch, moves>>

Init ==
  /\ stored = 1 /\ round = 0 /\ counted = 0 /\ group = 1
  /\ at = [p \in Replicas |-> 0] /\ batch = [p \in Replicas |-> 0] /\ moves = 0

Places(p) ==
  /\ at[p] = 0
  /\ at' = [at EXCEPT ![p] = IF Rule_StoredOffset THEN stored ELSE group]
  /\ UNCHANGED <<stored, round, counted, group, batch, moves>>

Reads(p) ==
  /\ at[p] > 0 /\ batch[p] = 0 /\ at[p] <= Len(Log)
  /\ batch' = [batch EXCEPT ![p] = 1]
  /\ UNCHANGED <<stored, round, counted, group, at, moves>>

Apply(n) ==
  IF round = 0 THEN round' = n /\ counted' = IF counted < 3 THEN counted + 1 ELSE 3
  ELSE IF n > round \/ ~Rule_HigherRoundWins
       THEN /\ round' = n
            /\ counted' = IF Rule_Difference THEN counted ELSE IF counted < 3 THEN counted + 1 ELSE 3
       ELSE UNCHANGED <<round, counted>>

\* One database transaction
Writes(p) ==
  /\ batch[p] = 1
  /\ IF stored = at[p] \/ ~Rule_CompareAndSet
     THEN /\ Apply(Log[at[p]])
          /\ stored' = IF Rule_OneTransaction THEN at[p] + 1 ELSE stored
          /\ at' = [at EXCEPT ![p] = @ + 1]
     ELSE /\ at' = [at EXCEPT ![p] = 0]  \* another replica was there first
          /\ UNCHANGED <<stored, round, counted>>
  /\ batch' = [batch EXCEPT ![p] = 0]
  /\ UNCHANGED <<group, moves>>

StoresLater(p) ==
  /\ ~Rule_OneTransaction /\ at[p] > stored
  /\ stored' = at[p]
  /\ UNCHANGED <<round, counted, group, at, batch, moves>>

CommitsToGroup(p) ==
  /\ at[p] > 0
  /\ group' = at[p]
  /\ UNCHANGED <<stored, round, counted, at, batch, moves>>

\* A rebalance, a crash, a database that is away. A former owner that does not know yet goes on.
Loses(p) ==
  /\ moves < Rebalances
  /\ moves' = moves + 1
  /\ at' = [at EXCEPT ![p] = 0] /\ batch' = [batch EXCEPT ![p] = 0]
  /\ UNCHANGED <<stored, round, counted, group>>

Next == \E p \in Replicas : Places(p) \/ Reads(p) \/ Writes(p) \/ StoresLater(p) \/ CommitsToGroup(p) \/ Loses(p)

Fair == \A p \in Replicas : WF_vars(Places(p)) /\ WF_vars(Reads(p)) /\ WF_vars(Writes(p))

Spec == Init /\ [][Next]_vars /\ Fair

Best(k) == IF k = 0 THEN 0 ELSE CHOOSE n \in {Log[i] : i \in 1..k} : \A i \in 1..k : Log[i] <= n

\* The tables are exactly what the events before the stored offset say.
TablesAreTrue == round = Best(stored - 1) /\ counted = (IF stored > 1 THEN 1 ELSE 0)

\* Everything is projected.
AllIsRead == <>[](stored = Len(Log) + 1)
=============================================================================
