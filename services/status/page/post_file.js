// Sends one file to the API with XMLHttpRequest: fetch cannot report the progress of sending.
import { Problem, parse } from "./problem.js";
import { signedIn } from "./session.js";

/**
 * Sends the file as multipart. `onProgress(share)`: 0 to 1 of the bytes are sent. Returns the JSON answer, throws Problem,
 * or an AbortError after `signal`.
 */
export function postFile(url, file, { headers = {}, onProgress, signal }) {
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
    request.addEventListener("error", () => reject(new Problem(0)));
    request.addEventListener("abort", () => reject(new DOMException("Another file was chosen", "AbortError")));
    request.addEventListener("loadend", () => signal.removeEventListener("abort", abort));
    const form = new FormData();
    form.append("file", file, file.name);
    request.send(form);
  }));
}
