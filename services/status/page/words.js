// Numbers, times and reasons in words. Pure.

const number = new Intl.NumberFormat("en");
const onceDecimal = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short" });
const instant = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "short" });
const weekday = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long" });

export const count = amount => number.format(amount);

export const counted = (amount, one, many) => `${count(amount)} ${amount === 1 ? one : many}`;

export const hospitals = amount => counted(amount, "hospital", "hospitals");

/** `iso`: a time as the API writes it; in the reader's own time zone. */
export const moment = iso => day.format(new Date(iso));

/** The same to the second, which tells two uploads apart. */
export const exactMoment = iso => instant.format(new Date(iso));

/** "just now", "5 minutes ago", "3 hours ago"; older than a day: the date. `now` in ms. */
export function ago(iso, now) {
  const minutes = Math.floor((now - new Date(iso)) / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${counted(minutes, "minute", "minutes")} ago`;
  if (minutes < 24 * 60) return `${counted(Math.floor(minutes / 60), "hour", "hours")} ago`;
  return moment(iso);
}

/** "8 seconds", "3 minutes", "2 hours 5 minutes", "23 days". */
export function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 90) return counted(whole, "second", "seconds");
  const minutes = Math.round(whole / 60);
  if (minutes < 60) return counted(minutes, "minute", "minutes");
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 && hours < 10 ? `${counted(hours, "hour", "hours")} ${counted(minutes % 60, "minute", "minutes")}` : counted(hours, "hour", "hours");
  return counted(Math.round(hours / 24), "day", "days");
}

/** When it will be done, from a quarter of an hour on: "about 14:35", "Thursday 26 November". `now` in ms. */
export function until(seconds, now) {
  if (seconds < 900) return null;
  const end = new Date(now + seconds * 1000);
  return seconds < 12 * 3600 ? `about ${clock.format(end)}` : weekday.format(end);
}

/** Hospitals a second, or a minute when they are few. */
export function rate(perSecond) {
  return perSecond >= 1 ? `${onceDecimal.format(perSecond)} a second` : `${onceDecimal.format(perSecond * 60)} a minute`;
}

/** Rounded down, as the API does: 100 % means all. */
export const percent = share => `${Math.floor(share)} %`;

export function bytes(size) {
  const units = ["bytes", "KB", "MB", "GB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(size, 1)) / 3));
  return step ? `${onceDecimal.format(size / 1000 ** step)} ${units[step]}` : counted(size, "byte", "bytes");
}

/** What `waiting_for` means for the person who waits: the reason, and what it means for the rows. The story tells of the activation. */
export const WAITING = {
  rate_limit: ["Sending at the allowed pace.", "The directory takes only so many hospitals at a time."],
  directory_slow: ["The directory is slow to answer.", "As much is sent as it takes."],
  takeover: ["A part of the service has stopped, and another takes over.", "No row is lost, and none is sent twice: it finds out first what was sent."],
  look_ups: ["The last rows are being looked up in the directory.", "It gave no clear answer for them, so we look before anything is sent again."],
  circuit_breaker: ["The directory does not answer properly at the moment.", "No row is lost: we try again by ourselves until it does."],
  queue: ["Other uploads are ahead of this one.", "It goes on by itself when it is its turn."],
  no_processor: ["Nothing is being sent at the moment, because no processor is running.", "No row is lost; the team that runs this service has to start one."],
  paused: ["Sending is paused by the team that runs this service.", "It goes on by itself when they resume it."],
};

/** Why a job waits, in two sentences or more; empty when it flows. */
export function waiting(job) {
  const { waiting_for: reason, waiting_since: since, next_try_at: again } = job;
  if (reason === "rate_limit" && again) return ["The directory asks us to slow down.", `We call it again at ${clock.format(new Date(again))}.`];
  const [why, comfort] = WAITING[reason] ?? ["", ""];
  const left = job.total_hospitals - job.processed_hospitals;
  const outage = since ? ` Since ${clock.format(new Date(since))}; ${counted(left, "row waits", "rows wait")}${again ? `; next try at ${clock.format(new Date(again))}` : ""}.` : "";
  return [why, comfort + outage];
}

/** What a retry can choose by. */
export const CODES = {
  rejected: ["the directory refused", "row", "rows"],
  attempts_exhausted: ["failed at every attempt", "row that", "rows that"],
  outcome_unknown: ["are unconfirmed", "row that", "rows that"],
  unprocessed: ["were not sent", "row that", "rows that"],
};

/** "5 rows the directory refused". */
export function failure({ code, hospitals: rows }) {
  const [what, one, many] = CODES[code] ?? [code, "row:", "rows:"];
  return `${counted(rows, one, many)} ${rows === 1 ? what.replace("were", "was").replace("are", "is") : what}`;
}

/** "rows the directory refused". */
export function rowsOf(code) {
  const [what, , many] = CODES[code] ?? [code, "", "rows:"];
  return `${many} ${what}`;
}

/** Rows of which nobody knows whether they are in the directory. The API counts them among the failed. */
export const unconfirmed = job => isWhole(job) ? 0 : Math.min(job.unknown_hospitals ?? 0, job.failed_hospitals);

export const failedForSure = job => isWhole(job) ? 0 : job.failed_hospitals - unconfirmed(job);

export const notSent = job => isWhole(job) ? 0 : job.unprocessed_hospitals;

/** Rows that another upload has created, when these are all that were left. */
export const corrected = job => isWhole(job) ? job.total_hospitals - job.created_hospitals : 0;

/** Rows that failed or were not sent, and are in no correction. */
export const open = job => job.failed_hospitals + job.unprocessed_hospitals - (job.corrected_hospitals ?? 0);

/** What the list can show, each with what the service is asked for. Every label is true of all that it lists. */
export const FILTERS = {
  attention: ["Needs attention", { needs_attention: true }],
  waiting: ["Waiting", { status: "pending" }],
  running: ["Running", { status: "processing" }],
  created: ["All created", { outcome: "all_created" }],
  corrected: ["All created after correction", { outcome: "all_created_after_correction" }],
  partly: ["Partly created", { outcome: "some_failed" }],
  failed: ["Failed", { outcome: "none_created" }],
  cancelled: ["Cancelled", { outcome: "cancelled" }],
};

export const isFinal = job => !["pending", "processing"].includes(job.status);

/** Somebody cancelled it, on this page or elsewhere, and it has not ended yet. */
export const isBeingCancelled = job => !isFinal(job) && Boolean(job.cancel_requested_at) && job.processed_hospitals < job.total_hospitals;

/** The word for a job, the tone it is said in (busy, good, mixed or bad), and its icon. */
export function state(job) {
  if (isBeingCancelled(job)) return { word: job.cancel_reason === "max_failures" ? "Stopping" : "Cancelling", tone: "busy", icon: "stop" };
  if (job.status === "pending") return { word: "Waiting", tone: "busy", icon: "clock" };
  if (job.status === "processing") return { word: "Running", tone: "busy", icon: "send" };
  if (job.outcome === AFTER_CORRECTION) return isInactive(job) ? { word: job.error ? "Not activated" : "Activating", tone: "mixed", icon: "pause" } : { word: "Completed", tone: "good", icon: "check" };
  if (job.status === "failed") return { word: "Failed", tone: "bad", icon: "cross" };
  if (job.status === "cancelled") return { word: "Cancelled", tone: "mixed", icon: "stop" };
  if (job.outcome === "some_failed") return { word: "Partly created", tone: "mixed", icon: "alert" };
  if (!job.activated) return { word: "Not activated", tone: "mixed", icon: "pause" };
  return { word: "Completed", tone: "good", icon: "check" };
}

const AFTER_CORRECTION = "all_created_after_correction";

const isWhole = job => job.outcome === AFTER_CORRECTION;

/** Hospitals are in the directory that nobody can see there yet. */
export const isInactive = job => job.created_hospitals > 0 && !job.activated;

/** How the job stands, in a sentence. */
export function story(job) {
  const { total_hospitals: total, created_hospitals: created } = job;
  if (isBeingCancelled(job)) return `${job.cancel_reason === "max_failures" ? "More rows failed than this upload allows. " : ""}What was not sent will not be sent; rows that are on their way are waited for.`;
  if (job.status === "pending") return "Your file is safe with us. Its first hospital will be sent soon.";
  if (job.status === "processing" && job.processed_hospitals < total) return "You may close this page: the upload goes on without it.";
  if (job.status === "processing") return created === total ? "All hospitals are created; they are being activated now." : "Every row was tried; the result is being written down.";
  if (job.outcome === "all_created") return `${total === 1 ? "The hospital is" : `All ${hospitals(total)} are`} created${job.activated ? " and" : ", but not"} activated.`;
  if (job.outcome === AFTER_CORRECTION) return `${total === 1 ? "The hospital is" : `All ${hospitals(total)} are`} created${created ? `, ${count(job.corrected_hospitals)} of them` : ""} after correction.`;
  if (job.outcome === "some_failed") return `${parts(job)}.`;
  if (job.status === "cancelled") return `${job.cancel_reason === "max_failures" ? "Stopped, since more rows failed than this upload allows" : "Cancelled"}: ${parts(job)}, ${counted(job.unprocessed_hospitals, "was", "were")} not sent.`;
  return "No hospital was created. The reasons are below.";
}

/** "36 of 40 hospitals were created, 1 failed, 3 are unconfirmed". */
function parts(job) {
  const { total_hospitals: total, created_hospitals: created } = job;
  const [failed, unknown] = [failedForSure(job), unconfirmed(job)];
  const bad = [(failed || !unknown) && `${count(failed)} failed`, unknown && `${counted(unknown, "is", "are")} unconfirmed`];
  return [`${count(created)} of ${hospitals(total)} ${total === 1 ? "was" : "were"} created`, ...bad].filter(Boolean).join(", ");
}

/** A warning about rows of failed.csv whose outcome is unknown, and what to do; empty texts when there are none. */
export function unknownOutcomes(unknown) {
  if (!unknown) return ["", ""];
  const them = unknown === 1 ? "it" : "them";
  return [
    `${counted(unknown, "row", "rows")} in failed.csv may already be in the directory.`,
    `Resolve ${them} above, or try the failed rows again, which looks for ${them} first. Uploaded again as a file, ${unknown === 1 ? "it" : "they"} could be there twice.`,
  ];
}

/** What follows from it for hospitals that exist already; null when there is nothing to say. */
export function consequence(job) {
  if (!isFinal(job) || job.created_hospitals === 0) return null;
  const [single, waits] = [job.total_hospitals === 1, !job.activated && !job.error];
  const inactive = single ? "It is in the directory, but not active until you activate it: until then nobody sees it there."
    : "They are in the directory, but not active until you activate them: until then nobody sees them there.";
  if (job.outcome === "all_created" && job.corrects && waits) return `${single ? "It becomes" : "They become"} active when no row of the upload that this one corrects is open any more.`;
  if (job.outcome === "all_created") return job.activated ? null : inactive;
  if (job.outcome === AFTER_CORRECTION) return job.activated ? `${single ? "It is" : "They are"} active in the directory.` : waits ? `${single ? "It is" : "They are"} being activated now.` : inactive;
  if (job.activated) return "The created ones were activated by hand.";
  const one = job.created_hospitals === 1;
  const why = job.status === "cancelled" ? "because the upload was cancelled" : "because not all could be created";
  const then = `${one ? "It becomes" : "They become"} active when all rows are created, also by a correction, or when you activate ${one ? "it" : "them"}.`;
  return `${one ? "The created one stays" : "The created ones stay"} in the directory, not activated, ${why}. ${then} This page cannot take ${one ? "it" : "them"} back.`;
}
