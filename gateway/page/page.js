// The page: sign in, ask for pictures, watch them appear, keep them.

import { Problem, call, follow, login, logout, register, serverTime, session } from "./api.js";
import { texts } from "./texts.js";

const STREAMS = 3; // a browser opens six connections to a host; streams must leave some for everything else
const $ = (selector, within = document) => within.querySelector(selector);
const sign = $("#sign"), recipe = $("#recipe"), cards = new Map();
let language = localStorage.getItem("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en");
let models = [], cursor = null, registering = false, attempt = {};

const say = (key, values = {}) => texts[language][key].replace(/{(\w+)}/g, (_, name) => values[name]);
const json = async (...request) => (await call(...request)).json();

function speak() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  sign.username.previousElementSibling.textContent = say(registering ? "username" : "usernameOrEmail");
  $(".main", sign).textContent = say(registering ? "register" : "login");
  $("#switch").textContent = say(registering ? "toLogin" : "toRegister");
  showModels();
  for (const card of cards.values()) show(card);
}

// Errors stand beside their field, or in the form's or card's own line.
function complain(place, error) {
  const words = texts[language].errors;
  const line = $("p.error", place);
  if (!(error instanceof Problem)) line.textContent = say("offline");
  else line.textContent = words[error.code] ?? error.message;
  for (const { pointer, detail } of error.errors ?? []) {
    const field = place.elements?.[pointer?.slice(2)];
    if (!field) continue;
    field.setAttribute("aria-invalid", "true");
    field.insertAdjacentHTML("afterend", '<small class="error"></small>');
    field.nextElementSibling.textContent = detail;
    field.closest("details")?.setAttribute("open", "");
  }
}

async function attend(place, work) {
  $("p.error", place).textContent = "";
  for (const old of place.querySelectorAll("small.error")) old.remove();
  for (const old of place.querySelectorAll("[aria-invalid]")) old.removeAttribute("aria-invalid");
  const buttons = place.querySelectorAll("button");
  for (const button of buttons) button.disabled = true;
  try {
    await work();
  } catch (error) {
    complain(place, error);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

function enter() {
  const inside = Boolean(session.tokens);
  sign.hidden = inside;
  $("#studio").hidden = $("#logout").hidden = !inside;
  $("#who").textContent = "";
  $("#history").replaceChildren();
  cards.clear();
  cursor = null;
  if (!inside) return;
  attend(recipe, async () => {
    models = (await json("GET", "/api/v1/models")).models;
    showModels();
    $("#who").textContent = (await json("GET", "/api/v1/auth/me")).username;
    await loadHistory();
  });
}

function showModels() {
  const chosen = recipe.model.value;
  recipe.model.replaceChildren(...models.map((model) => {
    const option = new Option(model.display_names[language], model.name);
    option.disabled = !model.available;
    if (!model.available) option.text += ` – ${model.unavailable_reason ?? say(model.is_active ? "unavailable" : "inactive")}`;
    else if (model.availability === "cold") option.text += ` – ${say("cold")}`;
    return option;
  }));
  const usable = models.find((model) => model.name === chosen) ?? models.find((model) => model.available);
  if (usable) recipe.model.value = usable.name;
  showLimits();
}

function showLimits() {
  const model = models.find((each) => each.name === recipe.model.value);
  if (!model) return;
  const { limits, defaults } = model;
  $("#about").textContent = `${model.descriptions[language]} (${model.license})`;
  $("#negative").hidden = !model.negative_prompt_supported;
  recipe.negative_prompt.placeholder = defaults.negative_prompt;
  for (const name of ["width", "height", "steps", "cfg", "count"]) {
    const { min, max } = limits[name];
    Object.assign(recipe[name], { min, max, placeholder: defaults[name] ?? 1 });
  }
  recipe.width.step = recipe.height.step = limits.size_multiple;
  recipe.seed.placeholder = say("random");
}

function recipeOf() {
  const sent = { prompt: recipe.prompt.value, model: recipe.model.value };
  if (recipe.negative_prompt.value && !$("#negative").hidden) sent.negative_prompt = recipe.negative_prompt.value;
  for (const name of ["width", "height", "steps", "cfg", "seed", "count"])
    if (recipe[name].value) sent[name] = recipe[name].valueAsNumber;
  return JSON.stringify(sent);
}

async function generate() {
  const body = recipeOf();
  // The key stays until there is an answer: pressing again after a lost connection makes no second task.
  if (attempt.body !== body) attempt = { body, key: randomKey() };
  const headers = { "Idempotency-Key": attempt.key };
  const task = await json("POST", "/api/v1/generation/generate", { body, headers });
  attempt = {};
  $("#suggestions").replaceChildren();
  $("#history").prepend(cardOf(task).element);
}

// crypto.randomUUID exists on https only, and a phone at home comes by http.
const randomKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16)).join("-");

async function loadHistory() {
  const query = cursor ? `?cursor=${encodeURIComponent(cursor)}` : "";
  const page = await json("GET", `/api/v1/generation/history${query}`);
  cursor = page.next_cursor;
  $("#more").hidden = !cursor;
  for (const task of page.tasks) if (!cards.has(task.id)) $("#history").append(cardOf(task).element);
}

function cardOf(task) {
  const card = { task, element: $("#card").content.cloneNode(true).firstElementChild };
  cards.set(task.id, card);
  $(".reuse", card.element).onclick = () => reuse(card.task);
  $(".cancel", card.element).onclick = () => attend(card.element, async () => {
    card.task = await json("POST", card.task.links.cancel);
    show(card);
  });
  for (const element of card.element.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  show(card);
  if (!task.finished_at) watch(card).catch((error) => complain(card.element, error));
  return card;
}

let streams = 0;
const queue = [];

async function watch(card) {
  if (streams >= STREAMS) await new Promise((turn) => queue.push(turn));
  streams += 1;
  try {
    for await (const { kind, data } of follow(card.task.links.events)) {
      if (!card.element.isConnected && !cards.has(card.task.id)) return;
      if (kind === "snapshot" || kind === "status") card.task = data;
      if (kind === "progress") Object.assign(card.task, { progress: data, waiting_reason: null });
      if (kind === "preview") card.preview = `data:${data.media_type};base64,${data.image}`;
      show(card);
    }
  } finally {
    streams -= 1;
    queue.shift()?.();
  }
}

function stateOf(task) {
  const words = texts[language];
  const state = [words.state[task.status]];
  const loading = task.status === "processing" && task.waiting_reason;
  if (task.status === "processing" && task.progress) state[0] = say("step", task.progress);
  if (task.waiting_reason) state.splice(loading ? 0 : 1, 1, words.waiting[task.waiting_reason]);
  if (task.position) state.push(say("place", { n: task.position }));
  if (task.eta) state.push(remaining(task.eta));
  if (!task.finished_at && task.cancel_requested) state.push(say("canceling"));
  if (task.results_unavailable) state.push(say("noResults"));
  if (task.error) state.push(task.error.message);
  return state.join(" ");
}

function remaining({ p50, p90 }) {
  const [half, most] = [p50, p90].map((time) => (Date.parse(time) - serverTime()) / 1000);
  if (most <= 0) return say("late");
  return say(span(half) === span(most) ? "about" : "aboutAtMost", { half: span(half), most: span(most) });
}

// Rounded as people speak, so that the text changes seldom.
function span(seconds) {
  if (seconds < 60) return say("seconds", { n: Math.max(5 * Math.ceil(seconds / 5), 5) });
  return seconds < 5400 ? say("minutes", { n: Math.round(seconds / 60) }) : say("hours", { n: Math.round(seconds / 3600) });
}

function speakState({ task, element }) {
  const text = stateOf(task);
  if ($(".state", element).textContent !== text) $(".state", element).textContent = text;
}

function show(card) {
  const { task, element, preview } = card;
  const going = !task.finished_at;
  speakState(card);
  $(".prompt", element).textContent = task.prompt;
  const model = models.find((each) => each.name === task.model);
  const when = new Date(task.created_at).toLocaleString(language);
  const values = [`${task.width}×${task.height}`, `${say("steps")} ${task.steps}`, `${say("seed")} ${task.seed}`, when];
  $(".facts", element).textContent = [model?.display_names[language] ?? task.model, ...values].join(" · ");
  $(".cancel", element).hidden = !going || task.cancel_requested;
  Object.assign($("progress", element), { hidden: task.status !== "processing" || task.waiting_reason, value: task.progress?.percent ?? 0 });
  Object.assign($(".preview", element), { hidden: !going || !preview, src: preview ?? "" });
  $(".pictures", element).replaceChildren(...task.results.map((result) => pictureOf(result, task, element)));
}

function pictureOf(result, task, card) {
  const figure = $("#picture").content.cloneNode(true).firstElementChild;
  const { image_url: src, width, height } = result;
  Object.assign($("img", figure), { src, width, height, alt: task.prompt });
  for (const element of figure.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  $(".download", figure).onclick = () => attend(card, async () => {
    const fresh = await json("GET", `/api/v1/results/${result.id}`); // the link that was shown may have expired
    const extension = fresh.media_type.split("/")[1];
    Object.assign(document.createElement("a"), { href: fresh.image_url, download: `${result.id}.${extension}` }).click();
  });
  $(".delete", figure).onclick = () => confirm(say("reallyDelete")) && attend(card, async () => {
    await call("DELETE", `/api/v1/results/${result.id}`);
    task.results = task.results.filter((each) => each !== result);
    figure.remove();
  });
  return figure;
}

function reuse(task) {
  for (const name of ["prompt", "model", "negative_prompt", "width", "height", "steps", "cfg", "seed", "count"])
    recipe[name].value = task[name];
  showLimits();
  recipe.scrollIntoView({ behavior: "smooth" });
}

let typing = null;

async function suggest() {
  typing?.abort();
  typing = new AbortController();
  const { signal } = typing;
  await new Promise((pause) => setTimeout(pause, 200));
  if (signal.aborted) return;
  const path = `/api/v1/generation/suggestions?limit=6&q=${encodeURIComponent(recipe.prompt.value)}`;
  // Suggestions are a courtesy: without them the page goes on.
  const { suggestions } = await json("GET", path, { signal }).catch(() => ({ suggestions: [] }));
  if (signal.aborted) return;
  $("#suggestions").replaceChildren(...suggestions.map(({ text }) => {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "quiet", textContent: text });
    button.onclick = () => { recipe.prompt.value = text; recipe.prompt.focus(); suggest(); };
    return button;
  }));
}

sign.onsubmit = (event) => {
  event.preventDefault();
  attend(sign, async () => {
    const { username, email, password } = Object.fromEntries(new FormData(sign));
    if (registering) await register({ username, email, password });
    await login({ username, password });
    sign.reset();
    enter();
  });
};
$("#switch").onclick = () => {
  registering = !registering;
  $("#email").hidden = !registering;
  sign.email.required = registering;
  sign.password.autocomplete = registering ? "new-password" : "current-password";
  speak();
};
recipe.onsubmit = (event) => { event.preventDefault(); attend(recipe, generate); };
// A folded field that the browser finds wrong could not be shown, and the form would not go without a word.
recipe.addEventListener("invalid", ({ target }) => target.closest("details")?.setAttribute("open", ""), true);
recipe.model.onchange = showLimits;
recipe.prompt.oninput = suggest;
$("#more").onclick = () => attend(recipe, loadHistory);
$("#logout").onclick = () => { logout().catch(() => {}); enter(); };
$("#language").onclick = () => {
  language = language === "zh" ? "en" : "zh";
  localStorage.setItem("language", language);
  speak();
};
setInterval(() => { for (const card of cards.values()) if (card.task.eta) speakState(card); }, 5000);
session.onend = enter;
speak();
enter();
