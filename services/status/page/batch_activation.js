// Activates by hand the hospitals of a job that were created but not activated.
import { activateBatch } from "./api.js";
import { count } from "./words.js";

/** Asks the directory for one batch after the other; `say(text)` tells how far it is. Returns the last words. */
export async function activateAll(batchIds, say) {
  let slow = 0;
  for (const [index, batchId] of batchIds.entries()) {
    say(batchIds.length > 1 ? `Activating part ${count(index + 1)} of ${count(batchIds.length)} …` : "Activating …");
    const answer = await activateBatch(batchId);
    slow += answer.activated ? 0 : 1;
  }
  return slow ? "The directory takes its time. It goes on by itself; look again in a minute." : "Done.";
}
