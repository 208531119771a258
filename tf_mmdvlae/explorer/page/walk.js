// Walk: an interpolation from picture to picture, with its files.

import { between } from "./codes.js";
import { gif } from "./gif.js";
import { enlarged, paint, save, savePng, sheet } from "./pictures.js";
import { make, newest } from "./tools.js";

const SECONDS = 2, STRIP = 9;
// A GIF's frames, in hundredths of a second, and its size in pixels, at the least.
const DELAY = 8, GIF_SIDE = 192;

export function walkView(app) {
  const stops = make("div", { className: "stops" });
  const strip = make("div", { className: "strip" });
  const position = make("input", { type: "range", min: 0, max: 1, step: 0.002, value: 0,
    aria: { label: "Place on the walk" } });
  const play = make("button", { className: "primary", textContent: "▶ Play" });
  const take = make("button", { textContent: "Explore this place" });
  const current = make("button", { textContent: "Add the current picture" });
  const png = make("button", { textContent: "Save strip (PNG)" });
  const loop = make("button", { textContent: "Save film (GIF)" });
  const film = make("button", { textContent: "Save film (WebM)" });
  let pictures = [];

  function at(place) {
    const list = app.state.stops, way = place * (list.length - 1);
    const from = Math.min(Math.floor(way), list.length - 2);
    return between(list[from], list[from + 1], way - from);
  }
  const isWalk = () => app.state.stops.length > 1;
  const seconds = () => SECONDS * (app.state.stops.length - 1);

  function add(code) {
    app.state.stops = [...app.state.stops, code];
    app.commit();
  }

  const refresh = newest(async (overtaken) => {
    const list = app.state.stops;
    const places = isWalk() ? Array.from({ length: STRIP }, (_, index) => at(index / (STRIP - 1))) : [];
    const found = await app.decode([...list, ...places], overtaken);
    if (!found) return;
    stops.replaceChildren(...list.map((_, index) => {
      const tile = make("button", { className: "tile", title: "Take it off the walk",
        aria: { label: `Stop ${index + 1}: take it off the walk` } }, paint(make("canvas"), found[index]));
      tile.addEventListener("click", () => {
        app.state.stops = list.toSpliced(index, 1);
        app.commit();
      });
      return tile;
    }));
    pictures = found.slice(list.length);
    strip.replaceChildren(...pictures.map((picture) => paint(make("canvas", { aria: { hidden: true } }), picture)));
    for (const button of [play, take, png, loop, film, position]) button.disabled = !isWalk();
  });

  function walk(onend = () => {}) {
    const begin = +position.value < 0.99 ? +position.value : 0;
    app.play((time) => {
      const place = begin + time / seconds();
      if (place > 1) return null;
      position.value = place;
      return at(place);
    }, () => { play.textContent = "▶ Play"; onend(); });
    play.textContent = "■ Stop";
  }

  play.addEventListener("click", () => { if (play.textContent === "▶ Play") walk(); else app.stop(); });
  position.addEventListener("input", () => app.paintPicture(at(+position.value)));
  take.addEventListener("click", () => {
    const code = at(+position.value);
    app.state.view = "layers";
    app.adopt(code);
  });
  current.addEventListener("click", () => add(app.shown()));
  png.addEventListener("click", () => savePng(sheet([pictures]), "walk.png"));
  loop.addEventListener("click", app.guarded(async () => {
    app.say("The GIF is being made …");
    const count = Math.round(100 * seconds() / DELAY);
    const frames = await app.decode(Array.from({ length: count + 1 }, (_, index) => at(index / count)));
    if (!frames) return;
    const scale = Math.ceil(GIF_SIDE / frames[0].width);
    save(gif(frames.map((frame) => enlarged(frame, scale)), DELAY), "walk.gif");
    app.say("");
  }));
  film.addEventListener("click", () => {
    const canvas = document.getElementById("picture"), parts = [];
    const recorder = new MediaRecorder(canvas.captureStream(30), { mimeType: "video/webm" });
    recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
    recorder.addEventListener("stop", () => save(new Blob(parts, { type: "video/webm" }), "walk.webm"));
    position.value = 0;
    recorder.start();
    walk(() => recorder.stop());
  });

  return {
    name: "walk",
    title: "Walk",
    hint: "Click a picture to add it to the walk.",
    take: add,
    children: [
      make("p", { textContent: "A walk leads from picture to picture in a straight line through the codes. Click a stop to take it off." }),
      make("div", { className: "card" }, stops),
      make("div", { className: "buttons" }, play, take, current, png, loop, film),
      position,
      strip,
    ],
    show: () => refresh(),
  };
}
