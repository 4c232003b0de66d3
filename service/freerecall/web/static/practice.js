"use strict";
const byId = (id) => document.getElementById(id);
const keys = byId("keys"), showKeys = byId("show-keys");
let started = performance.now(), sent = false;

showKeys.hidden = false;
showKeys.addEventListener("click", () => keys.showModal());
window.addEventListener("pageshow", () => { sent = false; });
window.addEventListener("popstate", () => location.reload());

document.addEventListener("click", (event) => {
  if (event.target.closest("#hint")) { event.preventDefault(); help(); }
});

// The result takes the question's place without a new page: it is there sooner.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.id !== "answer-form") return;
  event.preventDefault();
  if (sent) return;
  sent = true;
  byId("elapsed").value = String(Math.round(performance.now() - started));
  const filled = new URLSearchParams(new FormData(form, event.submitter));
  try {
    const reply = await fetch(form.action, { method: "POST", body: filled });
    const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
    history.pushState(null, "", reply.url);
    document.title = fresh.title;
    document.querySelector("main").replaceWith(fresh.querySelector("main"));
    window.scrollTo(0, 0);
    arrive();
  } catch { form.submit(); }  // the same answer twice counts once
});

// Single keys, where nothing is being typed: each presses a button or follows a link of the page.
const PRESSED = {
  n: ["next"], r: ["again"], u: ["undo", "undo-last"], d: ["dont-know"], h: ["hint"],
  s: ["hold", "skip"], b: ["hold", "bury"], x: ["hold", "suspend"],
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("textarea, input, select");
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && byId("answer-form")) {
    event.preventDefault();
    byId("answer-form").requestSubmit(byId("submit"));
    return;
  }
  if (event.key === "Escape" && typing) { event.target.blur(); return; }
  if (typing || keys.open || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const override = byId("override"), next = byId("next");
  if (event.key === "?") keys.showModal();
  else if (next && event.key === "Enter" && !event.target.closest("a, button, summary")) next.click();
  else if (override && /^[1-5]$/.test(event.key)) {
    override.requestSubmit(override.querySelector(`button[value="${event.key}"]`));
  } else if (Object.hasOwn(PRESSED, event.key.toLowerCase())) press(...PRESSED[event.key.toLowerCase()]);
});

function press(first, second) {
  const found = byId(first) || byId(second);
  if (!found || found.hidden) return;
  if (first === "hold") found.requestSubmit(found.querySelector(`button[value="${second}"]`));
  else if (found.matches("form")) found.requestSubmit();
  else found.click();
}

// First how many key points there are, then their first letters; what was typed stays.
async function help() {
  const level = Math.min(Number(byId("level").value) + 1, 2), place = byId("help");
  const reply = await fetch(`/api/v1/cards/${encodeURIComponent(place.dataset.card)}/hint?level=${level}`);
  if (!reply.ok) return;
  const { points } = await reply.json();
  byId("level").value = String(level);
  const count = document.createElement("p");
  count.textContent = points.length === 1 ? "1 key point" : `${points.length} key points`;
  const list = document.createElement("ul");
  if (level > 1) list.append(...points.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  place.replaceChildren(count, ...(level > 1 ? [list] : []));
}

arrive();
function arrive() {
  const result = byId("result");
  if (!result) return;
  byId("verdict").focus({ preventScroll: true });
  if (result.dataset.waiting) watch(result.dataset.answer);
}

// The language model's verdict comes as an event; the page then shows what changed.
function watch(answer) {
  const events = new EventSource(`/api/v1/answers/${answer}/events`);
  events.addEventListener("grade", (event) => { if (!JSON.parse(event.data).pending) done(); });
  events.addEventListener("verdict", done);
  events.addEventListener("failed", () => {
    events.close();
    byId("status").textContent = "The language model could not be asked now; this grade stands until it can.";
  });
  function done() { events.close(); show(); }
}

async function show() {
  const page = await (await fetch(location.href)).text();
  const fresh = new DOMParser().parseFromString(page, "text/html");
  const status = byId("status"), said = fresh.getElementById("status").textContent;
  const reason = byId("reason").value;
  for (const part of ["#verdict", ".points", ".columns", ".next"]) {
    const now = document.querySelector(part), then = fresh.querySelector(part);
    if (part === "#verdict") {
      now.className = then.className;
      for (const inner of [".rating", ".scale", ".feedback", ".changes"]) now.querySelector(inner).replaceWith(then.querySelector(inner));
    } else now.replaceWith(then);
  }
  byId("reason").value = reason;
  document.title = fresh.title;
  status.textContent = said;
}
