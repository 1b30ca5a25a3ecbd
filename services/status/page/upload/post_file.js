// Sends one file to the API. With XMLHttpRequest, where its progress is shown: fetch cannot report it.
import { Problem, parse } from "../problem.js";
import { signedIn } from "../session.js";

const CHANGED = { detail: "The file has changed since it was chosen. Choose it again.", error_type: "file_changed" };

/**
 * Sends the file as multipart, with `fields` beside it. `onProgress(share)`: 0 to 1 of the bytes are sent. Returns the JSON answer, throws Problem,
 * or an AbortError after `signal`.
 */
export function postFile(url, file, { headers = {}, fields = {}, onProgress, signal }) {
  return signedIn(() => new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    signal.addEventListener("abort", abort);
    request.open("POST", url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", event => event.lengthComputable && onProgress(event.loaded / event.total));
    request.addEventListener("load", () => {
      try {
        resolve(parse(request.status, name => request.getResponseHeader(name), request.responseText));
      } catch (problem) {
        reject(problem);
      }
    });
    request.addEventListener("error", async () => reject(await isReadable(file) ? new Problem(0) : new Problem(400, CHANGED)));
    request.addEventListener("abort", () => reject(new DOMException("Another file was chosen", "AbortError")));
    request.addEventListener("loadend", () => signal.removeEventListener("abort", abort));
    request.send(formOf(file, fields));
  }));
}

/**
 * All errors and warnings of a file as a CSV, a Blob; null when an older service has no such list. Throws Problem, or an
 * AbortError after `signal`.
 */
export function fetchProblemList(url, file, fields, signal) {
  return signedIn(async () => {
    let answer;
    try {
      answer = await fetch(url, { method: "POST", body: formOf(file, fields), headers: { Accept: "text/csv" }, cache: "no-store", signal });
    } catch (error) {
      throw error.name === "AbortError" ? error : new Problem(0);
    }
    if (answer.headers.get("Content-Type")?.startsWith("text/csv")) return answer.blob();
    parse(answer.status, name => answer.headers.get(name), await answer.text());
    return null;
  });
}

function formOf(file, fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", file, file.name);
  return form;
}

/** Browsers refuse a file that another program has written meanwhile. */
async function isReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
