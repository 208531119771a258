// The page: the picture, the gallery, the tabs, photographs, and the state in the address.

import { arithmeticView } from "./arithmetic.js";
import { attributesView } from "./attributes.js";
import * as codes from "./codes.js";
import { layersView } from "./layers.js";
import { mapView } from "./map.js";
import { paint, save, savePng, sheet } from "./pictures.js";
import { connect } from "./served.js";
import { make, newest } from "./tools.js";
import { walkView } from "./walk.js";

const POOL = 60, SHOWN = 15;
// A layer of so many dimensions needs no main directions.
export const FEW = 8;
const at = (id) => document.getElementById(id);

/** What all views share. `state` is all that a link holds. */
class App {
  constructor(backend) {
    this.backend = backend;
    this.about = backend.about;
    this.layers = codes.layersOf(this.about.latent_dims);
    this.layers.forEach((layer) => this.addAxes(layer));
    this.dimensions = this.layers.reduce((sum, layer) => sum + layer.size, 0);
    this.pool = []; // Random {code, picture}s: the gallery's, and new values for layers.
    this.kept = []; // What the person put into the gallery.
    this.photo = null;
    this.draws = 0;
    this.paintPicture = newest(async (code) => {
      const pictures = await this.decode([code]);
      if (!pictures) return;
      [this.picture] = pictures;
      paint(at("picture"), this.picture);
    });
  }

  /**
   * The pictures of codes; null if that is overtaken, or fails, which the page then says. Small
   * parts are asked for at a time, so that a slider never waits long.
   */
  async decode(list, overtaken = () => false) {
    const pictures = [];
    for (let start = 0; start < list.length && !overtaken(); start += 16)
      try {
        pictures.push(...await this.backend.decode(list.slice(start, start + 16)));
      } catch (error) {
        this.say(error.message, true);
        return null;
      }
    return pictures.length === list.length ? pictures : null;
  }

  /** The code that is drawn: the person's own and what the attributes add. */
  shown() {
    return codes.plus(this.state.own, this.offset());
  }

  /** Makes this the code that is drawn; what the attributes add stays added. */
  place(code) {
    this.state.own = codes.minus(code, this.offset());
  }

  offset() {
    return codes.offset(this.state.strengths, this.about.attributes, this.layers, this.state.boxes);
  }

  /** Shows another picture, with no attribute added. */
  adopt(code) {
    this.state.own = this.state.base = code;
    this.state.strengths = new Map();
    this.commit();
  }

  /** Draws the state, while a slider moves. */
  show() {
    this.stop();
    this.paintPicture(this.shown());
    for (const view of this.views) {
      const isHere = view.name === this.state.view;
      view.tab.setAttribute("aria-selected", isHere);
      view.tab.tabIndex = isHere ? 0 : -1;
      view.panel.hidden = !isHere;
      if (isHere) view.show();
    }
    at("gallery-hint").textContent = this.view().hint;
    at("photo").hidden = !(this.photo && codes.toText(this.photo.code) === codes.toText(this.state.base));
  }

  /** Draws the state and writes it into the address, as a step that "back" undoes. */
  commit() {
    const address = `#${this.address()}`;
    if (address !== location.hash) history.pushState(null, "", address);
    this.show();
  }

  view() {
    return this.views.find((view) => view.name === this.state.view);
  }

  /** A new random code, or picture of the pool. */
  draw() {
    return this.pool[SHOWN + (this.draws++ % (POOL - SHOWN))].code;
  }

  /** Shows pictures that are no state, one after the other, until anything else happens. */
  play(codeAt, onstop = () => {}) {
    this.stop();
    let begin = null;
    const step = (now) => {
      begin ??= now;
      const code = codeAt((now - begin) / 1000);
      if (!code) return this.stop();
      this.paintPicture(code);
      this.playing = requestAnimationFrame(step);
    };
    this.onstop = onstop;
    this.playing = requestAnimationFrame(step);
  }

  stop() {
    if (!this.playing) return;
    cancelAnimationFrame(this.playing);
    this.playing = null;
    this.onstop();
    this.paintPicture(this.shown());
  }

  say(text, isError = false) {
    at("status").textContent = text;
    at("status").classList.toggle("error", isError);
  }

  address() {
    const { state } = this, fields = { view: state.view, z: codes.toText(state.own) };
    const base = codes.toText(state.base);
    const strengths = [...state.strengths].filter(([, strength]) => strength);
    if (base !== fields.z) fields.base = base;
    if (strengths.length) fields.add = strengths.map(([i, s]) => `${i}:${+s.toFixed(3)}`).join(",");
    if (state.boxes.includes(false)) fields.layers = state.boxes.map(Number).join("");
    if (state.sumBoxes.includes(false)) fields.sum = state.sumBoxes.map(Number).join("");
    if (state.wide) fields.wide = 1;
    if (state.all) fields.all = 1;
    if (state.single) fields.single = 1;
    if (state.slots.some(Boolean))
      fields.abc = state.slots.map((code) => (code ? codes.toText(code) : "")).join(",");
    if (state.stops.length) fields.walk = state.stops.map(codes.toText).join(",");
    fields.map = [state.map.layer, state.map.x, state.map.y].join(".");
    return Object.entries(fields).map(([name, value]) => `${name}=${value}`).join("&");
  }

  /** The state in an address; an Error if that is of another model. */
  read(address) {
    const fields = new URLSearchParams(address);
    const code = (text) => codes.fromText(text, this.dimensions);
    const list = (name) => fields.get(name)?.split(",") ?? [];
    const boxes = (name) => this.layers.map((_, index) => fields.get(name)?.[index] !== "0");
    const own = fields.has("z") ? code(fields.get("z")) : this.pool[0].code;
    const base = fields.has("base") ? code(fields.get("base")) : own;
    const strengths = list("add").map((each) => each.split(":").map(Number)).filter(
      ([index, strength]) => this.about.attributes[index] && Number.isFinite(strength));
    const top = this.layers.at(-1);
    const [layer, x, y] = (fields.get("map") ?? "").split(".").map(Number);
    const of = this.layers[layer - 1];
    const isMap = of && [x, y].every((dim) => Number.isInteger(dim) && dim >= 0 && dim < of.size);
    return {
      view: this.views.some((view) => view.name === fields.get("view")) ? fields.get("view") : "layers",
      own, base,
      strengths: new Map(strengths),
      boxes: boxes("layers"),
      sumBoxes: boxes("sum"),
      wide: fields.get("wide") === "1",
      all: fields.get("all") === "1",
      single: fields.get("single") === "1",
      slots: fields.has("abc") ? [0, 1, 2].map((i) => (list("abc")[i] ? code(list("abc")[i]) : null))
        : this.pool.slice(1, 4).map((item) => item.code),
      stops: fields.has("walk") ? list("walk").map(code) : this.pool.slice(4, 7).map((item) => item.code),
      map: isMap ? { layer, x, y } : { layer: top.number, x: 0, y: Math.min(1, top.size - 1) },
    };
  }

  /** The axes of a layer as the person wants them, those that change the picture most first. */
  axes(layer) {
    return this.state.single || layer.size <= FEW ? layer.dimensions : layer.directions;
  }

  /** Both kinds of axes: single dimensions, and the main directions, which move many at once. */
  addAxes(layer) {
    const { effects, axes } = this.about;
    const dims = Array.from({ length: layer.size }, (_, dim) => dim);
    dims.sort((a, b) => effects[layer.start + b] - effects[layer.start + a]);
    layer.dimensions = dims.map((dim) =>
      ({ layer, name: `dimension ${dim + 1}`, vector: Float32Array.from(dims, (_, at) => +(at === dim)) }));
    layer.directions = axes[layer.number - 1].map((vector, index) =>
      ({ layer, name: `direction ${index + 1}`, vector: Float32Array.from(vector) }));
  }

  showGallery() {
    const items = [...this.kept, ...this.pool.slice(0, SHOWN)].slice(0, Math.max(SHOWN, this.kept.length));
    at("items").replaceChildren(...items.map((item, index) => {
      const tile = make("button", {
        className: "tile", draggable: true,
        aria: { label: `Picture ${index + 1} of the gallery${item.name ? `, ${item.name}` : ""}` },
      }, paint(make("canvas"), item.picture));
      tile.addEventListener("click", () => this.view().take(item.code));
      tile.addEventListener("dragstart", (event) => {
        this.dragged = item.code;
        event.dataTransfer.setData("text/plain", tile.getAttribute("aria-label"));
      });
      tile.addEventListener("dragend", () => { this.dragged = null; });
      return tile;
    }));
  }

  async keep(code, name) {
    const pictures = await this.decode([code]);
    if (!pictures) return;
    this.kept.unshift({ code, picture: pictures[0], name });
    this.showGallery();
  }

  /** Opens a photograph or a file of a code. */
  async open(file) {
    if (file.name?.endsWith(".json") || file.type === "application/json") {
      let values;
      try {
        values = JSON.parse(await file.text());
      } catch {
        throw new Error(`${file.name} is no file of a code.`);
      }
      this.adopt(codes.fromLayers(values, this.layers));
      return this.say(`${file.name} is open.`);
    }
    this.say("Looking at the photograph …");
    const item = await this.backend.encode(file);
    item.name = "your photograph";
    this.photo = item;
    paint(at("photo").querySelector("canvas"), item.picture);
    this.kept.unshift(item);
    this.showGallery();
    if (this.state.view === "arithmetic" || this.state.view === "walk") this.view().take(item.code);
    else this.adopt(item.code);
    this.say("The centre of your photograph, and what the model makes of it.");
  }
}

async function start() {
  const backend = await connect();
  const app = new App(backend);
  const { about } = app;
  at("name").textContent = `${about.name}: ${about.image_shape.slice(0, 2).join(" × ")} pixels, ` +
    `${app.layers.length} layers of ${[...new Set(about.latent_dims)].join(", ")} numbers`;
  document.title = `Explorer: ${about.name}`;
  let seed = 1;
  app.pool = await backend.draw(seed, POOL);

  app.views = [layersView, attributesView, arithmeticView, walkView, mapView]
    .map((view) => view(app)).filter(Boolean);
  for (const view of app.views) {
    view.tab = make("button", { role: "tab", id: `tab-${view.name}`, textContent: view.title,
      aria: { controls: `panel-${view.name}` } });
    view.panel = make("div", { role: "tabpanel", id: `panel-${view.name}`,
      aria: { labelledby: view.tab.id } }, ...view.children);
    view.tab.addEventListener("click", () => { app.state.view = view.name; app.commit(); });
    at("tabs").append(view.tab);
    at("panels").append(view.panel);
  }
  at("tabs").addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const place = app.views.indexOf(app.view()) + by + app.views.length;
    const view = app.views[place % app.views.length];
    view.tab.click();
    view.tab.focus();
  });

  function follow() {
    try {
      app.state = app.read(location.hash.slice(1));
      app.say("");
    } catch (error) {
      app.state = app.read("");
      app.say(error.message, true);
    }
    app.show();
  }
  app.showGallery();
  follow();
  window.addEventListener("popstate", follow);

  at("anew").addEventListener("click", () => app.adopt(app.draw()));
  at("reset").addEventListener("click", () => app.adopt(app.state.base));
  at("keep").addEventListener("click", () => app.keep(app.shown()));
  at("others").addEventListener("click", guarded(async () => {
    seed += POOL;
    app.pool = await backend.draw(seed, POOL);
    app.showGallery();
  }));
  at("png").addEventListener("click", () => savePng(sheet([[app.picture]], 4), "picture.png"));
  at("code").addEventListener("click", () => {
    const text = JSON.stringify({ export: about.name, ...codes.toLayers(app.shown(), app.layers) });
    save(new Blob([text], { type: "application/json" }), "code.json");
  });
  at("link").addEventListener("click", guarded(async () => {
    history.replaceState(null, "", `#${app.address()}`);
    await navigator.clipboard.writeText(location.href);
    app.say("The link is copied. It opens on machines where bin/explore shows this export.");
  }));

  function guarded(task) {
    return async (...inputs) => {
      try {
        await task(...inputs);
      } catch (error) {
        app.say(error.message, true);
      }
    };
  }
  const open = guarded((file) => app.open(file));
  for (const input of [at("file"), at("open")])
    input.addEventListener("change", () => {
      if (input.files[0]) open(input.files[0]);
      input.value = "";
    });
  window.addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (file) open(file);
  });
  const hasFile = (event) => event.dataTransfer?.types.includes("Files");
  window.addEventListener("dragover", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    at("drop").hidden = false;
  });
  window.addEventListener("dragleave", (event) => { if (!event.relatedTarget) at("drop").hidden = true; });
  window.addEventListener("drop", (event) => {
    at("drop").hidden = true;
    if (!hasFile(event)) return;
    event.preventDefault();
    open(event.dataTransfer.files[0]);
  });
}

start().catch((error) => {
  at("status").textContent = error.message;
  at("status").classList.add("error");
});
