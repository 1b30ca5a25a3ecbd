// Calls to the API: one origin, JSON, errors as problem documents.
import { Problem, parse } from "./problem.js";
import { signedIn } from "./session.js";

const ROOT = "api/v1/hospitals";

async function call(method, path, { signal, body } = {}) {
  return signedIn(async () => {
    const json = body && { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
    let answer;
    try {
      answer = await fetch(`${ROOT}${path}`, { method, signal, cache: "no-store", ...json });
    } catch (error) {
      throw error.name === "AbortError" ? error : new Problem(0);
    }
    return parse(answer.status, name => answer.headers.get(name), await answer.text());
  });
}

function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

const id = encodeURIComponent;

export const jobStatus = (jobId, signal) => call("GET", `/status/${id(jobId)}`, { signal });
export const jobs = (parameters, signal) => call("GET", `/jobs${query(parameters)}`, { signal });
export const rows = (jobId, parameters, signal) => call("GET", `/jobs/${id(jobId)}/rows${query(parameters)}`, { signal });
export const cancelJob = jobId => call("POST", `/jobs/${id(jobId)}/cancel`);
export const failures = (jobId, signal) => call("GET", `/jobs/${id(jobId)}/failures`, { signal });
export const history = (jobId, cursor, signal) => call("GET", `/jobs/${id(jobId)}/history${query({ cursor })}`, { signal });
export const retryJob = (jobId, codes = []) => call("POST", `/jobs/${id(jobId)}/retry`, codes.length ? { body: { codes } } : {});
export const resolveRow = (jobId, row, decision) => call("POST", `/jobs/${id(jobId)}/rows/${id(row)}/resolve`, { body: decision });
export const activateBatch = batchId => call("PATCH", `/bulk/batch/${id(batchId)}/activate`);

/** Where the browser itself fetches from, with its cookie. */
export const eventsOf = jobId => `${ROOT}/jobs/${id(jobId)}/events`;
export const resultFile = (jobId, name) => `${ROOT}/jobs/${id(jobId)}/${name}.csv?bom=true`; // for Excel
export const resultWorkbook = (jobId, name) => `${ROOT}/jobs/${id(jobId)}/${name}.xlsx`;

export const UPLOAD = `${ROOT}/bulk`;
export const VALIDATE = `${ROOT}/validate`;
