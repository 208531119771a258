// Attributes: named sliders, those that the codes know best first.

import { layerBoxes, make, newest, percent, sliderRow, words } from "./tools.js";
import { offset, plus } from "./codes.js";
import { paint } from "./pictures.js";

export function attributesView(app) {
  const { attributes } = app.about;
  if (!attributes.length) return null;
  const boxes = layerBoxes(app.layers, () => app.state.boxes, (index, isTicked) => {
    app.state.boxes = app.state.boxes.with(index, isTicked);
    app.commit();
  });
  const rows = attributes.map((attribute, index) => ({ ...slider(app, attribute, index), index, attribute }));
  rows.sort((a, b) => (b.attribute.known ?? -1) - (a.attribute.known ?? -1));

  const refresh = newest(async (overtaken) => {
    const { own, strengths, boxes: ticked } = app.state;
    const ends = rows.flatMap(({ index }) => [-3, 3].map((strength) =>
      plus(own, offset(new Map(strengths).set(index, strength), attributes, app.layers, ticked))));
    const pictures = await app.decode(ends, overtaken);
    pictures?.forEach((picture, place) => paint(rows[place >> 1].ends[place & 1], picture));
  }, 150);

  return {
    name: "attributes",
    title: "Attributes",
    hint: "Click a picture to change it.",
    take: (code) => app.adopt(code),
    children: [
      make("p", {
        textContent: "A named feature is a direction in the codes, learned from labelled pictures. Slide " +
          "right for more of it and left for less. The bar shows how well the codes know it; the best come first.",
      }),
      make("div", { className: "options" }, boxes.element),
      make("div", { className: "card attributes" }, ...rows.map((row) => row.element)),
    ],
    show() {
      boxes.show();
      rows.forEach((row) => row.show(app.state.strengths.get(row.index) ?? 0, 3));
      refresh();
    },
  };
}

function slider(app, { name, known }, index) {
  const set = (strength) => { app.state.strengths = new Map(app.state.strengths).set(index, strength); };
  return sliderRow({
    name: words(name),
    spoken: known === null ? words(name) : `${words(name)}, ${percent(known)} known`,
    note: known === null ? null : make("div", { className: "known" },
      make("meter", { value: known, aria: { hidden: true } }), `${percent(known)} known`),
    oninput(value) { set(value); app.show(); },
    onchange: () => app.commit(),
    onreset() { set(0); app.commit(); },
  });
}
