// A file with the parameters that somebody has chosen for it. Another file or other parameters are another attempt, with
// another idempotency key: so the same request is never two jobs, and another request is never taken for an earlier one.

/**
 * `source`: the file as it was chosen; `file`: as it is sent, corrected or not. `parameters`: those of the API, by their
 * names; what is null or false is not sent.
 */
export function newAttempt(source, { file = source, parameters = {} } = {}) {
  return {
    source, file, parameters,
    isCorrected: file !== source,
    isEdited: false,
    sending: false,
    key: newKey(),
    /** The parameters for another file in its place: a corrected one is UTF-8. */
    parametersOf: other => other === file ? parameters : { ...parameters, encoding: null },
    controller: new AbortController(),
  };
}

/** The parameters as form fields. */
export function fieldsOf(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value || value === 0);
  return Object.fromEntries(given.map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : String(value)]));
}

/** Not randomUUID: browsers have it on secure addresses only. */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, "0")).join("");
}

/** The service's answer about a file, whole also when it comes from an older service. */
export function whole(verdict) {
  const { errors = [], warnings = [] } = verdict;
  const trimmed = names => names.map(name => name.trim());
  const mapping = verdict.mapping && Object.fromEntries(Object.entries(verdict.mapping).map(([field, names]) => [field, trimmed(names)]));
  return {
    errors_total: errors.length, warnings_total: warnings.length, encoding_guesses: [], encoding: null, delimiter: null,
    header_row: null, sheet: null, sheets: [], sample: [], estimated_seconds: null, same_file_as: [], ...verdict, errors, warnings, mapping: mapping ?? null,
  };
}
