"use strict";

/* What the page says: how sure the model is, and what went wrong. Nothing here touches the page or the network. */

// From which probability which words are used. The words and their limits are those of the IPCC's guidance on
// uncertainty (Mastrandrea et al. 2010, table 1), which readers were found to take as they are meant. They fit, since
// the model's probabilities are calibrated: of answers with 90 %, about 90 in 100 are right.
const SURENESS = [
  [0.99, "Almost certain"],
  [0.9, "Very likely"],
  [0.66, "Likely"],
  [0.33, "Perhaps"],
  [0, "Hard to tell"],
];

/** A probability for people, in whole percents; never 0 % or 100 %, which would say that the model cannot be wrong. */
function percent(probability) {
  if (probability < 0.01) return "< 1%";
  if (probability > 0.99) return "> 99%";
  return `${Math.round(probability * 100)}%`;
}

/** How sure the model is of an answer: a few words to stand above the breed, and a sentence to stand below it. */
function sureness({ predictions, confident }) {
  const [first] = predictions;
  if (confident === false) {
    return {
      sure: false,
      short: "Not sure",
      long: "This may be nothing that the model knows. Of all it knows, this comes closest.",
    };
  }
  const short = SURENESS.find(([least]) => first.probability >= least)[1];
  const right = Math.round(first.probability * 100);
  const share = right > 99 ? "more than 99" : `about ${right}`;
  return { sure: first.probability >= 0.33, short, long: `Of 100 answers this sure, ${share} are right.` };
}

/** Seconds for people. */
function duration(seconds) {
  if (seconds < 60) return seconds === 1 ? "1 second" : `${seconds} seconds`;
  const minutes = Math.ceil(seconds / 60);
  return minutes === 1 ? "1 minute" : `${minutes} minutes`;
}

/** Why there is no answer: the kind of trouble, a key of TROUBLES, and what is known of it. */
class Trouble extends Error {
  constructor(kind, facts = {}) {
    super(kind);
    this.kind = kind;
    this.facts = facts;
  }
}

// For each kind: what happened, what to do about it, and whether asking again with the same photo can help.
const TROUBLES = {
  empty: { title: "This file is empty", text: "There is nothing in it to look at. Choose another one." },
  "no-file": { title: "That was no file", text: "Save the photo on your device first, then drop it here." },
  "no-photo": {
    title: "This is no photo",
    text: "Choose a JPEG, PNG, WebP or HEIC file. This one was not sent anywhere.",
  },
  unreadable: {
    title: "This file cannot be read",
    text: "It may be damaged, be a folder, or have been moved since you chose it. It was not sent anywhere.",
  },
  "heic-too-large": {
    title: "This HEIC photo is too large",
    text: "This browser cannot open HEIC photos and so cannot make it smaller. Save it as a JPEG and try that one.",
  },
  camera: {
    title: "The camera cannot be used",
    text: "Allow this page to use it in your browser’s settings, or choose a photo from your device.",
  },
  "not-readable-for-model": {
    title: "The model cannot read this photo",
    text: "The file may be damaged. Try another one, or save it as a JPEG first.",
  },
  format: {
    title: "HEIC photos cannot be read here",
    text:
      "Neither this browser nor this model opens them. Save the photo as a JPEG and try that one; " +
      "on an iPhone, “Most Compatible” under Settings, Camera, Formats makes it take JPEGs.",
  },
  "too-large": { title: "This photo is too large", text: "Choose a smaller one, or save this one smaller." },
  "too-many": {
    title: "Too many photos at once",
    text: "This key has asked more than it may for the moment. Your photo is kept.",
    again: true,
  },
  unavailable: {
    title: "The model is not available right now",
    text: "It may be starting or being replaced by a newer one. Your photo is kept.",
    again: true,
  },
  slow: { title: "The model takes too long", text: "It may be busy. Your photo is kept.", again: true },
  offline: { title: "You are offline", text: "Your photo is kept. Try again once you are connected.", again: true },
  unreachable: {
    title: "The API cannot be reached",
    text: "It may be switched off, or your network may be in the way. Your photo is kept.",
    again: true,
  },
  failed: {
    title: "Something went wrong",
    text: "It is not your photo’s fault. Your photo is kept.",
    again: true,
  },
};

const KEY_ERRORS = {
  missing: "Your photo is ready. Enter your key and it is looked at.",
  malformed: "A key has letters, digits and signs only, without spaces.",
  refused: "This key is not accepted. Check that it is complete and belongs to this API.",
};
