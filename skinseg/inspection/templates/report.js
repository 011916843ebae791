"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  };
  const images = data.images;
  const rows = [...document.querySelectorAll("#overview tbody tr")];
  const things = rows.map((row) => {
    const number = row.dataset.image;
    return { row, item: at(`item-${number}`), card: at(`image-${number}`), image: images[number], number: Number(number) };
  });
  const byNumber = new Map(things.map((thing) => [thing.number, thing]));
  let shown = things;

  // ---------------------------------------------------------------- numbers

  const text = (value) => {
    if (value === null || value === undefined) return "–";
    if (Number.isInteger(value)) return String(value);
    const size = Math.abs(value);
    if (size < 0.001) return value.toPrecision(2).replaceAll("-", "−");  // 0 is something else
    const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
    return value.toFixed(digits).replace("-", "−");
  };
  const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);
  const percent = (value) => `${Math.round(100 * value)} %`;
  const feature = new Map(data.features.map((entry, position) => [entry.name, position]));
  const valueOf = (image, name) => image.values ? image.values[feature.get(name)] : null;

  // ---------------------------------------------------------------- cards

  const contributions = (image) => {
    const ranked = data.groups.map((name, position) => [name, image.contributions[position]])
      .filter((pair) => pair[1] !== null).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
    const widest = Math.max(1e-9, ...ranked.map((pair) => Math.abs(pair[1])));
    const table = make("table", { class: "bars" });
    table.append(make("caption", {}, `What raised and lowered it, in ${data.scale}; the baseline is ${signed(data.baseline)}`));
    for (const [name, value] of ranked) {
      const size = 50 * Math.abs(value) / widest;
      const stroke = make("i", { class: value < 0 ? "lower" : "raise" });
      stroke.style.width = `${size}%`;
      stroke.style.left = `${value < 0 ? 50 - size : 50}%`;
      const effect = Math.abs(value) < 0.005 ? "no change" : value > 0 ? "raises" : "lowers";
      table.append(make("tr", {}, make("td", {}, name), make("td", { class: "n" }, signed(value)),
        make("td", {}, effect), make("td", { "aria-hidden": "true" }, make("div", { class: "bar" }, stroke))));
    }
    return table;
  };

  const featureTable = (image, names, caption) => {
    const head = make("tr", {}, make("th", { scope: "col" }, "feature"), make("th", { scope: "col", class: "n" }, "value"));
    for (const group of data.population) {
      head.append(make("th", { scope: "col", title: `percentile among the ${group.name} reference lesions` }, `% ${group.name}`));
    }
    const body = make("tbody");
    for (const name of names) {
      const position = feature.get(name);
      const entry = data.features[position];
      const value = image.values[position];
      const unit = value === null || entry.unit === "1" ? "" : ` ${entry.unit}`;
      const cell = make("td", { class: "n" }, text(value) + unit);
      if (value === null && image.reasons[name]) cell.append(make("div", { class: "ci" }, image.reasons[name]));
      const row = make("tr", {}, make("th", { scope: "row", title: entry.description }, name), cell);
      data.population.forEach((group, index) => {
        const rank = image.percentiles[index][position];
        row.append(make("td", {}, ...(rank === null ? ["–"] : [
          make("meter", { min: 0, max: 100, value: rank, "aria-hidden": "true" }), String(rank)])));
      });
      body.append(row);
    }
    return make("div", { class: "scroll" }, make("table", { class: "features" }, make("caption", {}, caption), make("thead", {}, head), body));
  };

  const describe = (image) => {
    const colors = data.colors.map(([name, column]) => [name, valueOf(image, column)]).filter((pair) => pair[1] >= 0.005)
      .map(([name, share]) => `${name} ${percent(share)}`).join(", ");
    const structures = data.structures.filter(([, column]) => valueOf(image, column) >= 0.5).map(([name]) => name).join(", ");
    const tds = valueOf(image, "tds");
    return {
      outline: image.confidence === null ? "Outline" : `Outline, confidence ${image.confidence.toFixed(2)}`,
      asymmetry: `Asymmetry about ${text(valueOf(image, "asymmetry_score"))} of two axes`,
      border: `Border: score ${text(valueOf(image, "border_score"))} of 8`,
      color: `Colors: ${colors || "none told"}`,
      dimension: `Largest diameter ${text(valueOf(image, "dimension_feret_max_px"))} pixels`,
      structure: `Structures: ${structures || "none"}`,
      tds: `Total dermoscopy score ${text(tds)}`,
    };
  };

  const step = (thing, by, label) => {
    const target = shown[shown.indexOf(thing) + by];
    return target ? make("a", { href: `#image-${target.number}`, class: "step" }, label) : null;
  };

  const fill = (thing) => {
    const { card, image, number } = thing;
    if (!card || card.dataset.filled) return;
    card.dataset.filled = "yes";
    const body = card.querySelector(".body");
    if (image.note) body.append(make("p", { class: image.status === "failed" ? "error" : "" }, image.note));
    if (image.status === "failed") return;
    const facts = make("p", { class: "facts" });
    if (image.shape) facts.append(make("span", {}, `${image.shape[1]} × ${image.shape[0]} pixels`));
    if (image.confidence !== null) facts.append(make("span", {}, `confidence of the outline ${image.confidence.toFixed(2)}`));
    if (image.verdict) facts.append(make("span", {}, image.verdict));
    body.append(facts);
    if (image.said) body.append(make("p", {}, make("b", {}, image.said)));
    const pictures = at(`pictures-${number}`);
    if (pictures) {
      const told = describe(image);
      const grid = make("div", { class: "panels" });
      pictures.textContent.trim().split("\n").forEach((line, position) => {
        const { name, width, height } = data.panels[position];
        grid.append(make("img", { src: `data:image/webp;base64,${line}`, alt: image.values ? told[name] : `${name}: no lesion found`,
          width, height, class: width > 1.5 * height ? "wide" : "" }));
      });
      body.append(grid);
    }
    const columns = make("div", { class: "columns" });
    if (image.contributions) columns.append(contributions(image));
    if (image.values) {
      // sizes in millimeters only where they are known
      const names = data.key_features.filter((name) => valueOf(image, name) !== null || !name.endsWith("_mm"));
      columns.append(featureTable(image, names, `The main features. ${data.population_note}`));
      const rest = make("details", {}, make("summary", {}, `All ${data.features.length} features`));
      rest.addEventListener("toggle", () => {
        if (rest.open && rest.children.length === 1) {
          rest.append(featureTable(image, data.features.map((entry) => entry.name), "All features"));
        }
      });
      body.append(columns, rest);
    } else {
      body.append(columns);
    }
  };

  const refreshSteps = (thing) => {
    const line = thing.card && thing.card.querySelector(".steps");
    if (line) {
      line.replaceChildren(...[make("a", { href: "#overview", class: "step" }, "overview"), step(thing, -1, "previous"),
        step(thing, 1, "next")].filter(Boolean).flatMap((node) => [node, " "]));
    }
  };

  // ---------------------------------------------------------------- order and filter

  const keys = {
    given: (image, number) => number,
    name: (image) => image.name.toLowerCase(),
    status: (image) => data.states.indexOf(image.status),
    doubtful: (image) => ({ empty: -1, failed: 3 }[image.status] ?? image.confidence ?? 2),
  };
  const compare = (column, direction) => (a, b) => {
    const key = keys[column] || ((image) => image[column]);
    const [x, y] = [key(a.image, a.number), key(b.image, b.number)];
    const absent = (value) => value === null || value === undefined;
    if (absent(x) || absent(y)) return absent(x) - absent(y) || a.number - b.number;  // what is not known comes last
    const order = typeof x === "string" ? x.localeCompare(y) : x - y;
    return direction * order || a.number - b.number;
  };

  const apply = () => {
    const wanted = at("search").value.trim().toLowerCase();
    const state = at("state").value;
    const [column, direction] = at("order").value.split(":");
    things.sort(compare(column, Number(direction)));
    shown = [];
    for (const thing of things) {
      const { image } = thing;
      const fits = image.name.toLowerCase().includes(wanted) &&
        (state === "all" || (state === "positive" ? image.positive : image.status === state));
      for (const node of [thing.row, thing.item, thing.card]) if (node) node.hidden = !fits;
      if (fits) shown.push(thing);
    }
    at("rows").append(...things.map((thing) => thing.row));
    at("gallery-items").append(...things.map((thing) => thing.item));
    if (data.has_cards) at("cards-list").append(...things.map((thing) => thing.card));
    things.forEach(refreshSteps);
    at("found").textContent = `${shown.length} of ${things.length} images`;
    for (const header of document.querySelectorAll("#overview th[aria-sort]")) {
      header.setAttribute("aria-sort", header.dataset.key !== column ? "none" : direction === "1" ? "ascending" : "descending");
    }
  };

  for (const id of ["search", "state"]) at(id).addEventListener("input", apply);
  at("order").addEventListener("change", apply);
  for (const header of document.querySelectorAll("#overview th[data-key]")) {
    header.querySelector("button").addEventListener("click", () => {
      const first = ["name", "status", "given"].includes(header.dataset.key) ? 1 : -1;  // of numbers the largest first
      const now = header.getAttribute("aria-sort");
      const direction = now === "none" ? first : now === "ascending" ? -1 : 1;
      const value = `${header.dataset.key}:${direction}`;
      const select = at("order");
      if (![...select.options].some((option) => option.value === value)) {
        const name = header.textContent.trim();
        select.append(new Option(`${name}, ${direction === 1 ? "ascending" : "descending"}`, value));
      }
      select.value = value;
      apply();
    });
  }

  // ---------------------------------------------------------------- cards are filled when they come into view

  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) fill(byNumber.get(Number(entry.target.dataset.image)));
  }, { rootMargin: "600px" });
  for (const thing of things) if (thing.card) observer.observe(thing.card);
  const open = () => {
    const match = /^#image-(\d+)$/.exec(location.hash);
    const thing = match && byNumber.get(Number(match[1]));
    if (!thing || !thing.card) return;
    thing.card.hidden = false;  // a link to an image that a filter hides
    fill(thing);
    thing.card.scrollIntoView();
    thing.card.focus({ preventScroll: true });
  };
  addEventListener("hashchange", open);
  addEventListener("beforeprint", () => shown.forEach(fill));
  apply();
  open();
})();
