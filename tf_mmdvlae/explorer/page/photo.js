// Own photo: a photograph, laid as the model's training pictures lie, and what the model makes of it.

import { apply, inverse, layoutOf, Photograph, similarity, swap } from "./cut.js";
import { make, newest } from "./tools.js";

const MARKS = ["Eye on the left", "Eye on the right", "Left corner of the mouth", "Right corner of the mouth"];
const MANNERS = {
  found: "The four marks go to the eyes and the corners of the mouth that are found; drag those that lie wrong.",
  marks: "Drag the four marks onto the eyes and the corners of the mouth, so that the face lies where the model expects one.",
  frame: "Drag the frame to the part that the model shall see.",
};
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
// A detector finds faces in pictures of such a size.
const DETECTED = 480;
// A cut has at most so many pixels for one of the model's, along each side.
const MOST = 4;

export function photoView(app) {
  const layout = layoutOf(app.about);
  const isFace = Boolean(app.about.layout);
  // The photograph in hand, where its marks lie (without marks: its frame's corners), its gallery item.
  let photo = null, points = [], item = null;

  const canvas = make("canvas", { role: "img", aria: { label: "Your photograph" } });
  const overlay = svg("svg", { role: "group", "aria-label": "What the model sees of the photograph" });
  const frame = svg("polygon", { tabindex: 0, role: "button",
    "aria-label": "Frame: arrow keys move it, plus and minus resize it" });
  const marks = isFace ? MARKS.map((name) => svg("circle",
    { tabindex: 0, role: "button", "aria-label": `${name}: arrow keys move it` })) : [];
  overlay.append(frame, ...marks);
  const place = make("div", { className: "photo", hidden: true }, canvas, overlay);
  // A frame is at most as large as the photograph; the marks of a face may lie closer to its edges.
  const sliders = [["Size", -2, isFace ? 2 : 0, 0.02], ["Turn", -180, 180, 1]].map(([name, min, max, step]) => {
    const input = make("input", { type: "range", min, max, step });
    return { input, last: 0, label: make("label", {}, name, input) };
  });
  const [sizeSlider, turnSlider] = sliders;
  const swapped = make("input", { type: "checkbox" });
  const again = make("button", { textContent: "Start again", title: "Put the frame back" });
  const tools = make("div", { className: "options", hidden: true }, sizeSlider.label, turnSlider.label,
    ...(app.about.image_shape[2] === 1 ? [make("label", {}, swapped, "swap dark and bright")] : []), again);
  const chosen = make("input", { id: "file", type: "file", multiple: true,
    accept: "image/*,.json" });
  const video = make("video", { muted: true, playsInline: true, hidden: true, aria: { label: "Camera" } });
  const camera = make("button", { textContent: "Camera" });
  const shoot = make("button", { className: "primary", textContent: "Take the picture", hidden: true });

  /** Photograph -> cut, or null where the marks lie on each other. */
  const similar = () => similarity(points, layout.points);

  const refresh = newest(async () => {
    const way = similar();
    if (!way) return;
    // A layout has a size. Other cuts keep the photograph's pixels, up to what helps the model.
    const wanted = isFace ? 1 : Math.min(MOST, Math.max(1, 1 / Math.hypot(way.a, way.b)));
    const scale = Math.round(layout.size[0] * wanted) / layout.size[0];
    const [a, b, x, y, ...size] = [way.a, way.b, way.x, way.y, ...layout.size].map((value) => value * scale);
    const cut = photo.cut({ a, b, x, y }, size);
    if (swapped.checked) swap(cut);
    const blob = await new Promise((resolve) => { cut.toBlob(resolve, "image/png"); });
    const seen = { ...await app.backend.encode(blob), name: "your photograph" };
    app.showPhoto(seen, item);
    item = seen;
    if (isDone) app.commit();
  });
  // Only where a movement ends is a step that "back" undoes.
  let isDone = true;

  function change(done) {
    isDone = done;
    draw();
    refresh();
  }

  function draw() {
    const way = similar();
    if (!way) return;
    const back = inverse(way), unit = photo.width / Math.max(1, canvas.clientWidth);
    const corners = layout.frame.map((corner) => apply(back, corner));
    frame.setAttribute("points", corners.map((corner) => corner.join()).join(" "));
    marks.forEach((mark, index) => {
      const [cx, cy] = points[index];
      set(mark, { cx, cy, r: 9 * unit });
    });
  }

  /** Moves some points, or turns and resizes all about their middle. */
  const move = (indexes, [dx, dy]) => {
    points = points.map(([x, y], index) => (indexes.includes(index) ? [x + dx, y + dy] : [x, y]));
  };
  const all = () => points.map((_, index) => index);
  function turn(factor, degrees) {
    const [mx, my] = [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
    const angle = degrees * Math.PI / 180, a = factor * Math.cos(angle), b = factor * Math.sin(angle);
    const around = { a, b, x: mx - a * mx + b * my, y: my - b * mx - a * my };
    points = points.map((point) => apply(around, point));
  }

  for (const [target, indexes] of [[frame, all], ...marks.map((mark, index) => [mark, () => [index]])]) {
    target.addEventListener("pointerdown", (event) => {
      target.setPointerCapture(event.pointerId);
      let last = at(event);
      const follow = (moved) => {
        const now = at(moved);
        move(indexes(), [now[0] - last[0], now[1] - last[1]]);
        last = now;
        change(false);
      };
      target.addEventListener("pointermove", follow);
      target.addEventListener("lostpointercapture", () => {
        target.removeEventListener("pointermove", follow);
        change(true);
      }, { once: true });
    });
    target.addEventListener("keydown", (event) => {
      const step = STEPS[event.key], factor = { "+": 1.05, "-": 1 / 1.05 }[event.key];
      if (!step && !(factor && target === frame)) return;
      event.preventDefault();
      const far = photo.width / (event.shiftKey ? 20 : 200);
      if (step) move(indexes(), step.map((side) => side * far));
      else turn(factor, 0);
      change(true);
    });
  }
  function at(event) {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(overlay.getScreenCTM().inverse());
    return [x, y];
  }
  for (const slider of sliders) {
    slider.input.addEventListener("input", () => {
      const by = slider.input.value - slider.last;
      slider.last = +slider.input.value;
      if (slider === turnSlider) turn(1, by);
      else turn(2 ** by, 0);
      change(false);
    });
    slider.input.addEventListener("change", () => change(true));
  }
  swapped.addEventListener("change", () => change(true));
  again.addEventListener("click", app.guarded(begin));

  /** Puts the marks where a detector sees them, or where they lie if the photograph is laid already. */
  async function begin() {
    for (const slider of sliders) slider.input.value = slider.last = 0;
    points = await guess() ?? fitted();
    change(true);
  }
  async function guess() {
    if (!isFace || !app.backend.align) return null;
    const shrink = Math.min(1, DETECTED / Math.max(photo.width, photo.height));
    const small = photo.cut({ a: shrink, b: 0, x: 0, y: 0 }, [photo.width * shrink, photo.height * shrink]);
    const blob = await new Promise((resolve) => { small.toBlob(resolve, "image/png"); });
    const found = await app.backend.align(blob);
    if (!found) app.say("No face was found: drag the marks to the eyes and the mouth.");
    return found && found.map((point) => point.map((value) => value / shrink));
  }
  function fitted() {
    const [w, h] = layout.size, scale = Math.min(photo.width / w, photo.height / h);
    const move = { a: scale, b: 0, x: (photo.width - scale * w) / 2, y: (photo.height - scale * h) / 2 };
    return layout.points.map((point) => apply(move, point));
  }

  async function open(source) {
    app.say("");
    let image;
    try {
      image = await createImageBitmap(source);
    } catch {
      throw new Error(`${source.name ?? "This"} can't be read as a picture.`);
    }
    close();
    photo = new Photograph(image);
    item = null;
    canvas.width = photo.width;
    canvas.height = photo.height;
    canvas.getContext("2d").drawImage(photo.levels[0], 0, 0);
    place.style.setProperty("--shape", photo.width / photo.height);
    overlay.setAttribute("viewBox", `0 0 ${photo.width} ${photo.height}`);
    place.hidden = tools.hidden = false;
    await begin();
  }

  function close() {
    video.srcObject?.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
    video.hidden = shoot.hidden = true;
    camera.textContent = "Camera";
  }
  camera.addEventListener("click", app.guarded(async () => {
    if (video.srcObject) return close();
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" } });
    } catch {
      throw new Error("The browser gives no camera: there is none, or it may not be used here.");
    }
    await video.play();
    video.hidden = shoot.hidden = false;
    camera.textContent = "Close the camera";
  }));
  shoot.addEventListener("click", app.guarded(() => open(video)));
  new ResizeObserver(() => { if (photo) draw(); }).observe(canvas);

  return {
    name: "photo",
    title: "Own photo",
    hint: "Click a picture to explore it.",
    take(code) { app.state.view = "layers"; app.adopt(code); },
    open,
    children: [
      make("p", {
        textContent: `Choose a ${isFace ? "photograph of a face" : "picture"}, drop it anywhere on this page, or ` +
          `paste it. ${MANNERS[!isFace ? "frame" : app.backend.align ? "found" : "marks"]} What the model sees and ` +
          "what it draws stand side by side. The page stores the photograph nowhere.",
      }),
      make("div", { className: "buttons" },
        make("label", { className: "button" }, "Choose a photograph …", chosen), camera, shoot),
      video, place, tools,
    ],
    show() {
      if (photo) draw();
    },
  };
}

function svg(tag, attributes) {
  return set(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes);
}
function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
