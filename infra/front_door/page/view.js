"use strict";

/* What is on the page. Whatever comes from outside is shown as text or as a picture, never as HTML. */

// Beside the photo there is one of these at a time.
const PANELS = ["key-form", "trouble", "waiting", "answer", "known"];
// Before there is an answer, so many of the breeds are shown with a photo: few requests, two rows.
const GALLERY = 6;

const at = (id) => document.getElementById(id);

let countdown = null;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function show(panel) {
  for (const id of PANELS) at(id).hidden = id !== panel;
  clearInterval(countdown);
}

/** Have a screen reader say what happens; what it finds in focus afterwards it says by itself. */
function say(text) {
  at("status").textContent = text;
}

/** @param photo readPhoto's, or null: there is none. */
function showPhoto(photo) {
  URL.revokeObjectURL(at("photo").src);
  const url = photo?.shown ? URL.createObjectURL(photo.body) : null;
  for (const image of [at("photo"), at("backdrop")]) {
    image.hidden = url === null;
    if (url === null) image.removeAttribute("src");
    else image.src = url;
  }
  at("explanation").removeAttribute("src");
  at("no-picture").hidden = photo === null || photo.shown;
  document.body.classList.toggle("filled", photo !== null);
  at("choose").textContent = photo === null ? "Choose a photo" : "Another photo";
  at("views").hidden = true;
  chooseView("photo");
}

function chooseView(view) {
  at("views").querySelector(`[value=${view}]`).checked = true;
  at("photo").classList.toggle("away", view !== "photo"); // it keeps its place, so that nothing jumps
  at("explanation").hidden = view !== "explanation";
  caption("");
}

function caption(text) {
  at("caption").textContent = text;
  at("caption").hidden = text === "";
}

function showExplanation({ label, content_type: type, data }) {
  at("explanation").src = `data:${type};base64,${data}`;
  at("explanation").alt = `Your photo, bright where the model found what speaks for ${label}`;
  at("no-picture").hidden = true;
  chooseView("explanation");
  caption(`Bright: what speaks for ${label}. Dark: what does not matter.`);
}

/** @param example a function that puts the example photo of a label into an <img>. */
function showAnswer(answer, example) {
  const { sure, short, long } = sureness(answer);
  at("sureness").textContent = short;
  at("breed").textContent = answer.predictions[0].label;
  at("words").textContent = long;
  at("answer").classList.toggle("unsure", !sure);
  at("breeds").replaceChildren(...answer.predictions.map((prediction) => rowOf(prediction, example)));
  show("answer");
  say("");
  at("verdict").focus();
}

function rowOf({ label, probability }, example) {
  const fill = element("span", { className: "fill" });
  fill.style.width = `${probability * 100}%`;
  const bar = element("span", { className: "bar" }, fill);
  const name = element("span", { className: "name" }, label);
  const share = element("span", { className: "share" }, percent(probability));
  return element("li", {}, frameOf(label, example), element("span", { className: "line" }, name, " ", share, bar));
}

/** A frame for an example photo, which comes into it once it is here; until then, or for ever, there is a paw. */
function frameOf(label, example) {
  const photo = element("img", { alt: `Example of ${label}`, hidden: true });
  photo.addEventListener("load", () => (photo.hidden = false));
  example(photo, label);
  return element("span", { className: "example" }, at("paw-alone").content.cloneNode(true), photo);
}

function showTrouble(trouble, { said, request, wait = 0 }) {
  show("trouble");
  say("");
  at("trouble-title").textContent = trouble.title;
  at("trouble-text").textContent = wait > 0 ? `${trouble.text} Try again in ${duration(wait)}.` : trouble.text;
  at("trouble-detail").textContent = said ? `The API says: ${said} (request ${request}).` : "";
  at("again").hidden = !trouble.again;
  countDown(wait);
  at("trouble-title").focus();
}

/** Keep people from asking again before it can help. */
function countDown(seconds) {
  const end = Date.now() + seconds * 1000;
  const tick = () => {
    const left = Math.ceil((end - Date.now()) / 1000);
    at("again").disabled = left > 0;
    at("again").textContent = left > 0 ? `Try again in ${duration(left)}` : "Try again";
    if (left <= 0) clearInterval(countdown);
  };
  countdown = setInterval(tick, 250);
  tick();
}

function showKeyForm(error = "") {
  show("key-form");
  say("");
  at("key-error").textContent = error;
  at("key").setAttribute("aria-invalid", String(error === KEY_ERRORS.malformed || error === KEY_ERRORS.refused));
}

/** @param breeds a Map of the API's breeds by their label. */
function showKnown(breeds, example) {
  const labels = [...breeds.keys()];
  const pictured = labels.filter((label) => breeds.get(label).example !== null);
  const count = Math.min(GALLERY, pictured.length);
  const some = Array.from({ length: count }, (_, place) => pictured[Math.floor((place * pictured.length) / count)]);
  const name = (label) => element("span", { className: "name" }, label);
  at("known-title").textContent = labels.length === 1 ? "It knows one name" : `It knows ${labels.length} names`;
  at("gallery").replaceChildren(...some.map((label) => element("li", {}, frameOf(label, example), name(label))));
  at("names").replaceChildren(...labels.map((label) => element("li", {}, label)));
  at("all").hidden = count === labels.length;
  show("known");
}

function showHealth({ ready, endpoint, model }) {
  const name = model?.version == null ? "The model" : `Model version ${model.version}`;
  const good = model?.accuracy == null ? "is ready" : `names ${(model.accuracy * 100).toFixed(1)}% of its test photos right`;
  sayHealth(ready ? `${name} ${good}.` : `The model is not available right now (${endpoint}).`, ready);
}

function sayHealth(text, ready) {
  at("health").textContent = text;
  at("health").classList.toggle("ready", ready);
  at("health").hidden = false;
}
