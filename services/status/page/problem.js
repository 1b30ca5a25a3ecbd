// Answers that are errors, and how an answer is read.

/** `status` 0: there was no answer. `message` is for a person. */
export class Problem extends Error {
  constructor(status, document, retryAfter) {
    super(document?.detail ?? unexplained(status));
    this.status = status;
    this.type = document?.error_type ?? null;
    /** What is wrong with the file, as the API's document says it: errors, errors_total, encoding_guesses. */
    this.document = document;
    /** Seconds, null when the answer named none. */
    this.retryAfter = retryAfter ?? null;
  }

  /** The same request may succeed later. */
  get isTemporary() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

function unexplained(status) {
  if (status === 0) return "The service cannot be reached. Check your connection.";
  return `The service gave an answer that this page does not understand (${status}).`;
}

/** `headers`: a function from a header's name to its value or null; `text`: the body. Returns the JSON or throws. */
export function parse(status, headers, text) {
  let body = null;
  try {
    body = JSON.parse(text);
  } catch { /* a proxy's own error page: the status has to do */ }
  if (status >= 200 && status < 300 && body !== null) return body;
  throw new Problem(status, body, Number(headers("Retry-After")) || null);
}

/** The message of a Problem; anything else is a bug of this page and is thrown again. */
export function messageOf(problem) {
  if (problem instanceof Problem) return problem.message;
  throw problem;
}
