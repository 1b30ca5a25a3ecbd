// One file on its way to the API, with the progress of its sending (which fetch cannot tell).
import { withKey } from "./api_key.js";
import { Problem, understood } from "./api.js";

/**
 * Sends the file as multipart. `onProgress(share)`: 0 to 1 of the bytes are sent. Returns the JSON answer, throws Problem,
 * or an AbortError after `signal`.
 */
export function postFile(url, file, { headers = {}, onProgress, signal }) {
  return withKey(key => new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    signal.addEventListener("abort", abort);
    request.open("POST", url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    if (key) request.setRequestHeader("X-API-Key", key);
    request.upload.addEventListener("progress", event => event.lengthComputable && onProgress(event.loaded / event.total));
    request.addEventListener("load", () => {
      try {
        resolve(understood(request.status, name => request.getResponseHeader(name), request.responseText));
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
