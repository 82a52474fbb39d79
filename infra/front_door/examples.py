"""Calls of the API to copy, for the documentation page; ADDRESS and KEY are left for the reader to fill in."""

from typing import Final

CURL: Final = """\
curl -H 'x-api-key: KEY' -H 'Content-Type: image/jpeg' --data-binary @dog.jpg 'ADDRESS/predict?top=3'
curl -H 'x-api-key: KEY' -F photo=@dog.jpg 'ADDRESS/predict'"""

PYTHON: Final = """\
import requests

photo = open("dog.jpg", "rb").read()
headers = {"x-api-key": "KEY", "Content-Type": "image/jpeg"}
answer = requests.post("ADDRESS/predict", data=photo, headers=headers, timeout=30)
answer.raise_for_status()
for one in answer.json()["predictions"]:
    print(f"{one['probability']:.1%}  {one['label']}")"""

JAVASCRIPT: Final = """\
const answer = await fetch("ADDRESS/predict", {
  method: "POST",
  headers: { "x-api-key": "KEY", "Content-Type": file.type },
  body: file,
});
const said = await answer.json();
if (!answer.ok) throw new Error(said.error.message);
console.log(said.predictions[0].label);"""

LARGE: Final = """\
import pathlib, requests

photo = pathlib.Path("large.jpg").read_bytes()
key = {"x-api-key": "KEY"}
announced = {"bytes": len(photo), "content_type": "image/jpeg"}
upload = requests.post("ADDRESS/uploads", json=announced, headers=key, timeout=30).json()
requests.put(upload["url"], data=photo, headers=upload["headers"], timeout=120).raise_for_status()
answer = requests.post("ADDRESS/predict", json={"upload": upload["upload"]}, headers=key, timeout=30)"""

EXAMPLES: Final = (("curl", CURL), ("Python", PYTHON), ("JavaScript", JAVASCRIPT), ("A photo above 4.4 MB", LARGE))
