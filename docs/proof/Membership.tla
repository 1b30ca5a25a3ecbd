----------------------------- MODULE Membership -----------------------------
(***************************************************************************)
(* Who takes a lane over, and that processors do not fence each other for   *)
(* ever. Lane.tla shows that a wrong takeover does no harm to rows; here it *)
(* is shown that the rightful owner comes to work.                          *)
(*                                                                          *)
(* A network may keep a processor from the group's coordinator and from     *)
(* nothing else: its consumer only, or all of it. The rest goes on.         *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets

CONSTANTS
  Processors,
  Generations,   \* bound: how often the group gives the lane to somebody
  Cuts           \* bound: how often the network changes

CONSTANTS
  Rule_ReadFirst,        \* who cannot read the group's offsets does not fence
  Rule_ProvesMembership, \* a heartbeat of the present generation comes before the fence
  Rule_FencedWaits,      \* a fenced lane waits for a session time-out
  Rule_FencedComesBack,  \* ... and is taken over again if it is still assigned
  Rule_UnknownComesBack, \* a lane whose commit is unknown is taken over again at once
  Rule_FailureRepeats    \* a takeover that fails is tried again

VARIABLES
  gen,      \* the group's generation
  owner,    \* whose the lane is, for the group
  member,   \* the generation in which each processor believes that it owns the lane, 0 = it does not
  cut,      \* what of each processor reaches the coordinator: no cut, the consumer, all
  cuts,     \* how often that changed
  holder,   \* who has the newest epoch of the lane's transactional id
  st        \* none, read, proved, fenced, up, waits, gone

vars == <<gen, owner, member, cut, cuts, holder, st>>

Init ==
  /\ gen = 1
  /\ owner \in Processors
  /\ member = [p \in Processors |-> IF p = owner THEN 1 ELSE 0]
  /\ cut = [p \in Processors |-> "no"]
  /\ cuts = 0
  /\ holder = owner
  /\ st = [p \in Processors |-> IF p = owner THEN "up" ELSE "none"]

----------------------------------------------------------------------------
\* The group and the network

Rebalance(p) ==
  /\ gen < Generations /\ cut[p] = "no"
  /\ gen' = gen + 1 /\ owner' = p
  /\ UNCHANGED <<member, cut, cuts, holder, st>>

\* A member that is not heard of is expelled.
Expel == cut[owner] # "no" /\ \E p \in Processors : Rebalance(p)

Network(p, how) ==
  /\ cuts < Cuts /\ cut[p] # how
  /\ \A q \in Processors : q # p => (how # "no" => cut[q] = "no")
  /\ gen < Generations  \* so that whoever is cut off can be expelled
  /\ cut' = [cut EXCEPT ![p] = how]
  /\ cuts' = cuts + 1
  /\ UNCHANGED <<gen, owner, member, holder, st>>

Learns(p) ==
  /\ cut[p] = "no" /\ member[p] # (IF owner = p THEN gen ELSE 0)
  /\ member' = [member EXCEPT ![p] = IF owner = p THEN gen ELSE 0]
  /\ st' = [st EXCEPT ![p] = IF owner = p /\ @ # "gone" THEN @ ELSE "none"]
  /\ UNCHANGED <<gen, owner, cut, cuts, holder>>

----------------------------------------------------------------------------
\* A takeover: read, prove, fence, read again

Goes(p, to) == st' = [st EXCEPT ![p] = to] /\ UNCHANGED <<gen, owner, member, cut, cuts>>
Fails(p) == Goes(p, IF Rule_FailureRepeats THEN "none" ELSE "gone") /\ UNCHANGED holder

Begins(p) ==
  /\ st[p] = "none" /\ member[p] # 0
  /\ IF Rule_ReadFirst /\ cut[p] = "all" THEN Fails(p) ELSE Goes(p, "read") /\ UNCHANGED holder

Proves(p) ==
  /\ st[p] = "read"
  /\ IF Rule_ProvesMembership /\ (cut[p] # "no" \/ owner # p \/ gen # member[p])
     THEN Fails(p) ELSE Goes(p, "proved") /\ UNCHANGED holder

Fences(p) ==
  /\ st[p] = "proved"
  /\ holder' = p
  /\ Goes(p, "fenced")

ReadsAgain(p) ==
  /\ st[p] = "fenced"
  /\ IF cut[p] = "all" THEN Fails(p) ELSE Goes(p, "up") /\ UNCHANGED holder

\* The next commit tells.
FindsOut(p) ==
  /\ st[p] = "up"
  /\ UNCHANGED holder
  /\ \/ holder # p /\ Goes(p, IF ~Rule_FencedComesBack THEN "gone" ELSE IF Rule_FencedWaits THEN "waits" ELSE "none")
     \/ holder = p /\ cut[p] = "all" /\ Goes(p, IF Rule_UnknownComesBack THEN "none" ELSE "gone")

SessionOver(p) == st[p] = "waits" /\ Goes(p, "none") /\ UNCHANGED holder

Step(p) == Learns(p) \/ Begins(p) \/ Proves(p) \/ Fences(p) \/ ReadsAgain(p) \/ FindsOut(p) \/ SessionOver(p)

Next ==
  \/ \E p \in Processors :
       \/ Step(p) \/ Rebalance(p)
       \/ \E how \in {"no", "consumer", "all"} : Network(p, how)

Fair ==
  /\ WF_vars(Expel)
  /\ \A p \in Processors :
       /\ WF_vars(Learns(p)) /\ WF_vars(Begins(p)) /\ WF_vars(Proves(p)) /\ WF_vars(Fences(p))
       /\ WF_vars(ReadsAgain(p)) /\ WF_vars(FindsOut(p)) /\ WF_vars(SessionOver(p))

Spec == Init /\ [][Next]_vars /\ Fair

----------------------------------------------------------------------------
\* When the group and the network have settled, the rightful owner works, and nobody fences it any more.

Works == st[owner] = "up" /\ holder = owner

LaneIsServed == <>[](cut[owner] = "no" => Works)
=============================================================================
