"use strict";

/* What happens when: a photo comes, the API answers, somebody presses a button. */

// photo: readPhoto's; question: the AbortController of the one that is open; breeds: a promise of a Map by label;
// explanation: the API's, of this photo.
const state = { key: "", photo: null, question: null, breeds: Promise.resolve(new Map()), explanation: null };

/** Only one question is open: whatever an earlier one still brings is not wanted any more. */
function openQuestion() {
  state.question?.abort(new Trouble("replaced"));
  const question = new AbortController();
  state.question = question;
  setTimeout(() => question.abort(new Trouble("slow")), PATIENCE_MS);
  at("stage").classList.remove("asking");
  return question;
}

async function take(file) {
  const question = openQuestion();
  show("waiting");
  say("Reading the photo");
  let photo = null;
  let trouble = null;
  try {
    photo = await readPhoto(file);
  } catch (error) {
    trouble = error;
  }
  if (question !== state.question) return;
  [state.photo, state.explanation] = [photo, null];
  showPhoto(photo);
  if (trouble === null) await ask();
  else fail(trouble);
}

async function ask() {
  if (state.key === "") {
    askForKey(KEY_ERRORS.missing);
    return;
  }
  show("waiting");
  say("The model is looking at the photo");
  await wait(async (signal) => {
    // Where the photo itself cannot be shown, the model's picture of it can.
    const answer = await predict(state.photo, state.key, { explain: !state.photo.shown, signal });
    showAnswer(answer, putExample);
    at("views").hidden = !state.photo.shown;
    if (answer.explanation) showExplanation(answer.explanation);
  }, fail);
}

async function explain() {
  if (state.explanation !== null) {
    showExplanation(state.explanation);
    return;
  }
  say("The model shows what it looked at");
  await wait(
    async (signal) => {
      const { explanation } = await predict(state.photo, state.key, { explain: true, signal });
      if (!explanation) throw new Trouble("failed");
      state.explanation = explanation;
      showExplanation(explanation);
      say(at("caption").textContent);
    },
    (error) => {
      chooseView("photo");
      caption(`${troubleOf(error).title}. What the model looked at cannot be shown now.`);
      say(at("caption").textContent);
    },
  );
}

/** Wait for an answer of the API, unless another question comes first. */
async function wait(work, failed) {
  const question = openQuestion();
  at("stage").classList.add("asking");
  try {
    await work(question.signal);
  } catch (error) {
    if (question === state.question) failed(error);
  } finally {
    if (question === state.question) at("stage").classList.remove("asking");
  }
}

function fail(error) {
  if (error.kind === "key") askForKey(KEY_ERRORS.refused);
  else showTrouble(troubleOf(error), error.facts ?? {});
}

/** Tell of what did not touch the photo that is there: its answer stands. */
function remark(error) {
  if (state.photo === null) {
    fail(error);
    return;
  }
  const { title, text } = troubleOf(error);
  caption(`${title}. ${text}`);
  say(at("caption").textContent);
}

function troubleOf(error) {
  if (!(error instanceof Trouble)) console.error(error); // ours to mend
  return TROUBLES[error.kind] ?? TROUBLES.failed;
}

async function putExample(photo, label) {
  const breed = (await state.breeds.catch(() => new Map())).get(label);
  if (!breed?.example) return;
  try {
    photo.src = await fetchExample(breed, state.key);
  } catch {
    breed.photo = undefined; // the answer stands without it; the next one asks again
  }
}

function askForKey(error) {
  showKeyForm(error);
  at("key").focus();
  at("key").select();
}

function useKey(key) {
  if (!KEY_PATTERN.test(key)) {
    askForKey(KEY_ERRORS.malformed);
    return;
  }
  state.key = key;
  storeKey(key);
  at("key-form").hidden = true;
  at("change-key").hidden = false;
  meetModel();
  if (state.photo !== null) ask();
}

/** Ask what the model knows and how good it is; also the first to hear that the key is wrong. */
function meetModel() {
  const key = state.key;
  const failed = (error) => {
    if (key !== state.key) return;
    if (error.kind === "key") askForKey(KEY_ERRORS.refused);
    else sayHealth(`${troubleOf(error).title}.`, false);
  };
  fetchHealth(key).then(showHealth).catch(failed);
  state.breeds = fetchBreeds(key).then((breeds) => new Map(breeds.map((breed) => [breed.label, breed])));
  state.breeds
    .then((breeds) => {
      const free = state.photo === null && PANELS.every((id) => at(id).hidden || id === "known");
      if (free && breeds.size > 0) showKnown(breeds, putExample);
    })
    .catch(failed);
}

for (const input of [at("file"), at("capture")]) {
  input.addEventListener("change", () => {
    const [file] = input.files;
    input.value = ""; // the same file may be chosen again
    if (file) take(file);
  });
}
at("choose").addEventListener("click", () => at("file").click());
at("invitation").addEventListener("click", () => at("file").click());
at("take").addEventListener("click", () => (isPhone() ? at("capture").click() : openCamera().catch(remark)));
at("shoot").addEventListener("click", () => shoot().then(take, fail));
at("video").addEventListener("playing", () => (at("shoot").disabled = false));
at("camera").addEventListener("close", releaseCamera);
at("close-camera").addEventListener("click", () => at("camera").close());
at("again").addEventListener("click", ask);
at("change-key").addEventListener("click", () => askForKey());
at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(at("key").value.trim());
  if (at("key-form").hidden && state.photo === null) at("choose").focus(); // the button that was pressed is gone
});
at("views").addEventListener("change", (event) => {
  if (event.target.value === "explanation") {
    explain();
  } else {
    openQuestion(); // of an explanation that is still to come nothing is wanted
    chooseView("photo");
  }
});
addEventListener("paste", (event) => {
  const [file] = event.clipboardData.files;
  if (file) take(file);
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("dragenter", () => document.body.classList.add("dropping"));
addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) document.body.classList.remove("dropping");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  const [file] = event.dataTransfer.files;
  if (file) take(file);
  else remark(new Trouble("no-file"));
});
addEventListener("hashchange", () => {
  const key = keyOfAddress();
  if (key !== "") useKey(key);
});

at("docs").href = new URL("docs", API);
hasCamera().then((found) => (at("take").hidden = !found && !isPhone()));
const given = keyOfAddress() || storedKey();
if (given === "") showKeyForm();
else useKey(given);
