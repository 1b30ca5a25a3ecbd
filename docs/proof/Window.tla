-------------------------------- MODULE Window --------------------------------
(***************************************************************************)
(* The watermark of one partition: the offset of the first unfinished        *)
(* record, and a bit for each record delivered from there on. Owners follow  *)
(* one another; each reads what the former one committed last.               *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
  Last,       \* the last offset of the partition
  Aborted,    \* offsets of aborted records and of markers: they are never delivered
  Size,       \* the most records in a window
  Owners      \* bound

CONSTANTS
  Rule_ByDelivered,    \* bit i is the i-th delivered record, not offset + i
  Rule_KeepsRestored,  \* bits of records that are not delivered yet are committed again
  Rule_Seeks,          \* a lane that stays after a rebalance seeks to its next record
  Assume_SameRecords   \* every owner is delivered the same records (read_committed)

VARIABLES
  position,   \* the next offset to be read
  window,     \* offsets delivered since the watermark
  done,       \* those of them that are done
  restored,   \* inherited bits of records that are not delivered yet
  mark,       \* Kafka: the committed offset and bits
  finished,   \* Kafka: records that have their result
  again,      \* a finished record was handed out once more
  skipped,    \* an unfinished record was taken for done
  owners

vars == <<position, window, done, restored, mark, finished, again, skipped, owners>>

Init ==
  /\ position = 1 /\ window = <<>> /\ done = {} /\ restored = <<>>
  /\ mark = [offset |-> 1, bits |-> <<>>] /\ finished = {}
  /\ again = FALSE /\ skipped = FALSE /\ owners = 1

Delivered(o) == o \notin Aborted \/ (~Assume_SameRecords /\ owners > 1)
NextRecord == CHOOSE o \in position..(Last + 1) : (o = Last + 1 \/ Delivered(o)) /\ \A q \in position..(o - 1) : ~Delivered(q)

\* The watermark: the first of the window that is not done.
Left == SelectSeq(window, LAMBDA o : o \notin done)
Offset == IF Left = <<>> THEN position ELSE Head(Left)
Behind == SelectSeq(window, LAMBDA o : o >= Offset)

Taken(o) == IF Rule_ByDelivered
            THEN restored # <<>> /\ Head(restored)
            ELSE o - mark.offset + 1 \in DOMAIN mark.bits /\ mark.bits[o - mark.offset + 1]

Deliver ==
  LET o == NextRecord IN
  /\ o <= Last /\ Len(Behind) < Size
  /\ position' = o + 1
  /\ window' = Append(Behind, o)
  /\ restored' = IF restored = <<>> THEN restored ELSE Tail(restored)
  /\ done' = IF Taken(o) THEN done \cup {o} ELSE done
  /\ again' = (again \/ (~Taken(o) /\ o \in finished))
  /\ skipped' = (skipped \/ (Taken(o) /\ o \notin finished))
  /\ UNCHANGED <<mark, finished, owners>>

Finish(o) ==
  /\ \E i \in DOMAIN window : window[i] = o
  /\ o \notin done
  /\ done' = done \cup {o}
  /\ UNCHANGED <<position, window, restored, mark, finished, again, skipped, owners>>

Trim(bits) == LET ones == {i \in DOMAIN bits : bits[i]} IN
              IF ones = {} THEN <<>> ELSE SubSeq(bits, 1, CHOOSE i \in ones : \A k \in ones : k <= i)

Commit ==
  LET behind == Behind
      bits == IF Rule_ByDelivered
              THEN [i \in 1..Len(behind) |-> behind[i] \in done] \o (IF Rule_KeepsRestored THEN restored ELSE <<>>)
              ELSE [i \in 1..(Last + 1 - Offset) |-> (Offset + i - 1) \in done \cup finished]
  IN /\ mark' = [offset |-> Offset, bits |-> Trim(bits)]
     /\ finished' = finished \cup done
     /\ UNCHANGED <<position, window, done, restored, again, skipped, owners>>

\* Killed or fenced: the next owner knows what was committed.
NextOwner ==
  /\ owners < Owners
  /\ owners' = owners + 1
  /\ position' = mark.offset
  /\ window' = <<>> /\ done' = {}
  /\ restored' = IF Rule_ByDelivered THEN mark.bits ELSE <<>>
  /\ UNCHANGED <<mark, finished, again, skipped>>

\* A rebalance after which the lane stays: the consumer would begin at the committed offset.
Rebalance ==
  /\ owners < Owners
  /\ owners' = owners + 1
  /\ position' = IF Rule_Seeks THEN position ELSE mark.offset
  /\ UNCHANGED <<window, done, restored, mark, finished, again, skipped>>

Next == Deliver \/ Commit \/ NextOwner \/ Rebalance \/ \E o \in 1..Last : Finish(o)

Spec == Init /\ [][Next]_vars

----------------------------------------------------------------------------
HandedOutOnce == ~again
NothingSkipped == ~skipped

\* No record comes into the window that is in it.
NoneTwice == \A i, k \in DOMAIN window : window[i] = window[k] => i = k

\* The broker refuses more than 4,096 bytes, and the producer is of no more use.
MetadataFits == Len(mark.bits) <= Size

\* What lies before the committed offset is finished.
WatermarkIsTrue == \A o \in 1..(mark.offset - 1) : o \in Aborted \cup finished
=============================================================================
