"""A rate slot is used once at most, whoever is late, frozen, dead or replaced; so the limit holds with loans too."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from services.processor.limits.rate_slots import RateSlots
from tests.support.processor.slot_world import START, World, settle

SEEDS = st.integers(0, 2**32)


@settings(max_examples=200, deadline=None)
@given(SEEDS, st.integers(2, 4), st.sampled_from([2, 3, 6]), st.booleans())
def test_a_slot_is_used_by_one_processor_at_most(seed, processors, lanes, clocks_apart):
    """With reports that are late, lost or written after a freeze, and with hand-overs and crashes.

    Or with clocks that are apart, as long as lanes stay where they are. (When the next owner of a lane is behind the
    former one, it comes to the same slots once more. That has nothing to do with loans.)
    """
    apart = 20.0 if clocks_apart else 0.0
    random = Random(seed)
    world = World(RateSlots(10, 10.0, lanes))

    def offset():
        return random.uniform(-apart, apart)

    everybody = [world.processor(offset=offset()) for _ in range(processors)]
    for lane in range(lanes):
        everybody[lane % processors].take_over(lane)
    frozen: dict[str, float] = {}
    deaf: dict[str, float] = {}
    for _ in range(400):
        # One slot a step. A lane does not change its owner within the 20 ms in which a slot can be used.
        world.now += world.slots.interval
        if random.random() < 0.02:
            frozen[random.choice(everybody).name] = world.now + random.uniform(1, 30)
        if random.random() < 0.05:
            deaf[random.choice(everybody).name] = world.now + random.uniform(1, 30)
        if not clocks_apart:
            change_owners(random, world, everybody)
        for processor in everybody:
            if frozen.get(processor.name, 0) > world.now:
                continue
            if random.random() < 0.1:
                processor.wants = not processor.wants
            processor.send()
            if deaf.get(processor.name, 0) <= world.now:
                processor.read(None if random.random() < 0.5 else random.randrange(3))
            processor.report_when_due()
            if random.random() < 0.7:
                processor.write(everybody)
            elif random.random() < 0.1:
                processor.unwritten.clear()
            processor.send()


def change_owners(random, world, everybody):
    """What may happen to a processor and its lanes at any time."""
    victim, chance = random.choice(everybody), random.random()
    heirs = [processor for processor in everybody if processor is not victim and not processor.replaced]
    if chance < 0.04 and heirs and not victim.replaced:  # clean: a lane is handed over
        if victim.owned:
            lane = random.choice(sorted(victim.owned))
            del victim.owned[lane]
            random.choice(heirs).take_over(lane)
    elif chance < 0.08 and heirs and not victim.replaced:  # the group gives its lanes away, and it does not notice
        victim.replaced = True
        for lane in victim.owned:
            random.choice(heirs).take_over(lane)
    elif 0.08 <= chance < 0.11 and victim.replaced:  # it notices, and joins again
        victim.replaced = False
        victim.owned.clear()
    elif 0.11 <= chance < 0.13 and heirs:  # it dies, and another process comes
        everybody.remove(victim)
        new = world.processor(compacted_to=random.choice([random.randrange(len(world.log) + 1), len(world.log)]))
        everybody.append(new)
        if not victim.replaced:
            for lane in victim.owned:
                random.choice([*heirs, new]).take_over(lane)


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.sampled_from([(10, 10.0), (30, 60.0), (10, 1.0)]), st.integers(2, 4))
def test_no_window_of_a_period_sees_more_than_the_limit(seed, limit, processors):
    """Also with loans, and with clocks that are apart by as much as the margin of the slots allows."""
    random = Random(seed)
    slots = RateSlots(*limit, 6)
    world, period = World(slots), limit[1]
    apart = (0.05 * period - slots.grace) / 2 - 1e-6
    everybody = [world.processor(offset=random.uniform(-apart, apart)) for _ in range(processors)]
    for lane in range(6):
        random.choice(everybody).take_over(lane)
    step, times = slots.interval / 4, []

    def send(processor):
        if random.random() < 0.02:
            processor.wants = not processor.wants
        slot = processor.slot
        if slot not in world.used and processor.send():
            late = random.uniform(0, slots.grace)
            times.append(slots.begins(slot) - START - processor.offset + late)
        return False

    settle(world, everybody, 600 * step, step, send)
    times.sort()
    assert all(later - earlier >= period - 1e-5 for earlier, later in zip(times, times[limit[0] :], strict=False)), (
        "one call too many in a period"
    )
