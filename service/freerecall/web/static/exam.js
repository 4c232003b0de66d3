"use strict";
// Keeps what is typed: on the server at every pause, and in this browser until the server has it.
const sitting = document.getElementById("sitting");
const kept = document.getElementById("kept"), left = document.getElementById("left");
const PAUSE_MS = 700, RETRY_MS = 3000;
const waiting = new Map();
let closed = false;

const key = (number) => `freerecall ${sitting.dataset.sitting} ${number}`;
const parts = (section) => [section.querySelector("textarea"), section.querySelector("input[type=checkbox]")];

for (const section of sitting.querySelectorAll(".ask")) {
  const number = section.dataset.number, [text, flag] = parts(section);
  const unsent = JSON.parse(localStorage.getItem(key(number)) || "null");
  if (unsent && unsent.revision > Number(text.dataset.revision)) {
    text.value = unsent.text;
    flag.checked = unsent.flagged;
    save(section);
  }
  show(section);
  text.addEventListener("input", () => typed(section));
  flag.addEventListener("change", () => { typed(section); save(section); });
}

function typed(section) {
  const [text, flag] = parts(section), number = section.dataset.number;
  const revision = Math.max(Date.now(), Number(text.dataset.revision) + 1);
  text.dataset.revision = String(revision);
  localStorage.setItem(key(number), JSON.stringify({ text: text.value, flagged: flag.checked, revision }));
  show(section);
  clearTimeout(waiting.get(number));
  waiting.set(number, setTimeout(() => save(section), PAUSE_MS));
}

async function save(section) {
  const [text, flag] = parts(section), number = section.dataset.number;
  clearTimeout(waiting.get(number));
  waiting.delete(number);
  const revision = Number(text.dataset.revision) || Date.now();
  try {
    const reply = await fetch(`/api/v1/sittings/${sitting.dataset.sitting}/answers/${number}`, {
      method: "PUT", keepalive: true, headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ text: text.value, flagged: flag.checked, revision }),
    });
    if (reply.status === 409) return over();
    if (!reply.ok) throw new Error(String(reply.status));
    const unsent = JSON.parse(localStorage.getItem(key(number)) || "null");
    if (unsent && unsent.revision <= revision) localStorage.removeItem(key(number));
    kept.textContent = "Kept.";
  } catch {
    kept.textContent = "Not kept on the server yet; trying again.";
    if (!closed) waiting.set(number, setTimeout(() => save(section), RETRY_MS));
  }
}

function show(section) {
  const [text, flag] = parts(section), link = document.querySelector(`[data-to="${section.dataset.number}"]`);
  link.classList.toggle("typed", text.value.trim() !== "");
  link.classList.toggle("flagged", flag.checked);
  link.setAttribute("aria-label", `${section.dataset.number}${text.value.trim() ? ", answered" : ""}${flag.checked ? ", flagged" : ""}`);
}

// All on one page, or the one question that the address names.
const single = document.getElementById("single"), sections = [...sitting.querySelectorAll(".ask")];
single.hidden = false;
single.addEventListener("click", () => {
  single.setAttribute("aria-pressed", String(single.getAttribute("aria-pressed") !== "true"));
  turn();
});
document.querySelector(".numbers").addEventListener("click", (event) => {
  if (!event.target.hash || single.getAttribute("aria-pressed") !== "true") return;
  event.preventDefault();  // a jump would take the focus
  history.replaceState(null, "", event.target.hash);
  turn();
});

function turn() {
  const alone = single.getAttribute("aria-pressed") === "true";
  const chosen = sections.find((section) => `#${section.id}` === location.hash) || sections[0];
  for (const section of sections) section.hidden = alone && section !== chosen;
  if (alone) chosen.querySelector("textarea").focus();
}

function over() { closed = true; location.href = `/sittings/${sitting.dataset.sitting}/report`; }

sitting.addEventListener("submit", () => { closed = true; for (const timer of waiting.values()) clearTimeout(timer); });
window.addEventListener("pagehide", () => {
  if (closed) return;
  for (const number of [...waiting.keys()]) save(sitting.querySelector(`[data-number="${number}"]`));
});

if (sitting.dataset.left) {
  const end = performance.now() + 1000 * Number(sitting.dataset.left);
  const tick = () => {
    const seconds = Math.max(Math.ceil((end - performance.now()) / 1000), 0);
    left.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} left`;
    if (seconds === 0 && !closed) { closed = true; sitting.requestSubmit(); } else if (!closed) setTimeout(tick, 500);
  };
  tick();
}
