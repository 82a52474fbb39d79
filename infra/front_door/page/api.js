"use strict";

/* The API's calls. Its address is the page's own, which may lack its trailing slash. */

const API = new URL(location.pathname.replace(/\/*$/, "/"), location.origin);
// API_KEY_HEADER of contract/front_door.py.
const KEY_HEADER = "x-api-key";
// The gateway gives up after 29 seconds; what takes longer than this was lost on the way.
const PATIENCE_MS = 40_000;

// What a refusal is by its status, which a proxy's answer has, too. 403: the key.
const KINDS = {
  400: "not-readable-for-model",
  403: "key",
  408: "slow",
  413: "too-large",
  415: "format",
  429: "too-many",
  502: "unavailable",
  503: "unavailable",
  504: "unavailable",
};

/**
 * Call the API and return what ``read`` makes of its answer.
 *
 * @throws {Trouble} there is no answer that can be used; of the kind that ``signal`` was aborted with, where it was.
 */
async function call(path, key, read, { signal, ...request } = {}) {
  try {
    const headers = { ...request.headers, [KEY_HEADER]: key };
    const response = await fetch(new URL(path, API), { ...request, headers, signal, credentials: "omit" });
    if (!response.ok) throw await refusal(response);
    return await read(response);
  } catch (error) {
    if (error instanceof Trouble) throw error;
    if (error instanceof SyntaxError) throw new Trouble("failed", { said: "The answer is not JSON." });
    throw new Trouble(navigator.onLine ? "unreachable" : "offline");
  }
}

async function refusal(response) {
  const { error = {} } = await response.json().catch(() => ({})); // a proxy's answer may be no JSON
  return new Trouble(KINDS[response.status] ?? "failed", {
    said: error.message,
    request: error.request_id,
    wait: Number.parseInt(response.headers.get("Retry-After"), 10) || 0,
  });
}

const asJson = (response) => response.json();

/** Unless told otherwise, the API names five labels, or all where there are fewer. */
function predict(photo, key, { explain, signal }) {
  const path = explain ? "predict?explain=true" : "predict";
  return call(path, key, asJson, { method: "POST", body: photo.body, headers: { "Content-Type": photo.type }, signal });
}

const fetchHealth = (key) => call("health", key, asJson);

const fetchBreeds = (key) => call("breeds", key, async (response) => (await response.json()).breeds);

/** The address of an example photo within this page; asked for once. */
function fetchExample(breed, key) {
  breed.photo ??= call(breed.example, key, async (response) => URL.createObjectURL(await response.blob()));
  return breed.photo;
}
