// Who is signed in, where the service wants an API key. The key goes into the service's own cookie, which no script can
// read; nothing here keeps it.
import { modal } from "./dialogs.js";
import { announce, button, el, quoted, write } from "./elements.js";

const SESSION = "api/v1/session";
/** The tenant of everybody, where no keys are in use. */
const EVERYBODY = "default";
let signingIn = null;

/** Does `work()`; after a 401 asks for the key and does it again. */
export async function signedIn(work) {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (error.status !== 401) throw error;
    }
    signingIn ??= signIn().finally(() => { signingIn = null; });
    await signingIn;
  }
}

/** Shows who is signed in. Without a session, the first call that is refused asks for the key. */
export async function welcome() {
  const answer = await post(null);
  if (answer?.ok) showTenant((await answer.json()).tenant);
}

async function signIn() {
  const problemText = el("p", { class: "problem", role: "alert" });
  const field = el("input", { id: "key", type: "password", autocomplete: "current-password", spellcheck: "false", required: true });
  await modal("Your API key, please", close => [
    el("p", {}, "This service is for known users only. The key comes from the team that runs it. It is kept until you sign out or close the browser."),
    el("label", { for: "key" }, "API key"), field, problemText,
    el("div", { class: "buttons" }, el("button", { type: "submit", class: "main" }, "Sign in")),
    async () => {
      const answer = await post(field.value.trim());
      if (answer?.ok) {
        showTenant((await answer.json()).tenant);
        return close(true);
      }
      write(problemText, answer?.status === 401 ? "This key was not accepted. Check it, and try again." : "The service cannot be reached. Try again in a moment.");
      field.select();
    },
  ], { stays: true });
}

/** `key` null: with the cookie alone. Null when there is no answer. */
async function post(key) {
  try {
    return await fetch(SESSION, { method: "POST", cache: "no-store", headers: key ? { "X-API-Key": encodable(key) } : {} });
  } catch {
    return null;
  }
}

/** A header holds no other signs; a key with others is wrong in any case. */
const encodable = key => key.replace(/[^\x20-\x7e]/g, "?");

function showTenant(tenant) {
  const place = document.getElementById("session");
  if (tenant === EVERYBODY) return place.replaceChildren();
  place.replaceChildren(el("span", { class: "soft" }, "Signed in as ", quoted(tenant)), button("Sign out", signOut, "quiet"));
}

async function signOut() {
  try {
    await fetch(SESSION, { method: "DELETE" });
    location.reload();
  } catch {
    announce("The service cannot be reached. You are still signed in.");
  }
}
