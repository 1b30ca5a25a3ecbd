// The API key, where the service wants one: asked for after a 401, and kept in memory or in the service's own cookie.

const SESSION = "api/v1/session";
let key = null;
let asking = null;

/** Does `work(key)`; after a 401 asks for the key and does it again. `key` is null where none is needed. */
export async function withKey(work) {
  let used = key;
  for (;;) {
    try {
      return await work(used);
    } catch (error) {
      if (error.status !== 401) throw error;
    }
    if (used === key) asking ??= ask(used !== null).finally(() => { asking = null; });
    await asking;
    used = key;
  }
}

async function ask(wasRefused) {
  const dialog = document.getElementById("key-dialog");
  const field = document.getElementById("key");
  const trouble = document.getElementById("key-trouble");
  trouble.textContent = wasRefused ? "This key was not accepted. Check it, and try again." : "";
  field.value = "";
  dialog.addEventListener("cancel", stay);
  dialog.showModal();
  field.focus();
  await new Promise(resolve => dialog.addEventListener("close", resolve, { once: true }));
  dialog.removeEventListener("cancel", stay);
  key = field.value.trim();
  field.value = "";
  await keepInCookie();
}

/** Nothing works without the key, so Escape does not leave an empty page behind. */
function stay(event) {
  event.preventDefault();
}

/** A service that knows sessions keeps the key in a cookie that no script can read; then it is still sent here, which does no harm. */
async function keepInCookie() {
  try {
    await fetch(SESSION, { method: "POST", headers: { "X-API-Key": key } });
  } catch { /* the key in memory does as well */ }
}
