"use strict";

/* Taking a photo: a phone's own camera, or a window with what the camera of this computer sees. */

const isPhone = () => matchMedia("(pointer: coarse)").matches;

async function hasCamera() {
  const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
  return devices.some((device) => device.kind === "videoinput");
}

/** @throws {Trouble} the camera cannot be used, most likely because it is not allowed. */
async function openCamera() {
  try {
    at("video").srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1920 } } });
  } catch {
    throw new Trouble("camera");
  }
  at("camera").showModal();
}

/** Return what the camera sees now. */
async function shoot() {
  const photo = await jpegOf(at("video"));
  at("camera").close();
  return photo;
}

/** Switch the camera off, however its window was closed. */
function releaseCamera() {
  for (const track of at("video").srcObject?.getTracks() ?? []) track.stop();
  at("video").srcObject = null;
  at("shoot").disabled = true;
}
