// Numbers, times and reasons in words. Pure.

const number = new Intl.NumberFormat("en");
const onceDecimal = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short" });

export const count = amount => number.format(amount);

export const counted = (amount, one, many) => `${count(amount)} ${amount === 1 ? one : many}`;

export const hospitals = amount => counted(amount, "hospital", "hospitals");

/** `iso`: a time as the API writes it; in the reader's own time zone. */
export const moment = iso => day.format(new Date(iso));

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

/** Hospitals a second, or a minute when they are few. */
export function pace(perSecond) {
  return perSecond >= 1 ? `${onceDecimal.format(perSecond)} a second` : `${onceDecimal.format(perSecond * 60)} a minute`;
}

/** Rounded down, as the API does: 100 % means all. */
export const percent = share => `${Math.floor(share)} %`;

export function bytes(size) {
  const units = ["bytes", "KB", "MB", "GB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(size, 1)) / 3));
  return step ? `${onceDecimal.format(size / 1000 ** step)} ${units[step]}` : counted(size, "byte", "bytes");
}

/** What `waiting_for` means for the person who waits. */
export const WAITING = {
  rate_limit: "The directory asks us to slow down. The upload goes on at the pace that it allows.",
  circuit_breaker: "The directory does not answer properly at the moment. No row is lost: we try again by ourselves until it does.",
  queue: "Other uploads are ahead of this one. It goes on by itself when it is its turn.",
  no_processor: "Nothing is being sent at the moment, because no processor is running. No row is lost; the team that runs this service has to start one.",
  paused: "Sending is paused by the team that runs this service. It goes on by itself when they resume it.",
};

export const STATES = {
  pending: "Waiting", processing: "Running", completed: "Completed", failed: "Failed", cancelled: "Cancelled",
};

export const isFinal = job => !["pending", "processing"].includes(job.status);

/** The word for a job, and the tone it is said in: busy, good, mixed or bad. */
export function state(job) {
  if (!isFinal(job)) return { word: STATES[job.status], tone: "busy" };
  if (job.outcome === "some_failed") return { word: "Partly created", tone: "mixed" };
  if (job.outcome === "all_created" && !job.activated) return { word: "Not activated", tone: "mixed" };
  return { word: STATES[job.status], tone: { completed: "good", failed: "bad" }[job.status] ?? "mixed" };
}

/** One or two sentences: how the job stands, and what there is to do. */
export function story(job) {
  const { total_hospitals: total, created_hospitals: created, failed_hospitals: failed } = job;
  if (job.status === "pending") return "Your file is safe with us. Its first hospital will be sent soon.";
  if (job.status === "processing" && job.processed_hospitals < total) return "You may close this page: the upload goes on without it.";
  if (job.status === "processing") return created === total ? "All hospitals are created; they are being activated now." : "Every row was tried; the result is being written down.";
  if (job.outcome === "all_created") return job.activated ? `All ${hospitals(total)} are created and activated.` : `All ${hospitals(total)} are created, but not activated.`;
  if (job.outcome === "some_failed") return `${count(created)} of ${hospitals(total)} were created, ${count(failed)} failed. They stay inactive, because not all could be created.`;
  if (job.status === "cancelled") return `Cancelled: ${count(created)} of ${hospitals(total)} were created, ${count(failed)} failed, ${count(job.unprocessed_hospitals)} were not sent.`;
  return "No hospital was created. The reasons are below.";
}
