"use strict";
const byId = (id) => document.getElementById(id);
const keys = byId("keys"), showKeys = byId("show-keys"), form = byId("answer-form");
const started = performance.now();

showKeys.hidden = false;
showKeys.addEventListener("click", () => keys.showModal());

if (form) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) return event.preventDefault();
    sent = true;
    byId("elapsed").value = String(Math.round(performance.now() - started));
  });
  window.addEventListener("pageshow", () => { sent = false; });
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("textarea, input");
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && form) {
    event.preventDefault();
    form.requestSubmit(byId("submit"));
    return;
  }
  if (event.key === "Escape" && typing) { event.target.blur(); return; }
  if (typing || keys.open || event.ctrlKey || event.metaKey || event.altKey) return;
  const next = byId("next"), override = byId("override");
  if (event.key === "?") keys.showModal();
  else if (next && (event.key === "n" || event.key === "N")) next.click();
  else if (next && event.key === "Enter" && !event.target.closest("a, button")) next.click();
  else if (override && /^[1-5]$/.test(event.key)) {
    override.requestSubmit(override.querySelector(`button[value="${event.key}"]`));
  }
});

const result = byId("result");
if (result) {
  byId("verdict").focus({ preventScroll: true });
  if (result.dataset.waiting) watch(result.dataset.answer, 0);
}

// Ask for the language model's verdict until it is there; the page then shows what changed.
async function watch(answer, tries) {
  if (tries > 60) return;
  await new Promise((resolve) => setTimeout(resolve, Math.min(500 + tries * 100, 3000)));
  let body = null;
  try {
    const reply = await fetch(`/api/v1/answers/${answer}`);
    body = reply.ok ? await reply.json() : null;
  } catch { /* the service is away for a moment: try again */ }
  if (!body || body.pending) return watch(answer, tries + 1);
  const page = await (await fetch(location.href)).text();
  const fresh = new DOMParser().parseFromString(page, "text/html");
  const status = byId("status"), said = fresh.getElementById("status").textContent;
  const reason = byId("reason").value;
  for (const part of ["#verdict", ".points", ".columns", ".next"]) {
    const now = document.querySelector(part), then = fresh.querySelector(part);
    if (part === "#verdict") {
      now.className = then.className;
      for (const inner of [".rating", ".scale", ".feedback"]) now.querySelector(inner).replaceWith(then.querySelector(inner));
    } else now.replaceWith(then);
  }
  byId("reason").value = reason;
  document.title = fresh.title;
  status.textContent = said;
}
