// The page: which view the address asks for, and files that are dropped anywhere.
import { el } from "./elements.js";
import { jobList } from "./job_list.js";
import { jobPage } from "./job_page.js";
import { welcome } from "./session.js";
import { uploadCard } from "./upload.js";

const main = document.getElementById("main");
let view = null;

// There is one of it, so that an upload goes on, and a question stays open, while somebody looks at another upload.
const upload = uploadCard({
  onShow: () => { if (!view.isHome) location.hash = listAddress; },
  onAccepted: jobId => { location.hash = `#/jobs/${encodeURIComponent(jobId)}`; },
});

/** Where the list was left: what was looked for in it is part of its address. */
let listAddress = "#/";

function home() {
  const said = new URLSearchParams(location.hash.split("?")[1]);
  const chosen = { q: said.get("q") ?? "", show: said.get("show") ?? "" };
  listAddress = addressOf(chosen);
  const list = jobList(chosen, anew => {
    listAddress = addressOf(anew);
    history.replaceState(null, "", listAddress);
  });
  const title = el("h1", { class: "unseen", tabindex: "-1" }, "Hospital bulk upload");
  return {
    isHome: true,
    element: el("div", {}, title, upload.element, list.element),
    focus: () => upload.focus() || title.focus(),
    stop: list.stop,
  };
}

function addressOf(chosen) {
  const given = new URLSearchParams(Object.entries(chosen).filter(([, value]) => value));
  return given.size ? `#/?${given}` : "#/";
}

function show(isFirst) {
  const job = location.hash.match(/^#\/jobs\/([^/]+)$/);
  view?.stop();
  document.title = "Hospital bulk upload";
  view = job ? jobPage(decoded(job[1]), { correct: upload.choose, list: listAddress }) : home();
  main.replaceChildren(view.element);
  // After a link was followed the new view is where reading goes on; a page just opened begins at its top.
  if (!isFirst) view.focus();
  scrollTo(0, 0);
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

addEventListener("hashchange", () => show(false));

// The address is the view's: the skip link must not change it.
document.querySelector(".skip").addEventListener("click", event => {
  event.preventDefault();
  main.focus();
});

addEventListener("dragover", event => {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "copy";
  document.body.classList.add("dropping");
});
addEventListener("dragleave", event => event.relatedTarget ?? document.body.classList.remove("dropping"));
addEventListener("drop", event => {
  document.body.classList.remove("dropping");
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  const files = [...event.dataTransfer.files];
  if (files.length) upload.take(files);
});

show(true);
welcome();
