// The page: it connects, opens the tabs, and follows the address, files and the buttons of the picture.

import { read, write } from "./address.js";
import { App } from "./app.js";
import { arithmeticView } from "./arithmetic.js";
import { attributesView } from "./attributes.js";
import { fromLayers, toLayers } from "./codes.js";
import { layersView } from "./layers.js";
import { mapView } from "./map.js";
import { photoView } from "./photo.js";
import { save, savePng, sheet } from "./pictures.js";
import { connect } from "./served.js";
import { make } from "./tools.js";
import { walkView } from "./walk.js";

const VIEWS = [layersView, attributesView, arithmeticView, walkView, mapView, photoView];
const at = (id) => document.getElementById(id);

async function start() {
  const app = new App(await connect((text) => { at("status").textContent = text; }));
  const { about } = app;
  window.explorer = app.backend; // For the browser's console, and for tests.
  const [height, width, channels] = about.image_shape;
  at("name").textContent = `${about.name}: ${channels === 1 ? "grey " : ""}pictures of ${width} × ${height} pixels, ` +
    `${app.layers.length} layers of ${[...new Set(about.latent_dims)].join(", ")} numbers`;
  document.title = `Explorer: ${about.name}`;
  await app.fillPool();
  app.views = VIEWS.map((view) => view(app)).filter(Boolean);
  openTabs(app);
  const follow = () => {
    try {
      app.state = read(location.hash.slice(1), app);
      app.say("");
    } catch (error) {
      app.state = read("", app);
      app.say(error.message, true);
    }
    app.show();
  };
  follow();
  window.addEventListener("popstate", follow);
  openButtons(app);
  takeFiles(app);
}

function openTabs(app) {
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
}

function openButtons(app) {
  const tasks = {
    anew: () => app.adopt(app.draw()),
    reset: () => app.adopt(app.state.base),
    keep: () => app.keep(app.shown()),
    others: () => app.fillPool(),
    png: () => savePng(sheet([[app.picture]], 4), "picture.png"),
    code() {
      const text = JSON.stringify({ export: app.about.name, ...toLayers(app.shown(), app.layers) });
      save(new Blob([text], { type: "application/json" }), "code.json");
    },
    async link() {
      history.replaceState(null, "", `#${write(app)}`);
      await navigator.clipboard.writeText(location.href);
      app.say("The link is copied. It opens wherever this page is, with the same model.");
    },
  };
  for (const [id, task] of Object.entries(tasks)) at(id).addEventListener("click", app.guarded(task));
  const menu = document.querySelector("details");
  document.addEventListener("click", ({ target }) => { if (!target.closest("summary")) menu.open = false; });
  document.addEventListener("keydown", ({ key }) => { if (key === "Escape") menu.open = false; });
}

/** Files are chosen, dropped anywhere or pasted: photographs and codes. */
function takeFiles(app) {
  const open = app.guarded(async (files) => {
    for (const file of files)
      if (file.name?.endsWith(".json") || file.type === "application/json") await openCode(app, file);
      else await app.views.find((view) => view.name === "photo").open(file);
  });
  for (const input of document.querySelectorAll("input[type=file]"))
    input.addEventListener("change", () => {
      open([...input.files]);
      input.value = "";
    });
  window.addEventListener("paste", (event) => open([...event.clipboardData.files]));
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
    open([...event.dataTransfer.files]);
  });
}

async function openCode(app, file) {
  let values;
  try {
    values = JSON.parse(await file.text());
  } catch {
    throw new Error(`${file.name} is no file of a code.`);
  }
  app.adopt(fromLayers(values, app.layers));
  app.say(`${file.name} is open.`);
}

start().catch((error) => {
  at("status").textContent = error.message;
  at("status").classList.add("error");
});
