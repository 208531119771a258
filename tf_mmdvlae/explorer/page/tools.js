// Small tools: elements, requests of which only the newest counts, rows with a slider.

/** An element: its tag, properties (and `data`, `aria`), children. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "aria") for (const [key, text] of Object.entries(value)) element.setAttribute(`aria-${key}`, text);
    else if (name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/**
 * Runs a task for the newest input: while one runs, later inputs replace each other, and only the
 * last of them is begun when it is done. `wait` milliseconds without a new input come first.
 */
export function newest(task, wait = 0) {
  let running = false, waiting = null, timer = null;
  async function run() {
    if (running || !waiting) return;
    running = true;
    const inputs = waiting;
    waiting = null;
    try {
      await task(...inputs, () => waiting !== null);
    } finally {
      running = false;
      if (waiting) run();
      else count(-1);
    }
  }
  return (...inputs) => {
    if (!running && !waiting) count(1);
    waiting = inputs;
    clearTimeout(timer);
    if (wait) timer = setTimeout(run, wait);
    else run();
  };
}

// How many tasks are under way; the tests wait until there are none.
function count(by) {
  const { dataset } = document.documentElement;
  dataset.pending = +(dataset.pending ?? 0) + by;
}

/** A slider between the pictures of its two ends. */
export function sliderRow({ name, spoken, note, step = 0.05, oninput, onchange, onreset }) {
  const ends = [0, 1].map(() => make("canvas", { aria: { hidden: true } }));
  const output = make("output");
  const input = make("input", { type: "range", step, aria: { label: spoken ?? name } });
  const label = make("label", {}, make("span", { textContent: name }), output);
  const middle = make("div", {}, label, input);
  if (note) middle.append(note);
  input.addEventListener("input", () => { output.value = tenths(+input.value); oninput(+input.value); });
  input.addEventListener("change", onchange);
  input.addEventListener("dblclick", onreset);
  const element = make("div", { className: "row" }, ends[0], middle, ends[1]);
  return {
    element, ends, input,
    show(value, most) {
      input.min = -most;
      input.max = most;
      if (document.activeElement !== input || Math.abs(input.value - value) > step) input.value = value;
      output.value = tenths(value);
      input.setAttribute("aria-valuetext", tenths(value));
    },
  };
}

/** Boxes for the layers that take part. */
export function layerBoxes(layers, boxes, onchange) {
  const inputs = layers.map((layer, index) => {
    const input = make("input", { type: "checkbox" });
    input.addEventListener("change", () => onchange(index, input.checked));
    return input;
  });
  const element = make("fieldset", {}, make("legend", { textContent: "Layers that take part:" }),
    ...inputs.map((input, index) => make("label", {}, input, `${layers[index].number}`)));
  return { element, show: () => inputs.forEach((input, index) => { input.checked = boxes()[index]; }) };
}

export const words = (name) => name.replace(/^label=/, "").replace(/=/, ": ").replace(/_/g, " ");

// Adding 0 makes a plain zero of what rounds to minus zero.
const tenths = (value) => (Math.round(10 * value) / 10 + 0).toFixed(1).replace("-", "−");

export const percent = (share) => `${Math.round(100 * share)}%`;
