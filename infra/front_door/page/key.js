"use strict";

/* The API key: kept for this tab alone, and never in the address bar. */

const STORED_KEY = "pedigree.key";
// What may stand in a header; anything else would look like a network that is down.
const KEY_PATTERN = /^[\x21-\x7e]+$/;

function storeKey(key) {
  try {
    sessionStorage.setItem(STORED_KEY, key);
  } catch {
    // Storage is switched off in this browser: the key lasts as long as the page is open.
  }
}

function storedKey() {
  try {
    return sessionStorage.getItem(STORED_KEY) ?? "";
  } catch {
    return "";
  }
}

/** The key of an address like .../#key=..., which is taken out of the address bar and its history at once. */
function keyOfAddress() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key") ?? "";
  if (key !== "") history.replaceState(null, "", location.pathname + location.search);
  return key.trim();
}
