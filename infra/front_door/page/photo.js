"use strict";

/* A photo on its way to the model: opened, turned upright, made small. Nothing here touches the page or the network. */

// The model looks at a square of 224 pixels. 1024 leave it more than it uses, look sharp on a screen and make about
// 200 KB, far below what the API takes.
const LONGER_SIDE = 1024;
// Of a panorama the model takes its shorter side, which must not become smaller than what it looks at.
const SHORTER_SIDE = 320;
const JPEG_QUALITY = 0.9;
// What the API takes in one request: MAX_PHOTO_BYTES of contract/inference.py.
const MAX_BYTES = 4_400_000;
// How the files of HEIC encoders call themselves, in bytes 8 to 11 (ISO/IEC 23008-12).
const HEIC_BRANDS = ["heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"];

/**
 * Read a file that somebody chose.
 *
 * Every photo that this browser can open is drawn anew, small ones too: so there is one way for all of them, what is
 * shown is what is sent, it is upright whatever its EXIF says, and EXIF itself, with place and date, stays here. A HEIC
 * photo that the browser cannot open is left to the model as it is.
 *
 * @returns {Promise<{body: Blob, type: string, shown: boolean}>} what to send; shown: this browser can show it, too.
 * @throws {Trouble} it is no photo, or none that can be sent.
 */
async function readPhoto(file) {
  if (file.size === 0) throw new Trouble("empty");
  const heic = isHeic(await firstBytes(file));
  const picture = await opened(file);
  if (picture !== null) return { body: await jpegOf(picture), type: "image/jpeg", shown: true };
  if (!heic) throw new Trouble("no-photo");
  if (file.size > MAX_BYTES) throw new Trouble("heic-too-large");
  return { body: file, type: "image/heic", shown: false };
}

async function firstBytes(file) {
  try {
    return new Uint8Array(await file.slice(0, 12).arrayBuffer());
  } catch {
    throw new Trouble("unreadable"); // a folder, or a file that is gone
  }
}

function isHeic(bytes) {
  const text = String.fromCharCode(...bytes);
  return text.slice(4, 8) === "ftyp" && HEIC_BRANDS.includes(text.slice(8, 12));
}

/** What the file shows, upright, or null where this browser cannot open it. */
async function opened(file) {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return openedAsElement(file); // where it opens what createImageBitmap does not: HEIC in some versions of Safari
  }
}

async function openedAsElement(file) {
  const element = new Image();
  element.src = URL.createObjectURL(file);
  try {
    await element.decode();
    return element.naturalWidth > 0 && element.naturalHeight > 0 ? element : null;
  } catch {
    return null;
  } finally {
    URL.revokeObjectURL(element.src);
  }
}

/** A picture, a video's frame or a canvas as a small JPEG. */
async function jpegOf(picture) {
  const canvas = shrunk(picture);
  picture.close?.(); // 12 megapixels are 48 MB
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", JPEG_QUALITY));
  if (blob === null) throw new Trouble("unreadable");
  return blob;
}

/** Halved as often as it can be, then brought to its size: one large step would leave pixels out. */
function shrunk(picture) {
  let width = picture.videoWidth ?? picture.naturalWidth ?? picture.width;
  let height = picture.videoHeight ?? picture.naturalHeight ?? picture.height;
  const scale = Math.max(LONGER_SIDE / Math.max(width, height), SHORTER_SIDE / Math.min(width, height));
  const target = scale < 1 ? [Math.round(width * scale), Math.round(height * scale)] : [width, height];
  let step = picture;
  while (width > 2 * target[0]) {
    [width, height] = [Math.ceil(width / 2), Math.ceil(height / 2)];
    step = drawn(step, width, height);
  }
  return drawn(step, ...target);
}

function drawn(picture, width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const pen = canvas.getContext("2d");
  pen.fillStyle = "white"; // below what is transparent, as the model does
  pen.fillRect(0, 0, width, height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(picture, 0, 0, width, height);
  return canvas;
}
