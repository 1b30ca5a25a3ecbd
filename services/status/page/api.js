// Calls to the API: one origin, JSON, errors as problem documents.
import { withKey } from "./api_key.js";

const ROOT = "api/v1/hospitals";

/** An answer that is an error. `status` 0: there was no answer. `message` is for a person. */
export class Problem extends Error {
  constructor(status, document, retryAfter) {
    super(document?.detail ?? unexplained(status));
    this.status = status;
    this.type = document?.error_type ?? null;
    this.errors = document?.errors ?? null;
    /** Seconds, null when the answer named none. */
    this.retryAfter = retryAfter;
  }

  /** The same request may succeed later. */
  get passes() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

function unexplained(status) {
  if (status === 0) return "The service cannot be reached. Check your connection.";
  return `The service gave an answer that this page does not understand (${status}).`;
}

/** `headers`: a function from a header's name to its value or null; `text`: the body. Returns the JSON or throws. */
export function understood(status, headers, text) {
  let body = null;
  try {
    body = JSON.parse(text);
  } catch { /* a proxy's own error page: the status has to do */ }
  if (status >= 200 && status < 300 && body !== null) return body;
  throw new Problem(status, body, Number(headers("Retry-After")) || null);
}

async function call(method, path, signal) {
  return withKey(async key => {
    let answer;
    try {
      answer = await fetch(`${ROOT}${path}`, { method, signal, cache: "no-store", headers: key ? { "X-API-Key": key } : {} });
    } catch (error) {
      throw error.name === "AbortError" ? error : new Problem(0);
    }
    return understood(answer.status, name => answer.headers.get(name), await answer.text());
  });
}

function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

const id = encodeURIComponent;

export const jobStatus = (jobId, signal) => call("GET", `/status/${id(jobId)}`, signal);
export const jobs = (parameters, signal) => call("GET", `/jobs${query(parameters)}`, signal);
export const rows = (jobId, parameters, signal) => call("GET", `/jobs/${id(jobId)}/rows${query(parameters)}`, signal);
export const activateBatch = batchId => call("PATCH", `/bulk/batch/${id(batchId)}/activate`);

export const UPLOAD = `${ROOT}/bulk`;
export const VALIDATE = `${ROOT}/validate`;
