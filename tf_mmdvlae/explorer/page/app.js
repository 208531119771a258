// What all views share: the state, the picture, the gallery, and what is drawn of them.

import { write } from "./address.js";
import * as codes from "./codes.js";
import { paint } from "./pictures.js";
import { make, newest } from "./tools.js";

const POOL = 60, SHOWN = 15, EXAMPLES = 5;
// A layer of so many dimensions needs no main directions.
const FEW = 8;
// So many pictures are asked for at once: a slider that moves meanwhile waits for no more of them.
const PART = 4;
const at = (id) => document.getElementById(id);

/** `state` is all that a link holds. */
export class App {
  constructor(backend) {
    this.backend = backend;
    this.about = backend.about;
    this.layers = codes.layersOf(this.about.latent_dims);
    this.layers.forEach((layer) => this.addAxes(layer));
    this.dimensions = this.layers.reduce((sum, layer) => sum + layer.size, 0);
    this.pool = []; // Random {code, picture}s: the gallery's, and new values for layers.
    this.kept = []; // What the person put into the gallery.
    this.examples = []; // The export's own example pictures.
    this.photo = null; // {code, picture} of the photograph in hand.
    this.seed = 1;
    this.draws = 0;
    this.paintPicture = newest(async (code) => {
      const pictures = await this.decode([code]);
      if (!pictures) return;
      [this.picture] = pictures;
      paint(at("picture"), this.picture);
    });
  }

  /** The pictures of codes; null if that is overtaken, or fails, which the page then says. */
  async decode(list, overtaken = () => false) {
    const pictures = [];
    for (let start = 0; start < list.length && !overtaken(); start += PART)
      try {
        pictures.push(...await this.backend.decode(list.slice(start, start + PART)));
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
    const address = `#${write(this)}`;
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

  /** A task whose failure the page says. */
  guarded(task) {
    return async (...inputs) => {
      try {
        await task(...inputs);
      } catch (error) {
        this.say(error.message, true);
      }
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
    const items = [...this.kept, ...this.examples, ...this.pool].slice(0, Math.max(SHOWN, this.kept.length));
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

  async keep(code) {
    const pictures = await this.decode([code]);
    if (!pictures) return;
    this.kept.unshift({ code, picture: pictures[0] });
    this.showGallery();
  }

  /** Random pictures for the gallery; those of the first call are also what the views begin with. */
  async fillPool() {
    this.pool = await this.backend.draw(this.seed, POOL);
    this.examples = (await this.backend.examples()).slice(0, EXAMPLES);
    for (const item of this.examples) item.name = "an example";
    this.seed += POOL;
    this.first ??= this.pool.map((item) => item.code);
    this.showGallery();
  }

  /** Shows the {code, picture} of a photograph, which takes the gallery's place of an earlier one. */
  showPhoto(item, earlier) {
    const place = this.kept.indexOf(earlier);
    if (place < 0) this.kept.unshift(item);
    else this.kept[place] = item;
    this.photo = item;
    paint(at("photo").querySelector("canvas"), item.picture);
    this.showGallery();
    Object.assign(this.state, { view: "photo", own: item.code, base: item.code, strengths: new Map() });
    this.show();
  }
}
